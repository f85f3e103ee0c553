"""What other systems lack, or do otherwise, does not stop coprop."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import coprop.storage.files
import coprop.storage.locks
from coprop import CoPropError
from coprop.errors import OutputError
from coprop.storage.files import write_text
from small_clips import write_clip

# What Python has on Linux and macOS, and not on Windows. The modules that need it themselves are
# loaded before: there they have code of their own for Windows.
AS_ON_WINDOWS = """
import os, pkgutil, select, signal, subprocess, sys, tempfile
import av, accelerate, matplotlib, soundfile, timm, torch, torch.utils.data, typer

for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "readline"):
    sys.modules[name] = None
for module, names in {
    os: "fork forkpty register_at_fork memfd_create pread pwrite preadv pwritev killpg waitid "
    "getpgrp setsid getuid getgid geteuid getegid sysconf mkfifo sched_getaffinity readv writev "
    "uname nice statvfs P_PID WEXITED WNOHANG WNOWAIT",
    signal: "SIGHUP SIGKILL SIGALRM SIGUSR1 SIGUSR2 SIGPIPE setitimer ITIMER_REAL pthread_kill",
    select: "poll epoll",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

import coprop
for found in pkgutil.walk_packages(coprop.__path__, "coprop."):
    if not found.name.startswith("coprop.demo."):  # what gradio needs there is its own matter
        __import__(found.name)

import torch
from coprop import CoProp
from coprop.storage.locks import WriterLock
from pathlib import Path

def left(frames, audio):
    logits = torch.full((len(frames), 1, *frames.shape[-2:]), -9.0)
    logits[..., : frames.shape[-1] // 2] = 9.0
    return logits

with WriterLock.of_folder(Path("locked")):
    assert Path("locked/.coprop.lock").exists()
assert not Path("locked").exists()
pipeline = CoProp.wrap(left, namer=None)
pipeline("clip.mp4").save("out")
pipeline("clip.mp4").save("out", force=True)
print(sorted(path.name for path in Path("out").iterdir()))
"""


def test_a_run_without_what_windows_lacks(tmp_path: Path) -> None:
    """Every module is imported, and a result is written and replaced."""
    write_clip(tmp_path / "clip.mp4", frames=2)
    done = subprocess.run(
        [sys.executable, "-c", AS_ON_WINDOWS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['masks', 'overlay.mp4', 'result.json', 'timeline.png']"


@pytest.fixture
def windows_locks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of locks as it is where there is msvcrt in place of fcntl."""
    held: set[int] = set()

    def locking(descriptor: int, mode: int, count: int) -> None:
        file = os.fstat(descriptor).st_ino
        if file in held:
            raise PermissionError(13, "Permission denied")
        held.add(file)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setattr("os.path.samestat", lambda *_: pytest.fail("Windows needs none"))
    yield importlib.reload(coprop.storage.locks)
    monkeypatch.undo()
    importlib.reload(coprop.storage.locks)


def test_one_writer_at_a_time_on_windows(windows_locks: Any, tmp_path: Path) -> None:
    with windows_locks.WriterLock.of_folder(tmp_path):
        with pytest.raises(OutputError, match="is being written by another process"):
            windows_locks.WriterLock.of_folder(tmp_path)
        assert (tmp_path / windows_locks.LOCK).exists()
    assert not (tmp_path / windows_locks.LOCK).exists()


@pytest.mark.parametrize("times", [3, 1000])
def test_a_file_that_somebody_has_open(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses to replace it: for a moment, or until one sentence tells."""
    replace, asked = Path.replace, []

    def refusing(part: Path, path: Path) -> Path:
        asked.append(path)
        if len(asked) <= times:
            raise PermissionError(13, "The process cannot access the file")
        return replace(part, path)

    file = tmp_path / "result.json"
    file.write_text("before")
    monkeypatch.setattr(Path, "replace", refusing)
    monkeypatch.setattr(coprop.storage.files, "_PAUSE_S", 0.0)
    monkeypatch.setattr(coprop.storage.files, "os", SimpleNamespace(name="nt"))
    if times == 3:
        write_text(file, "after")
        assert file.read_text() == "after"
    else:
        with pytest.raises(OutputError, match=r"result\.json: The process cannot access the file"):
            write_text(file, "after")
        assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_text_has_the_same_bytes_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would end lines as the system does."""
    monkeypatch.setattr(Path, "write_text", lambda path, text, **how: given.append(how))
    monkeypatch.setattr(Path, "replace", lambda *_: None)
    given: list[dict[str, str]] = []
    write_text(tmp_path / "a.json", "{\n}\n")
    assert given == [{"encoding": "utf-8", "newline": "\n"}]


def test_models_of_other_interpreters_need_posix(monkeypatch: pytest.MonkeyPatch) -> None:
    from coprop.keyframes.process import launch

    monkeypatch.setattr(launch, "os", SimpleNamespace(name="nt"))
    with pytest.raises(CoPropError, match="needs Linux or macOS, or WSL on Windows"):
        launch.Launch.of(None, sys.executable, "a:b", cwd=None, env=None, arrays=None)


def test_training_samples_go_to_spawned_workers() -> None:
    """macOS and Windows start workers anew and send them the samples; Linux forks them."""
    from coprop.training.recipes import KeyframeRecipe, PropagatorRecipe, read_recipe
    from coprop.training.samples import KeyframeSamples, SampleOptions, join_keyframes
    from coprop.training.stopping import ignore_interrupts

    for kind, name in ((KeyframeRecipe, "keyframes"), (PropagatorRecipe, "propagator")):
        recipe = read_recipe(kind, name, f"{name}_composed", [])  # type: ignore[type-var]
        assert pickle.loads(pickle.dumps(recipe)) == recipe
    for part in (KeyframeSamples, SampleOptions, join_keyframes, ignore_interrupts):
        assert pickle.loads(pickle.dumps(part)) is part


def test_python_m_coprop_is_the_command(tmp_path: Path) -> None:
    """And both do what the entry point of the wheel does."""
    done = subprocess.run(
        [sys.executable, "-m", "coprop", "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"coprop {coprop.__version__}\n")
