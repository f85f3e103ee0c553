"""Training the propagator on composed clips: masks are carried while their objects sound."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.data.composer import random_picture
from coprop.data.library import SAMPLE_RATE, Library
from coprop.data.scene import random_scene
from coprop.data.soundtrack import Schedule, render_soundtrack
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.training.common import Checkpoint, soft_jaccard_loss
from coprop.types import Audio
from coprop.windows import AudioWindows

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PropagationOptions:
    """How long and with what the propagator is trained.

    Args:
        steps: batches.
        batch: clips in a batch.
        frames: frames of a clip, the keyframe included.
        learning_rate: the highest; it follows one cosine to zero.
        checkpoint_every: steps between checkpoints.
        seed: of everything random.
    """

    steps: int = 4000
    batch: int = 2
    frames: int = 3
    learning_rate: float = 1e-3
    checkpoint_every: int = 100
    seed: int = 0


def train_propagation(
    propagator: AudioInsertPropagator,
    library: Library,
    options: PropagationOptions,
    checkpoint: Path,
) -> None:
    """Fits everything but the image encoder, which stays as it was trained on ImageNet.

    Continues from ``checkpoint`` where it exists, with the clips it would have seen next.
    """
    if not checkpoint.exists():
        _spread_identities(propagator)
    propagator.train()
    propagator.encoder.eval()
    propagator.encoder.requires_grad_(False)
    learned = [p for p in propagator.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=options.learning_rate, weight_decay=0.03)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _warm_cosine(step, options.steps)
    )
    stored = Checkpoint(checkpoint, nn.ModuleDict({"all": propagator}), optimizer, schedule)
    done, average = stored.resume(), 0.0
    for step in range(done, options.steps):
        rng = np.random.default_rng((options.seed, step))
        loss = _loss(propagator, *_batch(propagator, library, rng, options))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
        average += (loss.item() - average) / min(step - done + 1, 100)
        if (step + 1) % 20 == 0:
            _log.info("propagation: step %d of %d, loss %.4f", step + 1, options.steps, average)
        if (step + 1) % options.checkpoint_every == 0 or step + 1 == options.steps:
            stored.save(step + 1)
    propagator.eval()


def _spread_identities(propagator: AudioInsertPropagator) -> None:
    """Starts each identity as a random direction of the size of the features it is added to.

    AOT starts them some thousand times smaller and takes 100,000 steps to tell them apart; a short
    training has no time for that.
    """
    bank = propagator.patch_wise_id_bank
    directions = torch.randn(*bank.weight.shape[:2], 1, 1) / (17 * 17)
    with torch.no_grad():
        bank.weight.copy_(directions.expand_as(bank.weight))


def _warm_cosine(step: int, steps: int) -> float:
    warmth = min((step + 1) / 100, 1.0)
    return warmth * float(0.5 * (1 + np.cos(np.pi * min(step / steps, 1.0))))


def _loss(
    propagator: AudioInsertPropagator,
    frames: Tensor,
    sounds: Tensor,
    labels: Tensor,
    told: bool,
) -> Tensor:
    """Cross-entropy and soft Jaccard over the frames after the keyframe.

    Args:
        propagator: the model.
        frames: (B, T, 3, h, w).
        sounds: (B, T, n).
        labels: (B, T, h, w), 0 where nothing followed sounds.
        told: whether memory is told the true masks instead of the predicted ones.
    """
    identities = propagator.config.max_objects
    outputs = propagator.unroll(
        frames,
        sounds,
        labels[:, 0],
        num_objects=identities,
        masks=list(labels[:, 1:].unbind(1)) if told else None,
    )
    loss = torch.zeros(())
    for logits, target in zip(outputs, labels[:, 1:].unbind(1), strict=True):
        loss = loss + F.cross_entropy(logits, target)
        probability, truth = logits.softmax(dim=1), F.one_hot(target, identities + 1)
        objects = probability[:, 1:].flatten(0, 1), truth.permute(0, 3, 1, 2)[:, 1:].flatten(0, 1)
        loss = loss + soft_jaccard_loss(objects[0], objects[1].float())
    return loss / len(outputs)


def _batch(
    propagator: AudioInsertPropagator,
    library: Library,
    rng: np.random.Generator,
    options: PropagationOptions,
) -> tuple[Tensor, Tensor, Tensor, bool]:
    size = [(177, 241), (209, 209), (161, 273), (241, 177)][int(rng.integers(4))]
    clips = [_clip(propagator, library, rng, size, options.frames) for _ in range(options.batch)]
    frames, sounds, labels = (torch.stack(parts) for parts in zip(*clips, strict=True))
    return frames, sounds, labels, bool(rng.random() < 0.5)


def _clip(
    propagator: AudioInsertPropagator,
    library: Library,
    rng: np.random.Generator,
    size: tuple[int, int],
    num_frames: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Frames (T, 3, h, w), their sound (T, n) and labels (T, h, w) of one composed clip.

    Objects that sound in the keyframe are followed, under random identities, one each or one for
    all. In a third of the clips they fall silent on the way, or others take over; then nothing is
    to be followed any more. So the propagator learns to listen and not only to look.
    """
    groups = [str(g) for g in rng.choice(library.groups, rng.integers(2, 4), replace=False)]
    pictures = [random_picture(library, rng, group) for group in groups]
    scene = random_scene(library, rng, pictures, size=size, motion=float(rng.uniform(0.5, 3)))
    followed = frozenset(int(i) for i in rng.permutation(len(groups))[: rng.integers(1, 3)])
    interval_s = float(rng.uniform(0.06, 0.4))
    duration_s = 2.0 + num_frames * interval_s
    times_s = 1.0 + interval_s * np.arange(num_frames)
    end_s = float(rng.uniform(times_s[1], times_s[-1])) if rng.random() < 0.35 else duration_s
    rest = frozenset(range(len(groups))) - followed if rng.random() < 0.5 else frozenset()
    schedule = Schedule((0.0, end_s, duration_s + 0.1), (followed, rest))
    audio = Audio(render_soundtrack(library, rng, list(groups), schedule), SAMPLE_RATE)
    windows = AudioWindows(audio, propagator.sample_rate, propagator.window_s)
    identities = np.ones(len(groups), dtype=np.int64)  # what binary keyframes ask for
    if rng.random() < 0.3:
        identities = rng.permutation(propagator.config.max_objects)[: len(groups)] + 1
    frames, labels = [], []
    for time_s in times_s:
        frame, masks = scene.render(float(time_s))
        label = np.zeros(size, dtype=np.int64)
        for index in followed if time_s < end_s else ():
            label[masks[index]] = identities[index]
        frames.append(torch.from_numpy(frame).permute(2, 0, 1).float() / 255)
        labels.append(torch.from_numpy(label))
    sounds = [windows.centred(float(time_s))[0] for time_s in times_s]
    return torch.stack(frames), torch.stack(sounds), torch.stack(labels)
