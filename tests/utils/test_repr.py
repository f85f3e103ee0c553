"""What values look like in a terminal: one line that says how much they hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from coprop import Audio, ControlPointDetector, ControlPoints, CoProp, FrameMask, Segment
from coprop.data.labelled import FrameTruth, LabelledClip
from coprop.inference.turns import SegmentState
from coprop.media.audio_file import AudioFile
from coprop.media.clip import Clip
from coprop.media.reader import Frame, VideoFile
from coprop.utils.brief import brief
from scripted_models import Scripted

CLIP = Path(__file__).parents[2] / "examples" / "clip.mp4"


def points(count: int, changes: int) -> ControlPoints:
    flags = np.zeros(count, dtype=bool)
    flags[: changes + 1] = True
    return ControlPoints(np.arange(count) / 20, np.ones(count), flags)


def mask(index: int = 0, *, soft: bool = False) -> FrameMask:
    probabilities = np.zeros((2, 360, 480), dtype=np.float32) if soft else None
    return FrameMask(index, index / 25, np.zeros((360, 480), np.uint8), probabilities, (0, 1), True)


def sound(seconds: float) -> Audio:
    return Audio(np.zeros(round(seconds * 16000), dtype=np.float32), 16000)


@pytest.fixture(scope="module")
def pipeline() -> CoProp:
    return CoProp.from_pretrained()


SIMPLE: dict[str, tuple[Callable[[], object], str]] = {
    "Audio": (lambda: sound(10), "Audio(160000 samples at 16000 Hz, 10.000 s)"),
    "Segment": (
        lambda: Segment(0, 2.5),
        "Segment(start_s=0.0, end_s=2.5, categories=(), label_names=())",
    ),
    "no change": (lambda: points(1, 0), "ControlPoints(0 changes, 1 step)"),
    "ControlPoints": (
        lambda: points(93, 2),
        "ControlPoints(2 changes at 0.05, 0.10 s, 93 steps)",
    ),
    "many changes": (
        lambda: points(1200, 400),
        "ControlPoints(400 changes at 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, ... s, 1200 steps)",
    ),
    "named": (
        lambda: ControlPoints([0.0], [1.0], [True], (("dog", "car"),)),  # type: ignore[arg-type]
        "ControlPoints(0 changes, dog, car, 1 step)",
    ),
    "FrameMask": (
        lambda: mask(3, soft=True),
        "FrameMask(index=3, time_s=0.12, labels=(360, 480) uint8, "
        "probabilities=(2, 360, 480) float32, classes=(0, 1), is_keyframe=True)",
    ),
    "Frame": (
        lambda: Frame(0, 0.0, np.zeros((360, 480, 3), np.uint8), 0, Fraction(1, 90000)),
        "Frame(index=0, time_s=0.0, image=(360, 480, 3) uint8, pts=0, time_base=1/90000, "
        "duration_s=None, pixel_aspect=1)",
    ),
    "FrameTruth": (
        lambda: FrameTruth(np.zeros((4, 6), np.uint8)),
        "FrameTruth(labels=(4, 6) uint8, objects=None, sounding=None, off_screen=None)",
    ),
    "LabelledClip": (
        lambda: LabelledClip("a", (), sound(1), (), None),
        "LabelledClip(name='a', frames=(), audio=Audio(16000 samples at 16000 Hz, 1.000 s), "
        "truth=(), change_times_s=None, windows=None, categories=(), heard=None, silent=(), "
        "off_screen=())",
    ),
    "VideoFile": (
        lambda: VideoFile(CLIP),
        "VideoFile('clip.mp4', 480 x 360, 9.00 s, 180 frames, 20 frames/s, with sound)",
    ),
    "detector": (
        ControlPointDetector.cosine,
        "ControlPointDetector(threshold=0.025, min_gap_s=0.5)",
    ),
    "language model": (
        lambda: ControlPointDetector.rcpg(Scripted(lambda *_: ""), steps=1),
        "RCPGDetector('scripted', steps=1)",
    ),
}


@pytest.mark.parametrize("name", SIMPLE)
def test_values(name: str) -> None:
    make, wanted = SIMPLE[name]
    assert repr(make()) == wanted


def test_clips_and_their_sound() -> None:
    with Clip(CLIP) as clip:
        rate, seconds = clip.audio.sample_rate, clip.audio.duration_s
        wanted = f"Clip('clip.mp4', 180 frames, 9.00 s, sound of {seconds:.2f} s at {rate} Hz)"
        assert repr(clip) == wanted
    with AudioFile(CLIP) as track:
        assert repr(track).startswith(f"AudioFile('clip.mp4', {track.num_samples} samples at ")
    images = np.zeros((5, 8, 8, 3), dtype=np.uint8)
    with Clip(images, sound(1), fps=5) as clip:
        assert repr(clip) == "Clip(5 frames, 1.00 s, sound of 1.00 s at 16000 Hz)"


def test_results(pipeline: CoProp) -> None:
    images = np.zeros((5, 48, 64, 3), dtype=np.uint8)
    result = pipeline(images, sound(1), fps=5)
    wanted = "Result(5 frames of 64 x 48 to 0.80 s, 0 changes, 0 segments)"
    assert repr(result) == wanted
    one = dataclasses.replace(result, masks=result.masks[:1], segments=(Segment(0, 1),))
    assert repr(one) == "Result(1 frame of 64 x 48 to 0.00 s, 0 changes, 1 segment)"
    assert repr(dataclasses.replace(result, masks=())).startswith("Result(0 frames, ")


def test_pipelines(pipeline: CoProp) -> None:
    assert repr(pipeline) == (
        "CoProp(segmenter=KeyframeSegmenter, detector=ControlPointDetector(threshold=0.5, "
        "min_gap_s=0.5), propagator=AudioInsertPropagator, max_segment_s=1.0, "
        "device=cpu)"
    )

    def mine(frames: Any, audio: Any) -> Any:
        return frames[:, :1]

    def every_second(audio: Any) -> ControlPoints:
        return points(1, 0)

    text = repr(CoProp.wrap(mine, detector=every_second))
    assert "\n" not in text
    assert " object at 0x" not in text
    assert all(part in text for part in ("mine", "every_second", "max_segment_s=None"))


def test_what_the_propagator_remembers_is_not_spelt_out(pipeline: CoProp) -> None:
    frame, sound_ = torch.zeros(1, 3, 64, 64), torch.zeros(1, 16000)
    with torch.no_grad():
        state = pipeline.propagator.start(frame, sound_, torch.ones(1, 1, 64, 64))
    for value in (state, SegmentState(mask(), state)):
        assert "\n" not in repr(value)
        assert len(repr(value)) < 500


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (torch.zeros(2, 3), "(2, 3) float32"),
        (nn.Sequential(nn.ReLU()), "Sequential"),
        (object(), "object"),
        ("x" * 1000, "str"),
        ("a\nb", "'a\\nb'"),
        (tuple(range(50)), "50 ints"),
        ([np.zeros(3), 1], "[(3,) float64, 1]"),
    ],
)
def test_anything_else_is_brief(value: object, wanted: str) -> None:
    assert brief(value) == wanted
