"""The built-in propagator without audio insertion is AOT: it follows what it sees alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from coprop import Audio, AudioInsertPropagator, CoProp
from pipeline_samples import RATE, Recorder, changes_at, noise, small_propagator

SECONDS = 1.2


def propagator(insert_levels: tuple[int, ...]) -> AudioInsertPropagator:
    """A small one with random weights, whose audio modules are not silent."""
    built = small_propagator(insert_levels)
    for name, parameter in built.named_parameters():
        if "audio_insert" in name and "projection" in name:
            torch.nn.init.normal_(parameter)
    return built


def probabilities(insert_levels: tuple[int, ...], audio: Audio) -> list[NDArray[np.float32]]:
    """Of each of 12 frames, with keyframes at 0 and 0.5 s whatever sounds."""
    frames = np.random.default_rng(0).integers(0, 256, (12, 33, 49, 3)).astype(np.uint8)
    pipeline = CoProp.wrap(
        Recorder(), propagator=propagator(insert_levels), detector=changes_at(0.5)
    )
    result = pipeline(frames, audio, fps=10, keep_probabilities=True)
    assert [mask.index for mask in result.masks] == list(range(12))
    assert [mask.index for mask in result.masks if mask.is_keyframe] == [0, 5]
    return [mask.probabilities for mask in result.masks if mask.probabilities is not None]


def tone() -> Audio:
    times = np.arange(round(SECONDS * RATE)) / RATE
    return Audio((0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32), RATE)


@pytest.mark.parametrize(("insert_levels", "hears"), [((), False), ((4,), True)])
def test_only_insertion_hears(insert_levels: tuple[int, ...], hears: bool) -> None:
    one = probabilities(insert_levels, noise(SECONDS))
    other = probabilities(insert_levels, tone())
    assert len(one) == len(other) == 12
    same = [np.array_equal(a, b) for a, b in zip(one, other, strict=True)]
    keyframes = (0, 5)
    assert all(same[t] for t in keyframes)
    assert all(same[t] is not hears for t in range(12) if t not in keyframes)


def test_it_has_no_audio_modules() -> None:
    assert propagator(()).network.audio_insert is None
