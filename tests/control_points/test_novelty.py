from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from coprop.control_points import novelty
from coprop.control_points.features import num_steps
from coprop.control_points.novelty import compare, novelty_scores
from coprop.encoders.sound_effects import SoundEffectsEncoder
from coprop.types import Audio


def noise(seconds: float, rate: int = 16_000, seed: int = 0) -> Audio:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))
    return Audio(samples.astype(np.float32), rate)


def descriptions(steps: int) -> NDArray[np.float32]:
    return np.random.default_rng(steps).normal(size=(steps, 3)).astype(np.float32)


@pytest.mark.parametrize("at", [0, 1, 5, 60, 128, 129])
def test_what_is_before_and_after_a_step(at: int) -> None:
    """Against slices; beyond the ends there is nothing, or for maxima the outermost step."""
    steps = descriptions(130)
    parts = [steps[at]]
    for radius in (4, 12, 24, 54):
        before, after = steps[max(at - radius, 0) : at], steps[at : at + radius]
        parts.append(after.mean(0) - (before.mean(0) if at else 0))
    for radius in (6, 20):
        wide = np.pad(steps, ((radius, radius), (0, 0)), mode="edge")
        parts.append(wide[at + radius : at + 2 * radius].max(0) - wide[at : at + radius].max(0))
    expected = [parts[0]] + [p for d in parts[1:] for p in (np.abs(d), d)]
    compared = compare(torch.from_numpy(steps)[None])
    assert compared.shape == (1, 130, 39)
    np.testing.assert_allclose(compared[0, at].numpy(), np.concatenate(expected), atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 40_000), st.sampled_from([8_000, 22_050, 44_100, 48_000]))
def test_a_score_for_each_step_of_any_track(samples: int, rate: int) -> None:
    audio = Audio(0.1 * np.ones(samples, dtype=np.float32), rate)
    scores = novelty_scores(audio)
    assert len(scores) == num_steps(audio)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_blocks_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(20.0, 44_100).samples.copy()
    samples[0 :: 44_100 // 2] = 1.0  # as loud in every block, which are scaled each
    audio = Audio(samples, 44_100)
    whole = novelty_scores(audio)
    monkeypatch.setattr(novelty, "_BLOCK_STEPS", 128)
    np.testing.assert_allclose(novelty_scores(audio), whole, atol=0.01)


def test_a_step_is_described_where_it_is_heard() -> None:
    """A click moves the descriptions around it, and no others than the stages' reach."""
    encoder = novelty.default_networks()[0]
    quiet = torch.zeros(1, 64 * encoder.samples_per_step)
    quiet[0, 0] = quiet[0, -1] = 1.0  # the same peak in both
    click = quiet.clone()
    click[0, 32 * encoder.samples_per_step + 512] = 0.9
    with torch.no_grad():
        changed = (encoder.steps(click) - encoder.steps(quiet)).abs()[0]
    bands = changed[:, :192].sum(dim=1)
    assert int(bands.argmax()) == 32
    assert set(bands.nonzero().flatten().tolist()) <= {31, 32, 33}
    assert float(changed[:12].max()) == float(changed[-12:].max()) == 0.0


@pytest.mark.parametrize("samples", [1, 2047, 2048, 2049, 20_000])
def test_sounds_of_any_length_are_described(samples: int) -> None:
    encoder = SoundEffectsEncoder().eval()
    with torch.no_grad():
        steps = encoder.steps(torch.rand(2, samples))
    assert steps.shape == (2, -(-samples // 2048), encoder.step_dim)
    assert torch.isfinite(steps).all()
