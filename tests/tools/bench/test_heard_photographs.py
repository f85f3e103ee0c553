"""Photographs with their own sound and another's: what the model gets, and what is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.tools.benchmark import small_library
from tools.bench.heard_photographs import score
from tools.benchmark.library import Library, load_picture


class Listening:
    """Masks all of a picture or nothing, and notes the pitch of what it hears, in Hz."""

    sample_rate = 16_000

    def __init__(self, logit: float) -> None:
        self.logit = logit
        self.heard: list[float] = []

    def __call__(self, frames: Tensor, audio: Tensor) -> Tensor:
        assert frames.shape[:2] == (1, 3)
        assert 0 <= frames.min() <= frames.max() <= 1
        loudest = int(torch.fft.rfft(audio[0]).abs().argmax())
        self.heard.append(loudest * self.sample_rate / audio.shape[1])
        return torch.full((1, 1, *frames.shape[2:]), self.logit)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder: Path = small_library.build(tmp_path_factory.mktemp("sources"))
    return Library(folder, "test")


@pytest.mark.parametrize("logit", [5.0, -5.0])
def test_its_own_sound_and_another(library: Library, logit: float) -> None:
    model: Any = Listening(logit)
    scores, areas = score(model, library, library.photographs, np.random.default_rng(0))
    shown = [source for source in library.photographs if source.group]
    assert len(scores) == len(areas) == len(shown) == 8  # what makes no sound is left out
    own = [200 * (small_library.GROUPS.index(str(source.group)) + 1) for source in shown]
    assert model.heard[::2] == pytest.approx(own, rel=0.06)
    assert all(abs(a - b) > 0.06 * b for a, b in zip(model.heard[1::2], own, strict=True))
    things = [float((load_picture(source.path)[..., 3] > 127).mean()) for source in shown]
    assert areas == [float(logit > 0)] * 8
    assert scores == pytest.approx(things if logit > 0 else [0.0] * 8)
