"""What a file says beside its pixels, and whether the overlay keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_samples import click_time, picture, set_display_matrix, tone, write_video, write_wav

from coprop.media.audio_file import AudioFile
from coprop.media.reader import Frame, VideoFile
from coprop.media.sound import Sound
from coprop.media.writer import ResultWriter
from coprop.types import FrameMask


def write_overlay(frames: Sequence[Frame], out: Path, sound: Sound | None = None) -> float:
    """Writes empty masks; returns when the last frame ends, in seconds."""
    with ResultWriter(out, sound=sound) as writer:
        for frame in frames:
            labels = np.zeros(frame.image.shape[:2], dtype=np.uint8)
            writer.write(frame, FrameMask(frame.index, frame.time_s, labels, None, (0, 1), False))
        return writer.end_s


def write_shaped(path: Path, aspect: Fraction) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(picture(index, 64, 48), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("aspect", [Fraction(16, 11), Fraction(8, 9), Fraction(1)])
@pytest.mark.parametrize("turned", [False, True])
def test_the_overlay_has_the_pixels_shape(tmp_path: Path, aspect: Fraction, turned: bool) -> None:
    path = write_shaped(tmp_path / "v.mp4", aspect)
    if turned:
        set_display_matrix(path, (0, 1, -1, 0))
    frames = list(VideoFile(path))
    shown = 1 / aspect if turned else aspect
    assert frames[0].pixel_aspect == shown
    write_overlay(frames, tmp_path / "out")
    with av.open(str(tmp_path / "out/overlay.mp4")) as container:
        assert (container.streams.video[0].sample_aspect_ratio or 1) == shown


def durations(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [p.duration * p.time_base for p in container.demux(video=0) if p.size]


def test_the_last_frame_lasts_as_long_as_its_file_says(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    times = [0, 40, 80, 3500, 4000]  # in milliseconds
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, (time, following) in enumerate(zip(times, [*times[1:], 4100], strict=True)):
            frame = av.VideoFrame.from_ndarray(picture(index, 64, 48), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            for packet in stream.encode(frame):
                packet.duration = following - time
                container.mux(packet)
        container.mux(stream.encode(None))
    frames = list(VideoFile(path))
    assert write_overlay(frames, tmp_path / "out") == pytest.approx(4.1, abs=2e-3)
    found = [float(duration) for duration in durations(tmp_path / "out/overlay.mp4")]
    assert found == pytest.approx([0.04, 0.04, 3.42, 0.5, 0.1], abs=2e-3)


def test_a_last_frame_of_which_nothing_is_known_lasts_the_usual_time(tmp_path: Path) -> None:
    times_s = (0, 0.1, 0.2, 0.3, 3.7)
    frames = [Frame(i, time_s, picture(i, 64, 48)) for i, time_s in enumerate(times_s)]
    assert write_overlay(frames, tmp_path / "out") == pytest.approx(3.8)
    found = [float(duration) for duration in durations(tmp_path / "out/overlay.mp4")]
    assert found == pytest.approx([0.1, 0.1, 0.1, 3.4, 0.1])


@pytest.mark.parametrize(
    ("name", "codec", "copied"),
    [("a.mp3", "mp3", True), ("a.opus", "libopus", True), ("a.ogg", "flac", False)],
)
def test_sound_that_mp4_can_hold_is_copied(
    tmp_path: Path, name: str, codec: str, copied: bool
) -> None:
    video = VideoFile(write_video(tmp_path / "v.mp4"))
    path = write_wav(tmp_path / name, tone(48_000, 1.0), 48_000, codec)
    write_overlay(list(video), tmp_path / "out", sound=path)
    packets = []
    for file in (path, tmp_path / "out/overlay.mp4"):
        with av.open(str(file)) as container:
            packets.append([bytes(p) for p in container.demux(audio=0) if p.size])
    assert (packets[0] == packets[1]) == copied
    with AudioFile(tmp_path / "out/overlay.mp4") as track:
        clicked = click_time(track.read(0, 48_000), track.sample_rate)
    assert clicked == pytest.approx(0.5, abs=3e-3)


def test_sound_that_changes_is_not_copied(tmp_path: Path) -> None:
    parts = [write_wav(tmp_path / f"{n}.ac3", tone(48_000, 1.0, n), 48_000, "ac3") for n in (2, 6)]
    path = tmp_path / "a.ac3"
    path.write_bytes(parts[0].read_bytes() + parts[1].read_bytes())
    write_overlay(list(VideoFile(write_video(tmp_path / "v.mp4"))), tmp_path / "out", sound=path)
    with av.open(str(tmp_path / "out/overlay.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    with AudioFile(tmp_path / "out/overlay.mp4") as track:
        assert track.duration_s == pytest.approx(2, abs=0.1)
