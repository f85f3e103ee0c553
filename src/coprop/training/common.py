"""What both trainings share: checkpoints that a killed run continues from, and soft Jaccard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Checkpoint:
    """Parameters, optimizer and step of a training, in one file that is replaced atomically.

    Args:
        path: the file.
        learned: the modules that the training changes.
        optimizer: its optimizer.
        schedule: its learning rate schedule.
    """

    def __init__(
        self,
        path: Path,
        learned: nn.ModuleDict,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
    ) -> None:
        self._path = path
        self._parts: dict[str, Any] = {
            "learned": learned,
            "optimizer": optimizer,
            "schedule": schedule,
        }

    def resume(self) -> int:
        """Restores everything and returns the number of steps done: 0 where there is no file."""
        if not self._path.exists():
            return 0
        stored = torch.load(self._path, weights_only=True)
        for name, part in self._parts.items():
            part.load_state_dict(stored[name])
        return int(stored["step"])

    def save(self, step: int) -> None:
        """Stores the state after ``step`` steps."""
        partial = self._path.with_suffix(".partial")
        parts = {name: part.state_dict() for name, part in self._parts.items()}
        torch.save({"step": step, **parts}, partial)
        partial.replace(self._path)


def soft_jaccard_loss(probability: Tensor, target: Tensor) -> Tensor:
    """Mean of 1 - J over masks (N, H, W) in [0, 1]; those with an empty target are left out."""
    overlap = (probability * target).sum(dim=(1, 2))
    union = (probability + target - probability * target).sum(dim=(1, 2))
    present = target.sum(dim=(1, 2)) > 0
    return ((1 - overlap / union.clamp_min(1e-6)) * present).sum() / present.sum().clamp_min(1)
