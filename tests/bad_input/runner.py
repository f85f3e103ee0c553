"""Tries inputs in processes of their own, with a watchdog, and counts what went wrong."""

from __future__ import annotations

import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock, Thread

HANG_S = 60.0
_START_S = 180.0  # for imports, on a machine that does other things too
_MEMORY = 3 << 30  # bytes of private memory, beyond what the imports take
_FILE = 1 << 29  # bytes; no output of a small input is as large
_HERE = Path(__file__).parent


@dataclass
class Tally:
    """What was tried and what went wrong, by the names of inputs."""

    tried: Counter[str] = field(default_factory=Counter)
    faults: dict[str, dict[str, str]] = field(default_factory=dict)
    seconds: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """The report, one line for each input that went wrong."""
        kinds = Counter(fault["fault"] for fault in self.faults.values())
        lines = [
            f"{name}\n    {f['fault']}: {f['words']}\n    {f['what']} [{f['where']}]"
            for name, f in sorted(self.faults.items())
        ]
        doors = ", ".join(f"{door} {n}" for door, n in sorted(self.tried.items()))
        total = sum(self.tried.values())
        found = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())) or "no fault"
        return "\n".join([*lines, f"tried: {doors}", f"{total} inputs: {found}"])


def try_all(names: Iterator[str], workers: int, *, shown: bool = False) -> Tally:
    """Tries inputs by their names, in so many processes."""
    with tempfile.TemporaryDirectory(prefix="bad-input-") as bases:
        os.environ["BAD_INPUT_BASES"] = bases  # what the processes make once for all of them
        return _try_all(names, workers, shown)


def _try_all(names: Iterator[str], workers: int, shown: bool) -> Tally:
    tally, lock = Tally(), Lock()

    def drive() -> None:
        with tempfile.TemporaryDirectory(prefix="bad-input-") as folder:
            worker = _Worker(folder)
            while True:
                with lock:
                    name = next(names, None)
                if name is None:
                    break
                began = time.monotonic()
                verdict = worker.verdict(name)
                with lock:
                    door = name.partition("/")[0]
                    tally.tried[door] += 1
                    tally.seconds[door] += time.monotonic() - began
                    if verdict["fault"]:
                        tally.faults[name] = verdict
                        if shown:
                            print(f"{name}: {verdict['fault']}", file=sys.stderr, flush=True)
            worker.end()

    threads = [Thread(target=drive) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


class _Worker:
    """A process that is told names and says verdicts; a new one where it died or hung."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def verdict(self, name: str) -> dict[str, str]:
        if self._process is None:
            self._process = self._started()
        assert self._process.stdin is not None
        self._process.stdin.write(name.encode() + b"\n")
        self._process.stdin.flush()
        line = self._line(HANG_S)
        if line:
            return dict(json.loads(line))
        ended = bool(select.select([self._process.stdout], [], [], 0)[0])
        code = self._process.wait(9) if ended else None
        self.end()
        fault = "hang" if code is None else "crash"
        return {"fault": fault, "words": "", "what": f"exit code {code}", "where": ""}

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        settings = {"TMPDIR": self._folder, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
        paths = [str(_HERE.parents[1] / "src"), os.environ.get("PYTHONPATH", "")]
        settings |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(_HERE), "--worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **settings},
        )
        if not self._line(_START_S):
            raise RuntimeError("a process for inputs did not start")
        return self._process

    def _line(self, wait_s: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], wait_s)
        return self._process.stdout.readline() if ready else b""


def work() -> None:
    """What the process does: reads names, says verdicts."""
    warnings.simplefilter("ignore")
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints does not disturb
    from bad_input.doors import case_named
    from bad_input.judge import judged

    pages = int(Path("/proc/self/statm").read_text().split()[5])
    limit = pages * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE, _FILE))
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        verdict = judged(case_named(line.strip()))
        print(json.dumps(asdict(verdict)), file=replies, flush=True)
