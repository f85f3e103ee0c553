"""Commands in processes of their own that need not import for seconds first.

Each is forked from a process that has imported what is slow to import, and nothing else. Tests of
what happens while modules load, and of what is loaded at all, start Python itself.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

_SLOW = ["torch.distributed", "accelerate", "av", "matplotlib.figure", "soundfile", "timm"]
_SLOW += ["coprop.pipeline", "coprop.media.writer", "coprop.cli.app", "coprop.training.session"]


class Started:
    """The command ``coprop`` with arguments, or ``python -c`` with a program and arguments.

    It has as much of `subprocess.Popen` as the tests use.

    Args:
        arguments: of the command.
        code: the program; coprop's command where left out.
        cwd: the folder it runs in, which its imports look at first.
        env: what it finds in the environment beside what is there.
        stdout, stderr: a terminal's name, or another file's, for what `communicate` then does not
            return.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        code: str | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdout: str | None = None,
        stderr: str | None = None,
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_SLOW)
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        said = tempfile.mkdtemp(prefix="started-")
        weakref.finalize(self, shutil.rmtree, said, ignore_errors=True)
        self._paths = [str(Path(said, name)) for name in ("stdout", "stderr")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}
        places = [stdout or self._paths[0], stderr or self._paths[1]]
        given = (code, list(arguments), str(cwd or Path.cwd()), environment, places)
        self._process = context.Process(target=_run, args=given)
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal's number where one ended it; None where it goes on."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """See `returncode`."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Sends a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self, timeout: float) -> int:
        """Waits for the end; `returncode`."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise TimeoutError(f"it goes on after {timeout} s: {self._texts()}")
        return self._process.exitcode

    def communicate(self, timeout: float = 120) -> tuple[bytes, bytes]:
        """Waits for the end; what it wrote to stdout and stderr."""
        self.wait(timeout)
        return self._texts()

    def _texts(self) -> tuple[bytes, bytes]:
        places = map(Path, self._paths)
        out, err = (path.read_bytes() if path.exists() else b"" for path in places)
        return out, err


def _run(
    code: str | None,
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    said: list[str],
) -> None:
    """What the process does: as Python does it when it is started so."""
    for descriptor, path in zip((1, 2), said, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY), descriptor)
    # Those of the process it was forked from take the new files for what the old ones were.
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = ["-c" if code else "coprop", *arguments]
    if code is None:
        from coprop.__main__ import main

        main()
    else:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
