"""The command on AVSBench's folders: each dataset from files to figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import avsbench_folders
import pytest
from typer.testing import CliRunner

from coprop.cli import app

MODULES = Path(__file__).parent


def evaluated(*given: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["eval", *given, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("name", "build", "clips", "frames"),
    [
        ("s4", avsbench_folders.build_s4, 2, 10),
        ("ms3", avsbench_folders.build_ms3, None, None),
        ("avss", avsbench_folders.build_avss, None, None),
    ],
)
def test_from_folders_to_figures(
    name: str,
    build: Any,
    clips: int | None,
    frames: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = build(tmp_path / "data")
    monkeypatch.chdir(MODULES)
    content = evaluated(
        *("--dataset", name, "--root", str(root), "--out", str(tmp_path / "out")),
        *("--model", "small_dataset:build", "--methods", "nothing,alone,true"),
    )
    found = content["methods"]
    assert content["clips"] == content["dataset"]["clips"] == (clips or content["clips"])
    nothing = found["nothing masked"]["all frames"]
    assert nothing["frames"] == (frames or nothing["frames"]) > 0
    assert nothing["alignment_identity"] is None  # no masks of what is silent
    assert nothing["silent_area"] in (0, None)  # None where something sounds in every frame
    assert found["coprop, true control points"]["all frames"]["control_point_f1"] == 1
    assert ("class_jaccard_avsbench" in nothing) == (name == "avss")
    if name == "avss":
        # Of 71 classes only background can be right where nothing is masked.
        assert 0 < nothing["class_jaccard_avsbench"] <= 1 / 71


def test_only_clips_that_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = avsbench_folders.build_s4(tmp_path / "data")
    monkeypatch.chdir(MODULES)
    content = evaluated(
        *("--dataset", "s4", "--root", str(root), "--out", str(tmp_path / "out")),
        *("--model", "small_dataset:build", "--methods", "true", "--subset", "moc"),
    )
    assert content["dataset"] == {"name": "S4 test moc", "clips": 1, "classes": 1}
    figures = content["methods"]["coprop, true control points"]
    assert figures["key frames"]["frames"] == 3  # the first, silence, and what comes after it
    assert figures["normal frames"]["frames"] == 2
