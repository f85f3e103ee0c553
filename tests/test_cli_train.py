"""``coprop train`` as people run it: killed, interrupted and repeated."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import avsbench_folders
import pytest
import torch
from typer.testing import CliRunner

from coprop import CoProp
from coprop.cli import app
from started import Started

MODEL = '{"embedding_dim":32,"num_layers":1,"decoder_dim":32,"insert_dim":32,"drop_path":0.3}'
STEPS = 20


@pytest.fixture(scope="module")
def ms3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return avsbench_folders.build_ms3(tmp_path_factory.mktemp("avsbench"))


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """As in the processes that are started here: sums in another order would differ."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def arguments(ms3: Path, out: Path, **changes: str) -> list[str]:
    values = {
        **{"start": "random", "audio_weights": "random", "model": MODEL, "steps": str(STEPS)},
        **{"size": "[33,49]", "batch_size": "1", "checkpoint_every": "4"},
        **{"validate_every": "0"},
        **changes,
    }
    return [
        *("train", "propagator", "--config", "propagator_composed", "--dataset", "ms3"),
        *("--root", str(ms3), "--out", str(out), "--device", "cpu"),
        *(x for key, value in values.items() for x in ("--set", f"{key}={value}")),
    ]


def wait_for(process: Started, path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def curve(out: Path) -> list[tuple[int, float, float]]:
    lines = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [(row["step"], row["loss"], row["gradient_norm"]) for row in rows]


def invoke(*given: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(given))
    return result.exit_code, result.stdout, result.stderr


def test_killed_interrupted_and_repeated(ms3: Path, tmp_path: Path) -> None:
    """The curve and the weights are those of a training that nothing disturbed."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    code, output, errors = invoke(*arguments(ms3, whole))
    assert code == 0, errors
    assert f"Written to {whole / 'final'}" in output

    process = Started(arguments(ms3, cut))
    wait_for(process, cut / "checkpoints" / "step_0000004.pt")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (cut / "final").exists()
    assert len(curve(cut)) < STEPS

    code, _, errors = invoke(*arguments(ms3, cut))
    assert code == 1
    assert "--resume automatic" in errors

    process = Started([*arguments(ms3, cut), "--resume", "automatic"])
    wait_for(process, cut / "checkpoints" / "step_0000012.pt")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said.decode()
    assert "coprop: interrupted after step 1" in said.decode()
    assert f"repeat it with --resume automatic ({cut})" in said.decode()
    assert not (cut / "final").exists()

    code, _, errors = invoke(*arguments(ms3, cut), "--resume", "automatic")
    assert code == 0, errors
    assert curve(cut) == curve(whole)
    assert [step for step, *_ in curve(cut)] == list(range(1, STEPS + 1))
    first, second = (CoProp.from_pretrained(x / "final").propagator for x in (whole, cut))
    expected = second.state_dict()
    assert all(torch.equal(v, expected[name]) for name, v in first.state_dict().items())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--config", "no_such"], "there is no config no_such"),
        (["--config", "keyframes_composed"], "is for the stage 'keyframes'"),
        (["--set", "batch=2"], "unknown settings batch"),
        (["--root", "/no/such/folder"], "/no/such/folder"),
        (["--split", "validation"], "validation"),
        (["--dataset", "s4"], "s4_meta_data.csv"),
        (["--set", "start=/no/such"], "/no/such holds no propagator"),
        (["--set", "beside=/no/such"], "/no/such holds no keyframe_segmenter"),
        (["--set", "validate_every=1", "--set", "validate_split=late"], "'late'"),
    ],
)
def test_what_cannot_be_trained_is_told_in_a_line(
    ms3: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    out = tmp_path / "out"
    code, _, errors = invoke(*arguments(ms3, out), *more)
    assert code == 1, errors
    assert errors.startswith("coprop: ")
    assert message in errors
    assert not out.exists()


def test_devices_that_are_not_there(ms3: Path, tmp_path: Path) -> None:
    code, _, errors = invoke(*arguments(ms3, tmp_path / "out"), "--device", "cuda:7")
    assert code == 2
    assert "CUDA_VISIBLE_DEVICES" in errors


def test_a_folder_that_cannot_be_written(ms3: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    code, _, errors = invoke(*arguments(ms3, tmp_path / "file" / "out"))
    assert code == 1
    assert "cannot write" in errors
