"""Processes that share the work on one machine; one that is killed is replaced."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coprop.batch.rows import Outcome, Status
from coprop.errors import CoPropError
from coprop.utils.environment import environment
from coprop.utils.logs import log_to_stderr, verbosity

if TYPE_CHECKING:
    from coprop.batch.segment import Segment

_TRIES = 2  # of a video whose process ends: the second time it is most likely the video's doing
_ENDS = 4  # of processes, in a row and for each worker: then it is no single video's doing
_GOODBYE_S = 10.0  # to remove what is half done; then processes are ended without asking
_AGAIN_S = 1.0  # until a video is asked for again that another run is at work on
_MEMORY = "Most often memory is short; give fewer with --workers."
_THREADS = "OMP_NUM_THREADS"
_log = logging.getLogger(__name__)


def available_cores() -> int:
    """How many cores this process may use: a job's share, not the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def one_after_another(segment: Segment, paths: Sequence[Path], progress: Any) -> Iterator[Outcome]:
    """Does the videos in this process; what others are at work on comes last.

    Raises:
        CoPropError: the models cannot be loaded, or the folder cannot be written.
    """
    waiting = []
    for path in paths:
        outcome = segment.one(path, wait=False, progress=progress)
        if outcome.status is Status.elsewhere:
            waiting.append(path)
        else:
            yield outcome
    for path in waiting:
        _log.info("%s: waiting for another process that is at work on it", path)
        yield segment.one(path, progress=progress)


class WorkerPool:
    """Processes that each hold a `Segment` with its models; a context manager.

    They are started anew, not forked, so that threads of this one do no harm; they end with it,
    also where it is killed. The cores that are available are divided among them, unless
    ``OMP_NUM_THREADS`` says how many threads each is to have.

    Args:
        segments: one for each process.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        cores = max(available_cores() // max(len(segments), 1), 1)
        self._threads = None if _THREADS in os.environ else cores
        self._context = multiprocessing.get_context("spawn")
        self._segments = list(segments)
        self._workers: list[_Worker] = []
        self._ends = 0

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_GOODBYE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def run(self, paths: Sequence[Path]) -> Iterator[Outcome]:
        """Does the videos, and yields what became of each as it is known.

        Raises:
            CoPropError: the models cannot be loaded, the folder cannot be written, or processes
                end as soon as they are started.
        """
        tasks = deque(_Task(path) for path in paths)
        count = min(len(self._segments), len(tasks))
        self._workers = [self._started(segment) for segment in self._segments[:count]]
        left = len(tasks)
        while left:
            for worker in self._workers:
                if worker.is_ready and worker.task is None and tasks:
                    worker.give(tasks.popleft())
            handles = [w.connection for w in self._workers] + [w.sentinel for w in self._workers]
            ready = set(wait(handles))
            for worker in list(self._workers):
                outcome = self._news(worker, ready, tasks)
                if outcome is not None:
                    left -= 1
                    yield outcome

    def _news(self, worker: _Worker, ready: set[Any], tasks: deque[_Task]) -> Outcome | None:
        """What a process has said, or its end; the outcome of its video, if there is one."""
        if worker.connection in ready:
            with suppress(EOFError, OSError):  # it has ended, perhaps in the middle of a word
                return self._heard(worker, worker.connection.recv(), tasks)
        elif worker.sentinel not in ready:
            return None
        worker.process.join(_GOODBYE_S)
        self._workers.remove(worker)
        told, task = _end_of(worker.process.exitcode), worker.task
        self._ends += 1
        if self._ends >= _ENDS * len(self._segments):
            raise CoPropError(
                f"the worker processes end one after another: the last one {told}. {_MEMORY}"
            )
        _log.warning("a worker %s and is replaced%s", told, f": {task.path}" if task else "")
        outcome = None
        if task is not None:
            task.tries += 1
            if task.tries < _TRIES:
                tasks.appendleft(task)
            else:
                reason = f"{task.path}: the process that worked on it {told}, {_TRIES} times."
                outcome = Outcome.failure(task.path, f"{reason} {_MEMORY}")
        if tasks:
            self._workers.append(self._started(worker.segment))
        return outcome

    def _heard(self, worker: _Worker, said: Any, tasks: deque[_Task]) -> Outcome | None:
        if isinstance(said, CoPropError):
            raise said
        if said is None:
            worker.is_ready = True
            return None
        self._ends = 0
        task, worker.task = worker.task, None
        if said.status is Status.elsewhere and task is not None:
            task.delay_s = _AGAIN_S  # after all others, and not without pause
            tasks.append(task)
            return None
        outcome: Outcome = said
        return outcome

    def _started(self, segment: Segment) -> _Worker:
        here, there = self._context.Pipe()
        process = self._context.Process(
            target=_serve,
            args=(there, segment, self._threads, verbosity()),
            name="coprop-worker",
            daemon=True,
        )
        # Libraries take their number of threads from the environment when they are loaded.
        with environment(**({} if self._threads is None else {_THREADS: str(self._threads)})):
            process.start()
        there.close()
        return _Worker(process, here, segment)


@dataclass
class _Task:
    path: Path
    tries: int = 0
    delay_s: float = 0.0


@dataclass(eq=False)
class _Worker:
    process: Any
    connection: Connection
    segment: Segment
    task: _Task | None = None
    is_ready: bool = False
    sentinel: int = field(init=False)

    def __post_init__(self) -> None:
        self.sentinel = self.process.sentinel

    def give(self, task: _Task) -> None:
        self.task = task
        with suppress(OSError):  # it has ended; its sentinel tells
            self.connection.send((task.path, task.delay_s))


def _serve(connection: Connection, segment: Segment, threads: int | None, level: int) -> None:
    """What a worker does: asks for a video, says what became of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the first process answers
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log_to_stderr(level)
    sys.stdout = sys.stderr  # what models print; the first process may print JSON
    try:
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        try:
            connection.send(None)
            while True:
                path, delay_s = connection.recv()
                threading.Event().wait(delay_s)
                connection.send(segment.one(path, wait=False))
        except CoPropError as error:
            connection.send(type(error)(str(error)))
    except (KeyboardInterrupt, EOFError, OSError):
        sys.exit(0)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _end_of(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
