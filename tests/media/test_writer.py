from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_samples import click_time, picture, tone, write_video, write_wav
from PIL import Image

from coprop.errors import CoPropError, MissingAudioError, OutputError, ShapeError
from coprop.media import overlay
from coprop.media.audio_file import AudioFile
from coprop.media.frames import frames_from
from coprop.media.painting import Tints, voc_palette
from coprop.media.reader import Frame, VideoFile
from coprop.media.sound import Sound
from coprop.media.writer import ResultWriter
from coprop.storage.files import left_in
from coprop.storage.locks import LOCK
from coprop.types import Audio, ControlPoints, FrameMask

POINTS = ControlPoints(np.array([0.0, 0.2]), np.array([0.0, 0.9]), np.array([True, True]))


def mask_of(frame: Frame, value: int | None = None) -> FrameMask:
    height, width = frame.image.shape[:2]
    rng = np.random.default_rng(frame.index)
    labels = rng.integers(0, 256, (height, width), dtype=np.uint8)
    if value is not None:
        labels[:] = value
    return FrameMask(frame.index, frame.time_s, labels, None, (0, 1), frame.index == 0)


def write_result(video: VideoFile, directory: Path, sound: Sound | None = None) -> list[Fraction]:
    """Writes a result with empty masks; returns the overlay's frame times."""
    with ResultWriter(directory, sound=sound) as writer:
        for frame in video:
            writer.write(frame, mask_of(frame, 0))
        writer.finish({"ok": True}, control_points=POINTS)
    return frame_times(directory / "overlay.mp4")


def frame_times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [
            frame.pts * frame.time_base
            for frame in container.decode(video=0)
            if frame.pts is not None and frame.time_base is not None
        ]


def exact_times(video: VideoFile) -> list[Fraction]:
    return [f.pts * f.time_base for f in video]  # type: ignore[operator]


def names(directory: Path) -> list[str]:
    files = (p for p in directory.rglob("*") if p.is_file() and p.name != LOCK)
    return sorted(str(p.relative_to(directory)) for p in files)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Writing past this many bytes fails, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_whole_folder(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "v.mp4", sound=tone(44_100, 0.6)))
    out = tmp_path / "deep" / "out"
    with (
        AudioFile(video.contents, 16_000) as audio,
        ResultWriter(out, sound=video.path) as writer,
    ):
        for frame in video:
            writer.write(frame, mask_of(frame))
            assert not (out / "overlay.mp4").exists()
        report = {"times": np.array([0.0, 0.2]), "path": Path("x"), "n": np.int64(3)}
        writer.finish(report, audio=audio, control_points=POINTS, title="v.mp4")
        assert writer.end_s == pytest.approx(0.4)
    masks = [f"masks/{i:06d}.png" for i in range(10)]
    assert names(out) == [*masks, "overlay.mp4", "result.json", "timeline.png"]
    assert json.loads((out / "result.json").read_text()) == {
        "times": [0.0, 0.2],
        "path": "x",
        "n": 3,
    }
    for frame, name in zip(video, masks, strict=True):
        with Image.open(out / name) as png:
            assert (png.mode, png.size) == ("P", (64, 48))
            np.testing.assert_array_equal(np.asarray(png), mask_of(frame).labels)
            assert png.getpalette() == voc_palette().ravel().tolist()


@pytest.mark.parametrize(
    ("suffix", "time_base", "pts"),
    [
        (".mp4", Fraction(1001, 30_000), list(range(8))),
        (".mp4", Fraction(1, 90_000), [0, 3003, 6006, 20_000, 20_001, 500_000]),
        (".mkv", Fraction(1, 1000), [700, 733, 767, 1800, 1801]),
        (".mkv", Fraction(1, 1000), [0]),
    ],
)
def test_frame_times_are_the_source_s(
    tmp_path: Path, suffix: str, time_base: Fraction, pts: list[int]
) -> None:
    video = VideoFile(write_video(tmp_path / f"v{suffix}", pts=pts, time_base=time_base))
    assert write_result(video, tmp_path / "out") == exact_times(video)


@pytest.mark.parametrize("fps", [25, 29.97, Fraction(30_000, 1001), 0.5, 240])
def test_frame_times_of_arrays(tmp_path: Path, fps: float | Fraction) -> None:
    frames = frames_from(np.zeros((5, 16, 16, 3), np.uint8), fps=fps)
    with ResultWriter(tmp_path / "out") as writer:
        for frame in frames:
            writer.write(frame, mask_of(frame, 0))
    rate = Fraction(fps).limit_denominator(100_000)
    assert frame_times(tmp_path / "out/overlay.mp4") == [i / rate for i in range(5)]


def test_frames_that_know_only_seconds(tmp_path: Path) -> None:
    with ResultWriter(tmp_path / "out") as writer:
        for index, time in enumerate([0.0, 0.1, 0.4]):
            frame = Frame(index, time, picture(index, 16, 16))
            writer.write(frame, mask_of(frame, 0))
    times = [float(time) for time in frame_times(tmp_path / "out/overlay.mp4")]
    assert times == pytest.approx([0.0, 0.1, 0.4], abs=1e-6)


@pytest.mark.parametrize("encoder", ["libx264", "mpeg4"])
@pytest.mark.parametrize("size", [(33, 17), (1, 1), (4100, 2)])
def test_sizes(
    tmp_path: Path, size: tuple[int, int], encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "ENCODERS", (encoder,))
    frames = [Frame(i, time_s, picture(i, *size)) for i, time_s in enumerate((0, 0.01, 0.5))]
    with ResultWriter(tmp_path / "out") as writer:
        for frame in frames:
            writer.write(frame, mask_of(frame))
    with Image.open(tmp_path / "out/masks/000002.png") as png:
        assert png.size == size
    written = VideoFile(tmp_path / "out/overlay.mp4")
    assert [frame.time_s for frame in written] == pytest.approx([0, 0.01, 0.5])
    limit = min(1.0, 4096 / max(size))
    assert abs(written.width - size[0] * limit) <= 1
    assert written.height % 2 == written.width % 2 == 0


def test_overlay_shows_frame_and_mask(tmp_path: Path) -> None:
    images = [np.full((64, 64, 3), 100, dtype=np.uint8)] * 2
    with ResultWriter(tmp_path / "out") as writer:
        for frame in frames_from(images, fps=10):
            mask = mask_of(frame, 0)
            labels = mask.labels.copy()
            labels[:, :32] = 1
            writer.write(frame, replace(mask, labels=labels))
    for frame in VideoFile(tmp_path / "out/overlay.mp4"):
        tinted = (100 + Tints().of(images[0], labels)[1].astype(int)) // 2
        np.testing.assert_allclose(frame.image[32, 12], tinted, atol=10)
        np.testing.assert_allclose(frame.image[32, 50], [100, 100, 100], atol=6)


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "channels", "start_s", "copied"),
    [
        (".mp4", "aac", 44_100, 2, 0.0, True),
        (".mp4", "aac", 8_000, 1, 0.0, True),
        (".mp4", "aac", 48_000, 1, 0.3, True),
        (".ts", "aac", 48_000, 2, 0.2, True),
        (".webm", "libopus", 48_000, 2, 0.1, True),
        (".mkv", "pcm_s16le", 22_050, 2, 0.0, False),
        (".mkv", "pcm_s16le", 8_000, 1, 0.25, False),
        (".mkv", "flac", 96_000, 6, 0.0, False),
        (".mkv", "pcm_s16le", 44_056, 1, 0.0, False),
        (".mkv", "aac", 44_100, 1, -0.3, False),  # would have to be cut
    ],
)
def test_sound_stays_in_step(
    tmp_path: Path,
    suffix: str,
    codec: str,
    rate: int,
    channels: int,
    start_s: float,
    copied: bool,
) -> None:
    # In an MP4 that starts late, FFmpeg's AAC begins before the picture (as in the last case).
    start_pts = 0 if suffix == ".mp4" else 1000
    path = write_video(
        tmp_path / f"v{suffix}",
        pts=range(start_pts, start_pts + 400, 40),
        codec="libvpx" if suffix == ".webm" else "libx264",
        sound=tone(rate, 1.2, channels, click_s=0.7),
        sound_rate=rate,
        sound_codec=codec,
        sound_start_s=start_s + start_pts / 1000,
    )
    video = VideoFile(path)
    times = write_result(video, tmp_path / "out", sound=path)
    assert times == exact_times(video)
    result = tmp_path / "out/overlay.mp4"
    before, after = AudioFile(path, 48_000), AudioFile(result, 48_000)
    clicks = [click_time(a.read(0, a.num_samples), 48_000) for a in (before, after)]
    assert clicks[0] == pytest.approx(0.7 + start_s, abs=3e-3)
    assert clicks[1] == pytest.approx(clicks[0], abs=1.5e-3)
    padding_s = 2048 / min(rate, 48_000)  # AAC comes in blocks of 1024 samples
    assert -0.03 < after.duration_s - before.duration_s < padding_s
    with av.open(str(path)) as source, av.open(str(result)) as target:
        assert target.streams.audio[0].layout.nb_channels == (2 if channels == 2 else 1)
        packets = [
            [bytes(packet) for packet in container.demux(audio=0) if packet.size]
            for container in (source, target)
        ]
    if suffix != ".ts":  # its packets lose their ADTS headers
        assert (packets[0] == packets[1]) == copied


def test_sound_from_memory_and_from_another_file(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "v.mp4"))
    samples = tone(16_000, 1.0)
    write_result(video, tmp_path / "memory", sound=Audio(samples[0], 16_000))
    write_result(video, tmp_path / "file", sound=write_wav(tmp_path / "a.wav", samples, 16_000))
    write_result(
        video, tmp_path / "mp3", sound=write_wav(tmp_path / "a.mp3", samples, 16_000, "mp3")
    )
    for name in ("memory", "file", "mp3"):
        track = AudioFile(tmp_path / name / "overlay.mp4", 16_000)
        clicked = click_time(track.read(0, 16_000), 16_000)
        assert clicked == pytest.approx(0.5, abs=2e-3), name


def test_sound_shorter_than_the_video_and_none(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "v.mp4", pts=range(0, 4000, 40)))
    short = Audio(tone(16_000, 0.1)[0], 16_000)
    empty = Audio(np.zeros(0, dtype=np.float32), 16_000)
    for number, sound in enumerate((short, empty, None)):
        assert write_result(video, tmp_path / str(number), sound) == exact_times(video)
    assert not VideoFile(tmp_path / "2/overlay.mp4").has_audio
    with pytest.raises(MissingAudioError):
        write_result(video, tmp_path / "3", sound=video.path)
    assert names(tmp_path / "3") == ["masks/000000.png"]


def write_until(out: Path, video: VideoFile, last: int, error: type[BaseException]) -> None:
    with ResultWriter(out, sound=video.path) as writer:
        for frame in video:
            writer.write(frame, mask_of(frame))
            if frame.index == last:
                assert len(left_in(out, "overlay.mp4")) == 1
                raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_whole_masks_only(tmp_path: Path, error: type[BaseException]) -> None:
    video = VideoFile(write_video(tmp_path / "v.mp4", sound=tone(44_100, 0.6)))
    out = tmp_path / "out"
    with pytest.raises(error):
        write_until(out, video, 3, error)
    assert names(out) == [f"masks/{i:06d}.png" for i in range(4)]


def test_leaving_without_finish_completes_the_overlay(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "v.mp4"))
    with ResultWriter(tmp_path / "out") as writer:
        for frame in video:
            writer.write(frame, mask_of(frame))
    assert names(tmp_path / "out")[10:] == ["overlay.mp4"]


def test_force_replaces_results_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_result(VideoFile(write_video(tmp_path / "v.mp4")), out)
    kept = ("notes.txt", "masks/mine.png", "masks/000003.png.part", "overlay.mp4.part")
    for name in (*kept, "masks/.000003.png.0a1b2c3d.part", ".overlay.mp4.0a1b2c3d.part"):
        (out / name).write_text("kept or not")
    with pytest.raises(OutputError, match=r"out is not empty.*force=True.*--force"):
        ResultWriter(out)
    ResultWriter(out, force=True)
    assert names(out) == sorted(kept)
    (tmp_path / "empty").mkdir()
    ResultWriter(tmp_path / "empty")


def test_directories_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for directory in (file, file / "out", Path("/proc/coprop/out")):
        for force in (False, True):
            with pytest.raises(OutputError, match=f"cannot write {directory}: .*directory"):
                ResultWriter(directory, force=force)
    assert file.read_text() == "x"


def write_noise(out: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    pictures = (rng.integers(0, 255, (160, 160, 3), dtype=np.uint8) for _ in range(count))
    with ResultWriter(out) as writer:
        for frame in frames_from(pictures, fps=25):
            writer.write(frame, mask_of(frame, 0))
        writer.finish({}, control_points=POINTS)


@pytest.mark.parametrize(
    ("count", "limit", "name"),
    [
        (2, 100, "masks/000000.png"),
        (2, 2_000, "overlay.mp4"),  # all is written when the file is closed
        (30, 50_000, "overlay.mp4"),
    ],
)
def test_full_disk(tmp_path: Path, count: int, limit: int, name: str) -> None:
    out = tmp_path / "out"
    message = rf"cannot write .*out/{name}: File too large.*free space"
    with pytest.raises(OutputError, match=message), file_size_limit(limit):
        write_noise(out, count)
    whole = [f"masks/{i:06d}.png" for i in range(count)]
    assert set(names(out)) <= set(whole)


def frame_and_mask(index: int = 0, time_s: float = 0.0) -> tuple[Frame, FrameMask]:
    frame = Frame(index, time_s, picture(index, 16, 12))
    return frame, mask_of(frame, 0)


def test_masks_must_fit_their_frames(tmp_path: Path) -> None:
    frame, mask = frame_and_mask(1, 0.1)
    labels = mask.labels
    with pytest.raises(ShapeError, match="int64"):
        FrameMask(1, 0.1, labels.astype(int), None, (0,), False)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"\(H, W, 3\)"):
        Frame(1, 0.1, frame.image[..., 0])
    for bad_frame, bad_mask, error, message in [
        (frame, frame_and_mask(2, 0.1)[1], CoPropError, "mask is of frame 2 .* the frame is 1"),
        (frame, frame_and_mask(1, 0.2)[1], CoPropError, "at 0.200000 s"),
        (frame, FrameMask(1, 0.1, labels.T, None, (0,), False), ShapeError, r"\(16, 12\)"),
    ]:
        with ResultWriter(tmp_path / "out", force=True) as writer:
            with pytest.raises(error, match=message):
                writer.write(bad_frame, bad_mask)
            assert names(tmp_path / "out") == []


def test_frames_must_come_in_order_and_one_size(tmp_path: Path) -> None:
    with ResultWriter(tmp_path / "out") as writer:
        writer.write(*frame_and_mask(1, 0.1))
        for index, time_s in ((1, 0.2), (0, 0.0), (2, 0.1)):
            with pytest.raises(CoPropError, match="does not come after frame 1"):
                writer.write(*frame_and_mask(index, time_s))
        other = Frame(2, 0.2, picture(2, 18, 12))
        with pytest.raises(ShapeError, match=r"frame 2 is \(12, 18\), the first was \(12, 16\)"):
            writer.write(other, mask_of(other))
        writer.write(*frame_and_mask(2, 0.2))
    assert len(frame_times(tmp_path / "out/overlay.mp4")) == 2


@pytest.mark.parametrize("report", [{"x": float("nan")}, {"x": object()}])
def test_reports_that_json_cannot_hold(tmp_path: Path, report: dict[str, object]) -> None:
    with ResultWriter(tmp_path / "out") as writer:
        writer.write(*frame_and_mask())
        with pytest.raises(CoPropError, match="cannot be written as JSON"):
            writer.finish(report)
    assert names(tmp_path / "out") == ["masks/000000.png", "overlay.mp4"]


def test_nothing_to_finish(tmp_path: Path) -> None:
    with ResultWriter(tmp_path / "out") as writer, pytest.raises(CoPropError, match="no frame"):
        writer.finish({})
