from __future__ import annotations

import logging
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from media_samples import layout_of, picture, sound_frames, tone

from coprop.errors import MediaError
from coprop.media.audio_file import AudioFile
from coprop.media.clip import Clip
from coprop.media.reader import VideoFile
from coprop.media.streams import look_into

RATE = 16_000


def write_tracks(
    path: Path,
    sounds: list[np.ndarray],  # type: ignore[type-arg]
    default: int | None = None,
    *,
    still_first: bool = False,
) -> Path:
    """Ten pictures and several tracks of sound, one of them marked as default."""
    with av.open(str(path), "w") as container:
        still = container.add_stream("mjpeg", rate=25) if still_first else None
        if still is not None:
            still.width, still.height, still.pix_fmt = 64, 48, "yuvj420p"
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        streams = []
        for number, sound in enumerate(sounds):
            stream = container.add_stream("pcm_s16le", rate=RATE)
            stream.layout = layout_of(sound)
            stream.disposition = Disposition.default if number == default else Disposition(0)
            streams.append(stream)
        if still is not None:
            blue = np.full((48, 64, 3), (0, 0, 255), dtype=np.uint8)
            container.mux(still.encode(av.VideoFrame.from_ndarray(blue, format="rgb24")))
            container.mux(still.encode(None))
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(picture(index, 64, 48), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for stream, sound in zip(streams, sounds, strict=True):
            for block in sound_frames(sound, RATE):
                container.mux(stream.encode(block))
            container.mux(stream.encode(None))
    return path


def loudest(track: AudioFile) -> float:
    return float(np.abs(track.read(0, track.num_samples)).max())


@pytest.mark.parametrize("default", [0, 1, 2])
def test_the_default_track_of_sound_is_taken(tmp_path: Path, default: int) -> None:
    levels = [0.1, 0.2, 0.3]
    sounds = [np.full((1, RATE), level, dtype=np.float32) for level in levels]
    path = write_tracks(tmp_path / "v.mkv", sounds, default)
    assert loudest(AudioFile(path, RATE)) == pytest.approx(levels[default], abs=1e-3)
    for number, level in enumerate(levels):
        with Clip(path, audio_track=number) as clip:
            assert clip.frame_size == next(iter(clip.frames)).image.shape[:2]
            samples = clip.audio.read(4000, 4100)
        assert np.abs(samples).max() == pytest.approx(level, abs=1e-2)


def test_a_track_that_is_not_there(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "v.mkv", [tone(RATE, 0.4)] * 2, 0)
    with pytest.raises(MediaError, match=r"no audio track 2; it has 2 audio tracks, counted from"):
        Clip(path, audio_track=2)
    with pytest.raises(MediaError, match=r"no video track -1; it has 1 video track,"):
        VideoFile(path, track=-1)
    with pytest.raises(MediaError, match="video_track= is for a video file"):
        Clip(np.zeros((2, 8, 8, 3), np.uint8), path, fps=5, video_track=0)


def test_a_single_picture_before_the_film_is_not_the_film(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "v.mov", [tone(RATE, 0.4)], still_first=True)
    frames = list(VideoFile(path))
    assert len(frames) == 10
    assert abs(int(frames[0].image[40, 60, 2]) - 20) < 10  # of the film, which is grey there
    assert len(list(VideoFile(path, track=0))) == 1


def test_a_track_without_decoder_is_left_for_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sounds = [np.full((1, RATE), level, dtype=np.float32) for level in (0.1, 0.3)]
    path = write_tracks(tmp_path / "v.mkv", sounds, 0)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"A_PCM/INT/LIT", b"A_QUUX/UNKNOW", 1))
    with caplog.at_level(logging.WARNING, "coprop"):
        track = AudioFile(path, RATE)
    assert loudest(track) == pytest.approx(0.3, abs=1e-3)
    assert caplog.text.count("cannot be decoded; track 1 of its 2 is taken") == 1
    with pytest.raises(MediaError, match="no sound can be decoded"):
        AudioFile(look_into(path, audio_track=0), RATE)
