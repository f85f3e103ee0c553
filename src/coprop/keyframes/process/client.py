"""The worker that a model has: started once, asked many times, started again after a failure."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any

from coprop.errors import CoPropError
from coprop.keyframes.process.launch import Launch
from coprop.keyframes.process.running import Running, raise_told
from coprop.utils.forks import after_fork

_clients: weakref.WeakSet[WorkerClient] = weakref.WeakSet()


class WorkerClient:
    """Asks a worker, which runs from here on until it is closed or nobody has this any more.

    A worker that failed, and one that was asked when Ctrl-C came, is ended; the next call starts
    another. So does the first call in a fork, and of a copy, also one that was pickled. Threads
    take turns.

    Args:
        launch: how to start it.
        attributes: of the model, that are asked for.
        timeout_s: longest time for a start and for a call.

    Raises:
        CoPropError, ModelOutputError: see `Running`.
    """

    def __init__(self, launch: Launch, attributes: Sequence[str], timeout_s: float) -> None:
        self.launch = launch
        self.timeout_s = timeout_s
        self.attributes = tuple(attributes)
        self.description: dict[str, Any] = {}
        self._running: Running | None = None
        self._forget()
        self._start()

    def ask(self, body: dict[str, Any], arrays: Sequence[Any]) -> tuple[Any, list[Any]]:
        """The worker's answer, and its arrays.

        Raises:
            ModelOutputError: the model raised an error, or the worker is gone.
            CoPropError: it has been closed, or cannot be started again.
        """
        with self._lock:
            if self._closed:
                raise CoPropError(
                    f"the model {self.launch.factory} in {self.launch.place} has been closed; make "
                    "another ProcessModel."
                )
            running = self._running or self._start()
            try:
                request = {**body, "timeout_s": self.timeout_s}
                answer, found = running.exchange(request, arrays, self.timeout_s)
            except BaseException:  # what is still to come would be taken for the next answer
                self._stop(at_once=True)
                raise
        raise_told(answer, self.launch)
        return answer, found

    def close(self) -> None:
        """Ends the worker; it can be asked no more."""
        with self._lock:
            self._closed = True
            self._stop()

    @property
    def running(self) -> bool:
        """Whether the worker has been started and is believed to run."""
        return self._running is not None

    def _start(self) -> Running:
        running = Running(self.launch, self.attributes, self.timeout_s)
        if self.description and running.description != self.description:
            running.stop()
            raise CoPropError(
                f"{self.launch.factory} in {self.launch.place} makes another model than it did "
                "before; make another ProcessModel."
            )
        self.description = running.description
        self._running = running
        self._finalizer = weakref.finalize(self, running.stop)
        return running

    def _stop(self, *, at_once: bool = False) -> None:
        running, self._running = self._running, None
        if running is not None:
            self._finalizer.detach()
            running.stop(at_once=at_once)

    def _forget(self) -> None:
        """As one that has not started a worker, in this process."""
        self._lock = threading.RLock()
        self._closed = False
        self._running = None
        after_fork(_leave_all)
        _clients.add(self)

    def _leave(self) -> None:
        """In a fork: the worker is that of the process which started it."""
        running, closed = self._running, self._closed
        if running is not None:
            self._finalizer.detach()
            running.abandon()
        self._forget()
        self._closed = closed

    def __getstate__(self) -> dict[str, Any]:
        kept = ("launch", "timeout_s", "attributes", "description")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()


def _leave_all() -> None:
    for client in list(_clients):
        client._leave()
