"""What file managers leave in a folder is no content: it is written as an empty one is."""

from __future__ import annotations

from pathlib import Path

import avsbench_folders
import pytest
import small_library
from typer.testing import CliRunner

from coprop.cli import app
from coprop.evaluation.store import EvaluationFolder
from coprop.media.writer import ResultWriter
from coprop.storage.files import is_empty
from small_clips import write_clip
from tools.benchmark.__main__ import app as composer

LEFT = (".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini", "._x", ".hidden")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("inputs")
    return {
        "clip": str(write_clip(folder / "clip.mp4", frames=2)),
        "data": str(avsbench_folders.build_ms3(folder)),
        "sources": str(small_library.build(tmp_path_factory.mktemp("sources"))),
    }


def leave(folder: Path) -> None:
    for name in LEFT:
        (folder / name).write_bytes(b"\0\0\0\1Bud1")
    (folder / ".fseventsd").mkdir()


def are_left(folder: Path) -> bool:
    return all((folder / name).read_bytes() == b"\0\0\0\1Bud1" for name in LEFT)


def test_what_is_empty(tmp_path: Path) -> None:
    assert is_empty(tmp_path)
    leave(tmp_path)
    assert is_empty(tmp_path)
    for name in ("db", "x.DS_Store", "thumbs.db.txt"):
        (tmp_path / name).touch()
        assert not is_empty(tmp_path)
        assert is_empty(tmp_path, {tmp_path / name})
        (tmp_path / name).unlink()
    (tmp_path / "folder").mkdir()
    assert not is_empty(tmp_path)


@pytest.mark.usefixtures("small_pictures")
@pytest.mark.parametrize(
    "line",
    [
        "run {clip} --out {out} --quiet",
        "eval --dataset ms3 --root {data} --out {out} --methods alone --limit 1 --quiet "
        "--model small_dataset:build",
        "compose --sources {sources} --out {out} --clips 1 --size 96x64 --fps 1 --quiet",
    ],
)
def test_commands_write_beside_them(
    line: str, places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "evaluation")
    leave(tmp_path)
    given = line.format(out=tmp_path, **places).split()
    result = CliRunner().invoke(composer if given[0] == "compose" else app, given)
    assert result.exit_code == 0, result.output
    assert are_left(tmp_path)
    assert not is_empty(tmp_path)


def test_results_are_written_beside_them(tmp_path: Path) -> None:
    leave(tmp_path)
    with ResultWriter(tmp_path):
        pass
    assert are_left(tmp_path)


def test_rows_of_an_evaluation_are_no_hidden_files(tmp_path: Path) -> None:
    folder = EvaluationFolder(tmp_path)
    folder.open({})
    leave(tmp_path / "rows")
    (tmp_path / "rows" / "._0.jsonl").write_bytes(b"\0\5\x16\7")
    assert folder.rows() == {}
    folder.clear()
    (tmp_path / "rows" / "._0.jsonl").unlink()
    assert are_left(tmp_path / "rows")
    folder.check({})
