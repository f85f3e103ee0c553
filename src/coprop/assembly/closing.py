"""Things that hold other things which have to be closed."""

from __future__ import annotations

from typing import TypeVar

_Self = TypeVar("_Self", bound="Closing")


class Closing:
    """Closes what its attributes hold beyond memory, such as a process; a context manager."""

    def close(self) -> None:
        """Calls ``close`` of every attribute that has it; safe to call again."""
        for part in list(vars(self).values()):
            close = getattr(part, "close", None)
            if callable(close):
                close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
