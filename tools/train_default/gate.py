"""Training the sound gate: of two sounds, whether what is followed still sounds in the second.

It is learned from sound alone: the propagator's masks do not depend on it, and sounds are composed
and heard many times faster than pictures are followed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from coprop.encoders.yamnet import FineYAMNet
from coprop.propagation.sound_gate import SoundGate, moments
from tools.benchmark.library import Library
from tools.train_default.cache import cached
from tools.train_default.loop import fit
from tools.train_default.sequences import SequenceOptions, random_hearing

_log = logging.getLogger(__name__)
_FRAMES = 10  # of a sequence: one sound is composed for all of them
_BATCH, _STEPS = 256, 1200
_RATE, _DECAY = 1e-3, 0.03
# Log odds of silence, chosen on validation clips: one frame in fifty that sounds is shut. Lower
# ones shut more, and cost J even where control points are known.
_THRESHOLD = 1.0
# What the background gains is this for each step of the gate's own log odds: masks are shut within
# half a step, since a mask's logits are up to 10 above the background's, or not touched.
_SHARPNESS = 20.0


@dataclass(frozen=True, eq=False)
class HeardSequences:
    """What is learned from.

    Args:
        sounds: (N, T, 6, C) `moments` of the sound around each frame, the keyframe's first, in half
            precision.
        sounding: (N, T) 1 where something followed sounds, 0 where nothing does, NaN in between.
    """

    sounds: Tensor
    sounding: Tensor


def cached_sequences(
    path: Path, encoder: FineYAMNet, library: Library, rng: np.random.Generator, count: int
) -> HeardSequences:
    """Random sequences, kept in a file so that a restarted training does not repeat it."""

    def make() -> dict[str, Any]:
        kind = SequenceOptions(encoder.sample_rate, encoder.window_s, _FRAMES, identities=1)
        sounds, sounding = [], []
        for number in range(count):
            heard = random_hearing(library, rng, kind)
            with torch.inference_mode():
                sounds.append(moments(encoder.tokens(heard.sounds)).half())
            sounding.append(heard.sounding)
            if (number + 1) % 500 == 0:
                _log.info("heard %d of %d sequences", number + 1, count)
        return vars(HeardSequences(torch.stack(sounds), torch.stack(sounding)))

    return HeardSequences(**cached(path, encoder.state_dict(), library, rng, count, make))


def fit_gate(
    gate: SoundGate, heard: HeardSequences, *, steps: int = _STEPS, threshold: float = _THRESHOLD
) -> None:
    """Fits the gate, by cross-entropy of each frame with its keyframe.

    Args:
        gate: learns where it is.
        heard: to learn from.
        steps: batches.
        threshold: log odds of silence from which masks are shut.
    """
    gate.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(gate.parameters(), weight_decay=_DECAY)
    known = torch.nonzero(~heard.sounding[:, 1:].isnan())

    def loss_of(generator: torch.Generator) -> Tensor:
        chosen = known[torch.randint(len(known), (_BATCH,), generator=generator)]
        sequences, frames = chosen[:, 0], chosen[:, 1] + 1
        silence = _silence(gate, heard.sounds[sequences, 0], heard.sounds[sequences, frames])
        return F.binary_cross_entropy_with_logits(silence, 1 - heard.sounding[sequences, frames])

    fit("gate", optimizer, loss_of, steps=steps, rate=_RATE)
    with torch.no_grad():
        gate.projection.bias.sub_(threshold).mul_(_SHARPNESS)
        gate.projection.weight.mul_(_SHARPNESS)
    gate.requires_grad_(False).eval()


@torch.no_grad()
def gate_shares(gate: SoundGate, heard: HeardSequences) -> tuple[float, float]:
    """Shares of the silent frames that are shut, and of the sounding ones that are not."""
    first, later = heard.sounds[:, :1].expand_as(heard.sounds[:, 1:]), heard.sounds[:, 1:]
    pairs = zip(first, later, strict=True)
    shut = torch.stack([_silence(gate, *pair) > 0 for pair in pairs])
    sounding = heard.sounding[:, 1:]
    return float(shut[sounding == 0].float().mean()), float(1 - shut[sounding == 1].float().mean())


def _silence(gate: SoundGate, reference: Tensor, now: Tensor) -> Tensor:
    """What the gate makes of (B, 6, C) `moments`."""
    silence: Tensor = gate(gate.embedded(reference.float()), gate.embedded(now.float()))
    return silence
