"""One process of the worker: started, asked, and ended with all that belongs to it."""

from __future__ import annotations

import io
import itertools
import logging
import os
import secrets
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from coprop.errors import CoPropError, ModelOutputError
from coprop.keyframes.process.launch import WORKER, Launch
from coprop.keyframes.process.worker import GREETING, PROTOCOL, Channel
from coprop.utils.brief import first_line

_log = logging.getLogger("coprop.keyframes.process")

_LINES_KEPT = 40  # of what the worker printed last
_LINES_TOLD = 6  # of these, in an error
_LONGEST_LINE = 4096  # bytes: progress bars need not end theirs
_GREETING_WITHIN = 1 << 16  # bytes: what shells and consoles print first
_GRACE_S = 5.0  # in which a worker that is let go cleans up
_POLL_S = 0.005
_NOBODY = -1  # no process has this number
_LATER_S = 1.0  # after which a worker that has not ended itself, having told where it is, is ended


class Running:
    """A running worker, whose model is ready.

    Nothing of it outlives either side: shared memory is a file without a name, and the worker ends
    when its standard input does, however coprop ended.

    Args:
        launch: what to start.
        attributes: of the model, that are asked for (`worker.Model.describe`).
        timeout_s: longest time until the model is ready.

    Raises:
        CoPropError: the command cannot be started.
        ModelOutputError: the worker or its factory failed.
    """

    def __init__(self, launch: Launch, attributes: Sequence[str], timeout_s: float) -> None:
        self._launch = launch
        self._owner = os.getpid()
        self._memory = _nameless_file() if launch.direct else None
        try:
            self._process = self._started()
        except BaseException:
            self._close_memory()
            raise
        self._printed = _Printed(self._process.stderr, launch.place)
        self._pipes = _Pipes(self._process.stdout.fileno(), self._process.stdin.fileno())
        self._channel = Channel(self._pipes, self._pipes)
        try:
            self.description = self._begun(attributes, timeout_s)
        except BaseException:
            self.stop(at_once=True)
            raise

    def exchange(self, body: object, arrays: Sequence[Any], timeout_s: float) -> tuple[Any, Any]:
        """The worker's answer and its arrays; an answer that tells of an error is one, too.

        Raises:
            ModelOutputError: the worker has ended, or took longer than it may.
        """
        with self._within(timeout_s):
            self._channel.send(body, arrays)
            answer, found = self._channel.receive()
        return answer, found

    def stop(self, *, at_once: bool = False) -> None:
        """Ends the worker, and what it has started; does nothing in a fork, or a second time."""
        if os.getpid() != self._owner:
            return
        self._owner = _NOBODY
        try:
            with suppress(OSError):
                self._process.stdin.close()
            if not at_once:
                self._wait(_GRACE_S)
        finally:
            self._kill()
            self._process.wait()
            self._printed.end()
            self._close()

    def abandon(self) -> None:
        """Closes a fork's copies, so that the worker sees when the process that started it ends."""
        self._owner = _NOBODY
        self._close()

    def _started(self) -> Any:
        launch = self._launch
        kept = () if self._memory is None else (self._memory,)
        try:
            return subprocess.Popen(
                launch.command,
                bufsize=0,  # so that a fork has nothing of ours to send
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=launch.folder if launch.direct else None,
                env=launch.environment,
                pass_fds=kept,
                start_new_session=True,  # Ctrl-C is for coprop, which ends the worker
            )
        except (OSError, ValueError) as error:
            raise CoPropError(f"{launch.place} cannot be started: {first_line(error)}.") from error

    def _begun(self, attributes: Sequence[str], timeout_s: float) -> dict[str, Any]:
        launch = self._launch
        memory = None
        if self._memory is not None:
            token = secrets.token_hex()
            os.pwrite(self._memory, token.encode(), 0)
            memory = [self._memory, token]
        request = {
            "do": "start",
            "factory": launch.factory,
            "folder": None if launch.direct else launch.folder,
            "environment": {} if launch.direct else dict(launch.variables),
            "arrays": launch.arrays,
            "attributes": list(attributes),
            "memory": memory,
            "timeout_s": timeout_s,
        }
        with self._within(timeout_s, starting=True):
            self._channel.write(launch.line)
            self._greeted()
            self._channel.send(request)
            answer, _ = self._channel.receive()
        raise_told(answer, launch)
        description: dict[str, Any] = answer["description"]
        if description.pop("shared"):
            self._channel.memory = self._memory
        return description

    def _greeted(self) -> None:
        """Passes over what comes before the greeting: of login shells, or the console's prompt."""
        line = bytearray()
        for _ in range(_GREETING_WITHIN):
            line += self._channel.read(1)
            if line.endswith(b"\n"):
                if line.startswith(GREETING):
                    break
                line.clear()
        else:
            raise ModelOutputError(
                f"{self._launch.place} prints something else than coprop's worker does; the "
                "command must start the worker file on its standard input and output."
            )
        if line.split()[-1] != str(PROTOCOL).encode():
            raise CoPropError(
                f"the worker file that {self._launch.place} starts is of another version of "
                "coprop; write it again with coprop worker --print."
            )

    @contextmanager
    def _within(self, timeout_s: float, *, starting: bool = False) -> Iterator[None]:
        """Ends the worker where what is done takes longer; tells why it has ended."""
        began = time.monotonic()
        self._pipes.until = began + timeout_s + _LATER_S
        try:
            yield
        except (EOFError, OSError, ValueError) as error:
            if isinstance(error, CoPropError):
                raise
            if time.monotonic() - began >= timeout_s:
                raise self._late(timeout_s, starting=starting) from error
            raise self._lost(starting=starting) from error

    def _late(self, timeout_s: float, *, starting: bool) -> ModelOutputError:
        """The error of a worker that took too long; where it was, it has told by itself."""
        self._wait(_LATER_S)
        self._kill()
        at = _where_it_hung(self._printed.end())
        what = "start" if starting else "answer"
        text = f"{self._who} did not {what} within timeout_s={timeout_s:g} s and was ended"
        return ModelOutputError(*_with_lines(text, "it was at:", at))

    def _lost(self, *, starting: bool) -> ModelOutputError:
        """The error that tells how the worker has ended."""
        self._wait(_LATER_S)
        self._kill()
        code = self._process.wait()
        last = self._printed.end()[-_LINES_TOLD:]
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        needs = ", where Python 3.7 or later with numpy is needed" if starting else ""
        return ModelOutputError(*_with_lines(f"{self._who} {how}{needs}", "its last lines:", last))

    @property
    def _who(self) -> str:
        return f"the model {self._launch.factory} in {self._launch.place}"

    def _wait(self, within_s: float) -> None:
        """Until the worker has ended; it is not reaped, so that nobody else gets its number."""
        if not hasattr(os, "waitid"):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(within_s)
            return
        until = time.monotonic() + within_s
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with suppress(ChildProcessError):  # reaped before
            while os.waitid(os.P_PID, self._process.pid, how) is None and time.monotonic() < until:
                time.sleep(_POLL_S)

    def _kill(self) -> None:
        if self._process.returncode is None:
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):
                stream.close()
        self._close_memory()

    def _close_memory(self) -> None:
        memory, self._memory = self._memory, None
        if memory is not None:
            os.close(memory)


class _Pipes:
    """Both pipes of a worker as one stream, which waits no longer than ``until``."""

    def __init__(self, source: int, sink: int) -> None:
        self.until = 0.0  # as time.monotonic tells it
        self._source, self._sink = source, sink
        self._polls = {}
        for descriptor, event in ((source, select.POLLIN), (sink, select.POLLOUT)):
            os.set_blocking(descriptor, False)
            self._polls[descriptor] = select.poll()
            self._polls[descriptor].register(descriptor, event)

    def readinto(self, view: memoryview) -> int:
        self._wait(self._source)
        return os.readv(self._source, [view])

    def write(self, view: memoryview) -> int:
        self._wait(self._sink)
        return os.write(self._sink, view)

    def _wait(self, descriptor: int) -> None:
        left_s = self.until - time.monotonic()
        if left_s <= 0 or not self._polls[descriptor].poll(1000 * left_s):
            raise TimeoutError


class _Printed:
    """What a worker prints: every line goes to the log, and the last ones are kept."""

    def __init__(self, stream: Any, place: str) -> None:
        self._stream = io.BufferedReader(stream)
        self._place = place
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._thread = threading.Thread(target=self._read, name="coprop-worker-log", daemon=True)
        self._thread.start()

    def end(self) -> list[str]:
        """The last lines, of a worker that has ended."""
        self._thread.join(_LATER_S)  # what it started may live on and hold the pipe
        return list(self._lines)

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            for raw in iter(lambda: self._stream.readline(_LONGEST_LINE), b""):
                line = raw.decode(errors="backslashreplace").rstrip()
                self._lines.append(line)
                _log.info("%s: %s", self._place, line)


def raise_told(answer: dict[str, Any], launch: Launch) -> None:
    """Raises the error that an answer tells of, if it does.

    Raises:
        ModelOutputError: with the last lines of its traceback.
    """
    if "error" not in answer:
        return
    told = answer["error"]
    text = f"{launch.factory} in {launch.place} raised {told['error'].rstrip('.')}"
    raise ModelOutputError(*_with_lines(text, "its traceback ends:", told["traceback"]))


def _with_lines(text: str, heading: str, lines: Sequence[str]) -> tuple[str, ...]:
    """A sentence, and lines of the other side to show below it where there are any."""
    if not lines:
        return (f"{text}.",)
    return f"{text}; {heading}", "\n".join(f"  {line}" for line in lines)


def _where_it_hung(lines: list[str]) -> list[str]:
    """The innermost lines of the main thread, which is the last one that is told of."""
    starts = [n for n, line in enumerate(lines) if "most recent call first" in line]
    found = [line.strip() for line in lines[starts[-1] + 1 :]] if starts else []
    model = itertools.takewhile(lambda line: WORKER.name not in line, found)
    return list(model)[:_LINES_TOLD]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _nameless_file() -> int | None:
    """Shared memory: a file without a name, of whoever has it open; None where there is none."""
    if not hasattr(os, "preadv"):
        return None
    if hasattr(os, "memfd_create"):
        with suppress(OSError):
            return os.memfd_create("coprop")
    with suppress(OSError), tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
    return None
