"""Work that goes on beside other work: what is read ahead, and what is written behind.

Each is a thread of its own, joined to the caller's by a bounded line: errors pass in the order of
the work, and when the caller stops, for whatever reason, so does the thread, before it goes on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

HELD = 2
"""How many frames wait in a line: enough for both sides to be at work, and little memory."""


class _Line(Generic[T]):
    """Things on their way from one thread to another, in order."""

    def __init__(self) -> None:
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = False  # nothing will be put any more
        self._closed = False  # nothing will be taken any more
        self._failure: BaseException | None = None

    def put(self, thing: T) -> bool:
        """Waits for a place; whether there is anybody left to take it."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over or len(self._waiting) < HELD)
            if not self._is_over:
                self._waiting.append(thing)
                self._changed.notify_all()
            return not self._is_over

    @property
    def _is_over(self) -> bool:
        return self._closed or self._ended

    def take(self) -> tuple[T] | None:
        """Waits for the next thing; None after the last.

        Raises:
            BaseException: what was raised on the other side, after all that was put before it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if self._waiting:
                thing = self._waiting.popleft()
                self._changed.notify_all()
                return (thing,)
            if self._failure is not None:
                raise self._failure
            return None

    def end(self, failure: BaseException | None = None) -> None:
        with self._changed:
            self._ended, self._failure = True, failure
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()


def ahead(things: Iterable[T]) -> Generator[T, None, None]:
    """Yields things that a thread of its own gets, a few before they are asked for.

    The thread begins with the first thing that is asked for, and has ended when this generator is
    closed or has come to its end.

    Args:
        things: gone through in the thread, and closed there where it is a generator.
    """
    line: _Line[T] = _Line()

    def work() -> None:
        try:
            source = iter(things)
            try:
                for thing in source:
                    if not line.put(thing):
                        break
            finally:
                if isinstance(source, Generator):
                    source.close()
        except BaseException as error:  # raised where the thing was to come
            line.end(error)
        else:
            line.end()

    # A daemon: whoever leaves the program with a generator half gone through must not wait for it.
    thread = threading.Thread(target=work, name="coprop reads ahead", daemon=True)
    thread.start()
    try:
        while (taken := line.take()) is not None:
            yield taken[0]
    finally:
        line.close()
        thread.join()


class Behind(Generic[T]):
    """Does something with one thing after another, in a thread of its own; a context manager.

    When the block is left, by an exception too, what was given before is done first.

    Args:
        work: done with each thing, in order; `HELD` wait, and a further one has to wait outside.

    Example:
        >>> done = []
        >>> with Behind(done.append) as behind:
        ...     behind.give(1)
        ...     behind.give(2)
        >>> done
        [1, 2]
    """

    def __init__(self, work: Callable[[T], object]) -> None:
        self._line: _Line[T] = _Line()
        self._failure: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._go, name="coprop writes behind", daemon=True)

    def __enter__(self) -> Behind[T]:
        self._thread.start()
        return self

    def give(self, thing: T) -> None:
        """Hands a thing on.

        Raises:
            BaseException: what the work raised over an earlier one.
            RuntimeError: after `finish`.
        """
        if not self._line.put(thing):
            raise self._failure or RuntimeError("nothing can be given after finish().")

    def finish(self) -> None:
        """Waits until all is done that was given; nothing can be given any more.

        Raises:
            BaseException: what the work raised.
        """
        self._wait()
        if self._failure is not None:
            raise self._failure

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._wait()
        if error is None and self._failure is not None:
            raise self._failure

    def _wait(self) -> None:
        self._line.end()
        self._thread.join()

    def _go(self) -> None:
        try:
            while (taken := self._line.take()) is not None:
                self._work(taken[0])
        except BaseException as error:  # raised where the next thing is given
            self._failure = error
            self._line.close()
