"""The whole machine around small models: what each part is given, when, and what comes out."""

from __future__ import annotations

import gc
import io
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from media_samples import tone, write_video, write_wav
from torch import Tensor, nn

from coprop import Audio, ControlPointDetector, CoProp, CoPropError, KeyframeSegmenter
from coprop.errors import MediaError
from coprop.keyframes.adapters import CallableSegmenter
from coprop.keyframes.segmenter import SegmenterConfig
from coprop.types import AudioTrack, FrameMask, Segment
from pipeline_samples import (
    RATE,
    Recorder,
    Shifter,
    changes_at,
    clip_of,
    left_half,
    noise,
    positions,
    ramp,
    small_propagator,
)


def wrapped(model: Any, *changes_s: float, **options: Any) -> CoProp:
    options = {"propagator": Shifter(), "detector": changes_at(*changes_s)} | options
    return CoProp.wrap(model, **options)


def classes_in_columns(count: int) -> Callable[[Tensor], Tensor]:
    """Semantic logits of ``count`` classes; column x shows class x modulo count."""

    def answer(frames: Tensor) -> Tensor:
        logits = torch.zeros(len(frames), count, *frames.shape[-2:])
        for column in range(frames.shape[-1]):
            logits[:, column % count, :, column] = 8.0
        return logits

    return answer


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


# What the wrapped model is given


def test_the_model_gets_rgb_frames_in_the_unit_range() -> None:
    model, frames = Recorder(), clip_of(3)
    wrapped(model)(frames, noise(0.3), fps=10)
    (given,) = model.frames
    assert given.shape == (1, 3, 12, 16)
    assert given.dtype == torch.float32
    expected = torch.from_numpy(frames[0]).permute(2, 0, 1)[None] / 255
    torch.testing.assert_close(given, expected, rtol=0, atol=0)


def test_the_model_hears_the_second_around_its_frame() -> None:
    model = Recorder()
    wrapped(model, 1.0, 2.9)(clip_of(30), ramp(3.0), fps=10)
    first, middle, last = (positions(a) for a in model.audio)
    np.testing.assert_array_equal(first[8000:], np.arange(8000))
    assert (first[:8000] == -1).all()
    np.testing.assert_array_equal(middle, np.arange(8000, 24_000))
    np.testing.assert_array_equal(last[:9600], np.arange(round(2.4 * RATE), 3 * RATE))
    assert (last[9600:] == -1).all()


@pytest.mark.parametrize("window_s", [0.25, 1.0, 3.0])
def test_window_s_is_the_length_of_the_sound(window_s: float) -> None:
    model = Recorder()
    wrapped(model, window_s=window_s)(clip_of(2), noise(1.0, 44_100), fps=10)
    assert model.audio[0].shape == (1, round(window_s * RATE))


def test_a_segment_span_keeps_the_window_inside_the_segment() -> None:
    model = Recorder()
    keyframes = CallableSegmenter(model, audio_span="segment")
    wrapped(keyframes, 1.0, 3.0, 3.5)(clip_of(50), ramp(5.0), fps=10)
    heard = [positions(a) for a in model.audio]
    np.testing.assert_array_equal(heard[0], np.arange(16_000))
    np.testing.assert_array_equal(heard[1], np.arange(16_000, 32_000))
    np.testing.assert_array_equal(heard[2], [*range(48_000, 56_000), *[-1] * 8000])


def test_between_keyframes_of_one_segment_the_sound_is_shared() -> None:
    model = Recorder()
    keyframes = CallableSegmenter(model, audio_span="segment")
    wrapped(keyframes, 2.0, max_segment_s=1.0)(clip_of(20), ramp(4.0), fps=5)
    heard = [positions(a) for a in model.audio]
    # The keyframe at 1 s hears what is before it too: the same objects sound from 0 to 2 s.
    assert model.frame_numbers[:2] == [0, 5]
    np.testing.assert_array_equal(heard[1], np.arange(8_000, 24_000))


def test_the_propagator_gets_each_frame_with_its_own_sound() -> None:
    propagator = Shifter(window_s=0.1)
    wrapped(Recorder(), propagator=propagator)(clip_of(5), ramp(1.0), fps=10)
    assert len(propagator.starts) == 1
    for number, (frame, audio) in enumerate(propagator.steps, start=1):
        assert round(float(frame[0, 0, 0, 0]) * 255) == number
        heard = positions(audio)
        centre = round(number * RATE / 10)
        np.testing.assert_array_equal(heard, np.arange(centre - 800, centre + 800))


# When the model is asked


def test_keyframes_are_the_first_frames_at_or_after_the_control_points() -> None:
    model = Recorder()
    # Three changes between the same two frames make one keyframe.
    result = wrapped(model, 0.5, 1.01, 1.02, 1.03)(clip_of(20), noise(2.0), fps=10)
    assert model.frame_numbers == [0, 5, 11]
    assert [mask.index for mask in result.masks if mask.is_keyframe] == [0, 5, 11]


@pytest.mark.parametrize("fps", [1, 3, 10, 20, 24, 25, 30_000 / 1001, 60])
def test_a_frame_at_the_very_time_of_a_control_point_is_its_keyframe(fps: float) -> None:
    count = 40
    times = [3 * (1 / fps), 7 / fps, np.linspace(0, 17 / fps, 18)[-1]]
    model = Recorder()
    wrapped(model, *times)(clip_of(count, 2, 2), noise(count / fps, 2000), fps=fps)
    assert model.frame_numbers == [0, 3, 7, 17]


def test_the_grid_of_a_detector_meets_the_grid_of_frames() -> None:
    grid = (np.arange(40) * 0.05)[[3, 6, 7, 12]]  # 0.15000000000000002 and so on
    model = Recorder()
    wrapped(model, *grid)(clip_of(40, 2, 2), noise(2.0), fps=20)
    assert model.frame_numbers == [0, 3, 6, 7, 12]


def test_silent_segments_and_segments_without_frames_are_not_asked_about() -> None:
    samples = np.zeros(4 * RATE, dtype=np.float32)
    samples[:RATE:2] = samples[2 * RATE : 3 * RATE : 2] = 0.1
    model, propagator = Recorder(), Shifter()
    pipeline = wrapped(model, 1.0, 2.0, 3.0, propagator=propagator)
    result = pipeline(clip_of(35), Audio(samples, RATE), fps=10)
    assert model.frame_numbers == [0, 20]
    assert [frame_number(frame) for frame, _, _ in propagator.starts] == [0, 20]
    assert len(propagator.steps) == 18
    sounding = result.labels.any(axis=(1, 2))
    expected = [t < 10 or 20 <= t < 30 for t in range(35)]
    np.testing.assert_array_equal(sounding, expected)


def frame_number(frame: Tensor) -> int:
    return round(float(frame[0, 0, 0, 0]) * 255)


def test_long_segments_get_more_keyframes_where_asked_for() -> None:
    model = Recorder()
    pipeline = wrapped(model, 0.9, max_segment_s=1.0)
    result = pipeline(clip_of(40), noise(4.0 - 0.25), fps=10)
    # 0.9 s, and 3.1 s in four parts of 0.775 s: each keyframe at or after its part's start.
    assert model.frame_numbers == [0, 9, 17, 25, 33]
    assert [(s.start_s, s.end_s) for s in result.segments] == [(0.0, 0.9), (0.9, 4.0)]


def test_without_a_limit_a_segment_has_one_keyframe() -> None:
    model = Recorder()
    wrapped(model)(clip_of(200, 2, 2), noise(100.0, 1000), fps=2)
    assert model.frame_numbers == [0]


def test_an_empty_keyframe_costs_no_propagation() -> None:
    propagator = Shifter()
    model = Recorder(lambda frames: left_half(frames) * 0 - 4)
    result = wrapped(model, propagator=propagator)(clip_of(10), noise(1.0), fps=10)
    assert not propagator.starts
    assert not propagator.steps
    assert not result.labels.any()
    assert result.masks[0].is_keyframe


# What comes out


def test_binary_masks_are_the_keyframe_s_and_then_the_propagator_s() -> None:
    result = wrapped(Recorder())(clip_of(4), noise(0.4), fps=10, keep_probabilities=True)
    columns = [np.flatnonzero(mask.labels[0]) for mask in result.masks]
    for shift, found in enumerate(columns):
        np.testing.assert_array_equal(found, np.arange(8) + shift)
    assert [mask.is_keyframe for mask in result.masks] == [True, False, False, False]
    assert result.masks[0].probabilities is not None
    sounding = torch.tensor(4.0).sigmoid()
    np.testing.assert_allclose(result.masks[0].probabilities[1, :, :8], sounding, rtol=1e-6)
    check_masks(result.masks, 4, (12, 16))


def test_masks_of_a_propagator_that_is_being_trained_have_no_gradient() -> None:
    class Learning(Shifter):
        def step(self, *given: Any, **options: Any) -> tuple[Tensor, Tensor]:
            logits, state = super().step(*given, **options)
            return logits.requires_grad_(), state

    parts: dict[str, Any] = {"detector": changes_at(), "propagator": Learning()}
    result = CoProp.wrap(Recorder(), **parts)(
        clip_of(3), noise(0.3), fps=10, keep_probabilities=True
    )
    assert all(np.isfinite(mask.probabilities).all() for mask in result.masks)


def test_a_real_propagator_follows() -> None:
    pipeline = wrapped(Recorder(), 0.5, propagator=small_propagator())
    result = pipeline(clip_of(10), noise(1.0), fps=10, keep_probabilities=True)
    check_masks(result.masks, 10, (12, 16))
    assert [m.index for m in result.masks if m.is_keyframe] == [0, 5]


@pytest.mark.parametrize("count", [2, 5, 13])
def test_semantic_labels_are_class_ids(count: int) -> None:
    model = Recorder(classes_in_columns(count))
    frames = clip_of(3, 4, 26)
    result = wrapped(model)(frames, noise(0.3), fps=10, keep_probabilities=True)
    np.testing.assert_array_equal(result.masks[0].labels[0], np.arange(26) % count)
    np.testing.assert_array_equal(result.masks[1].labels[0], np.roll(np.arange(26) % count, 1))
    assert result.masks[0].classes == tuple(range(count))
    check_masks(result.masks, 3, (4, 26))


def test_only_the_classes_in_sight_are_propagated() -> None:
    def answer(frames: Tensor) -> Tensor:
        logits = torch.zeros(1, 71, *frames.shape[-2:])
        logits[:, 0] = 4
        logits[:, 33, :, :8] = 8
        logits[:, 70, :, 12:] = 8
        return logits

    propagator = Shifter()
    pipeline = wrapped(Recorder(answer), propagator=propagator)
    result = pipeline(clip_of(2), noise(0.2), fps=10, keep_probabilities=True)
    assert propagator.starts[0][2].shape == (1, 3, 12, 16)
    assert [mask.classes for mask in result.masks] == [(0, 33, 70)] * 2
    np.testing.assert_array_equal(result.masks[0].labels[0], [33] * 8 + [0] * 4 + [70] * 4)
    np.testing.assert_array_equal(result.masks[1].labels[0], [70] + [33] * 8 + [0] * 4 + [70] * 3)
    check_masks(result.masks, 2, (12, 16))


def test_specks_of_a_class_go_to_the_background() -> None:
    def answer(frames: Tensor) -> Tensor:
        logits = torch.zeros(1, 4, *frames.shape[-2:])
        logits[:, 0] = 4
        logits[:, 1, :, :20] = 8
        logits[:, 2, 0, 39] = 8  # one pixel of 1600
        return logits

    pipeline = wrapped(Recorder(answer))
    result = pipeline(clip_of(1, 40, 40), noise(0.2), fps=10, keep_probabilities=True)
    assert result.masks[0].classes == (0, 1)
    assert result.masks[0].labels[0, 39] == 0
    check_masks(result.masks, 1, (40, 40))


def test_more_than_ten_classes_go_through_the_real_propagator() -> None:
    model = Recorder(classes_in_columns(13))
    pipeline = wrapped(model, propagator=small_propagator())
    result = pipeline(clip_of(3, 26, 26), noise(0.3), fps=10, keep_probabilities=True)
    assert result.masks[2].classes == tuple(range(13))
    check_masks(result.masks, 3, (26, 26))


def test_rounding_takes_no_probability_below_zero() -> None:
    def answer(frames: Tensor) -> Tensor:
        logits = torch.randn(1, 12, *frames.shape[-2:], generator=torch.Generator().manual_seed(0))
        logits[:, 0] = -60  # background is all but impossible
        return logits

    result = wrapped(Recorder(answer))(clip_of(2), noise(0.2), fps=10, keep_probabilities=True)
    check_masks(result.masks, 2, (12, 16))


def test_scores_of_only_background_are_an_empty_mask() -> None:
    def answer(frames: Tensor) -> Tensor:
        logits = torch.zeros(1, 3, *frames.shape[-2:])
        logits[:, 0] = 9
        return logits

    result = wrapped(Recorder(answer))(clip_of(3), noise(0.3), fps=10, keep_probabilities=True)
    assert not result.labels.any()
    check_masks(result.masks, 3, (12, 16))


def test_probabilities_are_kept_only_where_asked_for() -> None:
    result = wrapped(Recorder())(clip_of(2), noise(0.2), fps=10)
    assert all(mask.probabilities is None for mask in result.masks)
    assert result.labels.shape == (2, 12, 16)
    np.testing.assert_allclose(result.times_s, [0, 0.1])


def check_masks(
    masks: tuple[FrameMask, ...] | list[FrameMask], count: int, size: tuple[int, int]
) -> None:
    assert [mask.index for mask in masks] == list(range(count))
    for mask in masks:
        assert mask.labels.shape == size
        assert mask.labels.dtype == np.uint8
        assert set(np.unique(mask.labels)) <= set(mask.classes)
        assert mask.classes[0] == 0
        probabilities = mask.probabilities
        assert probabilities is not None
        assert probabilities.shape == (len(mask.classes), *size)
        assert probabilities.dtype == np.float32
        assert probabilities.min() >= 0
        assert probabilities.max() <= 1
        np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
        chosen = np.array(mask.classes)[probabilities.argmax(axis=0)]
        np.testing.assert_array_equal(chosen, mask.labels)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_every_frame_has_one_mask_whatever_the_clocks(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30), label="frames")
    fps = data.draw(st.sampled_from([1.0, 7.3, 10.0, 24.0, 29.97, 60.0]), label="fps")
    duration_s = data.draw(st.floats(0.01, 6), label="sound")
    longest_s = data.draw(st.sampled_from([None, 0.3, 2.0]), label="max_segment_s")
    changes = sorted(data.draw(st.sets(st.floats(0.01, 7), max_size=6), label="changes"))
    classes = data.draw(st.sampled_from([1, 3]), label="classes")
    model = Recorder(left_half if classes == 1 else classes_in_columns(classes))
    pipeline = wrapped(model, *changes, max_segment_s=longest_s)
    audio = noise(duration_s, 2000)
    result = pipeline(clip_of(count, 4, 6), audio, fps=fps, keep_probabilities=True)
    check_masks(result.masks, count, (4, 6))
    np.testing.assert_allclose(result.times_s, np.arange(count) / fps, rtol=1e-3)
    keyframes = [mask.index for mask in result.masks if mask.is_keyframe]
    assert model.frame_numbers == keyframes
    # Where the sound ends, silence is told to within 50 ms; a video that ends within a quarter
    # second of it sounds to its end.
    video_s = count / fps
    duration_s = video_s if duration_s < video_s <= duration_s + 0.25 else duration_s
    least = first_frames(result.times_s, result.segments, before_s=duration_s - 0.05)
    most = first_frames(result.times_s, result.segments, before_s=duration_s + 0.05)
    assert set(least) <= set(keyframes)
    assert longest_s is not None or set(keyframes) <= set(most)
    for segment in result.segments:
        inside = [i for i in keyframes if segment.start_s <= i / fps + 1e-6 < segment.end_s]
        if longest_s is not None and inside:
            assert np.diff(inside).max(initial=0) / fps < longest_s + 1 / fps + 1e-6


def first_frames(
    times_s: np.ndarray, segments: tuple[Segment, ...], *, before_s: float
) -> list[int]:
    """The first frame of each segment that begins before a time, by plain comparison."""
    firsts = []
    for segment in segments:
        start_s, end_s = segment.start_s - 1e-6, segment.end_s - 1e-6
        inside = [i for i, time in enumerate(times_s) if start_s <= time < end_s]
        if inside and segment.start_s < before_s:
            firsts.append(inside[0])
    return firsts


# What frames and sound may be


def test_streaming_is_the_same_machine(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", sound=tone(44_100, 0.4))
    pipeline = wrapped(Recorder(), 0.2, propagator=small_propagator())
    collected = pipeline(video, keep_probabilities=True).masks
    streamed = list(pipeline.stream(video))
    assert len(streamed) == 10
    for one, other in zip(collected, streamed, strict=True):
        assert (one.index, one.time_s, one.classes) == (other.index, other.time_s, other.classes)
        assert one.is_keyframe == other.is_keyframe
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_arrays_tensors_lists_and_iterators_are_the_same_frames() -> None:
    frames = clip_of(4)
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2)
    pipeline, sound = wrapped(Recorder(), 0.2), noise(0.4)
    expected = pipeline(frames, sound, fps=10).labels
    buffer = np.empty_like(frames[0])
    decoded = (np.copyto(buffer, frame) or buffer for frame in frames)  # into one array
    forms: list[Any] = [tensor, tensor.float() / 255, list(frames), iter(frames), list(tensor)]
    forms.append(decoded)
    for form in forms:
        np.testing.assert_array_equal(pipeline(form, sound, fps=10).labels, expected)


def test_an_opened_file_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4")
    for opened in (io.BytesIO(path.read_bytes()), path.read_bytes()):
        with pytest.raises(MediaError, match="an opened file or its bytes; give the file's path"):
            wrapped(Recorder())(opened, noise(1.0))  # type: ignore[arg-type]


def test_frames_of_a_stream_are_asked_for_one_at_a_time() -> None:
    asked = 0

    def camera() -> Iterator[np.ndarray]:
        nonlocal asked
        for frame in clip_of(10):
            asked += 1
            yield frame

    stream = wrapped(Recorder()).stream(camera(), noise(1.0), fps=10)
    for count, mask in enumerate(stream):
        assert mask.index == count
        assert asked == count + 1


def test_read_only_and_flipped_arrays_are_taken_without_a_word() -> None:
    frames = clip_of(2)[:, ::-1, ::-1]
    frames.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wrapped(Recorder())(np.broadcast_to(frames, frames.shape), noise(0.2), fps=10)


def test_sound_may_come_from_another_file(tmp_path: Path) -> None:
    video = write_video(tmp_path / "silent.mp4")
    sound = write_wav(tmp_path / "sound.wav", noise(0.4, 8000).samples[None], 8000)
    model = Recorder()
    result = wrapped(model)(video, sound)
    assert len(result.masks) == 10
    assert len(model.frames) == 1
    assert float(model.audio[0].abs().max()) > 0.3


def test_one_pipeline_can_run_two_streams_at_once() -> None:
    pipeline = wrapped(Recorder())
    streams = [pipeline.stream(clip_of(3), noise(0.3), fps=10) for _ in range(2)]
    for first, second in zip(*streams, strict=True):
        np.testing.assert_array_equal(first.labels, second.labels)


# Progress and stopping


def test_progress_counts_every_frame() -> None:
    calls: list[tuple[str, int, int | None]] = []

    def note(step: str, completed: int, total: int | None) -> None:
        calls.append((step, completed, total))

    wrapped(Recorder())(clip_of(3), noise(0.3), fps=10, progress=note)
    assert calls == [("frames", 1, 3), ("frames", 2, 3), ("frames", 3, 3)]


@pytest.mark.parametrize("step", ["audio", "frames"])
def test_an_interrupt_cancels_and_leaves_no_file_open(tmp_path: Path, step: str) -> None:
    video = write_video(tmp_path / "clip.mp4", sound=tone(44_100, 0.4))
    pipeline = wrapped(Recorder())
    list(pipeline.stream(video))

    def interrupt(done: str, completed: int, total: int | None) -> None:
        if done == step:
            raise KeyboardInterrupt

    before = open_files()
    with pytest.raises(KeyboardInterrupt):
        pipeline(video, progress=interrupt)
    assert open_files() == before


def test_a_stream_closed_early_leaves_no_file_open(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", sound=tone(44_100, 0.4))
    pipeline = wrapped(Recorder())
    before = open_files()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stream = pipeline.stream(video)
        next(stream)
        assert open_files() > before
        stream.close()  # type: ignore[attr-defined]
        assert open_files() == before
    assert not [w for w in caught if issubclass(w.category, ResourceWarning)]


def test_the_progress_of_a_file_is_told_for_sound_and_frames(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", sound=tone(44_100, 0.4))
    steps: list[str] = []
    wrapped(Recorder())(video, progress=lambda step, completed, total: steps.append(step))
    assert set(steps) == {"audio", "frames"}
    assert steps.count("frames") == 10


# The user's model stays the user's


class Trainable(nn.Module):
    """A model with state of every kind: dropout, running statistics, and a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 1, 3, padding=1)
        self.positions: Tensor | None = None

    def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
        if self.positions is None:
            self.positions = frames.mean() + torch.zeros(1)
        logits: Tensor = self.convolution(frames) + self.positions
        return logits + audio.abs().max()


@pytest.mark.parametrize("training", [True, False])
def test_wrapping_changes_nothing_in_the_model(training: bool) -> None:
    model = Trainable().train(training)
    model.convolution.bias.requires_grad_(False)  # type: ignore[union-attr]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wrapped(model, adapter=model)(clip_of(3), noise(0.3), fps=10)
    assert model.training is training
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert [p.requires_grad for p in model.parameters()] == [True, False]
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_wrapped_model_can_be_trained_afterwards() -> None:
    model = Trainable()
    wrapped(model, adapter=model)(clip_of(1), noise(0.1), fps=10)  # fills its cache
    loss = model(torch.rand(1, 3, 4, 4), torch.rand(1, 10)).sum()
    (loss * model.positions).backward()
    assert model.convolution.weight.grad is not None


def test_a_model_may_use_gradients_itself() -> None:
    def by_gradient(frames: Tensor, audio: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = frames.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(leaf.square().sum(), leaf)
        return gradient.mean(dim=1, keepdim=True) - 1e-3

    result = wrapped(by_gradient)(clip_of(2), noise(0.2), fps=10)
    assert result.labels.any()


def test_between_two_masks_of_a_stream_gradients_are_on() -> None:
    for _ in wrapped(Recorder()).stream(clip_of(2), noise(0.2), fps=10):
        assert torch.is_grad_enabled()


# The slots


def test_a_keyframe_segmenter_is_wrapped_as_it_is() -> None:
    config = SegmenterConfig("grounded", working_edge=64)
    segmenter = KeyframeSegmenter(config).eval()
    pipeline = wrapped(segmenter)
    assert pipeline.segmenter is segmenter
    check = pipeline(clip_of(2, 20, 30), noise(0.5), fps=10, keep_probabilities=True)
    check_masks(check.masks, 2, (20, 30))


def test_the_detectors_of_the_library_fill_the_slot() -> None:
    time = np.arange(4 * RATE) / RATE
    samples = np.sin(2 * np.pi * 440 * time) * (time < 2)
    samples += np.random.default_rng(0).standard_normal(len(time)) * 0.2 * (time >= 2)
    audio = Audio(samples.astype(np.float32) * 0.5, RATE)
    for detector in (ControlPointDetector.cosine(), ControlPointDetector.novelty()):
        model = Recorder()
        wrapped(model, detector=detector)(clip_of(40), audio, fps=10)
        assert model.frame_numbers[0] == 0
        assert any(abs(number - 20) <= 3 for number in model.frame_numbers)


def test_the_device_of_a_wrapped_module_is_found() -> None:
    module = nn.Conv2d(3, 1, 1, device="meta")
    assert wrapped(module, adapter=Recorder()).device.type == "meta"
    assert wrapped(module, adapter=Recorder(), device="cpu").device.type == "cpu"
    assert wrapped(nn.Identity(), adapter=Recorder()).device.type == "cpu"
    of_two = nn.Bilinear(1, 1, 1, device="meta")
    assert wrapped(Recorder(), adapter=of_two).device.type == "meta"
    pipeline = CoProp.wrap(module, adapter=Recorder(), detector=changes_at())
    assert pipeline.device.type == "meta"


def test_a_network_that_is_not_known_needs_an_adapter() -> None:
    network = nn.Conv2d(3, 1, 1)
    with pytest.raises(
        CoPropError, match=r"Conv2d\.forward.*\n\ndef adapter\(frames, audio\):"
    ) as error:
        CoProp.wrap(network)
    example = str(error.value).split("\n\n", 1)[1].rpartition("\n\n")[0]
    names = {"torch": torch, "F": torch.nn.functional, "CoProp": CoProp}
    names["model"] = AdHoc()
    exec(compile(example, "error message", "exec"), names)
    result = names["pipeline"](clip_of(3), noise(1.0), fps=3)
    assert len(result.masks) == 3


class AdHoc(nn.Module):
    """A network of nobody's: pictures of 224 x 224 and sound in, logits out."""

    def forward(self, pictures: Tensor, sound: Tensor) -> Tensor:
        assert pictures.shape[1:] == (3, 224, 224)
        assert len(sound) == len(pictures)
        return pictures[:, :1]


def test_a_window_of_its_own_is_kept() -> None:
    with pytest.raises(CoPropError, match="window_s is for functions; CallableSegmenter"):
        wrapped(CallableSegmenter(Recorder()), window_s=2.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_segment_s": 0}, "max_segment_s must be a number of seconds"),
        ({"max_segment_s": float("nan")}, "max_segment_s must be a number of seconds"),
        ({"window_s": 0}, "window_s must be"),
        ({"window_s": float("inf")}, "window_s must be"),
        ({"window_s": float("nan")}, "window_s must be"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CoPropError, match=message):
        wrapped(Recorder(), **options)


def test_a_working_edge_below_one_is_refused() -> None:
    with pytest.raises(CoPropError, match="working_edge"):
        CoProp(
            CallableSegmenter(Recorder()),
            detector=changes_at(),
            propagator=Shifter(),
            working_edge=0,
        )


def test_a_model_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(CoPropError, match=r"a function fn\(frames, audio\).*got str"):
        CoProp.wrap("weights.pth")  # type: ignore[arg-type]


def test_a_detector_that_returns_something_else_is_named() -> None:
    def times(audio: AudioTrack) -> Any:
        return [0.0, 1.0]

    with pytest.raises(CoPropError, match="detector must return ControlPoints, got list"):
        wrapped(Recorder(), detector=times)(clip_of(1), noise(0.1), fps=10)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    video = write_video(tmp_path / "clip.mp4", sound=tone(44_100, 0.4))
    wrapped(Recorder(), propagator=small_propagator())(video).save(tmp_path / "out")
    output = capfd.readouterr()
    assert output.out == ""
    assert os.linesep not in output.err
