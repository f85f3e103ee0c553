"""Makes helper modules beside the tests, and the project's tools, importable from every test."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

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


@pytest.fixture
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default segmenter's networks are given small pictures: a tenth of the time a frame.

    For tests that hang on no mask's quality; what is seen in pictures of the usual sizes, others
    test.
    """
    from coprop.encoders import u2net
    from coprop.keyframes import visual
    from coprop.keyframes.segmenter import KeyframeSegmenter

    usual = KeyframeSegmenter._working_size

    def quarter(self: KeyframeSegmenter, height: int, width: int) -> tuple[int, int]:
        edge = max(self.config.working_edge // 4, 64)
        return usual(SimpleNamespace(config=SimpleNamespace(working_edge=edge)), height, width)  # type: ignore[arg-type]

    monkeypatch.setattr(KeyframeSegmenter, "_working_size", quarter)
    monkeypatch.setattr(u2net, "_SIZE", 64)
    monkeypatch.setattr(visual, "_DEEPLAB_EDGE", 129)
