"""Trainings that are stopped, resumed and shared give what one uninterrupted process gives."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import avsbench_folders
import pytest
import small_training
import torch
from small_training import keyframe_recipe, propagator_recipe, session_of

from coprop.data.avsbench_object import MS3
from coprop.errors import CheckpointError, CoPropError, OutputError
from coprop.training.run_folder import RunFolder
from coprop.training.session import TrainingSession
from coprop.training.weight_average import WeightAverage
from started import Started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parent = tmp_path_factory.mktemp("avsbench")
    avsbench_folders.build_ms3(parent)
    return parent


def curve(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        del row["seconds"]
    return rows


def weights(session: TrainingSession) -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in session.task.objective.state_dict().items()}


class KilledError(Exception):
    pass


def killed_after(steps: int) -> Callable[[str, int, int | None], None]:
    def progress(name: str, done: int, total: int | None) -> None:
        if done == steps:
            raise KilledError

    return progress


@pytest.mark.parametrize(
    "recipe",
    [
        keyframe_recipe(steps=5, checkpoint_every=2, ema_ratio=0.5),
        # Blocks are dropped at random, and the scheme changes half-way: at the third step.
        propagator_recipe(
            steps=5, checkpoint_every=2, model={**small_training.PROPAGATOR, "drop_path": 0.4}
        ),
    ],
    ids=["keyframes", "propagator"],
)
def test_resumed_is_uninterrupted(recipe: Any, folder: Path, tmp_path: Path) -> None:
    dataset = MS3(folder, "train")
    whole = session_of(recipe, dataset, tmp_path / "whole")
    assert whole.run().finished
    cut = session_of(recipe, dataset, tmp_path / "cut")
    with pytest.raises(KilledError):
        cut.run(killed_after(3))  # the checkpoint is of step 2
    log = tmp_path / "cut" / "log.jsonl"
    log.write_text(log.read_text(encoding="utf-8") + '{"step": 4, "lo', encoding="utf-8")
    torch.manual_seed(99)
    resumed = session_of(recipe, dataset, tmp_path / "cut")
    assert resumed.resume() == 2
    assert resumed.run().finished
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")
    expected = weights(whole)
    assert all(torch.equal(value, expected[name]) for name, value in weights(resumed).items())
    assert len({row["loss"] for row in curve(tmp_path / "whole")}) == 5
    averages = [s.average.state_dict() for s in (whole, resumed) if s.average is not None]
    first, second = averages
    assert first["n_averaged"] == second["n_averaged"] == 1 + 5  # the first weights are in it
    assert all(torch.equal(v, second[n]) for n, v in first.items())


def test_two_processes_share_a_batch(folder: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What accelerate launch and torchrun put into the environment of their processes.
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        Started(
            [str(folder), str(tmp_path / "two")],
            code="import small_training; small_training.main()",
            env={**shared, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in "01"
    ]
    for process in processes:
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said.decode()
    found = torch.load(tmp_path / "two" / "first.pt", weights_only=True)
    assert found["processes"] == 2
    dataset = MS3(folder, "train")
    for name, make in (("keyframes", keyframe_recipe), ("propagator", propagator_recipe)):
        recipe = make(batch_size=4, seed=5)
        alone, processes = small_training.first_gradients(recipe, dataset, tmp_path / name)
        assert processes == 1
        assert alone.keys() == found[name].keys()
        assert max(float(g.abs().max()) for g in alone.values()) > 1e-3
        for parameter, gradient in alone.items():
            torch.testing.assert_close(found[name][parameter], gradient, rtol=0, atol=1e-5)


@pytest.mark.parametrize("make", [keyframe_recipe, propagator_recipe])
def test_accumulation_changes_no_gradient(make: Any, folder: Path, tmp_path: Path) -> None:
    dataset = MS3(folder, "train")
    at_once, _ = small_training.first_gradients(make(batch_size=4), dataset, tmp_path / "1")
    recipe = make(batch_size=4, accumulation=2)
    in_parts, _ = small_training.first_gradients(recipe, dataset, tmp_path / "2")
    for name, gradient in at_once.items():
        torch.testing.assert_close(in_parts[name], gradient, rtol=0, atol=1e-5)


def test_checkpoints_are_few_and_whole(folder: Path, tmp_path: Path) -> None:
    recipe = keyframe_recipe(steps=4, checkpoint_every=1, keep=2)
    session = session_of(recipe, MS3(folder, "train"), tmp_path)
    session.run()
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step_0000003.pt", "step_0000004.pt"]
    (tmp_path / "checkpoints" / names[-1]).write_bytes(b"cut short")
    with pytest.raises(CheckpointError, match=r"step_0000004\.pt is not a checkpoint"):
        session.resume()
    (tmp_path / "checkpoints" / names[-1]).unlink()
    assert session.resume() == 3


def test_a_wish_to_stop_saves(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    recipe = keyframe_recipe(steps=5, checkpoint_every=100)
    session = session_of(recipe, MS3(folder, "train"), tmp_path)

    def interrupt(name: str, done: int, total: int | None) -> None:
        if done == 2:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    outcome = session.run(interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert (outcome.step, outcome.finished) == (3, False)
    assert session.resume() == 3
    assert not (tmp_path / "final").exists()


def test_events_can_be_read(folder: Path, tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    recipe = keyframe_recipe(steps=3, log_every=1)
    session_of(recipe, MS3(folder, "train"), tmp_path).run()
    (path,) = (tmp_path / "events").iterdir()
    content, points = path.read_bytes(), []
    while content:  # a record: its length, 4 bytes, the event, 4 bytes
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        points += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
        content = content[16 + length :]
    losses = [(step, value) for tag, step, value in points if tag == "loss"]
    expected = [(row["step"], row["loss"]) for row in curve(tmp_path)]
    assert [step for step, _ in losses] == [1, 2, 3]
    for (_, value), (_, loss) in zip(losses, expected, strict=True):
        assert value == pytest.approx(loss)


def test_a_batch_that_cannot_be_shared(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match=r"batch_size counts .* give a multiple of 2"):
        session_of(keyframe_recipe(batch_size=3, accumulation=2), MS3(folder, "train"), tmp_path)


def test_a_loss_that_is_not_finite(folder: Path, tmp_path: Path) -> None:
    recipe = keyframe_recipe(learning_rate=1e30)
    session = session_of(recipe, MS3(folder, "train"), tmp_path)
    with pytest.raises(CoPropError, match="lower learning_rate"):
        session.run()


def test_other_settings_are_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.open({"steps": 5, "workers": 2})
    run.check({"steps": 5, "workers": 0}, resume=True)
    with pytest.raises(OutputError, match="steps was 5, is 6"):
        run.check({"steps": 6, "workers": 2}, resume=True)
    with pytest.raises(OutputError, match="--resume automatic"):
        run.check({"steps": 5, "workers": 2}, resume=False)
    run.open({"told": 0.5})  # as an earlier version named it
    run.check({"teacher_forcing": 0.5}, resume=True)
    with pytest.raises(OutputError, match=r"teacher_forcing was 0\.5, is 1"):
        run.check({"teacher_forcing": 1.0}, resume=True)


def test_average_of_weights() -> None:
    weights = torch.nn.ParameterList([torch.zeros(1)])
    average = WeightAverage(weights, steps=4)  # a decay of 0.75
    with torch.no_grad():
        expected = 0.0
        for n in range(1, 60):
            weights[0].fill_(float(n))
            decay = min(0.75, (1 + n) / (10 + n))
            expected = decay * expected + (1 - decay) * n
            average.update_parameters(weights)
    with average.applied(weights):
        assert weights[0].item() == pytest.approx(expected, rel=1e-5)
    assert weights[0].item() == 59


def test_averages_of_earlier_versions_are_read() -> None:
    weights = torch.nn.ParameterList([torch.zeros(2), torch.zeros(3)])
    average = WeightAverage(weights, steps=4)
    earlier = {"updates": 7, "averages": {"a.weight": torch.ones(2), "b.weight": torch.ones(3)}}
    average.load_state_dict(earlier)
    assert average.n_averaged == 8
    assert all(p.eq(1).all() for p in average.parameters())
    with pytest.raises(RuntimeError, match="size mismatch"):
        average.load_state_dict({**earlier, "averages": {"a": torch.ones(2), "b": torch.ones(2)}})
