"""Training the propagator on composed clips: masks are carried while their objects sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.context import AudioWindows
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.types import Audio
from tools.benchmark.library import SOURCE_RATE, Library, random_picture, random_recording
from tools.benchmark.mixing import Schedule, render
from tools.benchmark.scene import random_scene
from tools.train_default.loop import LoopOptions, soft_jaccard_loss, train


def train_propagation(
    propagator: AudioInsertPropagator,
    library: Library,
    checkpoint: Path,
    *,
    steps: int = 4000,
    batch: int = 2,
    frames: int = 3,
) -> None:
    """Fits everything but the image encoder, which stays as it was trained on ImageNet.

    Args:
        propagator: with its image encoder trained.
        library: pictures and recordings to compose clips from.
        checkpoint: continued from where it exists.
        steps: batches.
        batch: clips in a batch.
        frames: frames of a clip, the keyframe included.
    """
    if not checkpoint.exists():
        _spread_identities(propagator)
    propagator.train()
    propagator.encoder.eval()
    propagator.encoder.requires_grad_(False)
    train(
        "propagation",
        nn.ModuleDict({"all": propagator}),
        lambda rng: _loss(propagator, *_batch(propagator, library, rng, batch, frames)),
        LoopOptions(steps, learning_rate=1e-3, weight_decay=0.03),
        checkpoint,
    )
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


def _loss(
    propagator: AudioInsertPropagator,
    frames: Tensor,
    sounds: Tensor,
    labels: Tensor,
    teacher_forcing: bool,
) -> Tensor:
    """Cross-entropy and soft Jaccard over the frames after the keyframe.

    Args:
        propagator: the model.
        frames: (B, T, 3, h, w).
        sounds: (B, T, n).
        labels: (B, T, h, w), 0 where nothing followed sounds.
        teacher_forcing: memory takes the true masks instead of the predicted ones.
    """
    identities = propagator.config.max_objects
    outputs = propagator.unroll(
        frames,
        sounds,
        labels[:, 0],
        num_objects=identities,
        masks=list(labels[:, 1:].unbind(1)) if teacher_forcing else None,
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
    batch: int,
    frames_of_clip: int,
) -> tuple[Tensor, Tensor, Tensor, bool]:
    size = [(177, 241), (209, 209), (161, 273), (241, 177)][int(rng.integers(4))]
    clips = [_clip(propagator, library, rng, size, frames_of_clip) for _ in range(batch)]
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
    planned = Schedule((0.0, end_s, duration_s + 0.1), (followed, rest))
    recordings = [random_recording(library, rng, group) for group in groups]
    samples, schedule = render(recordings, planned, SOURCE_RATE, rng)
    audio = Audio(samples, SOURCE_RATE)
    windows = AudioWindows(audio, propagator.sample_rate, propagator.window_s)
    identities = np.ones(len(groups), dtype=np.int64)  # what binary keyframes ask for
    if rng.random() < 0.3:
        identities = rng.permutation(propagator.config.max_objects)[: len(groups)] + 1
    frames, labels = [], []
    for time_s in times_s:
        frame, masks = scene.render(float(time_s))
        label = np.zeros(size, dtype=np.int64)
        for index in followed & schedule.at(float(time_s)):
            label[masks[index]] = identities[index]
        frames.append(torch.from_numpy(frame).permute(2, 0, 1).float() / 255)
        labels.append(torch.from_numpy(label))
    sounds = [windows.centred(float(time_s))[0] for time_s in times_s]
    return torch.stack(frames), torch.stack(sounds), torch.stack(labels)
