"""Parts of the open benchmark, chosen by the options of ``coprop eval`` and ``coprop train``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_library
from typer.testing import CliRunner

from coprop.cli import app
from coprop.data.benchmark_reader import ComposedBenchmark
from tools.benchmark.config import ClipConfig
from tools.benchmark.folder import compose_folder

COMPOSED = "tools.benchmark:composed"
SMALL = '{"embedding_dim":32,"num_layers":1,"decoder_dim":32,"insert_dim":32}'


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of each subset for testing, and one of each for training."""
    sources = small_library.build(
        tmp_path_factory.mktemp("sources"), small_library.WIDE, distinct=True
    )
    out = tmp_path_factory.mktemp("made") / "benchmark"
    for split, clips in (("test", 2), ("train", 1)):
        config = ClipConfig(fps=1.5, size=(64, 96), unseen=0.5)
        compose_folder(sources, out, clips=clips, split=split, seed=9, config=config)
    return out


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(x) for x in arguments])
    return result.exit_code, result.stderr


def evaluation(root: Path, out: Path) -> list[str]:
    return [
        *("eval", "--dataset", "benchmark", "--root", str(root), "--out", str(out), "--quiet"),
        *("--methods", "nothing"),
    ]


def training(root: Path, out: Path) -> list[str]:
    changes = {
        **{"start": "random", "audio_weights": "random", "model": SMALL, "steps": "1"},
        **{"size": "[33,49]", "batch_size": "1", "validate_every": "1", "validate_clips": "1"},
        "validate_split": "test",
    }
    return [
        *("train", "propagator", "--config", "propagator_composed", "--dataset", "benchmark"),
        *("--root", str(root), "--out", str(out), "--device", "cpu", "--quiet"),
        *(x for key, value in changes.items() for x in ("--set", f"{key}={value}")),
    ]


def test_evaluation_of_a_part(benchmark: Path, tmp_path: Path) -> None:
    """The part is a setting: its folder takes no rows of another."""
    seen = [clip.name for clip in ComposedBenchmark(benchmark, subset="m3", classes="unseen")]
    given = [*evaluation(benchmark, tmp_path / "out"), "--subset", "m3"]
    code, errors = run(*given, "--classes", "unseen")
    assert code == 0, errors
    content = json.loads((tmp_path / "out" / "results.json").read_text())
    assert content["dataset"]["name"] == "benchmark test m3 unseen"
    assert [row["clip"] for row in content["clips"]] == seen
    for other in ([], ["--subset", "moc", "--classes", "unseen"]):
        code, errors = run(*given, *other)
        assert code == 1
        assert "(dataset" in errors
        assert "differ" in errors


def test_moc_of_the_benchmark_is_its_subset(benchmark: Path, tmp_path: Path) -> None:
    code, errors = run(*evaluation(benchmark, tmp_path), "--subset", "moc", "--limit", "1")
    assert code == 0, errors
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["dataset"]["name"] == "benchmark test moc, first 1"
    assert [row["clip"] for row in content["clips"]] == ["moc-0000"]


@pytest.mark.usefixtures("small_pictures")
def test_training_on_a_part(benchmark: Path, tmp_path: Path) -> None:
    code, errors = run(*training(benchmark, tmp_path), "--subset", "moc", "--classes", "seen")
    assert code == 0, errors
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert (settings["dataset"], settings["clips"]) == ("benchmark train moc seen", 1)


@pytest.mark.parametrize("command", [evaluation, training])
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--dataset", COMPOSED, "--classes", "seen"], "only the dataset 'benchmark'"),
        (["--dataset", "ms3", "--subset", "s4"], "only the dataset 'benchmark'"),
        (["--split", "train", "--classes", "unseen"], "no clip of 'train'"),
    ],
)
def test_parts_that_are_not_there(
    benchmark: Path, tmp_path: Path, command: object, more: list[str], message: str
) -> None:
    assert callable(command)
    out = tmp_path / "out"
    code, errors = run(*command(benchmark, out), *more)
    assert code == 1
    assert errors.startswith("coprop: ")
    assert message in errors
    assert not out.exists()
