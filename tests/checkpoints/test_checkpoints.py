from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from coprop.checkpoints.weights import load_state_dict, read_state_dict
from coprop.errors import CheckpointError

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


def assert_is_the_state(state: dict[str, torch.Tensor]) -> None:
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE},
        {"model": STATE, "epoch": 3},
        {"model": {f"module.{name}": tensor for name, tensor in STATE.items()}},
        {f"module.{name}": tensor for name, tensor in STATE.items()},
    ],
    ids=["plain", "state_dict", "model", "model of DataParallel", "DataParallel"],
)
def test_reads_torch_files(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "weights.pth")
    assert_is_the_state(read_state_dict(tmp_path / "weights.pth"))


def test_reads_safetensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "weights.safetensors")
    assert_is_the_state(read_state_dict(str(tmp_path / "weights.safetensors")))


def test_a_prefix_of_some_names_only_is_part_of_them(tmp_path: Path) -> None:
    torch.save({"module.x": torch.ones(1), "y": torch.ones(1)}, tmp_path / "weights.pth")
    assert set(read_state_dict(tmp_path / "weights.pth")) == {"module.x", "y"}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint file at .*nothing\.pth"):
        read_state_dict(tmp_path / "nothing.pth")


class Harmful:
    """A pickle that would leave a file behind if it were run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"x": Harmful(tmp_path / "run")}, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="not a file of tensors only"):
        read_state_dict(tmp_path / "weights.pth")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, kept: float) -> None:
    path = tmp_path / name
    if path.suffix == ".pth":
        torch.save(STATE, path)
    else:
        save_file(STATE, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(CheckpointError, match=str(path)):
        read_state_dict(path)


@pytest.mark.parametrize("content", [torch.ones(2), {}, {"x": 1}, {"state_dict": {"x": "y"}}, [1]])
def test_anything_but_named_tensors_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="expected a state dict"):
        read_state_dict(tmp_path / "weights.pth")


def test_loading_names_every_kind_of_problem_and_changes_nothing() -> None:
    module = nn.ModuleDict({"a": nn.Linear(3, 2), "b": nn.Linear(1, 1)})
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = {"a.weight": torch.ones(5, 3), "a.bias": torch.ones(2), "c": torch.ones(1)}
    with pytest.raises(CheckpointError) as caught:
        load_state_dict(module, state, "some.pth")
    message = str(caught.value)
    for part in (
        "some.pth",
        "2 missing: b.weight, b.bias",
        "1 unknown: c",
        "a.weight is (5, 3), expected (2, 3)",
    ):
        assert part in message
    assert all(torch.equal(before[name], x) for name, x in module.state_dict().items())


def test_batch_counters_may_be_absent() -> None:
    module = nn.BatchNorm1d(2)
    state = {k: v + 1 for k, v in module.state_dict().items() if k != "num_batches_tracked"}
    load_state_dict(module, state, "some.pth")
    assert torch.equal(module.running_mean, torch.ones(2))
