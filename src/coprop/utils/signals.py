"""How the command answers signals: at once while it loads, and as an interrupt while it works."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType

INTERRUPTED = 130
"""Exit code: as shells have it for Ctrl-C."""


class _Signals:
    """Ctrl-C, SIGTERM, SIGHUP and Ctrl-Break of Windows end a command with 130 and one line.

    While modules load, the process ends at once: an exception could end up anywhere in them. From
    the first work on, it is a KeyboardInterrupt, so that what was begun is left whole.
    """

    def __init__(self) -> None:
        self.working = False
        self.came = False
        self._taken: list[int] = []

    def take(self) -> None:
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
            number = getattr(signal, name, None)
            # What the caller ignores stays ignored: nohup, and jobs in a script's background.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._answer)
                self._taken.append(number)

    def done(self) -> None:
        """The command has ended and said so; while Python puts itself away, none matters."""
        self.working = False
        for number in self._taken:
            signal.signal(number, signal.SIG_IGN)
        # An interrupt that passed through text which a library executes (dataclasses do) is noted
        # by Python, which would end by the signal although it was answered; this takes it back.
        exec("")

    def _answer(self, number: int, frame: FrameType | None) -> None:
        first, self.came = not self.came, True
        if self.working:
            raise KeyboardInterrupt
        if first:
            say_at_once("interrupted.")
        os._exit(INTERRUPTED)


SIGNALS = _Signals()


def say_at_once(text: str) -> None:
    """Says it on standard error, past Python's streams, which a signal may have come in between."""
    with suppress(OSError):
        os.write(2, f"coprop: {text}\n".encode(errors="backslashreplace"))
