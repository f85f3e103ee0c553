"""Video and sound files: small right ones, and what damage makes of them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from media_samples import tone, write_video, write_wav

from bad_input.case import Case, Door, Expect
from bad_input.damage import damaged, kept_folder
from coprop import CoProp
from coprop.media.audio_file import AudioFile
from coprop.media.reader import VideoFile
from pipeline_samples import Shifter, changes_at, left_half

_RATES = (0, 1, 7, 11_025, 2**31 - 1, 2**32 - 1)


@cache
def _files() -> dict[str, bytes]:
    folder = kept_folder("media-")
    sound = tone(16_000, 0.4)
    made: dict[str, Callable[[Path], Path]] = {
        "clip.mp4": lambda path: write_video(path, sound=sound, sound_rate=16_000),
        "front.mp4": lambda path: write_video(
            path, sound=sound, sound_rate=16_000, options={"movflags": "faststart"}
        ),
        "clip.mkv": lambda path: write_video(path, sound=sound, sound_rate=16_000),
        "clip.avi": lambda path: write_video(
            path, codec="mpeg4", sound=sound, sound_rate=16_000, sound_codec="pcm_s16le"
        ),
        "clip.ts": lambda path: write_video(path, sound=sound, sound_rate=16_000),
        "still.mp4": lambda path: write_video(path, pts=[0]),
        "sound.wav": lambda path: write_wav(path, sound, 16_000),
        "two.wav": lambda path: write_wav(path, tone(8_000, 0.3, 2), 8_000, "pcm_s16le"),
        "sound.flac": lambda path: write_wav(path, sound, 16_000, "flac"),
        "sound.mp3": lambda path: write_wav(path, tone(44_100, 0.4), 44_100, "libmp3lame"),
        "sound.ogg": lambda path: write_wav(path, tone(48_000, 0.4), 48_000, "libopus"),
    }
    return {name: make(folder / name).read_bytes() for name, make in made.items()}


def _wav_header(rng: Random) -> tuple[str, bytes]:
    """A wav file whose head says something else than what follows."""
    data = _files()["two.wav"]
    kind, channels, rate, bits = rng.choice(
        ((1, 2, rng.choice(_RATES), 16), (1, rng.choice((0, 3, 255, 65_535)), 8_000, 16),
         (1, 2, 8_000, rng.choice((0, 1, 7, 64, 65_535))), (rng.getrandbits(16), 2, 8_000, 16))
    )  # fmt: skip
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * 4 & 0xFFFFFFFF, 4, bits)
    place = data.index(b"fmt ") + 8
    words = f"format {kind}, {channels} channels, {rate} Hz, {bits} bits"
    return words, data[:place] + head + data[place + 16 :]


def _made(rng: Random) -> tuple[str, str, bytes, bool]:
    name = rng.choice(sorted(_files()))
    data, roll = _files()[name], rng.random()
    if roll < 0.08:
        return name, "whole", data, True
    if roll < 0.16:
        return ("two.wav", *_wav_header(rng), False)
    words, data = damaged(rng, data, _files()[rng.choice(sorted(_files()))])
    if rng.random() < 0.15:
        name = f"{Path(name).stem}.{rng.choice(('mp4', 'wav', 'txt', 'm3u8', 'jpg', 'webm'))}"
        words += f", called {name}"
    return name, words, data, False


def _video(path: Path) -> Any:
    video = VideoFile(path)
    times = [frame.time_s for frame in video]
    frames = list(video)
    shapes = {frame.image.shape for frame in frames}
    ordered = np.isfinite(times).all() and (np.diff(times) > 0).all()
    right = shapes == {(video.height, video.width, 3)} and ordered and times[0] == 0
    return None if right else np.array([np.inf, *times[:4]])


def _sound(path: Path) -> Any:
    with AudioFile(path, 16_000) as track:
        return track.read(0, min(track.num_samples, 100_000)), track.duration_s


def _masks(path: Path) -> Any:
    pipeline = CoProp.wrap(
        lambda frames, audio: left_half(frames), detector=changes_at(0.1), propagator=Shifter()
    )
    return list(pipeline.stream(path))


def _case(
    rng: Random, name: str, read: Callable[[Path], Any], suits: Callable[[str], bool]
) -> Case:
    file, words, data, whole = _made(rng)
    fits = Expect.ACCEPTED if suits(file) else Expect.REFUSED

    def call(folder: Path) -> Any:
        path = folder / file
        path.write_bytes(data)
        return read(path)

    return Case(f"{name}: {file}, {words}", fits if whole else Expect.EITHER, call)


def _saved(rng: Random) -> Case:
    """The whole way to a folder of results, from a damaged file."""
    file, words, data, whole = _made(rng)

    def call(folder: Path) -> Any:
        path = folder / file
        path.write_bytes(data)
        pipeline = CoProp.wrap(
            lambda frames, audio: left_half(frames), detector=changes_at(), propagator=Shifter()
        )
        pipeline(path).save(folder / "out")

    fits = Expect.ACCEPTED if file.startswith(("clip", "front")) else Expect.REFUSED
    return Case(f"saved: {file}, {words}", fits if whole else Expect.EITHER, call)


DOORS = {
    "video": Door(
        lambda rng: _case(rng, "VideoFile", _video, lambda f: not f.startswith(("sound", "two"))),
        4.0,
    ),
    "sound": Door(lambda rng: _case(rng, "AudioFile", _sound, lambda f: f[:5] != "still"), 4.0),
    "pipeline": Door(
        lambda rng: _case(rng, "stream", _masks, lambda f: f.startswith(("clip", "front"))), 3.0
    ),
    "saved": Door(_saved, 0.3),
}
