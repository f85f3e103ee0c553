"""What signals do while a training runs, in its process and in those that read data for it."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class StopSignals:
    """Takes SIGINT and SIGTERM as a wish to stop, while the context lasts; see ``came``.

    The step that is under way is then finished and saved. A second SIGINT interrupts it. Launchers
    of several processes send SIGTERM after the SIGINT that the terminal sent to all. Outside the
    main thread, where Python has no handlers, signals stay as they are.
    """

    def __init__(self) -> None:
        self.came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.came and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.came = True


def ignore_interrupts(worker: int) -> None:
    """For processes that read data: Ctrl-C reaches them too, but the training stops them itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
