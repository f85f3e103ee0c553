"""Training the default's detector: composed sound whose changes are known."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from coprop.control_points.detector import pick_peaks
from coprop.control_points.novelty import MIN_GAP_S, NoveltyNetwork
from coprop.encoders.sound_effects import SoundEffectsEncoder
from coprop.metrics.functional import match_times
from tools.benchmark.config import ClipConfig
from tools.benchmark.library import SOURCE_RATE, Library
from tools.benchmark.mixing import random_schedule
from tools.benchmark.sound import render_sound
from tools.train_default.cache import cached
from tools.train_default.foreground import foreground_sound
from tools.train_default.hearing import excerpt
from tools.train_default.loop import LoopOptions, train

_log = logging.getLogger(__name__)
_STEPS = 168  # 7.8 s
_DURATION_S = _STEPS * SoundEffectsEncoder.step_s
_BATCH = 32
_WIDTH_S = 0.08  # of the targets' peaks: a change is seldom known better
_TOLERANCE_S = 0.25


@dataclass(frozen=True, eq=False)
class ComposedSounds:
    """Sounds that were composed.

    Args:
        steps: (N, S, 1216), `SoundEffectsEncoder.steps` of each, in half precision.
        changes: (N, S), 1 where the sources change, falling off as a bell on both sides.
        times_s: of the changes, for each.
    """

    steps: Tensor
    changes: Tensor
    times_s: list[list[float]]


def compose_sounds(
    encoder: SoundEffectsEncoder, library: Library, rng: np.random.Generator, count: int
) -> ComposedSounds:
    """Sound as the open benchmark has it: up to three sources at a time, music, other rooms; and,
    two of five, as a microphone hears one or two sources that start and stop over noise.
    """
    steps, times_s = [], []
    for number in range(count):
        if number % 5 < 3:
            samples, changes_s = _composed(library, rng)
        else:
            samples, changes_s = foreground_sound(library, rng, _DURATION_S)
        with torch.no_grad():  # bfloat16 takes 70 times as long on processors that emulate it
            described = encoder.steps(torch.from_numpy(samples).unsqueeze(0))
        steps.append(described[0, :_STEPS].half())
        times_s.append(changes_s)
        if (number + 1) % 100 == 0:
            _log.info("composed %d of %d sounds", number + 1, count)
    changes = torch.stack([_bells(each) for each in times_s])
    return ComposedSounds(torch.stack(steps), changes, times_s)


def cached_sounds(
    path: Path,
    encoder: SoundEffectsEncoder,
    library: Library,
    rng: np.random.Generator,
    count: int,
) -> ComposedSounds:
    """`compose_sounds`, kept in a file so that a restarted training does not repeat it.

    A file that was made of other arguments is made anew.

    Raises:
        CheckpointError: the file is damaged.
        OutputError: it cannot be written.
    """

    def make() -> dict[str, Any]:
        return vars(compose_sounds(encoder, library, rng, count))

    return ComposedSounds(**cached(path, encoder.state_dict(), library, rng, count, make))


def train_novelty(
    network: NoveltyNetwork, sounds: ComposedSounds, checkpoint: Path, *, steps: int = 1200
) -> None:
    """Fits the network to the sounds; continues from ``checkpoint`` where that file exists."""
    some = sounds.steps[:200].float().flatten(0, 1)
    network.mean.copy_(some.mean(dim=0))
    network.spread.copy_(some.std(dim=0).clamp_min(1e-3))
    network.train()

    def draw(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.from_numpy(rng.integers(len(sounds.steps), size=_BATCH))
        described = sounds.steps[chosen].float()
        # Recorded otherwise throughout, and partly unknown: no channel is to be relied on.
        noise = torch.from_numpy(rng.standard_normal((_BATCH, 1, described.shape[2]))).float()
        known = torch.from_numpy(rng.random((_BATCH, 1, described.shape[2])) < 0.7)
        described = torch.where(known, described + 0.1 * network.spread * noise, network.mean)
        return described, sounds.changes[chosen]

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        described, target = batch
        errors = F.binary_cross_entropy_with_logits(network(described), target, reduction="none")
        return (errors * (1 + 3 * target)).mean()

    options = LoopOptions(steps, learning_rate=1.5e-3, weight_decay=0.05)
    train("novelty", nn.ModuleDict({"novelty": network}), draw, loss, options, checkpoint)
    network.eval()


@torch.no_grad()
def calibrate(network: NoveltyNetwork, sounds: ComposedSounds) -> None:
    """Sets how a peak's logit tells the chance that it is a change, by sounds not trained on."""
    clock = np.arange(_STEPS, dtype=np.float64) * SoundEffectsEncoder.step_s
    heights: list[float] = []
    hits: list[bool] = []
    changes = 0
    for described, times_s in zip(sounds.steps, sounds.times_s, strict=True):
        logits = network(described.float().unsqueeze(0))[0].double().numpy()
        logits[0] = -30.0
        peaks = np.flatnonzero(pick_peaks(clock, logits, -4.0, MIN_GAP_S))
        heights += logits[peaks].tolist()
        hits += match_times(clock[peaks], np.array(times_s), _TOLERANCE_S).tolist()
        changes += len(times_s)
    slope, offset = _logistic(np.array(heights), np.array(hits))
    network.calibration.copy_(torch.tensor([slope, offset]))
    order = np.argsort(heights)[::-1]
    found = np.cumsum(np.array(hits)[order])
    f1 = 2 * found / (np.arange(1, len(found) + 1) + changes)
    best = int(np.argmax(f1))
    chance = 1 / (1 + np.exp(-(slope * heights[order[best]] + offset)))
    _log.info("novelty: F1 %.3f of new recordings, at a chance of %.2f", f1[best], chance)


def _logistic(x: NDArray[np.float64], hit: NDArray[np.bool_]) -> tuple[float, float]:
    slope, offset = 1.0, 0.0
    for _ in range(3000):
        error = 1.0 / (1.0 + np.exp(-(slope * x + offset))) - hit
        slope, offset = slope - 0.1 * float(np.mean(error * x)), offset - 0.1 * float(error.mean())
    return slope, offset


def _composed(
    library: Library, rng: np.random.Generator
) -> tuple[NDArray[np.float32], list[float]]:
    groups = list(library.sounds)
    names = [groups[i] for i in rng.choice(len(groups), int(rng.integers(2, 5)), replace=False)]
    longest = round(1.5 * _DURATION_S * SOURCE_RATE)
    recordings = [excerpt(library.sounds[name], longest, rng) for name in names]
    planned = random_schedule(rng, len(names), _DURATION_S)
    music = None
    if rng.random() < 0.3:
        music = excerpt(library.sounds[groups[int(rng.integers(len(groups)))]], longest, rng)
    samples, heard, _ = render_sound(recordings, planned, music, ClipConfig(), SOURCE_RATE, rng)
    return samples, list(heard.change_times_s)


def _bells(times_s: list[float]) -> Tensor:
    clock = torch.arange(_STEPS) * SoundEffectsEncoder.step_s
    distances = clock - torch.tensor([*times_s, 1e6])[:, None]
    return torch.exp(-0.5 * (distances / _WIDTH_S) ** 2).amax(dim=0).float()
