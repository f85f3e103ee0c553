"""How well control points are found on composed audio.

    python benchmarks/control_points.py SOURCES [SOURCES ...] --clips 200 --split test

Composes clips from one split of sources folders (see coprop.data.composed_audio) and prints
precision, recall and F1 of the detectors and of two trivial answers. The start of a clip, which is
always a control point, counts for nothing. The same arguments print the same figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from coprop.control_points.detector import ControlPointDetector
from coprop.data.composed_audio import ComposedAudio, compose, load_sounds
from coprop.metrics.functional import match_times
from coprop.types import Audio

RATE = 22050
TOLERANCES_S = (0.25, 0.5)


def detectors() -> dict[str, Callable[[Audio], np.ndarray]]:
    novelty, cosine = ControlPointDetector.novelty(), ControlPointDetector.cosine()
    return {
        "novelty": lambda audio: np.array(novelty(audio).change_times_s),
        "cosine": lambda audio: np.array(cosine(audio).change_times_s),
        "every second": lambda audio: np.arange(1.0, audio.duration_s),
        "first only": lambda audio: np.array([]),
    }


def evaluate(
    find: Callable[[Audio], np.ndarray], clips: list[ComposedAudio], tolerance_s: float
) -> tuple[float, float, float]:
    """Precision, recall and F1 over all clips' changes together."""
    hits = found = true = 0
    for clip in clips:
        times = find(clip.audio)
        hits += int(match_times(times, np.array(clip.change_times_s), tolerance_s).sum())
        found, true = found + len(times), true + len(clip.change_times_s)
    return hits / max(found, 1), hits / max(true, 1), 2 * hits / max(found + true, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--split", default="test", choices=["train", "test"])
    parser.add_argument("--clips", type=int, default=200)
    options = parser.parse_args()
    sounds = [s for folder in options.sources for s in load_sounds(folder, options.split, RATE)]
    clips = [compose(sounds, RATE, seed) for seed in range(options.clips)]
    changes = sum(len(clip.change_times_s) for clip in clips)
    groups = len({sound.group for sound in sounds})
    print(f"{len(clips)} clips, {changes} changes, {len(sounds)} recordings of {groups} kinds")
    print(f"{'':14}" + "".join(f"   within {t:.2f} s: P     R     F1" for t in TOLERANCES_S))
    for name, find in detectors().items():
        rows = [evaluate(find, clips, tolerance) for tolerance in TOLERANCES_S]
        print(
            f"{name:14}" + "".join("             " + " ".join(f"{v:.3f}" for v in r) for r in rows)
        )


if __name__ == "__main__":
    main()
