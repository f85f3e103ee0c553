from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tools.train_default.loop import LoopOptions, soft_jaccard_loss, train

OPTIONS = LoopOptions(12, learning_rate=0.1, weight_decay=0.0, checkpoint_every=4)


class StoppedError(Exception):
    pass


def run(
    path: Path, stop_at: int | None = None, options: LoopOptions = OPTIONS
) -> tuple[nn.Linear, list[float]]:
    torch.manual_seed(1)
    layer, losses = nn.Linear(3, 1), []

    def draw(rng: np.random.Generator) -> Tensor:
        return torch.from_numpy(rng.standard_normal((8, 3))).float()

    def loss_of(x: Tensor) -> Tensor:
        if len(losses) == stop_at:
            raise StoppedError
        loss = (layer(x) - x.sum(dim=1, keepdim=True)).square().mean()
        losses.append(loss.item())
        return loss

    train("test", nn.ModuleDict({"layer": layer}), draw, loss_of, options, path)
    return layer, losses


def test_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, losses = run(tmp_path / "whole.pt")
    with pytest.raises(StoppedError):
        run(tmp_path / "cut.pt", stop_at=6)  # the checkpoint is of step 4
    resumed, rest = run(tmp_path / "cut.pt")
    assert rest == losses[4:]
    assert torch.equal(whole.weight, resumed.weight)


def test_workers_draw_the_same_batches(tmp_path: Path) -> None:
    _, alone = run(tmp_path / "alone.pt")
    _, drawn = run(tmp_path / "drawn.pt", options=replace(OPTIONS, workers=2))
    assert drawn == alone


def test_finished_training_does_nothing_more(tmp_path: Path) -> None:
    run(tmp_path / "done.pt")
    _, losses = run(tmp_path / "done.pt")
    assert losses == []


def test_soft_jaccard() -> None:
    target = torch.tensor([[[1.0, 1.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 0.0]]])
    half = torch.tensor([[[1.0, 0.0, 0.0, 0.0]], [[1.0, 1.0, 1.0, 1.0]]])
    assert soft_jaccard_loss(target, target).item() == pytest.approx(0)
    assert soft_jaccard_loss(half, target).item() == pytest.approx(0.5)  # the empty one is left out
