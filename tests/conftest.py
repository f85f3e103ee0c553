"""Makes helper modules beside the tests, and the project's tools, importable from every test."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is.
settings.register_profile("coprop", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("coprop")

for folder in ("batch", "media", "data", "propagation", "tools/benchmark"):
    sys.path.insert(0, str(Path(__file__).parent / folder))

# Tests that run side by side share the cores; each process with all of them is slower than one.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Shells start what runs in the background with Ctrl-C ignored; the tests of interrupts need it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """With ``-n``, a process has files one after another, whose fixtures are then made once."""
    if getattr(config.option, "dist", "") == "no" and "PYTEST_XDIST_WORKER" not in os.environ:
        config.option.dist = "worksteal"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What imports make stays: a million objects, in which garbage is not looked for again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default segmenter's networks are given small pictures, see `tests/small_pictures.py`."""
    from small_pictures import shrink

    shrink(monkeypatch)


@pytest.fixture
def no_timelines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timelines take most of the time of a short clip: here they are empty files."""
    monkeypatch.setattr(
        "coprop.media.writer.plot_timeline", lambda path, **_: path.write_bytes(b"")
    )
