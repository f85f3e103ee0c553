"""Training the propagator on composed sequences: masks are carried while their objects sound."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from coprop.propagation.propagator import AudioInsertPropagator
from coprop.training.losses import bootstrapped_cross_entropy, soft_jaccard
from tools.benchmark.library import Library
from tools.train_default.loop import LoopOptions, train
from tools.train_default.sequences import VOID, SequenceOptions, random_sequence, random_size

_WORST = 0.25  # of the pixels count: a small object's are drowned by the background's otherwise
_FEWEST, _MOST = 4, 8  # frames of a sequence


@dataclass(frozen=True)
class PropagationOptions:
    """How the propagator is trained.

    Args:
        steps: batches.
        batch: sequences in a batch.
        fewest, most: frames of a sequence, the keyframe included.
        learning_rate: of the audio modules, which begin from nothing.
        slower: by which factor all else learns slower: 1 from nothing, more from trained weights.
        teacher_forcing: how often memory takes in the true masks instead of the predicted ones.
        workers: processes that compose sequences.
        bfloat16: whether matrix products are in half precision; where the hardware has it, that is
            some four times faster.
    """

    steps: int = 4000
    batch: int = 2
    fewest: int = _FEWEST
    most: int = _MOST
    learning_rate: float = 1e-3
    slower: float = 1.0
    teacher_forcing: float = 0.2
    workers: int = 0
    bfloat16: bool = False


@dataclass(frozen=True, eq=False)
class SequenceBatch:
    """B sequences of T frames; see `tools.train_default.sequences.Sequence`."""

    frames: Tensor
    sounds: Tensor
    labels: Tensor
    keyframe_masks: Tensor
    teacher_forcing: bool


def train_propagation(
    propagator: AudioInsertPropagator,
    library: Library,
    checkpoint: Path,
    options: PropagationOptions | None = None,
) -> None:
    """Fits everything but the encoders, which stay as they were trained on pictures and sounds.

    Args:
        propagator: with its encoders trained; it is trained where it is.
        library: pictures and recordings to compose sequences from.
        checkpoint: continued from where it exists.
        options: how.
    """
    options = options or PropagationOptions()
    learned = learned_parts(propagator)
    propagator.train()
    propagator.network.encoder.eval()
    propagator.requires_grad_(False)
    learned.requires_grad_(True)
    train(
        "propagation",
        learned,
        partial(_draw, library, propagator.sample_rate, propagator.window_s, options),
        partial(_loss, propagator, options.bfloat16),
        LoopOptions(
            options.steps,
            learning_rate=options.learning_rate,
            weight_decay=0.03,
            slower={"vision": options.slower},
            workers=options.workers,
        ),
        checkpoint,
    )
    propagator.eval()


def learned_parts(propagator: AudioInsertPropagator) -> nn.ModuleDict:
    """What `train_propagation` changes: of the audio modules what inserts, and the rest."""
    network = propagator.network
    parts = {name: part for name, part in network.named_children() if name != "encoder"}
    audio = parts.pop("audio_insert", None)
    learned = nn.ModuleDict({"vision": nn.ModuleDict(parts)})
    if audio is not None:
        apart = ("encoder", "sound_gate")  # the one is frozen, the other has a training of its own
        own = {name: part for name, part in audio.named_children() if name not in apart}
        own["position"] = nn.ParameterDict({"position": audio.position})
        learned["audio"] = nn.ModuleDict(own)
    return learned


def spread_identities(propagator: AudioInsertPropagator) -> None:
    """Starts each identity as a random direction of the size of the features it is added to.

    AOT starts them some thousand times smaller and takes 100,000 steps to tell them apart; a short
    training has no time for that.
    """
    bank = propagator.network.patch_wise_id_bank
    directions = torch.randn(*bank.weight.shape[:2], 1, 1) / (17 * 17)
    with torch.no_grad():
        bank.weight.copy_(directions.expand_as(bank.weight))


def _draw(
    library: Library,
    sample_rate: int,
    window_s: float,
    options: PropagationOptions,
    rng: np.random.Generator,
) -> SequenceBatch:
    size = random_size(rng)
    count = int(rng.integers(options.fewest, options.most + 1))
    kind = SequenceOptions(sample_rate, window_s, count, identities=10)
    sequences = [random_sequence(library, rng, size, kind) for _ in range(options.batch)]
    return SequenceBatch(
        torch.stack([s.frames for s in sequences]),
        torch.stack([s.sounds for s in sequences]),
        torch.stack([s.labels for s in sequences]),
        torch.stack([s.keyframe_mask for s in sequences]),
        bool(rng.random() < options.teacher_forcing),
    )


def _loss(propagator: AudioInsertPropagator, bfloat16: bool, batch: SequenceBatch) -> Tensor:
    """Cross-entropy of the worst pixels and soft Jaccard over the frames after the keyframe."""
    device = next(propagator.parameters()).device
    later = batch.labels[:, 1:].to(device).unbind(1)
    known = [batch.keyframe_masks.max(), batch.labels[batch.labels != VOID].max()]
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        outputs = propagator.unroll(
            batch.frames.to(device),
            batch.sounds.to(device),
            batch.keyframe_masks.to(device),
            num_objects=int(max(known)),
            masks=list(later) if batch.teacher_forcing else None,
        )
    losses = [
        bootstrapped_cross_entropy(logits, target, _WORST) + soft_jaccard(logits, target)
        for logits, target in zip(outputs, later, strict=True)
    ]
    return torch.stack(losses).mean()
