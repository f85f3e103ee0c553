"""What is written is whole, has one writer, and is read back with distrust."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coprop.errors import OutputError
from coprop.evaluation.store import EvaluationFolder
from coprop.storage.files import (
    differing,
    left_in,
    one_a_line,
    parse_json,
    read_json,
    replacing,
    write_text,
)
from coprop.storage.json_lines import JsonLines, refuse_other_settings
from coprop.storage.locks import LOCK, WriterLock
from coprop.training.run_folder import RunFolder

HOLD = """
import sys, time
from pathlib import Path
from coprop.storage.locks import WriterLock
lock = WriterLock.of_folder(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Files cannot grow beyond it, as on a full disk."""
    resource = pytest.importorskip("resource")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "NaN", "[Infinity]", "1e999", "9" * 400, "[" * 100_000, "[" * 65 + "]" * 65),
        *(b"\xff\xfe\x00", '{"a":' * 100_000),
    ],
)
def test_json_that_nobody_writes(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of every kind
        parse_json(text)


def test_json_comes_back() -> None:
    content = {"a": 1, "b": [{"c": 0.5}, {"c": None}], "d": [], "e": [1, 2], "f": {"g": True}}
    assert parse_json(one_a_line(content)) == content
    assert len(one_a_line(content).splitlines()) == 10
    frames = [{"index": i, "labels": [1, 2]} for i in range(601)]
    text = one_a_line({"frames": frames, "none": []}, many=("frames",))
    assert parse_json(text) == {"frames": frames, "none": []}
    assert len(text.splitlines()) == 121 + 5
    assert differing({"a": 1, "b": [1]}, {"a": 1, "b": (1,)}) == []
    assert differing({"a": None}, {"b": 1, "c": 2}, free={"c"}) == ["a", "b"]


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no regular file"):
        read_json(tmp_path / "pipe")


def test_rows_that_were_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = JsonLines(path, remedy="Mend it.")
    assert list(lines) == []
    lines.append({"a": 1})
    lines.append({"a": 2})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        again = JsonLines(path, remedy="Mend it.")
        rows = [row["a"] for _, row in again]
        assert rows == [1, 2][: whole[:length].count(b"\n")]
        again.append({"a": 3})
        assert [row["a"] for _, row in again] == [*rows, 3]


@pytest.mark.parametrize("line", ["no JSON", "[1]", "{}}", '{"a": NaN}', "[" * 100_000])
def test_damaged_rows_are_told(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"a": 1}}\n{line}\n')
    with pytest.raises(OutputError, match=r"line 2 is damaged: .*Mend it\."):
        list(JsonLines(path, remedy="Mend it."))


def test_a_row_that_finds_no_room_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = JsonLines(path, remedy="Mend it.")
    lines.append({"a": 1})
    before = path.read_bytes()
    with pytest.raises(OutputError, match="free space"), file_size_limit(len(before) + 5):
        lines.append({"a": "x" * 100})
    assert path.read_bytes() == before
    lines.append({"a": 2})
    assert [row["a"] for _, row in lines] == [1, 2]


def test_a_library_s_errors_are_told_where_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"

    def write(*others: type[Exception]) -> None:
        with replacing(path, *others) as part:
            part.write_text("half")
            raise LookupError("no encoder")

    with pytest.raises(OutputError, match=r"cannot write .*film\.mp4: no encoder"):
        write(ArithmeticError, LookupError)
    with pytest.raises(LookupError):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_beside_those_that_other_people_own(tmp_path: Path) -> None:
    mine = [tmp_path / name for name in ("a.txt.part", ".a.txt.part", ".a.txt.lock", "a.txt.lock")]
    for path in mine:
        path.write_text("mine")
    write_text(tmp_path / "a.txt", "new")

    def stopped() -> None:
        with WriterLock.of_file(tmp_path / "a.txt"), replacing(tmp_path / "a.txt") as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert (tmp_path / "a.txt").read_text() == "new"
    assert sorted(tmp_path.iterdir()) == sorted([*mine, tmp_path / "a.txt"])
    assert all(path.read_text() == "mine" for path in mine)


def test_two_who_write_a_file_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "[a].txt"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first")
        second.write_text("second")
        assert left_in(tmp_path, path.name) == sorted([first, second])
        assert left_in(tmp_path, "a.txt") == left_in(tmp_path, ".txt") == []
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_rows_have_one_writer_and_one_kind_of_settings(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "new" / "rows.jsonl", remedy="Mend it.")
    with lines.lock():
        with pytest.raises(OutputError, match=r"rows\.jsonl is being written by another"):
            JsonLines(lines.path, remedy="").lock()
        lines.append({"a": 1})
    assert [path.name for path in lines.path.parent.iterdir()] == ["rows.jsonl"]
    refuse_other_settings({"a": [1]}, {"a": (1,)}, held="It holds", remedy="Go.")
    with pytest.raises(OutputError, match=r"^It holds other settings \(a, b differ\)\. Go\.$"):
        refuse_other_settings({"a": 1}, {"b": 1}, held="It holds", remedy="Go.")


def test_one_writer_and_no_trace_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with WriterLock.of_folder(folder):
        with pytest.raises(OutputError, match="written by another process"):
            WriterLock.of_folder(folder)
        (folder / "mine").write_text("")
    assert [path.name for path in folder.iterdir()] == ["mine"]
    with WriterLock.of_folder(tmp_path / "empty"):
        pass
    assert not (tmp_path / "empty").exists()


def test_a_killed_writer_s_lock_is_taken_over(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(OutputError, match="another process"):
        WriterLock.of_folder(tmp_path)
    process.kill()
    process.communicate()
    assert (tmp_path / LOCK).exists()
    with WriterLock.of_folder(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("left", [[], ["rows"], ["rows", ".settings.json.0a1b2c3d.part"], [LOCK]])
def test_an_evaluation_stopped_before_its_settings_goes_on(tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / name).mkdir() if name == "rows" else (tmp_path / name).write_text("{")
    folder = EvaluationFolder(tmp_path)
    folder.check({"a": 1})
    folder.open({"a": 1})
    folder.check({"a": 1})
    assert not list(tmp_path.glob(".*.part"))


def test_what_a_kill_left_of_a_training_is_removed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.checkpoint(3).parent.mkdir()
    for path in (tmp_path / "settings.json", folder.checkpoint(3)):
        path.with_name(f".{path.name}.0a1b2c3d.part").write_text("half")
    folder.open({"a": 1})
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["checkpoints", "settings.json"]


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "[" * 100_000, '{"a": NaN}', "\x00"])
def test_damaged_settings_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(OutputError, match=r"settings\.json is damaged"):
        EvaluationFolder(tmp_path).check({"a": 1})
    with pytest.raises(OutputError, match=r"settings\.json is damaged"):
        RunFolder(tmp_path).check({"a": 1}, resume=True)
    EvaluationFolder(tmp_path).clear()
    EvaluationFolder(tmp_path).check({"a": 1})


@pytest.mark.parametrize("row", [{"index": "x"}, {"index": 0}, {"index": 0, "clip": "a"}])
def test_damaged_rows_of_an_evaluation(tmp_path: Path, row: dict[str, object]) -> None:
    folder = EvaluationFolder(tmp_path)
    folder.open({})
    (tmp_path / "rows" / "0.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(OutputError, match=r"0\.jsonl, line 1 is damaged"):
        folder.rows()
