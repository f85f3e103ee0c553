"""What the propagator hears by itself: composed clips without control points but the first.

    python -m tools.bench.listening BENCHMARK PROPAGATOR... [--split validation] [--clips N]

BENCHMARK is what ``tools.benchmark compose`` wrote, PROPAGATOR a folder of ``save_pretrained``. In
each clip the first frame in which something visible sounds is the keyframe, with its true mask, and
is followed to the end. One line a propagator:

- J: mean over frames in which something followed sounds, against the true masks of just that.
- J at 1, 2, 4 s: of those frames as long after the keyframe, where all followed things still sound.
- silent: predicted area in frames in which nothing followed sounds, over the area of these things.
- onsets: how many of the followed things' returns, after 0.5 s of silence or more, were found: less
  than a fifth masked before, and IoU at least 0.5 at most 0.3 s after.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from coprop.context import AudioWindows
from coprop.data.benchmark_reader import ComposedBenchmark
from coprop.data.labelled import FrameTruth, LabelledClip
from coprop.propagation.propagator import AudioInsertPropagator

AFTER_S = (1.0, 2.0, 4.0)
_REACH_S = 0.25  # of a time after the keyframe: frames that near count for it
_SILENCE_S = 0.5  # a followed thing's return is one after that long a silence
_FOUND_S = 0.3
_FOUND_J, _GONE = 0.5, 0.2


@dataclass(frozen=True, eq=False)
class Followed:
    """One frame after the keyframe.

    Args:
        since_s: time since the keyframe.
        predicted: (H, W) mask.
        truth: (H, W), of what is followed and sounds.
        visible: (H, W), of what is followed, whether it sounds or not.
        all_sound: whether all that is followed sounds.
        any_sounds: whether any of it does.
    """

    since_s: float
    predicted: NDArray[Any]
    truth: NDArray[Any]
    visible: NDArray[Any]
    all_sound: bool
    any_sounds: bool


@dataclass
class Figures:
    """What is counted over clips."""

    jaccard: list[float] = field(default_factory=list)
    at: dict[float, list[float]] = field(default_factory=lambda: {s: [] for s in AFTER_S})
    silent: list[float] = field(default_factory=list)
    onsets: list[float] = field(default_factory=list)

    def add(self, frames: list[Followed]) -> None:
        """One clip's frames, the keyframe left out."""
        for number, frame in enumerate(frames):
            if frame.any_sounds and frame.truth.any():
                score = jaccard(frame.predicted, frame.truth)
                self.jaccard.append(score)
                for after_s in AFTER_S:
                    steady = all(f.all_sound for f in frames[: number + 1])
                    if steady and abs(frame.since_s - after_s) <= _REACH_S:
                        self.at[after_s].append(score)
            elif not frame.any_sounds and frame.visible.any():
                self.silent.append(float(frame.predicted.sum() / frame.visible.sum()))
        self.onsets += [float(found) for found in _onsets(frames)]

    def line(self, name: str) -> str:
        """As the table's row."""
        means: list[list[float]] = [self.jaccard, *self.at.values(), self.silent, self.onsets]
        cells = [f"{np.mean(m):.3f} ({len(m)})" if m else "-" for m in means]
        return " | ".join([name, *cells])


def jaccard(predicted: NDArray[Any], truth: NDArray[Any]) -> float:
    """Intersection over union; 1 where both are empty."""
    union = (predicted | truth).sum()
    return float((predicted & truth).sum() / union) if union else 1.0


def _onsets(frames: list[Followed]) -> Iterator[bool]:
    """Whether each return of something followed was found."""
    silent_since: float | None = None
    for number, frame in enumerate(frames):
        if not frame.any_sounds:
            silent_since = frame.since_s if silent_since is None else silent_since
            continue
        if silent_since is not None and frame.since_s - silent_since >= _SILENCE_S:
            before = frames[number - 1]
            gone = before.predicted.sum() < _GONE * max(int(before.visible.sum()), 1)
            soon = [f for f in frames[number:] if f.since_s - frame.since_s <= _FOUND_S]
            yield bool(gone) and any(jaccard(f.predicted, f.truth) >= _FOUND_J for f in soon)
        silent_since = None


@torch.inference_mode()
def follow(propagator: AudioInsertPropagator, clip: LabelledClip) -> list[Followed]:
    """Every frame of a clip after its keyframe; empty where nothing visible ever sounds."""
    windows = AudioWindows(clip.audio, propagator.sample_rate, propagator.window_s)
    state, followed, start_s, frames = None, np.zeros(0, dtype=bool), 0.0, []
    for frame, truth in zip(clip.frames, clip.truth, strict=True):
        objects, sounding = _objects(truth)
        image = torch.from_numpy(np.array(frame.image)).permute(2, 0, 1)[None].float() / 255
        sound = windows.centred(frame.time_s)
        if state is None:
            visible = objects.any(axis=(1, 2)) & sounding
            if visible.any():
                followed, start_s = visible, frame.time_s
                mask = torch.from_numpy(objects[followed].any(axis=0)).long()[None]
                state = propagator.start(image, sound, mask, num_objects=1)
            continue
        logits, state = propagator.step(image, sound, state)
        frames.append(
            Followed(
                frame.time_s - start_s,
                logits.argmax(1)[0].bool().numpy(),
                np.any(objects[followed & sounding], axis=0),
                np.any(objects[followed], axis=0),
                bool(sounding[followed].all()),
                bool(sounding[followed].any()),
            )
        )
    return frames


def _objects(truth: FrameTruth) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    if truth.objects is None or truth.sounding is None:
        raise SystemExit("the benchmark has no masks of its single objects")
    return truth.objects, truth.sounding


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("propagators", type=Path, nargs="+")
    parser.add_argument("--split", default="test", help="of the benchmark")
    parser.add_argument("--clips", type=int, help="the first so many, all by default")
    arguments = parser.parse_args()
    clips = ComposedBenchmark(arguments.benchmark, arguments.split)
    count = min(arguments.clips or len(clips), len(clips))
    print(" | ".join(["propagator", "J", *(f"J at {s:g} s" for s in AFTER_S), "silent", "onsets"]))
    for folder in arguments.propagators:
        propagator, figures = AudioInsertPropagator.from_pretrained(folder), Figures()
        for index in range(count):
            figures.add(follow(propagator, clips[index]))
        print(figures.line(folder.name), flush=True)


if __name__ == "__main__":
    main()
