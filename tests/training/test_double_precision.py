"""Where PyTorch's default type is double precision, everything works, and gives the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import avsbench_folders
import numpy as np
import pytest
import torch
from small_training import keyframe_recipe, propagator_recipe, session_of

from coprop import Audio, ControlPointDetector, CoProp, Result
from coprop.control_points import novelty
from coprop.data.avsbench_object import MS3
from coprop.encoders.yamnet import YAMNet
from coprop.keyframes.motion_agreement import MotionAgreement
from coprop.metrics import FMeasure, Jaccard, SemanticJaccard
from coprop.training.losses import (
    binary_loss,
    bootstrapped_cross_entropy,
    semantic_loss,
    soft_jaccard,
)

SINGLE, DOUBLE = torch.float32, torch.float64
RNG = np.random.default_rng(3)
FRAMES = RNG.integers(0, 255, (6, 48, 64, 3), dtype=np.uint8)
HALVES = np.where(
    np.arange(32_000) < 16_000, np.sin(np.arange(32_000) / 6), RNG.normal(size=32_000)
)
SOUND = Audio((0.3 * HALVES).astype(np.float32), 16_000)


@pytest.fixture(autouse=True)
def single_in_the_end() -> Iterator[None]:
    yield
    torch.set_default_dtype(SINGLE)
    novelty.default_networks.cache_clear()


def in_both(call: Callable[[], Any]) -> tuple[Any, Any]:
    """What a call gives with either default type."""
    found = []
    for dtype in (SINGLE, DOUBLE):
        torch.set_default_dtype(dtype)
        novelty.default_networks.cache_clear()
        found.append(call())
    return found[0], found[1]


def bright(frames: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    return 8 * frames.mean(1, keepdim=True) - 3.5


@pytest.mark.usefixtures("small_pictures")
@pytest.mark.parametrize(
    "make",
    [
        CoProp.from_pretrained,
        lambda: CoProp.wrap(bright),
        lambda: CoProp.wrap(lambda frames, audio: bright(frames, audio).double()),
    ],
)
def test_pipelines(make: Callable[[], CoProp]) -> None:
    def run() -> Result:
        return make()(FRAMES, SOUND, fps=3, keep_probabilities=True)

    single, double = in_both(run)
    assert single.control_points.change_times_s == double.control_points.change_times_s
    for one, other in zip(single.masks, double.masks, strict=True):
        assert other.probabilities.dtype == np.float32
        assert np.allclose(one.probabilities, other.probabilities, atol=1e-4)


@pytest.mark.parametrize("make", [ControlPointDetector.novelty, ControlPointDetector.cosine])
def test_detectors(make: Callable[[], ControlPointDetector]) -> None:
    single, double = in_both(lambda: make()(SOUND))
    assert np.array_equal(single.flags, double.flags)
    assert np.allclose(single.scores, double.scores, atol=1e-5)


def test_which_of_two_moves() -> None:
    frames = torch.rand(8, 3, 24, 32, generator=torch.Generator().manual_seed(0), dtype=SINGLE)
    masks = torch.zeros(2, 24, 32, dtype=SINGLE)
    masks[0, :12], masks[1, 12:] = 1, 1
    times_s = [0.1 * number for number in range(8)]
    single, double = in_both(lambda: MotionAgreement()(masks, frames, times_s, SOUND))
    assert torch.equal(single.scores, double.scores)


def test_released_networks() -> None:
    single, double = in_both(lambda: YAMNet.from_pretrained()(torch.zeros(1, 16_000, dtype=SINGLE)))
    for one, other in zip(single, double, strict=True):
        assert one.dtype == other.dtype == SINGLE


def test_losses() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 9, generator=generator, dtype=SINGLE)
    labels = torch.randint(0, 3, (2, 8, 9), generator=generator)
    calls: list[Callable[[torch.Tensor], torch.Tensor]] = [
        lambda x: binary_loss(x[:, :1], labels),
        lambda x: semantic_loss(x, labels),
        lambda x: bootstrapped_cross_entropy(x, labels, 0.5),
        lambda x: soft_jaccard(x, labels),
    ]
    for call in calls:

        def learn(call: Callable[[torch.Tensor], torch.Tensor] = call) -> tuple[Any, Any]:
            x = logits.clone().requires_grad_()
            loss = call(x)
            loss.sum().backward()
            return loss.detach(), x.grad

        single, double = in_both(learn)
        for one, other in zip(single, double, strict=True):
            assert torch.equal(one, other)


def test_metrics() -> None:
    soft = torch.rand(2, 8, 9, generator=torch.Generator().manual_seed(0), dtype=SINGLE)

    def scores() -> list[float]:
        found = []
        for metric in (Jaccard(), FMeasure()):
            metric.update(soft, soft > 0.6)
            metric.update(soft.double(), soft > 0.4)
            found.append(float(metric.compute()))
        classes = SemanticJaccard(2)
        classes.update((soft > 0.5).long(), (soft > 0.6).long())
        return [*found, float(classes.compute())]

    single, double = in_both(scores)
    assert single == double


@pytest.mark.parametrize("recipe", [keyframe_recipe(), propagator_recipe()])
def test_a_step_of_training(recipe: Any, tmp_path: Path) -> None:
    data = avsbench_folders.build_ms3(tmp_path)
    torch.set_default_dtype(DOUBLE)
    session = session_of(recipe, MS3(data, "train"), tmp_path / "run")
    assert np.isfinite(session.step(0, session.batches(0))).all()
