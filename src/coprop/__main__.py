"""``python -m coprop`` and the command ``coprop``: signals are answered before anything loads."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

INTERRUPTED = 130


class _Signals:
    """Ctrl-C, SIGTERM, SIGHUP and Ctrl-Break of Windows end a command with 130 and one line.

    They do so whenever they come.

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
            _say("interrupted.")
        os._exit(INTERRUPTED)


SIGNALS = _Signals()


def main() -> None:
    """What the command ``coprop`` runs."""
    SIGNALS.take()
    code = 1
    try:
        code = _run()
    except KeyboardInterrupt:
        _say("interrupted.")
        code = INTERRUPTED
    except BaseException:
        if not SIGNALS.came:
            raise
        # A library has made another error of the interrupt.
        _say("interrupted.")
        code = INTERRUPTED
    finally:
        SIGNALS.done()
    sys.exit(code)


def _run() -> int:
    _replace_closed_streams()
    from coprop.utils.process import draw_into_files, keep_freed_memory, loading

    keep_freed_memory()
    draw_into_files()
    with loading():
        from coprop.cli.app import app, exit_code

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names in any script, wherever they are printed
            stream.reconfigure(errors="backslashreplace")
    try:
        code = exit_code(app)
        sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:
            raise
        _forget_stdout()
        _say(f"cannot write to standard output: {error.strerror or error}.")
        return 1
    return code


def _replace_closed_streams() -> None:
    """Lets streams that the caller has closed, as `2>&-` does, lead nowhere.

    Python has None for them, and the next file that is opened would get what C libraries write.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - until the end


def _forget_stdout() -> None:
    """Keeps Python from failing once more, with what is left to print, when it ends."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        sys.stdout = None


def _say(text: str) -> None:
    with suppress(OSError):
        os.write(2, f"coprop: {text}\n".encode(errors="backslashreplace"))


if __name__ == "__main__":
    # By its own name: run as "__main__" this is a second module, whose SIGNALS nobody else knows.
    from coprop.__main__ import main as command

    command()
