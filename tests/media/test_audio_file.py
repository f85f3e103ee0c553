from __future__ import annotations

import logging
import os
import re
import resource
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_samples import click_time, cut, sound_frames, tone, write_video, write_wav

from coprop.errors import AudioError, MediaError, MissingAudioError, OutputError
from coprop.media.audio_file import AudioFile, SoundBlocks
from coprop.types import Audio, AudioTrack


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_every_rate_comes_out_at_the_wanted_one(tmp_path: Path, rate: int) -> None:
    track: AudioTrack = AudioFile(write_wav(tmp_path / "a.wav", tone(rate, 1.0), rate), 16_000)
    assert track.sample_rate == 16_000
    assert track.num_samples == 16_000
    assert track.duration_s == 1.0
    assert click_time(track.read(0, 16_000), 16_000) == pytest.approx(0.5, abs=2e-4)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f64le"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_mono_is_the_mean_of_the_channels(tmp_path: Path, codec: str, channels: int) -> None:
    sound = np.random.default_rng(0).uniform(-0.9, 0.9, (channels, 4000)).astype(np.float32)
    path = write_wav(tmp_path / "a.wav", sound, 8000, codec)
    samples = AudioFile(path, 8000).read(0, 4000)
    tolerance = 1 / 100 if codec == "pcm_u8" else 1 / 30_000
    np.testing.assert_allclose(samples, sound.mean(axis=0), atol=tolerance)


def test_read_outside_is_silence(tmp_path: Path) -> None:
    sound = np.full((1, 1000), 0.5, dtype=np.float32)
    track = AudioFile(write_wav(tmp_path / "a.wav", sound, 8000), 8000)
    window = track.read(-3, 1002)
    assert window.dtype == np.float32
    assert window.tolist() == [0, 0, 0] + [0.5] * 1000 + [0, 0]
    assert track.read(5, 5).shape == track.read(9, 2).shape == (0,)
    assert track.read(2000, 2002).tolist() == [0, 0]


@pytest.mark.parametrize("start_s", [0.0, 0.3, -0.3])
def test_sound_that_starts_elsewhere_than_the_video(tmp_path: Path, start_s: float) -> None:
    # Matroska: no edit lists, so the streams simply start at different times.
    path = write_video(
        tmp_path / "v.mkv",
        pts=range(1000, 2000, 40),
        sound=tone(48_000, 1.0),
        sound_rate=48_000,
        sound_codec="pcm_s16le",
        sound_start_s=1.0 + start_s,
    )
    with AudioFile(path, 16_000) as track:
        samples = track.read(0, track.num_samples)
    assert click_time(samples, 16_000) == pytest.approx(0.5 + start_s, abs=1e-3)
    assert len(samples) / 16_000 == pytest.approx(1.0 + start_s, abs=1e-3)
    if start_s > 0:
        assert np.all(samples[: int((start_s - 0.01) * 16_000)] == 0)


def test_gap_is_silence_and_overlap_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "gap.mkv"
    one, two, three = (np.full((1, 4096), level, np.float32) for level in (0.1, 0.2, 0.3))
    with av.open(str(path), "w") as container:
        audio = container.add_stream("pcm_s16le", rate=8000)
        audio.layout = "mono"
        for sound, start in ((one, 0), (two, 8000), (three, 11_000)):
            for frame in sound_frames(sound, 8000, start):
                container.mux(audio.encode(frame))
    samples = AudioFile(path, 8000).read(0, 16_000)
    np.testing.assert_allclose(samples[:4096], 0.1, atol=1e-3)
    assert np.all(samples[4096:8000] == 0)
    np.testing.assert_allclose(samples[8000:12_096], 0.2, atol=1e-3)
    np.testing.assert_allclose(samples[12_096:15_096], 0.3, atol=1e-3)
    assert np.all(samples[15_096:] == 0)


def test_rounded_time_stamps_leave_the_samples_alone(tmp_path: Path) -> None:
    # Matroska rounds to milliseconds, which 1152 samples at 44.1 kHz are not a multiple of.
    sound = tone(44_100, 2.0)
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("flac", rate=44_100)
        audio.layout = "mono"
        for frame in sound_frames(sound, 44_100):
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    track = AudioFile(path, 44_100)
    assert track.num_samples == sound.shape[1]
    np.testing.assert_allclose(track.read(0, 88_200), sound[0], atol=1e-4)


def test_aac_priming_is_not_heard(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", sound=tone(44_100, 1.0), sound_rate=44_100)
    samples = AudioFile(path, 44_100).read(0, 44_100)
    assert click_time(samples, 44_100) == pytest.approx(0.5, abs=1e-3)


def test_resampled(tmp_path: Path) -> None:
    track = AudioFile(write_wav(tmp_path / "a.wav", tone(16_000, 1.0), 16_000), 16_000)
    assert track.resampled(16_000) is track
    other = track.resampled(44_100)
    assert (other.sample_rate, other.num_samples) == (44_100, 44_100)
    assert click_time(other.read(0, 44_100), 44_100) == pytest.approx(0.5, abs=2e-4)
    other.close()
    assert track.read(0, 10).shape == (10,)


def test_closed(tmp_path: Path) -> None:
    with AudioFile(write_wav(tmp_path / "a.wav", tone(8000, 0.6), 8000), 8000) as track:
        pass
    with pytest.raises(MediaError, match="has been closed"):
        track.read(0, 1)


def test_no_audio_track(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4")
    with pytest.raises(MissingAudioError, match=r"no audio track.*`audio=`.*--audio FILE"):
        AudioFile(path, 16_000)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_finite(tmp_path: Path, bad: float) -> None:
    sound = tone(8000, 2.0)
    sound[0, 10_000] = bad
    path = write_wav(tmp_path / "a.wav", sound, 8000)
    with pytest.raises(AudioError, match=r"a\.wav at 1\.\d+ s: .*NaN or infinite"):
        AudioFile(path, 8000)


def test_corrupt_packets_are_silence_of_the_same_length(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_wav(tmp_path / "a.flac", tone(44_100, 2.0), 44_100, codec="flac")
    video = tmp_path / "v.mkv"
    with av.open(str(path)) as source, av.open(str(video), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for number, packet in enumerate(source.demux(audio=0)):
            if packet.dts is None:
                continue
            broken = av.Packet(bytes(packet.size)) if number in (8, 9) else packet
            broken.pts, broken.dts = packet.pts, packet.dts
            broken.time_base, broken.stream = packet.time_base, stream
            target.mux(broken)
    with caplog.at_level(logging.WARNING, "coprop"):
        track = AudioFile(video, 44_100)
    assert track.num_samples == pytest.approx(88_200, abs=50)
    assert click_time(track.read(0, 88_200), 44_100) == pytest.approx(0.5, abs=2e-3)
    assert "no sound after" in caplog.text
    assert np.any(np.all(track.read(0, 86_016).reshape(-1, 1024) == 0, axis=1))


def test_truncated_sound_ends_early(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(8000, 2.0), 8000, codec="pcm_s16le")
    track = AudioFile(cut(path, 0.5), 8000)
    assert track.num_samples == pytest.approx(8000, rel=0.05)


def test_not_media(tmp_path: Path) -> None:
    text = tmp_path / "a.wav"
    text.write_text("words")
    for path in (tmp_path / "absent.wav", tmp_path, text):
        with pytest.raises(MediaError, match=str(path)):
            AudioFile(path, 16_000)
    path = write_wav(tmp_path / "good.wav", tone(8000, 0.6), 8000)
    with pytest.raises(AudioError, match="must be a whole number of samples"):
        AudioFile(path, 0)


def test_progress_can_cancel(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(8000, 2.0), 8000)
    steps: list[tuple[str, int, int | None]] = []
    AudioFile(path, 8000, progress=lambda *step: steps.append(step))
    assert steps[-1] == ("audio", 16_000, None)

    def stop(step: str, completed: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        AudioFile(path, 8000, progress=stop)


def test_two_minutes_at_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    silence = np.zeros((1, 8000 * 60), dtype=np.int16)
    with av.open(str(path), "w") as container:
        audio = container.add_stream("pcm_s16le", rate=8000)
        audio.layout = "mono"
        for minute in range(2):
            frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
            frame.sample_rate = 8000
            frame.pts, frame.time_base = minute * silence.size, Fraction(1, 8000)
            container.mux(audio.encode(frame))
    tracemalloc.start()
    track = AudioFile(path, 16_000)
    track.read(100_000, 116_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert track.duration_s == 120
    assert peak < 4_000_000  # all samples would take 7.7 MB


def test_blocks_tell_their_format(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", sound=tone(48_000, 0.6, 2), sound_rate=48_000)
    blocks = SoundBlocks(path)
    assert (blocks.sample_rate, blocks.channels, blocks.codec) == (48_000, 2, "aac")
    assert blocks.offset_s == pytest.approx(0, abs=1e-3)
    assert {len(block) for block in blocks} == {2}


def test_four_threads_read_the_right_windows(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (1, 200_000)).astype(np.float32)
    track = AudioFile(write_wav(tmp_path / "a.wav", sound, 8000), 8000)
    starts = np.random.default_rng(1).integers(0, 199_000, 8000)

    def wrong(start: int) -> bool:
        return not np.array_equal(track.read(start, start + 500), sound[0, start : start + 500])

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(wrong, starts)) == 0


def test_channels_that_cancel_are_heard(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 8000)).astype(np.float32)
    path = write_wav(tmp_path / "a.wav", np.concatenate([sound, -sound]), 8000)
    for samples in (
        AudioFile(path, 8000).read(0, 8000),
        Audio.from_array(np.concatenate([sound, -sound]), 8000).samples,
    ):
        np.testing.assert_array_equal(samples[400:], sound[0, 400:])


@pytest.mark.parametrize("size", [0, 20_000])
def test_a_full_temporary_folder_is_told(tmp_path: Path, size: int) -> None:
    path = write_wav(tmp_path / "a.wav", tone(8000, 5.0), 8000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(OutputError, match=r"a\.wav does not fit .*TMPDIR"):
            AudioFile(path, 8000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_pipe_is_refused_and_nothing_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(MediaError, match=r"is a pipe or a device.*save it to a file"):
        AudioFile(tmp_path / "fifo", 8000)
    with pytest.raises(MediaError, match=r"standard input cannot be read.*pipe"):
        AudioFile("-", 8000)


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_f64le"])
@pytest.mark.parametrize(
    ("peak", "divisor"), [(9.0, "128"), (127.0, "128"), (30_000.0, "32768"), (2.0**31, "2.14748e")]
)
def test_float_sound_that_was_not_scaled_is_refused(
    tmp_path: Path, codec: str, peak: float, divisor: str
) -> None:
    """As `Audio` has it, at whatever place, for whichever of the channels."""
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 30_000)).astype(np.float32)
    sound[1, 25_000] = -peak
    path = write_wav(tmp_path / "a.wav", sound, 8000, codec)
    with pytest.raises(AudioError, match=f"\\[-1, 1\\], got a peak of .*1/{re.escape(divisor)}"):
        AudioFile(path)
    with pytest.raises(AudioError, match=r"\[-1, 1\], got a peak of"):
        Audio(sound[1], 8000)


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_f64le"])
def test_float_sound_that_overshoots_is_as_it_was(tmp_path: Path, codec: str) -> None:
    sound = np.linspace(-8, 8, 4000, dtype=np.float32)[None]
    samples = AudioFile(write_wav(tmp_path / "a.wav", sound, 8000, codec)).read(0, 4000)
    np.testing.assert_array_equal(samples, Audio(sound[0], 8000).samples)


@pytest.mark.parametrize("rate", [0, -1, 1.5, float("nan"), float("inf"), "x", 10**8])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, rate: Any) -> None:
    path = write_wav(tmp_path / "a.wav", tone(8_000, 0.1), 8_000)
    with pytest.raises(AudioError, match="sample_rate must be a whole number of samples"):
        AudioFile(path, rate)
    with AudioFile(path) as track, pytest.raises(AudioError, match="sample_rate must be a whole"):
        track.resampled(rate)
