from __future__ import annotations

from pathlib import Path
from typing import Any

import avsbench_folders as folders
import pytest
import small_library

from coprop.data.control_point_labels import write_control_points
from coprop.data.loading import load_dataset
from coprop.errors import DatasetError


def test_every_name(tmp_path: Path) -> None:
    for build in (folders.build_s4, folders.build_ms3, folders.build_avss):
        build(tmp_path)
    for name, title in (("s4", "S4"), ("ms3", "MS3"), ("avss", "AVSS")):
        assert load_dataset(name, tmp_path).name == f"{title} test"
        assert load_dataset(name, str(tmp_path), "train").name == f"{title} train"
    composed = load_dataset("composed", small_library.build(tmp_path))
    assert (composed.name, len(composed)) == ("composed test", 40)


def test_control_points(tmp_path: Path) -> None:
    folders.build_ms3(tmp_path)
    path = tmp_path / "flags.jsonl"
    write_control_points(path, {"test-0": [1, 0, 1, 0, 0]})
    assert load_dataset("ms3", tmp_path, control_points=path)[0].change_times_s == (2.0,)
    with pytest.raises(DatasetError, match="composed clips know their changes"):
        load_dataset("composed", tmp_path, control_points=path)


@pytest.mark.parametrize("choice", [{"subset": "moc"}, {"classes": "seen"}])
def test_parts_of_the_benchmark_alone(tmp_path: Path, choice: dict[str, Any]) -> None:
    folders.build_ms3(tmp_path)
    for name, root in (("ms3", tmp_path), ("composed", tmp_path)):
        with pytest.raises(DatasetError, match=f"only the dataset 'benchmark' .* '{name}' has not"):
            load_dataset(name, root, **choice)


def test_unknown_name(tmp_path: Path) -> None:
    message = r"no dataset 'ms4'; choose one of \('s4', 'ms3', 'avss', 'composed', 'benchmark'\)"
    with pytest.raises(DatasetError, match=message):
        load_dataset("ms4", tmp_path)
