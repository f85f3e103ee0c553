"""Masks and boxes that a user supplies: where they hold, and where nothing changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from coprop import CoProp, CoPropError, Result
from coprop.errors import MediaError, ShapeError
from coprop.prompts import Prompt
from pipeline_samples import RATE, Recorder, Shifter, changes_at, clip_of, noise, small_propagator

pytestmark = pytest.mark.usefixtures("no_timelines")

FPS, FRAMES = 5, 25
POINTS = (1.0, 3.0)  # segments: frames 0 to 4, 5 to 14, 15 to 24


def pipeline_of(model: Any = None, propagator: Any = None, **options: Any) -> CoProp:
    options = {"detector": changes_at(*POINTS), "max_segment_s": 0.8, "namer": None, **options}
    return CoProp.wrap(model or Recorder(), propagator=propagator or Shifter(), **options)


def run(pipeline: CoProp, *prompts: Prompt, count: int = FRAMES) -> Result:
    return pipeline(clip_of(count), noise(count / FPS), fps=FPS, prompts=prompts)


def square(label: int = 1) -> NDArray[np.uint8]:
    mask = np.zeros((12, 16), dtype=np.uint8)
    mask[2:8, 3:9] = label
    return mask


@pytest.mark.parametrize("propagator", [Shifter, small_propagator])
def test_a_supplied_mask_changes_its_segment_and_no_other(propagator: Any) -> None:
    pipeline = pipeline_of(propagator=propagator())
    before, after = run(pipeline), run(pipeline, Prompt(2.0, square()))
    differs = [bool((a != b).any()) for a, b in zip(before.labels, after.labels, strict=True)]
    assert np.array_equal(after.labels[10], square())
    assert after.masks[10].is_keyframe
    assert differs[10]
    assert not any(differs[:10] + differs[15:])
    assert any(differs[11:15])
    kept = [m.is_keyframe for m in after.masks]
    assert [i for i in range(FRAMES) if kept[i] and 10 <= i < 15] == [10]
    assert after.segments == before.segments


def test_it_is_carried_to_the_end_of_its_segment() -> None:
    result = run(pipeline_of(), Prompt(2.0, square()))
    for i in range(10, 15):
        assert np.array_equal(result.labels[i], np.roll(square(), i - 10, axis=1))


def test_a_propagator_gets_it_at_the_size_of_its_frames() -> None:
    """Frames beyond the working edge are shown reduced; the labels stay the user's own."""
    propagator = Shifter()
    pipeline = pipeline_of(propagator=propagator)
    pipeline.working_edge = 8
    result = run(pipeline, Prompt(0.0, square()), count=4)
    ((frame, _, mask),) = propagator.starts
    assert mask.shape[-2:] == frame.shape[-2:] == (6, 8)
    assert np.array_equal(result.labels[0], square())
    assert all(labels.any() for labels in result.labels)


def test_a_correction_is_a_run_with_the_same_prompts(tmp_path: Path) -> None:
    prompts = [Prompt(3.5, square(2)), Prompt(1.9, square()), Prompt(2.4, square(3))]
    pipeline = pipeline_of(propagator=small_propagator())
    before = run(pipeline)
    for corrected in (pipeline.correct(before, prompts), run(pipeline, *prompts)):
        assert [i for i, m in enumerate(corrected.masks) if m.is_keyframe and i > 9] == [
            *(10, 12, 15, 18)
        ]
    again = run(pipeline, *prompts)
    assert np.array_equal(corrected.labels, again.labels)
    assert np.array_equal(pipeline.correct(before, prompts).labels, again.labels)
    before.save(tmp_path / "out")
    loaded = Result.load(tmp_path / "out", clip_of(FRAMES), noise(5.0), fps=FPS)
    from_disk = pipeline.correct(loaded, prompts)
    assert np.array_equal(from_disk.labels, again.labels)
    from_disk.save(tmp_path / "corrected")
    assert np.array_equal(Result.load(tmp_path / "corrected").labels, again.labels)
    assert from_disk.masks[0].labels.sum() == from_disk.masks[:2][0].labels.sum()
    assert len(from_disk.masks) == len(list(from_disk.masks)) == FRAMES


def test_stream_takes_prompts() -> None:
    pipeline = pipeline_of()
    streamed = list(
        pipeline.stream(clip_of(FRAMES), noise(5.0), fps=FPS, prompts=[Prompt(2.0, square())])
    )
    expected = run(pipeline, Prompt(2.0, square()))
    assert np.array_equal(np.stack([m.labels for m in streamed]), expected.labels)


def test_labels_of_supplied_masks() -> None:
    cases = [
        (Prompt(0, square() > 0), {1}),
        (Prompt(0, square(255)), {1}),
        (Prompt(0, square(7)), {7}),
        (Prompt(0, square(7), label=2), {2}),
        (Prompt(0, square() > 0, label=9), {9}),
        (Prompt(0, boxes=[(0, 0, 4, 4), (8, 8, 12, 12)], label=4), {4}),
        (Prompt(0, boxes=(0, 0, 4, 4)), {1}),
    ]
    for prompt, labels in cases:
        found = run(pipeline_of(), prompt, count=2).labels
        assert set(np.unique(found[0])) - {0} == labels
        assert set(np.unique(found[1])) - {0} == labels


def test_several_prompts_at_one_time_are_one_keyframe() -> None:
    prompts = [Prompt(0.1, square(1)), Prompt(0.2, boxes=[(3, 2, 5, 4)], label=2)]
    labels = run(pipeline_of(), *prompts, count=4).labels
    assert set(np.unique(labels[1])) == {0, 1, 2}
    assert (labels[1][2:4, 3:5] == 2).all()


def test_a_box_takes_what_the_model_masks_in_it() -> None:
    """The model masks the left half, columns 0 to 7."""
    inside = run(pipeline_of(), Prompt(0, boxes=[(4, 2, 12, 6)]), count=1).labels[0]
    assert np.array_equal(np.argwhere(inside).min(0), (2, 4))
    assert np.array_equal(np.argwhere(inside).max(0), (5, 7))
    beside = run(pipeline_of(), Prompt(0, boxes=[(9, 2, 12.5, 6)]), count=1).labels[0]
    assert np.array_equal(np.argwhere(beside).min(0), (2, 9))
    assert np.array_equal(np.argwhere(beside).max(0), (5, 12))


def test_an_empty_mask_says_that_nothing_visible_sounds() -> None:
    result = run(pipeline_of(), Prompt(1.0, np.zeros((12, 16), bool)))
    assert not result.labels[5:15].any()
    assert result.labels[15:].any()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "either a mask or boxes"),
        ({"mask": square(), "boxes": [(0, 0, 1, 1)]}, "either a mask or boxes"),
        ({"mask": square(), "time_s": -1}, "time_s"),
        ({"mask": square(), "time_s": "soon"}, "time_s"),
        ({"mask": square(), "label": 0}, "label"),
        ({"mask": square(), "label": 256}, "label"),
        ({"mask": square().astype(np.float32)}, "whole numbers"),
        ({"mask": np.zeros((2, 12, 16), np.uint8)}, r"\(H, W\)"),
        ({"mask": np.zeros((0, 16), np.uint8)}, r"\(H, W\)"),
        ({"mask": np.full((2, 2), 300)}, "0 to 255"),
        ({"mask": np.full((2, 2), -1)}, "0 to 255"),
        ({"mask": "mask.png"}, "mask"),
        ({"boxes": [(0, 0, 1)]}, "left, top, right, bottom"),
        ({"boxes": [(4, 0, 4, 2)]}, "no inside"),
        ({"boxes": [(0, 0, float("nan"), 2)]}, "finite"),
        ({"boxes": "0,0,1,1"}, "list"),
    ],
)
def test_prompts_that_are_none(given: dict[str, Any], said: str) -> None:
    with pytest.raises(CoPropError, match=said):
        Prompt(**{"time_s": 1.0, **given})


@pytest.mark.parametrize(
    ("prompts", "error", "said"),
    [
        ([Prompt(9.0, square())], CoPropError, "after the last frame, at 4.800 s"),
        ([Prompt(1.0, square().T)], ShapeError, "is 12 x 16, the frames are 16 x 12"),
        ([Prompt(1.0, boxes=[(20, 0, 30, 4)])], CoPropError, "no pixel"),
        (Prompt(1.0, square()), CoPropError, "list of Prompt"),
        ([(1.0, square())], CoPropError, "list of Prompt"),
        (7, CoPropError, "list of Prompt"),
    ],
)
def test_prompts_that_cannot_be_used(prompts: Any, error: type[Exception], said: str) -> None:
    pipeline = pipeline_of()
    with pytest.raises(error, match=said):
        pipeline(clip_of(FRAMES), noise(5.0), fps=FPS, prompts=prompts)
    before = run(pipeline)
    with pytest.raises(error, match=said):
        pipeline.correct(before, prompts)


def test_a_prompt_in_silence_is_told() -> None:
    sound = noise(5.0).samples.copy()
    sound[2 * RATE : 4 * RATE] = 0
    with pytest.raises(CoPropError, match=r"prompt at 2\.500 s .* nothing is heard"):
        pipeline_of()(clip_of(FRAMES), (sound, RATE), fps=FPS, prompts=[Prompt(2.5, square())])


def test_nothing_to_correct_with_and_no_video(tmp_path: Path) -> None:
    pipeline = pipeline_of()
    before = run(pipeline)
    with pytest.raises(CoPropError, match="at least one prompt"):
        pipeline.correct(before, [])
    before.save(tmp_path / "out")
    with pytest.raises(MediaError, match="needs the video"):
        pipeline.correct(Result.load(tmp_path / "out"), [Prompt(1.0, square())])
