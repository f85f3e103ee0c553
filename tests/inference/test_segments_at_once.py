"""Several segments as one batch, several keyframes in a call: the masks of one after another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop import Audio, CoProp, FrameMask
from coprop.context import FrameContext
from coprop.errors import CoPropError, MediaError, ModelOutputError
from coprop.inference.schedule import KeyframeSpan
from coprop.inference.turns import FRAMES_HELD, AtOnce, Turn, at_once, windows
from coprop.keyframes.adapters import CallableSegmenter
from coprop.keyframes.predictions import Predictions
from coprop.media.clip import Clip
from coprop.types import Segment
from pipeline_samples import RATE, Recorder, Shifter, changes_at, left_half, noise, small_propagator
from small_clips import write_clip

FPS = 10
CHANGES = (0.5, 1.3, 1.6, 2.4)  # segments of 5, 8, 3, 8 and 6 frames
STARTS = (0, 5, 13, 16, 24)
COUNT = 30


def pictures(count: int = COUNT) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (count, 24, 32, 3), dtype=np.uint8)
    frames[..., 0] = np.arange(count)[:, None, None]
    return frames


def blobs(frames: Tensor) -> Tensor:
    """Binary logits: a bright square that hangs on the frame's number."""
    logits = torch.full((len(frames), 1, *frames.shape[-2:]), -4.0)
    for row, frame in zip(logits, frames, strict=True):
        start = round(float(frame[0, 0, 0]) * 255) % 8
        row[:, start : start + 12, start : start + 16] = 4.0
    return logits


def wrapped(model: Any = None, propagator: Any = None, **options: Any) -> CoProp:
    return CoProp.wrap(
        Recorder(blobs) if model is None else model,
        detector=changes_at(*CHANGES),
        propagator=small_propagator(()) if propagator is None else propagator,
        namer=None,
        **options,
    )


def masks_of(pipeline: CoProp, frames: Any = None, sound: Audio | None = None) -> list[FrameMask]:
    frames = pictures() if frames is None else frames
    return list(pipeline.stream(frames, sound or noise(COUNT / FPS), fps=FPS))


def same(some: list[FrameMask], others: list[FrameMask]) -> None:
    assert [m.index for m in some] == [m.index for m in others]
    assert [m.is_keyframe for m in some] == [m.is_keyframe for m in others]
    assert [m.classes for m in some] == [m.classes for m in others]
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


@dataclass
class Counted:
    """The propagator's steps, by the size of their batch."""

    sizes: list[int] = field(default_factory=list)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    from coprop.propagation import AudioInsertPropagator

    seen, step = Counted(), AudioInsertPropagator.step

    def counting(self: Any, frame: Tensor, *rest: Any, **named: Any) -> Any:
        seen.sizes.append(len(frame))
        return step(self, frame, *rest, **named)

    monkeypatch.setattr(AudioInsertPropagator, "step", counting)
    return seen


@pytest.mark.parametrize("number", [2, 3, 8])
def test_masks_are_those_of_one_segment_after_another(number: int, counted: Counted) -> None:
    alone = masks_of(wrapped(segments_at_once=1))
    assert counted.sizes == [1] * (COUNT - len(STARTS))
    counted.sizes.clear()
    model = Recorder(blobs)
    together = masks_of(wrapped(model, segments_at_once=number))
    same(together, alone)
    assert sum(counted.sizes) == COUNT - len(STARTS)
    assert max(counted.sizes) == min(number, len(STARTS))
    assert len(model.frames) == -(-len(STARTS) // number)  # so many calls
    assert [round(float(f[0, 0, 0]) * 255) for f in torch.cat(model.frames)] == list(STARTS)
    assert any(m.labels.any() for m in alone if not m.is_keyframe)


def test_each_segment_hears_its_own_sound() -> None:
    hearing = small_propagator()
    one, five = (masks_of(wrapped(propagator=hearing, segments_at_once=n)) for n in (1, 5))
    same(five, one)


def test_segments_drop_out_as_they_end(counted: Counted) -> None:
    masks_of(wrapped(segments_at_once=5))
    # Steps of 7, 7, 5, 4 and 2 frames; the last two end together.
    assert counted.sizes == [5, 5, 4, 4, 3, 2, 2]


def test_results_and_segments_are_equal() -> None:
    sound = noise(COUNT / FPS)
    one, four = (
        wrapped(segments_at_once=n)(pictures(), sound, fps=FPS, keep_probabilities=True)
        for n in (1, 4)
    )
    assert one.segments == four.segments
    same(list(four.masks), list(one.masks))


def test_silence_costs_nothing_and_keeps_its_place(counted: Counted) -> None:
    samples = noise(COUNT / FPS).samples.copy()
    samples[round(0.7 * RATE) : round(2.2 * RATE)] = 0
    sound = Audio(samples, RATE)
    alone = masks_of(wrapped(segments_at_once=1), sound=sound)
    steps = len(counted.sizes)
    together = masks_of(wrapped(segments_at_once=4), sound=sound)
    same(together, alone)
    assert sum(counted.sizes[steps:]) == steps
    assert sum(not m.labels.any() for m in alone) >= 12


def test_keyframes_without_an_object_cost_nothing(counted: Counted) -> None:
    def none_in_the_first(frames: Tensor) -> Tensor:
        logits = blobs(frames)
        logits[frames[:, 0, 0, 0] < 10 / 255] = -4.0
        return logits

    alone = masks_of(wrapped(Recorder(none_in_the_first), segments_at_once=1))
    steps = len(counted.sizes)
    assert steps == COUNT - 13 - 3
    same(masks_of(wrapped(Recorder(none_in_the_first), segments_at_once=5)), alone)
    assert sum(counted.sizes[steps:]) == steps


def classes(frames: Tensor) -> Tensor:
    """Two objects in frames with an even number, one in the others."""
    logits = torch.zeros(len(frames), 4, *frames.shape[-2:])
    logits[:, 0] = 1
    for row, frame in zip(logits, frames, strict=True):
        row[1, :10, :16] = 5
        if round(float(frame[0, 0, 0]) * 255) % 2 == 0:
            row[3, 12:, 16:] = 5
    return logits


def test_segments_with_other_numbers_of_objects_go_apart(counted: Counted) -> None:
    alone = masks_of(wrapped(Recorder(classes), segments_at_once=1))
    assert {m.classes for m in alone} == {(0, 1), (0, 1, 3)}
    counted.sizes.clear()
    same(masks_of(wrapped(Recorder(classes), segments_at_once=5)), alone)
    assert max(counted.sizes) == 3  # frames 0, 16 and 24; 5 and 13 are two


def test_ten_segments_share_a_window_only_as_far_as_frames_may_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def frames() -> Iterator[NDArray[np.uint8]]:
        for picture in pictures():
            asked.append(len(asked))
            yield picture

    monkeypatch.setattr("coprop.inference.turns.FRAMES_HELD", 3)  # 9 for three
    alone = masks_of(wrapped(segments_at_once=1))
    farthest, masks = 0, []
    for mask in wrapped(segments_at_once=3).stream(frames(), noise(COUNT / FPS), fps=FPS):
        farthest = max(farthest, len(asked) - mask.index)
        masks.append(mask)
    same(masks, alone)
    assert farthest <= 9


def test_frames_are_let_go_as_their_masks_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import weakref

    from coprop.media.reader import Frame

    alive: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def frames() -> Iterator[Frame]:
        for index, picture in enumerate(pictures()):
            own = picture.copy()
            alive[index] = own
            yield Frame(index, index / FPS, own)
            del own

    most = 0
    for _ in wrapped(propagator=Shifter(), keyframes_per_call=2).stream(frames(), noise(3)):
        gc.collect(0)
        most = max(most, len(alive))
    assert most <= 16  # the longest two segments have 13, and one begins the next two


@pytest.mark.parametrize("number", ["auto", 1])
def test_one_after_another_waits_for_nothing(number: Any) -> None:
    asked: list[int] = []

    def frames() -> Iterator[NDArray[np.uint8]]:
        for picture in pictures():
            asked.append(1)
            yield picture

    pipeline = wrapped(segments_at_once=number)
    for mask in pipeline.stream(frames(), noise(COUNT / FPS), fps=FPS):
        assert len(asked) == mask.index + 1


def turn(index: int, starts: bool) -> Turn:
    from coprop.media.reader import Frame

    frame = Frame(index, index / FPS, np.zeros((720, 1280, 3), np.uint8))
    span = KeyframeSpan(0.0, 1.0, Segment(0.0, 1.0))
    return Turn(frame, (), 1 / FPS, span, opens=starts, starts=starts)


def test_a_segment_longer_than_may_be_held_goes_on_by_itself() -> None:
    starts = {0, 300, 310}
    made = [turn(i, i in starts) for i in range(320)]
    parts = [[t.frame.index for t in window] for window in windows(made, AtOnce(4))]
    assert [i for part in parts for i in part] == list(range(320))
    assert parts[0] == list(range(4 * FRAMES_HELD))
    assert all(len(part) == 1 for part in parts[1:-1])
    assert parts[-1] == list(range(300, 320))


def test_a_keyframe_in_each_frame() -> None:
    made = [turn(i, True) for i in range(10)]
    assert [len(window) for window in windows(made, AtOnce(4))] == [4, 4, 2]
    assert [len(window) for window in windows(made, AtOnce(1, 3))] == [3, 3, 3, 1]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_what_breaks_off_comes_after_the_masks_before_it(number: int) -> None:
    def frames() -> Iterator[NDArray[np.uint8]]:
        yield from pictures()[:20]
        raise MediaError("the video breaks off")

    masks: list[FrameMask] = []
    with pytest.raises(MediaError, match="breaks off"):
        masks.extend(wrapped(segments_at_once=number).stream(frames(), noise(3), fps=FPS))
    assert [m.index for m in masks] == list(range(20))


def test_ctrl_c_stops_at_once() -> None:
    def frames() -> Iterator[NDArray[np.uint8]]:
        yield from pictures()[:20]
        raise KeyboardInterrupt

    model = Recorder(blobs)
    with pytest.raises(KeyboardInterrupt):
        masks_of(wrapped(model, segments_at_once=5), frames())
    assert not model.frames


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_keyframe_that_fails_is_told_at_its_time(number: int) -> None:
    def fails(frames: Tensor) -> Tensor:
        logits = blobs(frames)
        logits[frames[:, 0, 0, 0] > 15.5 / 255] = float("nan")
        return logits

    masks: list[FrameMask] = []
    with pytest.raises(ModelOutputError, match=r"NaN or infinite logits at 1\.600 s"):
        masks.extend(
            wrapped(Recorder(fails), segments_at_once=number).stream(pictures(), noise(3), fps=FPS)
        )
    assert [m.index for m in masks] == list(range(16))


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_step_that_fails_is_told_at_its_time(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coprop.propagation import AudioInsertPropagator

    step = AudioInsertPropagator.step

    def fails(self: Any, frame: Tensor, *rest: Any, **named: Any) -> Any:
        logits, state = step(self, frame, *rest, **named)
        logits = logits.clone()
        # The frames reach the propagator at its own size.
        logits[torch.tensor([bool((f - eighth).abs().max() < 1e-6) for f in frame])] = float("nan")
        return logits, state

    eighth = torch.zeros(())
    pipeline = wrapped(segments_at_once=number)
    with Clip(pictures(), noise(3), fps=FPS) as clip:
        tracker = pipeline._tracker_for(clip.audio, clip)
        (eighth,) = (tracker._propagator_image(f)[0][0] for f in clip.frames if f.index == 8)
    monkeypatch.setattr(AudioInsertPropagator, "step", fails)
    masks: list[FrameMask] = []
    with pytest.raises(ModelOutputError, match=r"at 0\.800 s returned NaN"):
        masks.extend(pipeline.stream(pictures(), noise(3), fps=FPS))
    assert [m.index for m in masks] == list(range(8))


def test_a_batch_without_memory_for_it_is_done_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from coprop.propagation import AudioInsertPropagator

    alone, step = masks_of(wrapped(segments_at_once=1)), AudioInsertPropagator.step

    def full(self: Any, frame: Tensor, audio: Any, state: Any, **named: Any) -> Any:
        if len(frame) > 1 and state.step_index == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, frame, audio, state, **named)

    monkeypatch.setattr(AudioInsertPropagator, "step", full)
    same(masks_of(wrapped(segments_at_once=5)), alone)


def test_a_stream_that_is_left_early_ends() -> None:
    stream = wrapped(segments_at_once=3).stream(pictures(), noise(3), fps=FPS)
    assert next(iter(stream)).index == 0
    stream.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("coprop ")]


def test_other_propagators_go_one_by_one_and_wait_for_nothing() -> None:
    propagator, asked = Shifter(), []

    def frames() -> Iterator[NDArray[np.uint8]]:
        for picture in pictures():
            asked.append(1)
            yield picture

    model = Recorder(left_half)
    pipeline = wrapped(model, propagator, segments_at_once=4, keyframes_per_call=1)
    for mask in pipeline.stream(frames(), noise(3), fps=FPS):
        assert len(asked) == mask.index + 1
    assert {len(frame) for frame, _ in propagator.steps} == {1}
    assert len(model.frames) == len(STARTS)


def test_a_function_for_several_keyframes_gets_them_without_segments_at_once() -> None:
    alone = masks_of(wrapped(propagator=Shifter()))
    model = Recorder(blobs)
    got = masks_of(wrapped(model, Shifter(), keyframes_per_call=4))
    same(got, alone)
    assert [len(frames) for frames in model.frames] == [4, 1]
    assert [len(audio) for audio in model.audio] == [4, 1]


@pytest.mark.parametrize("wrong", ["shape", "error"])
def test_a_function_that_takes_one_gets_one(wrong: str) -> None:
    def only_one(frames: Tensor) -> Tensor:
        if len(frames) > 1 and wrong == "error":
            raise RuntimeError("shape '[1, 3]' is invalid")
        return blobs(frames[:1])

    alone = masks_of(wrapped(Recorder(only_one)))
    with pytest.warns(UserWarning, match="4 keyframes in one call") as warned:
        same(masks_of(wrapped(Recorder(only_one), segments_at_once=4)), alone)
    assert len(warned) == 1
    same(masks_of(wrapped(Recorder(only_one), segments_at_once=4, keyframes_per_call=1)), alone)


def test_how_much_is_done_together(tmp_path: Path) -> None:
    cpu, cuda, ours = torch.device("cpu"), torch.device("cuda"), small_propagator()
    function = CallableSegmenter(lambda frames, sound: frames[:, :1])
    many = CallableSegmenter(lambda frames, sound: frames[:, :1], keyframes_per_call=8)
    clips = CallableSegmenter(lambda frames, sound: frames[:, :1], frames_per_call=5)
    known = Clip(pictures(), noise(3), fps=FPS)
    camera = Clip(iter(pictures()), noise(3), fps=FPS)
    assert at_once("auto", function, ours, cpu, known) == AtOnce(1, 1)
    assert at_once("auto", function, ours, cuda, known) == AtOnce(4, 1)
    assert at_once("auto", function, ours, cuda, camera) == AtOnce(1, 1)
    part = Clip(pictures(), noise(3), fps=FPS, start_s=0.5)
    with Clip(write_clip(tmp_path / "clip.mkv")) as untold:
        for recorded in (part, untold):
            assert recorded.num_frames is None
            assert at_once("auto", function, ours, cuda, recorded) == AtOnce(4, 1)
    assert at_once(4, function, ours, cuda, camera) == AtOnce(4, 4)
    assert at_once(4, function, Shifter(), cpu, known) == AtOnce(1, 4)
    assert at_once("auto", many, ours, cpu, known) == AtOnce(1, 8)
    assert at_once(4, clips, ours, cpu, known) == AtOnce(4, 1)
    default = CoProp.from_pretrained().segmenter
    assert at_once("auto", default, ours, cuda, known) == AtOnce(4, 4)
    assert at_once(4, default, ours, cpu, known) == AtOnce(4, 1)
    small, large = (Clip(pictures(), noise(3), fps=FPS) for _ in range(2))
    small.frame_size, large.frame_size, half = (224, 298), (720, 1280), torch.bfloat16
    ours = CoProp.from_pretrained().propagator
    assert at_once("auto", default, ours, cpu, small, half) == AtOnce(6, 1)
    assert at_once("auto", function, ours, cpu, small, half) == AtOnce(6, 1)
    assert at_once("auto", many, ours, cpu, small, half) == AtOnce(6, 8)
    assert at_once("auto", default, ours, cpu, small) == AtOnce(1, 1)
    assert at_once("auto", default, ours, cpu, large, half) == AtOnce(1, 1)
    assert at_once("auto", default, ours, cpu, known, half) == AtOnce(1, 1)
    assert at_once("auto", default, Shifter(), cpu, small, half) == AtOnce(1, 1)
    predictions = Predictions(np.zeros((3, 8, 8), np.uint8), every="second")
    assert at_once(4, predictions, ours, cpu, known) == AtOnce(4, 1)


def test_predictions_are_the_same() -> None:
    maps = np.zeros((3, 24, 32), np.uint8)
    maps[0, 4:16, 4:16] = maps[2, 8:20, 8:20] = 1

    def predictions() -> Predictions:
        return Predictions(maps, every="second", missing="skip", max_distance_s=0.6)

    same(
        masks_of(wrapped(predictions(), segments_at_once=4)),
        masks_of(wrapped(predictions(), segments_at_once=1)),
    )


@pytest.mark.parametrize("value", [0, -1, 65, 2.5, "all", None, True, float("nan"), [4]])
def test_numbers_that_cannot_be(value: Any) -> None:
    with pytest.raises(CoPropError, match=r"segments_at_once must be \"auto\" or a whole number"):
        wrapped(segments_at_once=value)
    if value is not None:
        with pytest.raises(CoPropError, match="keyframes_per_call must be a whole number"):
            wrapped(keyframes_per_call=value)


def test_keyframes_per_call_is_for_functions_of_single_frames() -> None:
    context = FrameContext(3, 0.5)
    with pytest.raises(CoPropError, match="a call is one keyframe's"):
        CallableSegmenter(lambda f, s: f[:, :1], context=context, keyframes_per_call=2)
    model = CallableSegmenter(lambda f, s: f[:, :1])
    with pytest.raises(CoPropError, match="keyframes_per_call is for functions"):
        wrapped(model, keyframes_per_call=2)


def test_a_models_own_number_is_checked() -> None:
    model = CallableSegmenter(lambda frames, sound: blobs(frames))
    model.keyframes_per_call = 0
    with pytest.raises(CoPropError, match="keyframes_per_call of CallableSegmenter"):
        masks_of(wrapped(model))


def test_the_command_takes_a_number(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from coprop.cli.app import app

    result = CliRunner().invoke(app, ["run", "x.mp4", "--out", "y", "--segments-at-once", "0"])
    assert result.exit_code == 2
