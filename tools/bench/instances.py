"""Which of two like things sounds: how often `MotionAgreement` finds the one that moves with it.

    python -m tools.bench.instances --sources SOURCES --seeds 1 2 3 --clips 20

Each clip shows two of a kind, half of them copies of one picture, before a camera that pans and
shakes, with grain. One moves (hops, shakes, grows or turns) as loud as the sound that is heard is,
in a room and with noise; the other as loud as another recording of its kind, which is not heard.
Chance is 0.5. Rows:

- tracked: the true masks of every frame, over the whole clip of 3 s at 20 frames a second.
- keyframe: the first frame's masks, and 20 frames 0.1 s apart: what a keyframe model is given.

The margin is the score of the one that sounds less the other's. Confidence is well calibrated where
it is as high as the share of right ones; the Brier score is the mean square of what it is off by,
0.25 for who always says one half.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from coprop.evaluation.table import table_lines
from coprop.keyframes.instance_scoring import InstanceScores
from coprop.keyframes.motion_agreement import MotionAgreement
from tools.bench.two_alike import FPS, TwoAlike, compose
from tools.benchmark.library import Library

CONFIDENCES = (0.5, 0.7, 0.9, 1.0)  # edges of the bins that are printed
_COLUMNS = ("seed", "masks", "clips", "right", "margin", "confidence", "Brier score")


@dataclass(frozen=True)
class Answer:
    """What was said of one clip.

    Args:
        margin: the score of the one that sounds less the other's.
        confidence: of `InstanceScores`.
        right: 1 where the one that sounds scored higher, 0.5 where both did alike, else 0.
    """

    margin: float
    confidence: float
    right: float

    @classmethod
    def of(cls, found: InstanceScores, sounding: int) -> Answer:
        margin = float(found.scores[sounding] - found.scores[1 - sounding])
        return cls(margin, found.confidence, 0.5 + 0.5 * float(np.sign(margin)))


def answers(scorer: MotionAgreement, clip: TwoAlike) -> dict[str, Answer]:
    """Of each way of giving the masks."""
    frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255
    masks, context = torch.from_numpy(clip.masks).float(), scorer.surroundings
    chosen = [round(time_s * FPS) for time_s in context.times_s(0.0)]
    times_s = [clip.times_s[i] for i in chosen]
    whole = scorer(masks, frames, clip.times_s, clip.audio)
    short = scorer(masks[:, 0], frames[chosen], times_s, clip.audio)
    return {"tracked": Answer.of(whole, clip.sounding), "keyframe": Answer.of(short, clip.sounding)}


def clips(library: Library, seed: int, count: int) -> Iterator[TwoAlike]:
    """So many clips in whose first frame both things are seen."""
    number = 0
    while count:
        clip = compose(library, np.random.default_rng([seed, number]))
        number += 1
        if clip.masks[:, 0].any(axis=(1, 2)).all():
            count -= 1
            yield clip


def row(seed: str, masks: str, found: list[Answer]) -> list[str]:
    right, sure = (np.array([getattr(a, name) for a in found]) for name in ("right", "confidence"))
    figures = [right.mean(), np.mean([a.margin for a in found]), sure.mean()]
    brier = np.mean((sure - right) ** 2)
    return [seed, masks, str(len(found)), *(f"{x:.3f}" for x in (*figures, brier))]


def calibration(found: list[Answer]) -> list[str]:
    """A line for each bin of confidences: how many, their mean, and the share that is right."""
    lines = []
    for low, high in pairwise(CONFIDENCES):
        own = [a for a in found if low <= a.confidence < high or a.confidence == high == 1]
        if own:
            sure, right = (np.mean([getattr(a, n) for a in own]) for n in ("confidence", "right"))
            lines.append(f"confidence {low} to {high}: {len(own)}, {sure:.3f}, right {right:.3f}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", type=Path, required=True, help="what tools.sources built")
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--clips", type=int, default=20, help="of each seed")
    options = parser.parse_args()
    library, scorer = Library(options.sources, options.split), MotionAgreement()
    found: dict[str, dict[str, list[Answer]]] = {}
    for seed in options.seeds:
        for clip in clips(library, seed, options.clips):
            for masks, answer in answers(scorer, clip).items():
                found.setdefault(str(seed), {}).setdefault(masks, []).append(answer)
                told = {"seed": seed, "masks": masks, **vars(answer), "kinds": clip.kinds}
                print(json.dumps(told), flush=True)
    whole = {
        masks: [a for own in found.values() for a in own[masks]]
        for masks in next(iter(found.values()))
    }
    rows = [
        row(seed, m, a) for seed, own in (*found.items(), ("all", whole)) for m, a in own.items()
    ]
    print("\n".join(table_lines(list(_COLUMNS), rows)))
    for masks, own in whole.items():
        chance = math.sqrt(0.25 / len(own))
        print(
            f"{masks}: chance 0.5, with a standard deviation of {chance:.3f}",
            *calibration(own),
            sep="\n",
        )


if __name__ == "__main__":
    main()
