"""``python -m coprop`` and the command ``coprop``: signals are answered before anything loads."""

import os
import sys

from coprop.utils.signals import INTERRUPTED, SIGNALS, say_at_once


def main() -> None:
    """What the command ``coprop`` runs."""
    SIGNALS.take()
    code = 1
    try:
        code = _run()
    except KeyboardInterrupt:
        say_at_once("interrupted.")
        code = INTERRUPTED
    except BaseException:
        if not SIGNALS.came:
            raise
        # A library has made another error of the interrupt.
        say_at_once("interrupted.")
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
        say_at_once(f"cannot write to standard output: {error.strerror or error}.")
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


if __name__ == "__main__":
    main()
