"""The comparison with peers, on contenders that cost nothing."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest
import torch
from torch import Tensor

from tools.bench import peers


def contender(name: str, wrong: int) -> peers.Contender:
    """Says of every frame that all is object 1, but for the first rows."""

    def begin(frame: Tensor, labels: Tensor) -> peers.Step:
        assert labels.shape == (1, *frame.shape[-2:])

        def step(frame: Tensor) -> Tensor:
            logits = torch.zeros(1, 3, *frame.shape[-2:])
            logits[:, 1, wrong:] = 1
            return logits

        return step

    return peers.Contender(name, begin)


def test_what_differs_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pair(options: Any) -> list[peers.Contender]:
        return [contender("coprop", 0), contender("other", 4)]

    monkeypatch.setattr(peers, "contenders", pair)
    arguments = ["somewhere", "--size", "24x16", "--frames", "4", "--objects", "2", "--no-memory"]
    assert peers.main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["equal_labels"] == pytest.approx(12 / 16)
    assert result["J"] == pytest.approx((12 / 16 + 1) / 2)  # object 2 is in neither
    assert result["largest_logit_difference"] == 1
    assert len(result["seconds"]) == 2
    assert peers.main(arguments) == 0
    assert "labels equal on 75.000 % of pixels" in capsys.readouterr().out


def test_the_scene_moves() -> None:
    options = argparse.Namespace(size=(16, 24), objects=2, frames=3)
    frames = list(peers.scene(options))
    assert len(frames) == 4
    assert all(frame.shape == (1, 3, 16, 24) for frame, _ in frames)
    assert all(0 <= float(frame.min()) <= float(frame.max()) <= 1 for frame, _ in frames)
    assert not torch.equal(frames[0][0], frames[1][0])
