"""Frames around a frame: which ones, and how many are held."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from coprop import CoProp, CoPropError
from coprop.context import nearest, with_neighbours
from coprop.keyframes.adapters import CallableSegmenter
from coprop.keyframes.model import ALONE, FrameContext, Placement
from coprop.media.clip import Clip
from coprop.media.reader import Frame
from pipeline_samples import Recorder, Shifter, changes_at, clip_of, noise

PLACEMENTS: list[Placement] = ["centre", "last", "block"]


def frames_at(times_s: list[float]) -> list[Frame]:
    picture = np.zeros((2, 2, 3), dtype=np.uint8)
    return [Frame(i, time_s, picture) for i, time_s in enumerate(times_s)]


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=40),
    st.integers(1, 6),
    st.floats(0.05, 3.0),
    st.sampled_from(PLACEMENTS),
)
def test_the_nearest_frames_of_the_whole_video_are_found(
    gaps: list[int], count: int, spacing_s: float, placement: Placement
) -> None:
    frames = frames_at([float(t) / 10 for t in np.cumsum(gaps)])
    context = FrameContext(count, spacing_s, placement)
    yielded = list(with_neighbours(iter(frames), context))
    assert [frame for frame, _ in yielded] == frames
    for frame, around in yielded:
        chosen = nearest(frame, around, context)
        assert len(chosen) == count
        assert chosen[context.position(frame.time_s)] is frame
        for time_s, picked in zip(context.times_s(frame.time_s), chosen, strict=True):
            if picked is not frame:
                best = min(abs(other.time_s - time_s) for other in frames)
                assert abs(picked.time_s - time_s) == best


def test_only_frames_in_reach_are_held() -> None:
    alive: list[weakref.ref[Frame]] = []

    def endless() -> Iterator[Frame]:
        for i in range(400):
            frame = Frame(i, i / 10, np.zeros((2, 2, 3), dtype=np.uint8))
            alive.append(weakref.ref(frame))
            yield frame

    context = FrameContext(5, 1.0, "centre")
    for _ in with_neighbours(endless(), context):
        held = sum(ref() is not None for ref in alive)
        assert held <= 10 * (context.before_s + context.after_s) + 4


@pytest.mark.parametrize(
    ("placement", "time_s", "expected"),
    [
        ("centre", 7.5, (5.5, 6.5, 7.5, 8.5, 9.5)),
        ("last", 7.5, (3.5, 4.5, 5.5, 6.5, 7.5)),
        ("first", 7.5, (7.5, 8.5, 9.5, 10.5, 11.5)),
        ("block", 7.5, (5.5, 6.5, 7.5, 8.5, 9.5)),
        ("block", 5.5, (5.5, 6.5, 7.5, 8.5, 9.5)),
        ("block", 9.5, (5.5, 6.5, 7.5, 8.5, 9.5)),
    ],
)
def test_where_the_keyframe_lies(
    placement: Placement, time_s: float, expected: tuple[float, ...]
) -> None:
    context = FrameContext(5, 1.0, placement)
    assert context.times_s(time_s) == expected
    assert expected[context.position(time_s)] == time_s


@pytest.mark.parametrize(
    "options", [{"frames": 0}, {"spacing_s": 0.0}, {"spacing_s": float("nan")}, {"placement": "x"}]
)
def test_contexts_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(CoPropError):
        FrameContext(**options)  # type: ignore[arg-type]


def test_a_model_is_given_its_block_and_answers_for_the_keyframe() -> None:
    """A clip of ten frames, a second each, in two blocks of five, as in the benchmark."""
    model = Recorder(answer=lambda frames: frames[:, :1] * 255 - 6.5)  # red tells the number
    keyframes = CallableSegmenter(model, context=FrameContext(5, 1.0, "block"))
    pipeline = CoProp(keyframes, detector=changes_at(7.0), propagator=Shifter())
    pictures = clip_of(10)
    timed = [Frame(i, i + 0.5, picture) for i, picture in enumerate(pictures)]
    with Clip(timed, noise(10.0)) as clip:
        masks = [mask for _, mask in pipeline.track(clip, changes_at(7.0)(clip.audio))]
    assert [mask.is_keyframe for mask in masks] == [i in (0, 7) for i in range(10)]
    assert [round(float(x[0, 0, 0]) * 255) for x in model.frames[0]] == [0, 1, 2, 3, 4]
    assert [round(float(x[0, 0, 0]) * 255) for x in model.frames[1]] == [5, 6, 7, 8, 9]
    assert not masks[0].labels.any()  # 0 is below 6.5
    assert masks[7].labels.all()  # 7 is above it: its own row was used, not that of frame 5


def test_each_neighbour_comes_with_its_own_sound() -> None:
    model = Recorder()
    keyframes = CallableSegmenter(model, window_s=0.5, context=FrameContext(3, 1.0, "centre"))
    pipeline = CoProp(keyframes, detector=changes_at(), propagator=Shifter())
    sound = noise(4.0)
    with Clip(clip_of(8), sound, fps=2) as clip:
        masks = list(pipeline.every_frame(clip))
    assert len(masks) == len(model.frames) == 8
    assert all(mask.is_keyframe for mask in masks)
    for shown, heard in zip(model.frames[2:6], model.audio[2:6], strict=True):
        numbers = [round(float(x[0, 0, 0]) * 255) for x in shown]
        assert numbers == [numbers[1] - 2, numbers[1], numbers[1] + 2]
        for number, samples in zip(numbers, heard, strict=True):
            start = round(number / 2 * 16_000) - 4000
            assert torch.equal(samples, torch.from_numpy(sound.read(start, start + 8000)))


def test_a_model_may_look_at_what_is_around_the_frame_that_it_takes() -> None:
    """Ten frames a second: of each keyframe the one 0.2 s after it; at the end the last."""
    seen: list[tuple[Tensor, Tensor]] = []

    class Looker(CallableSegmenter):
        surroundings = FrameContext(2, 0.2, "first")

        def __call__(self, frames: Tensor, audio: Tensor, around: Tensor | None = None) -> Tensor:
            assert around is not None
            seen.append((frames, around))
            return super().__call__(frames, audio)

    pipeline = CoProp(Looker(Recorder()), detector=changes_at(0.5), propagator=Shifter())
    pipeline(clip_of(10), noise(1.0), fps=10)
    numbers = [(f[:, 0, 0, 0] * 255, a[..., 0, 0, 0] * 255) for f, a in seen]
    assert [f.round().tolist() for f, _ in numbers] == [[0], [5]]
    assert [a.round().tolist() for _, a in numbers] == [[[0, 2]], [[5, 7]]]
    with Clip(clip_of(10), noise(1.0), fps=10) as clip:
        assert len(list(pipeline.every_frame(clip))) == 10
    assert (seen[-1][1][0, :, 0, 0, 0] * 255).round().tolist() == [9, 9]


def test_alone_needs_no_look_ahead() -> None:
    """A model that sees one frame gets it before the next one is read."""
    read: list[int] = []

    def frames() -> Iterator[Frame]:
        for frame in frames_at([0.0, 1.0, 2.0]):
            read.append(frame.index)
            yield frame

    for frame, around in with_neighbours(frames(), ALONE):
        assert read[-1] == frame.index
        assert list(around) == [frame]


def test_examples_of_the_benchmark_fall_behind() -> None:
    model = Recorder()
    keyframes = CallableSegmenter(model, window_s=0.975, audio_span="example")
    pipeline = CoProp(keyframes, detector=changes_at(), propagator=Shifter())
    sound = noise(5.0)
    timed = [Frame(i, i + 0.5, picture) for i, picture in enumerate(clip_of(5))]
    with Clip(timed, sound) as clip:
        list(pipeline.every_frame(clip))
    for i, heard in enumerate(model.audio):
        expected = sound.read(15_360 * i, 15_360 * i + 15_600)
        assert torch.equal(heard[0], torch.from_numpy(expected))
