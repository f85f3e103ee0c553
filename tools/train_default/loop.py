"""The loop of these trainings: one cosine of learning rate, resumable at any checkpoint."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from coprop.training.losses import soft_areas
from coprop.training.run_folder import read_checkpoint, write_checkpoint

_log = logging.getLogger(__name__)
_WARM_UP = 100  # steps
Batch = TypeVar("Batch")


@dataclass(frozen=True)
class LoopOptions:
    """How long something is trained.

    Args:
        steps: batches.
        learning_rate: the highest; it rises over 100 steps and follows one cosine to zero.
        weight_decay: of AdamW.
        checkpoint_every: steps between checkpoints.
        seed: of everything random; step k draws from the seed (seed, k).
        slower: by which factor parts learn slower than the others, by their names.
        workers: processes that draw batches; none where 0.
    """

    steps: int
    learning_rate: float
    weight_decay: float
    checkpoint_every: int = 100
    seed: int = 0
    slower: Mapping[str, float] = field(default_factory=dict)
    workers: int = 0


def train(
    name: str,
    learned: nn.ModuleDict,
    draw: Callable[[np.random.Generator], Batch],
    loss_of: Callable[[Batch], Tensor],
    options: LoopOptions,
    checkpoint: Path,
) -> None:
    """Minimises a loss; continues from ``checkpoint`` where that file exists.

    A resumed training sees the same examples as an uninterrupted one.

    Args:
        name: for the log.
        learned: the modules whose parameters (those that require gradients) are changed.
        draw: a batch, all that is random in it from the generator. With workers it is called in
            other processes, ahead of time.
        loss_of: of a batch.
        options: how long.
        checkpoint: file of parameters, optimizer and step, replaced atomically.
    """
    parameters = [p for p in learned.parameters() if p.requires_grad]
    rate = options.learning_rate
    groups = [
        {
            "params": [p for p in part.parameters() if p.requires_grad],
            "lr": rate / options.slower.get(part_name, 1.0),
        }
        for part_name, part in learned.items()
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _warm_cosine(step, options.steps)
    )
    stored = {"learned": learned, "optimizer": optimizer, "schedule": schedule}
    done = read_checkpoint(checkpoint, stored) if checkpoint.exists() else 0
    average, began_s = 0.0, time.monotonic()
    drawn = DataLoader(
        _Draws(draw, options.seed),
        batch_size=None,
        sampler=range(done, options.steps),
        num_workers=options.workers,
        multiprocessing_context="fork" if options.workers else None,
    )
    for step, batch in enumerate(drawn, start=done):
        loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        average += (loss.item() - average) / min(step - done + 1, 100)
        if (step + 1) % 20 == 0:
            pace = (step + 1 - done) / (time.monotonic() - began_s)
            _log.info(
                "%s: step %d of %d, loss %.4f, %.2f steps/s",
                *(name, step + 1, options.steps, average, pace),
            )
        if (step + 1) % options.checkpoint_every == 0 or step + 1 == options.steps:
            write_checkpoint(checkpoint, step + 1, stored)


def fit(
    name: str,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[torch.Generator], Tensor],
    *,
    steps: int,
    rate: float,
) -> None:
    """Minimises a loss of what is in memory, in one cycle of learning rates; takes minutes.

    Args:
        name: for the log.
        optimizer: of what learns.
        loss_of: of a batch, all that is random in it from the generator.
        steps: batches.
        rate: the highest.
    """
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        loss = loss_of(generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            _log.info("%s: step %d, loss %.4f", name, step, loss.item())


class _Draws(Dataset[Any]):
    """Batch k is drawn from the seed (seed, k), in whichever process."""

    def __init__(self, draw: Callable[[np.random.Generator], Any], seed: int) -> None:
        self._draw, self._seed = draw, seed

    def __getitem__(self, step: int) -> Any:
        return self._draw(np.random.default_rng((self._seed, step)))


def soft_jaccard_loss(probability: Tensor, target: Tensor) -> Tensor:
    """Mean of 1 - J over masks (N, H, W) in [0, 1]; those with an empty target are left out."""
    overlap, union, present = soft_areas(probability, target)
    return ((1 - overlap / union) * present).sum() / present.sum().clamp_min(1)


def _warm_cosine(step: int, steps: int) -> float:
    warmth = min((step + 1) / _WARM_UP, 1.0)
    return warmth * 0.5 * (1 + math.cos(math.pi * min(step / max(steps, 1), 1.0)))
