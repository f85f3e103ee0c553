"""Sequences to train the propagator with: their truth is what is followed and sounds."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from tools.benchmark.library import Library
from tools.train_default.sequences import (
    VOID,
    Sequence,
    SequenceOptions,
    random_hearing,
    random_sequence,
    random_size,
)

RATE, WINDOW_S, SIZE = 16_000, 0.5, (97, 129)
OPTIONS = SequenceOptions(RATE, WINDOW_S, num_frames=5, identities=10)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    import small_library

    folder = small_library.build(tmp_path_factory.mktemp("sources"), small_library.WIDE)
    return Library(folder, "train")


@pytest.fixture(scope="module")
def sequences(library: Library) -> list[Sequence]:
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


def test_what_sounds_is_followed_and_all_of_it_where_nothing_does(
    sequences: list[Sequence],
) -> None:
    """Of several identities some are let go of, and never all: that is the gate's matter."""
    let_go, empty = 0, 0
    for own in sequences:
        asked = [set(label.unique().tolist()) - {0, VOID} for label in own.labels]
        changing = [bool((label == VOID).any()) for label in own.labels]
        empty += sum(
            not followed and not unsure for followed, unsure in zip(asked, changing, strict=True)
        )
        let_go += len({len(followed) for followed in asked}) > 1
    assert let_go > 0
    assert empty < 0.05 * len(sequences) * OPTIONS.num_frames  # covered, or out of the picture


def test_hearing_is_of_things_that_sound_fall_silent_and_return(library: Library) -> None:
    courses = []
    for seed in range(60):
        own = random_hearing(library, np.random.default_rng(seed), OPTIONS)
        assert own.sounds.shape == (5, round(RATE * WINDOW_S))
        marks = {0.0: ".", 1.0: "x"}
        courses.append("".join(marks.get(sounding, "?") for sounding in own.sounding.tolist()))
    assert all(course[0] != "." for course in courses)
    for wanted in ("^x+$", "x.+[.]$", "[.].*x$"):
        assert any(re.search(wanted, course) for course in courses), (wanted, courses)


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
