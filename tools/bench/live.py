"""A live session over a looped clip, against the run of the whole: memory, latency, agreement.

    python -m tools.bench.live [VIDEO] [--minutes 60] [--look-ahead 0.3 0 1] [--pause 51.5]

The clip (by default the example) is repeated as often as is needed, its frames reduced to 160 x
120, and pushed as fast as masks come out, with the default's parts; its keyframe model looks at
frames of ``--edge`` pixels. After each round its last frame stands still for ``--pause`` seconds;
all of it is heard in faint noise. Printed are, while it goes, the memory of the process, the
latency, the control points against those of the run over the whole sound (F1 at 0.25 s) and the
masks against its masks (mean IoU of the frames in which either masks anything, and the share of all
frames on which both say whether anything is masked). The whole run covers the first ``--whole``
minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from coprop import CoProp, KeyframeSegmenter
from coprop.bench.memory import peak_mib
from coprop.keyframes.segmenter import SegmenterConfig
from coprop.media.clip import Clip
from coprop.metrics.functional import control_point_scores
from coprop.pipeline import WEIGHTS

EXAMPLE = Path(__file__).parents[2] / "examples" / "clip.mp4"
SIZE = (160, 120)
RATE = 16_000
TOLERANCE_S = 0.25
ROOM_LEVEL = 3e-4
"""RMS of the noise throughout: -70 dB, a quiet room's; no microphone gives zeros."""


@dataclass
class Loop:
    """A clip that is repeated.

    Args:
        pictures: of one round, at some frames a second.
        samples: of one round.
        fps: frames a second.
    """

    pictures: list[NDArray[np.uint8]]
    samples: NDArray[np.float32]
    fps: float

    @classmethod
    def of(cls, video: Path, fps: float, pause_s: float) -> Loop:
        """A round, with its pause, is as long as a whole number of frames."""
        with Clip(video) as clip:
            frames = [(f.time_s, Image.fromarray(f.image).resize(SIZE)) for f in clip.frames]
            seconds = round(clip.audio.duration_s * fps) / fps
            samples = clip.audio.resampled(RATE).read(0, round(seconds * RATE))
        times = np.array([t for t, _ in frames])
        wanted = np.arange(round(seconds * fps)) / fps
        nearest = [int(np.argmin(np.abs(times - t))) for t in wanted]
        still = [nearest[-1]] * round(pause_s * fps)
        sound = np.random.default_rng(0).normal(
            0, ROOM_LEVEL, round(len(nearest + still) * RATE / fps)
        )
        sound[: len(samples)] += samples
        pictures = [np.asarray(frames[i][1]) for i in nearest + still]
        return cls(pictures, sound.astype(np.float32), fps)

    def pushed(self, count: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
        """So many frames, each with the sound that follows it."""
        step = RATE / self.fps
        for i in range(count):
            k = i % len(self.pictures)
            yield self.pictures[k], self.samples[round(k * step) : round((k + 1) * step)]


@dataclass
class Agreement:
    """Live masks and those of the whole run, frame by frame."""

    ious: list[float] = field(default_factory=list)
    same: int = 0
    frames: int = 0

    def add(self, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> None:
        a, b = one > 0, other > 0
        self.frames += 1
        self.same += bool(a.any()) == bool(b.any())
        if a.any() or b.any():
            self.ious.append(float((a & b).sum() / (a | b).sum()))


def pipeline_of(edge: int) -> CoProp:
    """The default with a keyframe model that looks at smaller frames."""
    default = KeyframeSegmenter.from_pretrained(WEIGHTS / "keyframe_segmenter")
    small = KeyframeSegmenter(
        SegmenterConfig(
            architecture="grounded", working_edge=edge, off_screen=default.config.off_screen
        )
    )
    small.load_state_dict(default.state_dict())
    return CoProp.from_pretrained(segmenter=small.eval())


def memory_mib() -> float:
    """Of this process now, or where that is not told, at its peak."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text("ascii").splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    return peak_mib() or math.nan


def whole_run(pipeline: CoProp, loop: Loop, count: int) -> tuple[list[Any], tuple[float, ...]]:
    """Labels of each frame, packed, and the control points of the first frames in one run."""
    pictures, blocks = zip(*loop.pushed(count), strict=True)
    result = pipeline(list(pictures), (np.concatenate(blocks), RATE), fps=loop.fps)
    return [mask.labels for mask in result.masks], result.control_points.change_times_s


def live_run(
    pipeline: CoProp,
    loop: Loop,
    minutes: float,
    look_ahead_s: float,
    whole: tuple[list[Any], tuple[float, ...]],
) -> dict[str, Any]:
    """Pushes the stream, telling what is found each five minutes of it."""
    labels, points = whole
    session = pipeline.live(loop.fps, RATE, look_ahead_s=look_ahead_s)
    agreement, told, memory = Agreement(), 0.0, {}
    begun, cpu = time.monotonic(), time.process_time()
    count = round(minutes * 60 * loop.fps)
    figures: dict[str, Any] = {}
    for i, (picture, block) in enumerate(loop.pushed(count)):
        masks = session.push(picture, block)
        masks += session.finish() if i + 1 == count else []
        for mask in masks:
            if mask.index < len(labels):
                agreement.add(mask.labels, labels[mask.index])
        at_min = (i + 1) / loop.fps / 60
        if at_min - told >= 5 or i + 1 == count:
            told = at_min
            memory[round(at_min)] = round(memory_mib(), 1)
            end_s = min(len(labels) / loop.fps, (i + 1) / loop.fps) - 1
            latency = session.latency
            f1 = control_point_scores(
                [t for t in session.control_points.change_times_s if t < end_s],
                [t for t in points if t < end_s],
                TOLERANCE_S,
            ).f1
            figures = {
                "look_ahead_s": look_ahead_s,
                "minutes": round(at_min, 1),
                "memory_mib": dict(memory),
                "latency": None if latency is None else latency.to_dict(),
                "f1": round(f1, 4),
                "iou": round(float(np.mean(agreement.ious)), 4) if agreement.ious else None,
                "same": round(agreement.same / max(agreement.frames, 1), 4),
                "compared_frames": agreement.frames,
                "wall_s": round(time.monotonic() - begun),
                "cpu_s": round(time.process_time() - cpu),
            }
            print(json.dumps(figures), flush=True)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("video", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--minutes", type=float, default=60.0, help="of the stream")
    parser.add_argument("--whole", type=float, default=None, help="minutes of the whole run")
    parser.add_argument("--look-ahead", type=float, nargs="+", default=[0.3])
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between the rounds")
    parser.add_argument("--fps", type=float, default=2.0)
    parser.add_argument("--edge", type=int, default=160)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = pipeline_of(options.edge)
    loop = Loop.of(options.video, options.fps, options.pause)
    minutes = options.minutes if options.whole is None else min(options.whole, options.minutes)
    whole = whole_run(pipeline, loop, round(minutes * 60 * options.fps))
    figures = [
        live_run(pipeline, loop, options.minutes, look_ahead_s, whole)
        for look_ahead_s in options.look_ahead
    ]
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
