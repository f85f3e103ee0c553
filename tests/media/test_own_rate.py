"""The sound that a model gets is the file's: its samples, from its beginning to its end."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from media_samples import cut, tone, write_video, write_wav

from coprop.context import AudioWindows
from coprop.errors import MediaError
from coprop.media.audio_file import AudioFile
from coprop.media.clip import Clip
from coprop.media.resample import resample

NOISE = np.random.default_rng(0).uniform(-0.9, 0.9, (1, 80_000)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_f32le"), ("a.mkv", "pcm_f32le")])
def test_a_consumer_at_the_tracks_rate_gets_its_very_samples(
    tmp_path: Path, rate: int, name: str, codec: str
) -> None:
    path = write_wav(tmp_path / name, NOISE, rate, codec)
    frames = np.zeros((4, 8, 8, 3), dtype=np.uint8)
    with Clip(frames, path, fps=2) as clip:
        assert clip.audio.sample_rate == rate
        np.testing.assert_array_equal(clip.audio.read(0, 80_000), NOISE[0])
        windows = AudioWindows(clip.audio, rate, 0.5)
        start = rate - round(0.5 * rate) // 2
        length = round(0.5 * rate)
        np.testing.assert_array_equal(windows.centred(1.0)[0], NOISE[0, start : start + length])


def test_another_rate_is_converted_once_from_the_tracks_own(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", NOISE, 48_000)
    with AudioFile(path) as track:
        copy = track.resampled(16_000)
        expected = resample(NOISE[0], 48_000, 16_000)
        np.testing.assert_allclose(copy.read(0, copy.num_samples), expected, atol=1e-6)
        assert track.resampled(16_000) is copy
        assert track.resampled(44_100) is not copy
    with pytest.raises(MediaError, match="has been closed"):
        copy.read(0, 1)
    with pytest.raises(MediaError, match="has been closed"):
        track.resampled(8000)


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [(".mp4", "aac", 48_000), (".mov", "aac", 16_000), (".mkv", "aac", 44_100)],
)
@pytest.mark.parametrize("seconds", [1.0, 1.51])
def test_the_sound_ends_where_its_file_says(
    tmp_path: Path, suffix: str, codec: str, rate: int, seconds: float
) -> None:
    times = np.arange(round(rate * seconds)) / rate
    sound = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)[None]
    path = write_video(
        tmp_path / f"v{suffix}",
        pts=range(0, round(1000 * seconds), 40),
        sound=sound,
        sound_rate=rate,
        sound_codec=codec,
    )
    with AudioFile(path) as track:
        assert track.duration_s == pytest.approx(seconds, abs=0.003)
        last = track.read(track.num_samples - rate // 100, track.num_samples)
    assert np.abs(last).max() > 0.2


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wav", "pcm_s16le"),
        ("a.wav", "pcm_s24le"),
        ("a.aiff", "pcm_s16be"),
        ("a.au", "pcm_s16be"),
    ],
)
def test_sound_cut_in_half_is_told(
    tmp_path: Path, name: str, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_wav(tmp_path / name, tone(8000, 2.0), 8000, codec)
    with caplog.at_level(logging.WARNING, "coprop"):
        AudioFile(path)
        assert not caplog.text
        track = AudioFile(cut(path, 0.5))
    assert track.num_samples == pytest.approx(8000, rel=0.05)
    assert caplog.text.count("breaks off after") == 1
    assert "its header announces more (2.000 s)" in caplog.text
