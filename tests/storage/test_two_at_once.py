"""Two commands that write the same place: the second is refused, and what is there stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import avsbench_folders
import numpy as np
import pytest
import small_library
from typer.testing import CliRunner

from coprop.cli import app
from coprop.errors import OutputError
from coprop.media.writer import ResultWriter
from coprop.storage.locks import LOCK, WriterLock
from pipeline_samples import clip_of
from small_clips import write_clip
from tools.benchmark.__main__ import app as composer

OF_FOLDER, OF_FILE = WriterLock.of_folder, WriterLock.of_file


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("inputs")
    data = avsbench_folders.build_ms3(folder)
    return {
        "clip": str(write_clip(folder / "clip.mp4", frames=2)),
        "data": str(data),
        "sounds": str(data / "ms3_data/audio_wav/test"),
        "sources": str(small_library.build(tmp_path_factory.mktemp("sources"))),
    }


@pytest.mark.parametrize(
    ("line", "lock", "name"),
    [
        ("run {clip} --out {out} --force", OF_FOLDER, ""),
        ("run {clip} --out {out}", OF_FOLDER, ""),
        ("detect {sounds} --out {out}/rows.jsonl", OF_FILE, "rows.jsonl"),
        ("eval --dataset ms3 --root {data} --out {out} --methods alone --quiet", OF_FOLDER, ""),
        ("eval --dataset ms3 --root {data} --out {out} --force --quiet", OF_FOLDER, ""),
        (
            "train propagator --config propagator_composed --dataset ms3 --root {data} --out {out} "
            "--device cpu --set start=random --set audio_weights=random --set steps=1",
            OF_FOLDER,
            "",
        ),
        ("compose --sources {sources} --out {out} --clips 1 --size 96x64", OF_FOLDER, ""),
        ("examples --dataset ms3 --root {data} --out {out}/rows.jsonl", OF_FILE, "rows.jsonl"),
    ],
)
def test_every_command_refuses_a_place_that_is_being_written(
    line: str, lock: Callable[[Path], WriterLock], name: str, places: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    given = [part.format(**places, out=out) for part in line.split()]
    with lock(out / name):
        before = sorted(out.rglob("*"))
        result = CliRunner().invoke(composer if given[0] == "compose" else app, given)
        assert sorted(out.rglob("*")) == before
    assert result.exit_code == 1
    assert result.stderr.rstrip().splitlines()[-1].startswith(f"coprop: {out / name} is being")


def test_a_result_is_written_by_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ResultWriter(out), pytest.raises(OutputError, match="is being written by another"):
        ResultWriter(out, force=True)
    assert not (out / LOCK).exists()
    assert (out / "masks").is_dir()
    with ResultWriter(out, force=True):
        pass


def test_a_refused_result_leaves_no_lock(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("x")
    with pytest.raises(OutputError, match="is not empty"):
        ResultWriter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_what_a_killed_writer_left_is_taken_over(tmp_path: Path, places: dict[str, str]) -> None:
    (tmp_path / LOCK).touch()
    with ResultWriter(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()
    assert len(clip_of(1)) == 1


def test_composing_goes_on_from_its_first_moment(places: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = f"compose --sources {places['sources']} --out {out} --clips 1 --subset s4"
    line += " --size 96x64 --fps 1"
    for left in (LOCK, ".benchmark.json.0a1b2c3d.part"):
        out.mkdir(exist_ok=True)
        (out / left).touch()
    assert CliRunner().invoke(composer, line.split()).exit_code == 0
    first = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert not any(path.name.startswith(".") for path in first)
    settings = json.loads((out / "benchmark.json").read_text())
    (out / "benchmark.json").write_text(json.dumps({**settings, "left_out": 5}))
    result = CliRunner().invoke(composer, line.split())
    assert (result.exit_code, "left_out" in result.stderr) == (1, True)
    (out / "benchmark.json").write_text(json.dumps(settings))
    (out / "SHA256SUMS").unlink()
    assert CliRunner().invoke(composer, line.split()).exit_code == 0
    again = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert again == first


def test_folders_with_something_else_are_left_alone(places: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    line = f"compose --sources {places['sources']} --out {tmp_path} --clips 1"
    result = CliRunner().invoke(composer, line.split())
    assert result.exit_code == 1
    assert "is not empty" in result.stderr
    assert np.array_equal([p.name for p in tmp_path.iterdir()], ["mine.txt"])
