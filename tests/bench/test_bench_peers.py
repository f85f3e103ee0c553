"""The comparison with peers, on contenders that cost nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from coprop.bench import peers
from coprop.bench.peers import Contender, PeerOptions
from coprop.cli.app import app
from coprop.errors import CoPropError
from tools.bench import peers as tool


def contender(name: str, wrong: int) -> Contender:
    """Says of every frame that all is object 1, but for the first rows."""

    def begin(frame: Tensor, labels: Tensor) -> peers.Step:
        assert labels.shape == (1, *frame.shape[-2:])

        def step(frame: Tensor) -> Tensor:
            logits = torch.zeros(1, 3, *frame.shape[-2:])
            logits[:, 1, wrong:] = 1
            return logits

        return step

    return Contender(name, begin)


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> list[PeerOptions]:
    """Two that differ in a quarter of the pixels; the options that they were made with."""
    given: list[PeerOptions] = []

    def made(options: PeerOptions) -> list[Contender]:
        given.append(options)
        return [contender("coprop", 0), contender("other", 4)]

    monkeypatch.setattr(peers, "contenders", made)
    return given


def test_what_differs_is_told(pair: Any, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["somewhere", "--size", "24x16", "--frames", "4", "--objects", "2", "--no-memory"]
    assert tool.main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["equal_labels"] == pytest.approx(12 / 16)
    assert result["J"] == pytest.approx((12 / 16 + 1) / 2)  # object 2 is in neither
    assert result["largest_logit_difference"] == 1
    assert len(result["seconds"]) == 2
    assert tool.main(arguments) == 0
    assert "labels equal on 75.000 % of pixels" in capsys.readouterr().out


def test_the_command_compares(
    pair: list[PeerOptions], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def without_peaks(options: PeerOptions) -> dict[str, Any]:
        return peers.compare(options) | {"peak_MiB": [10.0, 20.0]}

    monkeypatch.setattr(peers, "measured", without_peaks)
    line = ["bench", "--peer", str(tmp_path), "--size", "64x32", "--frames", "3", "--objects", "2"]
    told = CliRunner().invoke(app, line)
    assert told.exit_code == 0, told.output
    assert "coprop" in told.output
    assert "20 MiB at the peak" in told.output
    assert pair[0] == PeerOptions(str(tmp_path), size=(32, 64), frames=3, objects=2)
    as_json = CliRunner().invoke(app, [*line, "--json", "--precision", "bfloat16"])
    assert pair[1].dtype == "bfloat16"
    assert json.loads(as_json.output)["names"] == ["coprop", "other"]


def test_what_is_no_checkout_is_told(tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match="no checkout of the official AOT"):
        peers.official(tmp_path, {}, 5)


def test_peaks_are_of_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[int] = []

    class Pool:
        """In place of a process: what it is asked for."""

        def __init__(self, count: int, mp_context: Any) -> None:
            assert mp_context.get_start_method() == "spawn"
            processes.append(count)

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: object) -> None: ...

        def submit(self, function: Any, options: PeerOptions, which: int) -> Any:
            assert function is peers.peak
            return type("Done", (), {"result": staticmethod(lambda: float(which))})

    monkeypatch.setattr(peers, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(peers, "compare", lambda options: {"ratio": 2.0})
    assert peers.measured(PeerOptions("somewhere"))["peak_MiB"] == [0.0, 1.0]
    assert processes == [1, 1]


def test_the_scene_moves() -> None:
    frames = list(peers.scene(PeerOptions("", size=(16, 24), objects=2, frames=3)))
    assert len(frames) == 4
    assert all(frame.shape == (1, 3, 16, 24) for frame, _ in frames)
    assert all(0 <= float(frame.min()) <= float(frame.max()) <= 1 for frame, _ in frames)
    assert not torch.equal(frames[0][0], frames[1][0])


@pytest.mark.parametrize("first", [0, 9])
def test_some_frame_must_count(first: int) -> None:
    with pytest.raises(CoPropError, match="at least 1 and at most frames"):
        PeerOptions("edgetam", frames=8, from_frame=first)
