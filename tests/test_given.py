"""Paths and sounds as people bring them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from coprop import Audio, ControlPointDetector, CoProp, CoPropError
from coprop.control_points.rcpg.examples import Example, ExampleStore
from coprop.control_points.rcpg.trace import Trace
from coprop.encoders.yamnet import YAMNet
from coprop.errors import AudioError
from coprop.keyframes.naming import AUDIOSET, name_sounds
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.media.audio_file import AudioFile
from coprop.media.reader import Frame, VideoFile
from coprop.media.timeline import envelope
from coprop.media.writer import ResultWriter
from coprop.silence import block_levels_db, quiet_blocks
from coprop.types import FrameMask, Segment
from coprop.values.given_sound import as_track
from pipeline_samples import Shifter, changes_at, clip_of, left_half, noise
from small_clips import write_clip
from tools.benchmark.manifest import read_manifest


class Place:
    """A path object of another library."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


SOUND = noise(0.6)
SAME = [
    (SOUND.samples, 16_000),
    [SOUND.samples.tolist(), 16_000.0],
    (torch.tensor(SOUND.samples)[None], np.int64(16_000)),
    {"array": SOUND.samples, "sampling_rate": 16_000, "path": None},
    (torch.tensor(SOUND.samples).expand(2, -1), 16_000),  # stereo, as torchaudio.load returns it
    {"array": np.stack([SOUND.samples] * 2), "sampling_rate": 16_000},
]


class Decoder:
    """What the items of newer audio data sets are: indexed like a dict, and no dict."""

    def __getitem__(self, key: str) -> Any:
        return {"array": SOUND.samples, "sampling_rate": 16_000}[key]


def pipeline() -> CoProp:
    return CoProp.wrap(
        lambda frames, audio: left_half(frames), detector=changes_at(0.3), propagator=Shifter()
    )


@pytest.mark.parametrize("given", [*SAME, Decoder()])
def test_sound_is_taken_wherever_there_is_sound(given: Any, tmp_path: Path) -> None:
    assert np.array_equal(as_track(given).read(0, 100), SOUND.read(0, 100))
    expected = ControlPointDetector.novelty()(SOUND)
    found = ControlPointDetector.novelty()(given)
    assert np.array_equal(found.scores, expected.scores)
    made = pipeline()
    assert made.detect(given).change_times_s == (0.3,)
    frames = clip_of(3, 48, 64)
    result = made(frames, given, fps=5)
    assert [mask.labels.any() for mask in result.masks] == [True] * 3
    assert len([*made.stream(frames, given, fps=5)]) == 3
    result.save(tmp_path / "out")
    assert (tmp_path / "out" / "result.json").is_file()


@pytest.mark.parametrize("given", [*SAME, Decoder()])
def test_sound_is_taken_by_the_smaller_doors_too(given: Any, tmp_path: Path) -> None:
    assert np.array_equal(quiet_blocks(given), quiet_blocks(SOUND))
    assert np.array_equal(block_levels_db(given), block_levels_db(SOUND))
    assert np.array_equal(envelope(given, 10), envelope(SOUND, 10))
    assert AUDIOSET(given, Segment(0.0, 0.6)) == AUDIOSET(SOUND, Segment(0.0, 0.6))
    files = []
    for name, sound in (("given", given), ("track", SOUND)):
        with ResultWriter(tmp_path / name, sound=sound) as writer:
            for index, image in enumerate(clip_of(3)):
                labels = np.zeros(image.shape[:2], dtype=np.uint8)
                mask = FrameMask(index, index / 5, labels, None, (0, 1), index == 0)
                writer.write(Frame(index, index / 5, image), mask)
            writer.finish({}, audio=sound, control_points=changes_at()(SOUND))
        timeline = (tmp_path / name / "timeline.png").read_bytes()
        files.append((sound_of(tmp_path / name / "overlay.mp4"), timeline))
    assert files[0] == files[1]


def sound_of(path: Path) -> list[tuple[int | None, bytes]]:
    """Times and content of the packets; those of pictures need not be the same (x264)."""
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.audio[0])
        heard = [(packet.pts, bytes(packet)) for packet in packets if packet.size]
    assert heard
    return heard


def test_sounds_are_named_and_compared_too(tmp_path: Path) -> None:
    points = changes_at()(SOUND)
    named = name_sounds(points, SAME[0])  # type: ignore[arg-type]
    assert named.categories == name_sounds(points, SOUND).categories
    with_sound = ExampleStore([Example(tmp_path / "a.wav", (), (1,), "a", 1.0, (0.0,) * 64)])
    assert len(with_sound.retrieve((), SAME[0], 1).examples) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((16_000, SOUND.samples), "swap"),
        ((SOUND.samples,), "sound is an Audio"),
        ((0.5, 0.25), "sound is an Audio"),
        ({"array": SOUND.samples}, "sound is an Audio"),
        ({"array": "a", "sampling_rate": 16_000}, "array of numbers"),
        ((SOUND.samples, "16k"), "sample_rate must be"),
        ((SOUND.samples, float("nan")), "sample_rate must be"),
        (SOUND.samples, r"Audio\.from_array"),
        (None, "sound is an Audio"),
        (5, "sound is an Audio"),
        ("a.wav", "AudioFile"),
        (Path("a.wav"), "AudioFile"),
    ],
)
def test_what_is_no_sound_is_told(given: Any, message: str) -> None:
    for call in (
        as_track,
        ControlPointDetector.novelty(),
        ControlPointDetector.cosine(),
        pipeline().detect,
    ):
        with pytest.raises(AudioError, match=message):
            call(given)


def test_path_objects_of_any_library(tmp_path: Path) -> None:
    clip = Place(write_clip(tmp_path / "clip.mp4", frames=3))
    assert VideoFile(clip).num_frames == 3
    with AudioFile(clip) as track:
        length_s = track.duration_s
    made = pipeline()
    result = made(clip, clip)
    assert len(result.masks) == 3
    result.save(Place(tmp_path / "saved"))
    assert (tmp_path / "saved" / "result.json").is_file()
    with ResultWriter(Place(tmp_path / "written"), sound=clip):
        pass
    assert length_s > 0
    model = KeyframeSegmenter()
    model.save_pretrained(tmp_path / "model")
    loaded = KeyframeSegmenter.from_pretrained(Place(tmp_path / "model"))
    assert loaded.config == model.config


@pytest.mark.parametrize("given", [5, None, b"a", [], "a\0b", "x" * 5000, Place(Path("a\0b"))])
def test_what_is_no_path_is_told(given: Any) -> None:
    calls = [
        VideoFile,
        AudioFile,
        ResultWriter,
        ExampleStore.load,
        Trace.load,
        read_manifest,
        KeyframeSegmenter.from_pretrained,
    ]
    if given is not None:
        calls += [CoProp.from_pretrained, YAMNet.from_pretrained]
    for call in calls:
        with pytest.raises(CoPropError, match=r"path|names of files|NUL"):
            call(given)  # type: ignore[operator]


def test_a_name_that_is_too_long_for_files(tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match="longer than names of files"):
        pipeline()(os.fspath(tmp_path / ("x" * 300)))


def test_audio_stays_what_it_is() -> None:
    track = Audio(np.zeros(10, np.float32), 8_000)
    assert as_track(track) is track
