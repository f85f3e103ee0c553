"""What the figures of like instances are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_library import build

from coprop.keyframes.instance_scoring import InstanceScores
from coprop.keyframes.motion_agreement import MotionAgreement
from tools.bench import two_alike
from tools.bench.instances import Answer, answers, calibration, row
from tools.bench.two_alike import compose
from tools.benchmark.library import Library


def test_answers_are_summed_up() -> None:
    found = [
        Answer.of(InstanceScores(torch.tensor([0.75, 0.25]), 0.9), 0),
        Answer.of(InstanceScores(torch.tensor([0.75, 0.25]), 0.6), 1),
        Answer.of(InstanceScores(torch.tensor([0.0, 0.0]), 0.5), 1),
    ]
    assert [answer.right for answer in found] == [1.0, 0.0, 0.5]
    assert [answer.margin for answer in found] == [0.5, -0.5, 0.0]
    assert row("1", "tracked", found) == ["1", "tracked", "3", "0.500", "0.000", "0.667", "0.123"]
    assert calibration(found) == [
        "confidence 0.5 to 0.7: 2, 0.550, right 0.250",
        "confidence 0.9 to 1.0: 1, 0.900, right 1.000",
    ]


def test_clips_are_of_two_alike_and_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(two_alike, "SECONDS", 2.5)
    library = Library(build(tmp_path), "test")
    first, again = (compose(library, np.random.default_rng([1, 0])) for _ in range(2))
    assert first.frames.shape == (50, 144, 192, 3)
    assert first.masks.shape == (2, 50, 144, 192)
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.audio.samples, again.audio.samples)
    assert first.audio.duration_s == 2.5
    assert set(answers(MotionAgreement(), first)) == {"tracked", "keyframe"}
