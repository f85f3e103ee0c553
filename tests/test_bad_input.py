"""Input that cannot be used, or only just: each has one defined result."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from media_samples import (
    click_time,
    cut,
    picture,
    set_display_matrix,
    tone,
    write_video,
    write_wav,
)
from torch import Tensor

from coprop import Audio, CoProp
from coprop.errors import (
    AudioError,
    MediaError,
    MissingAudioError,
    ModelOutputError,
    OutputError,
    ShapeError,
)
from coprop.media.clip import Clip
from coprop.types import FrameMask
from pipeline_samples import (
    RATE,
    Recorder,
    Shifter,
    changes_at,
    clip_of,
    left_half,
    noise,
    small_propagator,
)


def pipeline_of(model: Any | None = None, *changes_s: float) -> CoProp:
    return CoProp.wrap(
        Recorder() if model is None else model,
        detector=changes_at(*changes_s),
        propagator=Shifter(),
    )


@pytest.fixture
def pipeline() -> CoProp:
    return pipeline_of()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", sound=tone(44_100, 0.4))


# Files


def test_a_missing_file(pipeline: CoProp) -> None:
    with pytest.raises(MediaError, match=r"no such file: nowhere\.mp4\. Check the path"):
        pipeline("nowhere.mp4")


def test_a_directory(pipeline: CoProp, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="is a directory; give the path of a video"):
        pipeline(tmp_path)


def test_a_text_file(pipeline: CoProp, tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("These are notes, and no video.\n" * 100)
    with pytest.raises(MediaError, match=r"notes\.mp4 (cannot be opened|has no video)"):
        pipeline(path)


def test_an_empty_file(pipeline: CoProp, tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(MediaError, match="cannot be opened as video or audio"):
        pipeline(path)


def test_a_truncated_mp4_without_its_index(pipeline: CoProp, video: Path) -> None:
    with pytest.raises(MediaError, match="lacks the index that is written last"):
        pipeline(cut(video, 0.6))


def test_a_truncated_mp4_gives_what_there_is_and_then_says_so(
    pipeline: CoProp, tmp_path: Path
) -> None:
    whole = write_video(
        tmp_path / "front.mp4",
        pts=range(0, 4000, 40),
        sound=tone(44_100, 4.0),
        options={"movflags": "faststart"},
        noise=True,
    )
    masks: list[FrameMask] = []
    with pytest.raises(MediaError, match=r"breaks off|is damaged.*Repair it"):
        masks.extend(pipeline.stream(cut(whole, 0.6)))  # keeps those before the error
    assert 10 < len(masks) < 100
    assert [mask.index for mask in masks] == list(range(len(masks)))


def test_a_video_without_sound_says_how_to_give_it(pipeline: CoProp, tmp_path: Path) -> None:
    mute = write_video(tmp_path / "mute.mp4")
    with pytest.raises(MissingAudioError, match=r"no audio track.*`audio=`.*--audio FILE"):
        pipeline(mute)
    sound = write_wav(tmp_path / "sound.wav", tone(44_100, 0.4), 44_100)
    assert len(pipeline(mute, audio=sound).masks) == 10
    assert len(pipeline(str(mute), audio=noise(0.4)).masks) == 10


def test_sound_without_pictures(pipeline: CoProp, tmp_path: Path) -> None:
    sound = write_wav(tmp_path / "sound.wav", tone(44_100, 0.4), 44_100)
    with pytest.raises(MediaError, match="has no video track, it is an audio file"):
        pipeline(sound)


def test_frames_without_sound_or_clock(pipeline: CoProp) -> None:
    with pytest.raises(MissingAudioError, match="give it as audio="):
        pipeline(clip_of(2), fps=10)
    with pytest.raises(MediaError, match="give either fps"):
        pipeline(clip_of(2), noise(1.0))
    for fps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(MediaError, match="fps must be a positive number"):
            pipeline(clip_of(2), noise(1.0), fps=fps)


def test_a_sound_file_that_is_none(pipeline: CoProp, video: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        pipeline(video, audio=tmp_path / "nothing.wav")


# Sound


def test_an_array_of_samples_says_how_to_make_a_track(pipeline: CoProp) -> None:
    with pytest.raises(
        AudioError, match=r"got ndarray .*; Audio\.from_array\(samples, sample_rate\)"
    ):
        pipeline(clip_of(2), np.zeros(16_000), fps=10)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(pipeline: CoProp, tmp_path: Path, value: float) -> None:
    samples = noise(0.4).samples.copy()
    samples[4000:4003] = value
    with pytest.raises(AudioError, match=r"3 of 6400 samples are NaN or infinite.*0\.250 s"):
        Audio(samples, RATE)
    path = write_wav(tmp_path / "bad.wav", samples[None], RATE)
    with pytest.raises(AudioError, match="NaN or infinite; convert it"):
        pipeline(clip_of(2), path, fps=10)


def test_silence_has_no_span_with_a_keyframe(tmp_path: Path) -> None:
    quiet = np.zeros((1, 17_640), dtype=np.float32)
    video = write_video(tmp_path / "quiet.mp4", sound=quiet)
    model = Recorder()
    pipeline = CoProp.wrap(model, propagator=Shifter())  # and the default detector
    result = pipeline(video, keep_probabilities=True)
    assert len(result.masks) == 10
    assert result.segments == ()
    assert not model.frames
    assert not result.labels.any()
    for mask in result.masks:
        assert mask.probabilities is not None
        np.testing.assert_array_equal(mask.probabilities[0], 1)
    result.save(tmp_path / "out")
    assert (tmp_path / "out" / "result.json").is_file()


def test_no_samples_at_all() -> None:
    result = pipeline_of()(clip_of(3), Audio(np.zeros(0, dtype=np.float32), RATE), fps=10)
    assert not result.labels.any()


def test_one_sample() -> None:
    sound = Audio(np.ones(1, dtype=np.float32), 44_100)
    pipeline = CoProp.wrap(Recorder(), propagator=Shifter())
    assert len(pipeline(clip_of(3), sound, fps=10).masks) == 3


def test_frames_after_the_end_of_the_sound_are_silent() -> None:
    model = Recorder()
    result = pipeline_of(model)(clip_of(30), noise(1.0), fps=10)
    sounding = result.labels.any(axis=(1, 2))
    assert model.frame_numbers == [0]
    assert sounding[:10].all()
    assert not sounding[13:].any()  # a quarter of a second is let pass


def test_sound_a_little_shorter_than_the_video_lasts_to_its_end() -> None:
    result = pipeline_of()(clip_of(10), noise(0.85), fps=10)
    assert result.labels.any(axis=(1, 2)).all()


def test_sound_longer_than_the_video_is_left_over() -> None:
    model = Recorder()
    result = pipeline_of(model, 0.5, 2.0, 3.0)(clip_of(10), noise(4.0), fps=10)
    assert model.frame_numbers == [0, 5]
    assert len(result.masks) == 10


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels_become_mono(tmp_path: Path, rate: int, channels: int) -> None:
    hiss = 0.2 * np.random.default_rng(1).uniform(-1, 1, rate).astype(np.float32)
    sound = write_wav(tmp_path / "sound.wav", tone(rate, 1.0, channels) + hiss, rate)
    model = Recorder()
    pipeline_of(model)(clip_of(10), sound, fps=10)
    (heard,) = model.audio
    assert heard.shape == (1, RATE)
    # The frame is at 0 s, in the middle of the window, and the click at 0.5 s, just behind.
    model = Recorder()
    pipeline_of(model, 0.4)(clip_of(10), sound, fps=10)
    click = click_time(model.audio[1][0].numpy(), RATE)
    assert click == pytest.approx(0.6, abs=2e-3)


# Pictures


def test_variable_frame_rates_keep_their_times(tmp_path: Path) -> None:
    pts = [0, 33, 100, 101, 350, 390]
    video = write_video(tmp_path / "vfr.mp4", pts=pts, sound=tone(44_100, 0.5))
    model = Recorder()
    result = pipeline_of(model, 0.2)(video)
    np.testing.assert_allclose(result.times_s, np.array(pts) / 1000, atol=1e-3)
    assert [mask.index for mask in result.masks if mask.is_keyframe] == [0, 4]


def test_rotated_video_is_upright(tmp_path: Path) -> None:
    video = write_video(tmp_path / "phone.mp4", size=(64, 48), sound=tone(44_100, 0.4))
    set_display_matrix(video, (0, 1, -1, 0))
    model = Recorder()
    result = pipeline_of(model)(video)
    assert result.labels.shape == (10, 64, 48)
    assert model.frames[0].shape == (1, 3, 64, 48)
    # The white quarter of the upper left is at the upper right after a turn clockwise.
    assert float(model.frames[0][0, :, :28, 28:].min()) > 0.9
    result.save(tmp_path / "out")


def test_one_frame(tmp_path: Path, pipeline: CoProp) -> None:
    video = write_video(tmp_path / "one.mp4", pts=[0], sound=tone(44_100, 0.2))
    result = pipeline(video)
    assert len(result.masks) == 1
    assert result.masks[0].is_keyframe
    result.save(tmp_path / "out")


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 5), (33, 17), (101, 99), (2, 3000)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    model = Recorder(lambda frames: left_half(frames) * 0 + 4)
    pipeline = CoProp.wrap(model, detector=changes_at(), propagator=small_propagator())
    result = pipeline(clip_of(2, *size), noise(0.2), fps=10)
    assert result.labels.shape == (2, *size)
    assert result.masks[0].labels.all()
    assert max(model.frames[0].shape) <= 1040


def test_4k_is_worked_on_in_small(tmp_path: Path) -> None:
    propagator, model = Shifter(), Recorder()
    pipeline = CoProp.wrap(model, detector=changes_at(), propagator=propagator)
    frames = np.broadcast_to(np.uint8(90), (2, 2160, 3840, 3))
    result = pipeline(frames, noise(0.2), fps=10)
    assert result.labels.shape == (2, 2160, 3840)
    assert model.frames[0].shape == (1, 3, 585, 1040)
    assert propagator.steps[0][0].shape == (1, 3, 585, 1040)
    columns = np.flatnonzero(result.masks[0].labels[1000])
    assert columns[0] == 0
    assert abs(len(columns) - 1920) <= 2


def test_pictures_of_several_sizes(pipeline: CoProp) -> None:
    frames = [picture(0, 8, 8), picture(1, 8, 6)]
    with pytest.raises(ShapeError, match="resize them to one size"):
        pipeline(frames, noise(0.2), fps=10)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 3, 8, 8), dtype=np.uint8),
        torch.zeros(2, 8, 8, 3),
        np.zeros((0, 8, 8, 3), dtype=np.uint8),
        np.zeros((8, 8, 3), dtype=np.uint8),
        np.full((2, 8, 8, 3), 255.0),
        np.full((2, 8, 8, 3), np.nan),
        np.zeros((2, 8, 8, 3), dtype=np.int64),
        [],
        None,
    ],
)
def test_pictures_of_other_shapes_and_values(pipeline: CoProp, frames: Any) -> None:
    with pytest.raises(ShapeError):
        pipeline(frames, noise(0.2), fps=10)


# What the wrapped model returns


def shaped(*shape: int) -> Callable[[Tensor], Tensor]:
    return lambda frames: torch.zeros(shape)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda f: left_half(f) * torch.nan, r"NaN or infinite logits at 0\.000 s"),
        (lambda f: left_half(f) * torch.inf, r"NaN or infinite logits at 0\.000 s"),
        (shaped(12, 16), r"as a real tensor \(K, C, H, W\), got \(12, 16\)"),
        (shaped(1, 1, 3, 4), r"\(1, 1, 3, 4\) for one frame of 12 x 16; expected \(1, 1, 12, 16\)"),
        (shaped(1, 1, 16, 12), r"expected \(1, 1, 12, 16\)"),
        (shaped(5, 1, 12, 16), r"\(5, 1, 12, 16\) for one frame"),
        (shaped(1, 0, 12, 16), "C >= 1"),
        (shaped(1, 300, 12, 16), "300 classes; label maps are 8-bit and hold 256"),
        (lambda f: np.zeros((1, 1, 12, 16)), "as a real tensor .* got ndarray"),
        (lambda f: (left_half(f),), "as a real tensor .* got tuple"),
        (lambda f: None, "as a real tensor .* got NoneType"),
        (lambda f: left_half(f) * 1j, r"real tensor .*torch\.complex64"),
    ],
)
def test_a_model_that_breaks_its_contract(answer: Callable[[Tensor], Any], message: str) -> None:
    with pytest.raises(ModelOutputError, match=message):
        pipeline_of(Recorder(answer))(clip_of(2), noise(0.2), fps=10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.bool])
def test_logits_of_any_real_type_are_taken(dtype: torch.dtype) -> None:
    model = Recorder(lambda frames: left_half(frames).clamp_min(0).to(dtype))
    assert pipeline_of(model)(clip_of(2), noise(0.2), fps=10).labels.any()


def test_255_classes_fit_into_the_label_map() -> None:
    def answer(frames: Tensor) -> Tensor:
        logits = torch.zeros(1, 256, *frames.shape[-2:])
        logits[:, 255] = 20
        return logits

    result = pipeline_of(Recorder(answer))(clip_of(2), noise(0.2), fps=10)
    assert (result.labels == 255).all()


def test_a_model_s_own_exception_comes_through() -> None:
    def answer(frames: Tensor) -> Tensor:
        raise LookupError("the model's own")

    with pytest.raises(LookupError, match="the model's own"):
        pipeline_of(Recorder(answer))(clip_of(2), noise(0.2), fps=10)


# Saving


def test_a_result_is_not_written_over_another(pipeline: CoProp, video: Path) -> None:
    out = video.parent / "out"
    result = pipeline(video)
    result.save(out)
    with pytest.raises(OutputError, match=r"is not empty.*force=True"):
        result.save(out)
    result.save(out, force=True)
    assert sorted(p.name for p in out.iterdir()) == [
        "masks",
        "overlay.mp4",
        "result.json",
        "timeline.png",
    ]


def test_a_place_that_cannot_be_written(pipeline: CoProp, video: Path) -> None:
    result = pipeline(video)
    for place in (video, video / "out", Path("/proc/out")):
        with pytest.raises(OutputError, match="Results need a directory that can be written"):
            result.save(place)


def test_a_full_disk_is_told(
    pipeline: CoProp, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = pipeline(video)

    def full(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("coprop.media.writer.save_labels", full)
    with pytest.raises(OutputError, match=r"No space left on device.*free space"):
        result.save(video.parent / "out")
    assert not (video.parent / "out" / "result.json").exists()


def test_an_interrupt_while_saving_leaves_nothing_half_written(
    pipeline: CoProp, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coprop.media import writer

    result, out, save_labels = pipeline(video), video.parent / "out", writer.save_labels

    def interrupted(path: Path, labels: np.ndarray) -> None:
        save_labels(path, labels)
        if "000004" in path.name:
            raise KeyboardInterrupt

    monkeypatch.setattr("coprop.media.writer.save_labels", interrupted)
    with pytest.raises(KeyboardInterrupt):
        result.save(out)
    left = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert left == [f"masks/{i:06d}.png" for i in range(4)]
    monkeypatch.undo()
    result.save(out, force=True)
    assert (out / "result.json").is_file()


def test_saved_masks_are_the_result_s(pipeline: CoProp, video: Path) -> None:
    from PIL import Image

    result, out = pipeline(video), video.parent / "out"
    result.save(out)
    for mask in result.masks:
        saved = np.asarray(Image.open(out / "masks" / f"{mask.index:06d}.png"))
        np.testing.assert_array_equal(saved, mask.labels)
    with av.open(str(out / "overlay.mp4")) as overlay:
        assert overlay.streams.video
        assert overlay.streams.audio


def test_a_file_that_has_changed_since_is_told(pipeline: CoProp, video: Path) -> None:
    result = pipeline(video)
    write_video(video, pts=[0, 40, 80], sound=tone(44_100, 0.2))
    with pytest.raises(MediaError, match=r"10 masks.*clip\.mp4 has fewer frames now"):
        result.save(video.parent / "out")


def test_messages_end_without_a_trace_of_the_inside(tmp_path: Path, pipeline: CoProp) -> None:
    garbage = tmp_path / "garbage.mp4"
    garbage.write_bytes(struct.pack(">I4s", 24, b"ftyp") + bytes(range(256)) * 20)
    with pytest.raises(MediaError) as caught:
        pipeline(garbage)
    assert not re.search(r"Traceback|0x[0-9a-f]{6}|Errno", str(caught.value))


def test_fps_with_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"frame times of its own; leave fps= out"):
        Clip(tmp_path / "clip.mp4", fps=10)
