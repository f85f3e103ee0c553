"""Signals from the first moment on, and a standard output that cannot be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from small_clips import write_clip
from started import Started

COMMAND = [sys.executable, "-m", "coprop"]


def started(arguments: list[str]) -> subprocess.Popen[bytes]:
    def as_in_a_terminal() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=as_in_a_terminal,
    )


@pytest.mark.parametrize(
    ("number", "after_s"),
    [
        *((signal.SIGINT, after_s) for after_s in (0.3, 0.6, 1.0, 1.5)),
        *((signal.SIGTERM, after_s) for after_s in (0.3, 1.0)),  # answered as SIGINT is
        *((signal.SIGHUP, after_s) for after_s in (0.6, 1.5)),
    ],
)
def test_a_signal_in_the_first_second(number: int, after_s: float) -> None:
    process = started(["doctor"])
    time.sleep(after_s)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    if process.returncode != 0:  # it may have been done before
        assert process.returncode == 130, said.decode()
        assert said == b"coprop: interrupted.\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["doctor"], ["run", "--help"]])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_nowhere_to_print(arguments: list[str]) -> None:
    done = Started(arguments, stdout="/dev/full")
    _, said = done.communicate()
    assert done.returncode == 1
    assert said.count(b"\n") == 1
    assert said.startswith(b"coprop: cannot write to standard output")


def test_an_interrupt_during_work_leaves_nothing_half_written(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=40)
    out = tmp_path / "out"
    process = Started(["run", str(clip), "--out", str(out), "--quiet"])
    until = time.monotonic() + 120
    while (
        not list(out.glob(".overlay.mp4.*.part"))
        and process.poll() is None
        and time.monotonic() < until
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said.decode()
    assert said.startswith(b"coprop: interrupted after ")
    assert not [path for path in out.rglob("*") if path.suffix != ".png" and path.is_file()]


def test_a_signal_while_python_ends_changes_nothing() -> None:
    code = (
        "import atexit, os, signal, sys; sys.argv = ['coprop', '--version']; "
        "from coprop.__main__ import main; "
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGTERM)); main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interrupt_in_executed_text_is_an_interrupt(tmp_path: Path) -> None:
    """Imports execute text, and Python remembers where an interrupt ended that."""
    (tmp_path / "command.py").write_text(
        "import coprop.__main__ as command\n"
        "def run():\n"
        "    try:\n"
        "        exec('raise KeyboardInterrupt')\n"
        "    except KeyboardInterrupt:\n"
        "        return 130\n"
        "command._run = run\n"
        "command.main()\n"
    )
    done = subprocess.run([sys.executable, "-m", "command"], cwd=tmp_path, check=False)
    assert done.returncode == 130
