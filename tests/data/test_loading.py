from __future__ import annotations

from pathlib import Path
from typing import Any

import avsbench_folders as folders
import pytest
import small_library

from coprop.data.control_point_labels import write_control_points
from coprop.data.loading import load_dataset
from coprop.errors import CoPropError, DatasetError


def test_every_name(tmp_path: Path) -> None:
    for build in (folders.build_s4, folders.build_ms3, folders.build_avss):
        build(tmp_path)
    for name, title in (("s4", "S4"), ("ms3", "MS3"), ("avss", "AVSS")):
        assert load_dataset(name, tmp_path).name == f"{title} test"
        assert load_dataset(name, str(tmp_path), "train").name == f"{title} train"


def test_a_function_makes_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = small_library.build(tmp_path)
    composed = load_dataset("tools.benchmark:composed", str(sources))
    assert (composed.name, len(composed)) == ("composed test", 40)
    composed = load_dataset("tools.benchmark:composed", sources, "train", limit=3)
    assert (composed.name, len(composed)) == ("composed train", 3)
    monkeypatch.chdir(tmp_path)
    Path("own_datasets.py").write_text(
        "def two(a, b): ...\n"
        "def none(root, split, limit): ...\n"
        "class Unsure(list):\n    name, num_classes = 'mine', None\n"
        "def unsure(root, split, limit): return Unsure()\n"
    )
    for name, message in (
        ("own_datasets:two", r"cannot be called with \(root, split, limit\); --dataset takes"),
        ("own_datasets:none", "none.. returned NoneType; it must return a dataset with name"),
        ("own_datasets:unsure", "num_classes of own_datasets:unsure must be a whole number: 1 for"),
        ("own_datasets:three", "own_datasets has no function 'three'"),
        ("no_such_module:two", "cannot import 'no_such_module' for --dataset no_such_module:two"),
    ):
        with pytest.raises(CoPropError, match=message):
            load_dataset(name, tmp_path)


def test_composed_clips_are_the_tools(tmp_path: Path) -> None:
    message = "belong to the project's tools .* give the dataset tools.benchmark:composed"
    with pytest.raises(DatasetError, match=message):
        load_dataset("composed", tmp_path)


def test_control_points(tmp_path: Path) -> None:
    folders.build_ms3(tmp_path)
    path = tmp_path / "flags.jsonl"
    write_control_points(path, {"test-0": [1, 0, 1, 0, 0]})
    assert load_dataset("ms3", tmp_path, control_points=path)[0].change_times_s == (2.0,)
    for name in ("benchmark", "tools.benchmark:composed"):
        with pytest.raises(DatasetError, match=f"for AVSBench, '{name}' knows its own changes"):
            load_dataset(name, tmp_path, control_points=path)


@pytest.mark.parametrize("choice", [{"subset": "moc"}, {"classes": "seen"}])
def test_parts_of_the_benchmark_alone(tmp_path: Path, choice: dict[str, Any]) -> None:
    folders.build_ms3(tmp_path)
    ((option, value),) = choice.items()
    for name in ("ms3", "tools.benchmark:composed"):
        said = f"only the dataset 'benchmark' .* '{name}' has not; leave out {option} '{value}'.$"
        with pytest.raises(DatasetError, match=said):
            load_dataset(name, tmp_path, **choice)


def test_unknown_name(tmp_path: Path) -> None:
    message = r"no dataset 'ms4'; choose one of \('s4', 'ms3', 'avss', 'benchmark'\), or"
    with pytest.raises(DatasetError, match=message):
        load_dataset("ms4", tmp_path)
