"""What coprop says while it works: Python's logging under ``coprop``, quiet until asked."""

from __future__ import annotations

import logging
import sys

LOGGER = "coprop"
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
_FORMAT = "%(asctime)s %(levelname)s %(processName)s %(name)s: %(message)s"


class _Lines(logging.Formatter):
    """A line a message: names of files may hold what steers a terminal; tracebacks follow."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's own name
        from coprop.utils.brief import one_line

        return one_line(super().formatMessage(record))


def log_to_stderr(level: int) -> None:
    """Shows the package's messages on stderr.

    Args:
        level: 0 for warnings, 1 for what happens, 2 for all.
    """
    logger = logging.getLogger(LOGGER)
    for old in [handler for handler in logger.handlers if isinstance(handler, _Stderr)]:
        logger.removeHandler(old)
    handler = _Stderr()
    handler.setFormatter(_Lines(_FORMAT if level else None))
    logger.addHandler(handler)
    logger.setLevel(_LEVELS[min(level, 2)])


def verbosity() -> int:
    """How much `log_to_stderr` shows in this process, 0 to 2; 0 where it was not called."""
    logger = logging.getLogger(LOGGER)
    if not any(isinstance(handler, _Stderr) for handler in logger.handlers):
        return 0
    # Whoever else sets the logger's level may choose one in between, or none of its own.
    return sum(logger.isEnabledFor(level) for level in _LEVELS[1:])


class _Stderr(logging.Handler):
    """Known by its class, so that there is only one; writes to what stderr is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)
