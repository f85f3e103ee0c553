from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from media_samples import click_time, picture, sound_frames, tone, write_video, write_wav

from coprop.media.audio_file import AudioFile
from coprop.media.reader import VideoFile
from coprop.media.stamps import timed


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def clicks_s(track: AudioFile) -> list[float]:
    samples = np.abs(track.read(0, track.num_samples))
    loud = np.flatnonzero(samples > 0.3) / track.sample_rate
    return [float(loud[0]), *(float(t) for t in loud[1:][np.diff(loud) > 0.1])]


@pytest.mark.parametrize(
    ("suffix", "codec", "sound_codec"),
    [(".ts", "libx264", "aac"), (".ts", "mpeg2video", "ac3"), (".vob", "mpeg2video", "ac3")],
)
def test_parts_that_were_joined_follow_one_another(
    tmp_path: Path, suffix: str, codec: str, sound_codec: str
) -> None:
    one = write_video(
        tmp_path / f"one{suffix}",
        pts=range(50),
        time_base=Fraction(1, 25),
        codec=codec,
        sound=tone(48_000, 2.0),
        sound_rate=48_000,
        sound_codec=sound_codec,
    )
    path = joined(tmp_path / f"three{suffix}", one, one, one)
    times = [frame.time_s for frame in VideoFile(path)]
    assert times == pytest.approx([0.04 * i for i in range(150)], abs=0.021)
    with AudioFile(path) as track:
        assert track.duration_s == pytest.approx(6, abs=0.1)
        assert clicks_s(track) == pytest.approx([0.5, 2.5, 4.5], abs=0.045)


@pytest.mark.parametrize(("suffix", "codec"), [(".opus", "libopus"), (".ogg", "flac")])
def test_chained_ogg_is_heard_to_its_end(tmp_path: Path, suffix: str, codec: str) -> None:
    one = write_wav(tmp_path / f"one{suffix}", tone(48_000, 1.0), 48_000, codec)
    with AudioFile(joined(tmp_path / f"two{suffix}", one, one)) as track:
        assert track.duration_s == pytest.approx(2, abs=0.05)
        assert clicks_s(track) == pytest.approx([0.5, 1.5], abs=0.03)


def test_b_frames_in_avi(tmp_path: Path) -> None:
    path = tmp_path / "b.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.options = {"bf": "3", "b-adapt": "0"}
        audio = container.add_stream("pcm_s16le", rate=16_000)
        audio.layout = "mono"
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(picture(index, 64, 48), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for block in sound_frames(tone(16_000, 1.0), 16_000):
            container.mux(audio.encode(block))
        container.mux(audio.encode(None))
    with av.open(str(path)) as container:  # the sample is what it should be
        stamps = [frame.pts for frame in container.decode(video=0)]
    assert stamps != sorted(stamps)
    assert [f.time_s for f in VideoFile(path)] == pytest.approx([0.04 * i for i in range(25)])
    with AudioFile(path) as track:
        assert click_time(track.read(0, 16_000), 16_000) == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".h264", "libx264"), (".m4v", "mpeg4"), (".m2v", "mpeg2video")]
)
@pytest.mark.parametrize("rate", [25, 30, 50])
def test_raw_streams_have_the_rate_that_they_tell(
    tmp_path: Path, suffix: str, codec: str, rate: int
) -> None:
    path = tmp_path / f"raw{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(rate):
            frame = av.VideoFrame.from_ndarray(picture(index, 64, 48), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    times = [frame.time_s for frame in VideoFile(path)]
    assert times == pytest.approx([i / rate for i in range(len(times))], abs=1e-3)
    assert len(times) >= rate - 1


@pytest.mark.parametrize(
    "stamps",
    [
        [0, 1, 2, 900, 4, 5],  # one far ahead
        [0, 1, 2, -50, 4, 5],  # one long past
        [0, 1, 2, 2, 4, 5],  # one told twice
        [0, 1, 2, None, 4, 5],  # one without
    ],
)
def test_one_bad_stamp_shifts_nothing_else(stamps: list[int | None]) -> None:
    frames: list[Any] = [SimpleNamespace(pts=pts, dts=None, duration=1) for pts in stamps]
    shown = list(timed(frames, 0, 1, lambda frame: frame.pts))
    assert [time for _, time, _ in shown] == [0, 1, 2, 3, 4, 5]
    assert [is_last for _, _, is_last in shown] == [False] * 5 + [True]


def test_sound_that_changes_its_rate_or_channels_is_converted(tmp_path: Path) -> None:
    parts = [
        write_wav(tmp_path / f"{n}.mp3", tone(rate, 1.0, channels), rate, "mp3")
        for n, (rate, channels) in enumerate([(44_100, 1), (48_000, 1), (48_000, 2), (22_050, 2)])
    ]
    with AudioFile(joined(tmp_path / "joined.mp3", *parts)) as track:
        assert track.duration_s == pytest.approx(4, abs=0.25)  # encoder delay at each seam
        assert clicks_s(track) == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.2)
    surround = write_wav(tmp_path / "b.ac3", tone(48_000, 1.0, 6), 48_000, "ac3")
    stereo = write_wav(tmp_path / "a.ac3", tone(48_000, 1.0, 2), 48_000, "ac3")
    for number, two in enumerate([(stereo, surround), (surround, stereo)]):
        with AudioFile(joined(tmp_path / f"j{number}.ac3", *two)) as track:
            assert clicks_s(track) == pytest.approx([0.5, 1.5], abs=0.05)
