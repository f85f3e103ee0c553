"""Sequences to train the propagator with: their truth is what is followed and sounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tools.benchmark.library import Library
from tools.train_default.sequences import (
    VOID,
    Sequence,
    SequenceOptions,
    random_sequence,
    random_size,
)

RATE, WINDOW_S, SIZE = 16_000, 0.5, (97, 129)
OPTIONS = SequenceOptions(RATE, WINDOW_S, num_frames=5, identities=10)


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> list[Sequence]:
    import small_library

    folder = small_library.build(tmp_path_factory.mktemp("sources"), small_library.WIDE)
    library = Library(folder, "train")
    return [random_sequence(library, np.random.default_rng(k), SIZE, OPTIONS) for k in range(24)]


def test_shapes_and_ranges(sequences: list[Sequence]) -> None:
    for own in sequences:
        assert own.frames.shape == (5, 3, *SIZE)
        assert own.sounds.shape == (5, round(RATE * WINDOW_S))
        assert own.labels.shape == (5, *SIZE)
        assert own.keyframe_mask.shape == SIZE
        assert own.frames.min() >= 0
        assert own.frames.max() <= 1
        assert torch.isfinite(own.sounds).all()
        assert set(own.labels.unique().tolist()) <= {*range(11), VOID}


def test_only_what_the_keyframe_shows_is_followed(sequences: list[Sequence]) -> None:
    for own in sequences:
        asked = set(own.keyframe_mask.unique().tolist())
        assert set(own.labels.unique().tolist()) <= asked | {0, VOID}
        assert VOID not in asked


def test_some_fall_silent_and_some_return(sequences: list[Sequence]) -> None:
    """In some sequences nothing is left to follow; in others it goes on, or comes again."""
    courses = []
    for own in sequences:
        some = [bool(((label > 0) & (label < VOID)).any()) for label in own.labels]
        courses.append("".join("x" if s else "." for s in some))
    assert any(course == "xxxxx" for course in courses)
    assert any(course.endswith(".") for course in courses)
    assert any(".x" in course for course in courses)


def test_keyframe_masks_are_near_the_truth_and_seldom_equal_to_it(
    sequences: list[Sequence],
) -> None:
    equal = 0
    for own in sequences:
        true, given = own.labels[0] > 0, own.keyframe_mask > 0
        known = own.labels[0] != VOID
        if (own.labels[0] == VOID).any():
            continue
        overlap = (true & given & known).sum() / (true | given).sum().clamp_min(1)
        assert overlap > 0.15
        equal += bool(torch.equal(true, given))
    assert 0 < equal < len(sequences)


def test_sizes_are_those_of_the_network_and_sequences_differ(sequences: list[Sequence]) -> None:
    sizes = {random_size(np.random.default_rng(k)) for k in range(60)}
    assert len(sizes) == 6
    assert all((side - 1) % 16 == 0 for size in sizes for side in size)
    assert not torch.equal(sequences[0].frames, sequences[1].frames)
