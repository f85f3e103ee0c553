"""Ctrl-C as a wish: the step that is under way is finished and saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopWish:
    """Whether somebody wants the training to stop; ``made`` is set by a signal."""

    def __init__(self) -> None:
        self.made = False


@contextmanager
def stop_wish() -> Iterator[StopWish]:
    """Turns SIGINT and SIGTERM into a wish while the context lasts; a second SIGINT interrupts.

    Launchers of several processes send SIGTERM after the SIGINT that the terminal sent to all.
    Outside the main thread signals stay as they are.
    """
    wish = StopWish()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if wish.made:
            raise KeyboardInterrupt
        wish.made = True

    def terminate(number: int, frame: FrameType | None) -> None:
        wish.made = True

    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = [
        (number, signal.signal(number, handler))
        for number, handler in ((signal.SIGINT, interrupt), (signal.SIGTERM, terminate))
    ]
    try:
        yield wish
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def ignore_interrupts(worker: int) -> None:
    """For processes that read data: Ctrl-C reaches them too, but the training stops them itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
