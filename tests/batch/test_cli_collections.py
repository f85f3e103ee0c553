"""``coprop run`` with many videos: what it does, prints and returns."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cheap_pipeline import Copying, red
from typer.testing import CliRunner, Result

from coprop import ControlPointDetector, CoProp
from coprop.cli import app
from coprop.cli.collection_job import _devices
from small_clips import write_clip


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, a copy, one without sound, one that is none, and something else."""
    folder = tmp_path_factory.mktemp("videos")
    first = write_clip(folder / "a.mp4", frames=2)
    write_clip(folder / "deep" / "b.mp4", frames=3)
    (folder / "copy.mp4").write_bytes(first.read_bytes())
    write_clip(folder / "silent.mp4", frames=2, sound=False)
    (folder / "torn.mp4").write_bytes(first.read_bytes()[:200])
    (folder / "notes.txt").write_text("no video")
    return folder


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A small model in the default's place, no drawing; how often it was loaded."""
    loads: list[int] = []

    real = CoProp.from_pretrained

    def pretrained(folder: str | None = None, segmenter: None = None, **parts: Any) -> CoProp:
        if folder is not None:
            return real(folder, **parts)
        loads.append(1)
        detector = ControlPointDetector.cosine()
        return CoProp.wrap(red, propagator=Copying(), **{**parts, "detector": detector})

    monkeypatch.setattr(CoProp, "from_pretrained", staticmethod(pretrained))
    monkeypatch.setattr(
        "coprop.media.writer.plot_timeline", lambda path, **_: path.write_bytes(b"")
    )
    monkeypatch.setattr("coprop.pipeline.AUDIOSET", None)
    return loads


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    """Takes back what --verbose does to the process."""
    logger = logging.getLogger("coprop")
    before = list(logger.handlers)
    yield
    logger.handlers[:] = before
    logger.setLevel(logging.NOTSET)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["run", *map(str, arguments)])


def index(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]


def test_a_folder(videos: Path, tmp_path: Path, cheap: list[int]) -> None:
    out = tmp_path / "out"
    done = run(videos, "--out", out, "--export", "csv")
    assert done.exit_code == 1
    rows = index(out)
    names = {Path(row["path"]).name: row for row in rows}
    assert list(names) == ["a.mp4", "b.mp4", "silent.mp4", "torn.mp4"]
    assert [row["status"] for row in rows] == ["done", "done", "failed", "failed"]
    assert names["a.mp4"]["paths"] == [str(videos / "a.mp4"), str(videos / "copy.mp4")]
    assert (out / names["b.mp4"]["folder"] / "exports" / "segments.csv").exists()
    assert "2 of 4 videos failed" in done.stderr
    assert "no audio track" in done.stderr
    assert str(videos / "torn.mp4") in done.stderr
    assert "2 videos done, 2 failed" in done.stdout
    assert f"{videos / 'copy.mp4'} has the content of {videos / 'a.mp4'}" in done.stdout
    before = (out / "index.jsonl").read_bytes()
    again = run(videos, "--out", out, "--export", "csv")
    assert again.exit_code == 1
    assert "0 videos done, 2 done before, 2 failed" in again.stdout
    assert len(cheap) == 2  # for those that failed
    assert _timeless(before) == _timeless((out / "index.jsonl").read_bytes())


def _timeless(lines: bytes) -> list[Any]:
    return [{**json.loads(line), "timings": None} for line in lines.splitlines()]


def test_all_done_is_all_well_and_loads_nothing(
    videos: Path, tmp_path: Path, cheap: list[int]
) -> None:
    given = (videos / "a.mp4", videos / "deep", "--out", tmp_path / "out")
    assert run(*given).exit_code == 0
    again = run(*given)
    assert again.exit_code == 0
    assert "2 done before" in again.stdout
    assert len(cheap) == 1
    forced = run(*given, "--force", "--quiet")
    assert (forced.exit_code, forced.output) == (0, "")
    assert len(cheap) == 2


def test_json_has_a_line_for_each(videos: Path, tmp_path: Path) -> None:
    given = (videos, "--out", tmp_path / "out", "--json")
    lines = [json.loads(line) for line in run(*given).stdout.splitlines()]
    assert [Path(line["path"]).name for line in lines] == [
        *("a.mp4", "b.mp4", "silent.mp4", "torn.mp4")
    ]
    assert lines[0]["paths"] == [str(videos / "a.mp4"), str(videos / "copy.mp4")]
    assert not any(line.pop("done_before") for line in lines)
    assert lines == index(tmp_path / "out")
    again = [json.loads(line) for line in run(*given).stdout.splitlines()]
    assert [line["done_before"] for line in again] == [True, True, False, False]


def test_shards_share_a_folder(videos: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(videos, "--out", whole)
    for number in (3, 1, 2):
        run(videos, "--out", parts, "--shard", f"{number}/3")
    assert [{**row, "timings": 0} for row in index(parts)] == [
        {**row, "timings": 0} for row in index(whole)
    ]


def test_a_list_with_missing_files(videos: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"path\n{videos / 'a.mp4'}\nnone.mp4\n")
    done = run(path, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert f"no such file: {tmp_path / 'none.mp4'}" in done.stderr
    assert sorted(row["status"] for row in index(tmp_path / "out")) == ["done", "failed"]


def test_what_a_model_raises_is_told_with_the_video(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsure(frames: Any, audio: Any) -> Any:
        raise RuntimeError("no such layer")

    monkeypatch.setattr("test_cli_collections.red", unsure)
    done = run(videos / "a.mp4", videos / "deep", "--out", tmp_path / "out", "--quiet")
    assert done.exit_code == 1
    assert f"  {videos / 'a.mp4'}: RuntimeError: no such layer\n" in done.stderr


def test_one_video_is_written_into_the_folder_itself(videos: Path, tmp_path: Path) -> None:
    assert run(videos / "a.mp4", "--out", tmp_path / "one").exit_code == 0
    assert (tmp_path / "one" / "result.json").exists()
    assert run(videos / "a.mp4", "--out", tmp_path / "many", "--workers", "1").exit_code == 0
    assert (tmp_path / "many" / "index.jsonl").exists()


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (("--shard", "0/4"), 2, "i from 1 to N"),
        (("--shard", "5/4"), 2, "i from 1 to N"),
        (("--shard", "1"), 2, "i/N"),
        (("--workers", "0"), 2, "--workers"),
        (("--audio", "sound.wav"), 2, "single video"),
        (("--predictions", "masks"), 2, "coprop retime"),
        (("--gpus-per-worker", "0.5"), 2, "--ray"),
        (("--model", "nowhere"), 1, "keyframe_segmenter"),
        (("--values", "mask"), 2, "--predictions"),
    ],
)
def test_usage(given: tuple[str, ...], code: int, said: str, videos: Path, tmp_path: Path) -> None:
    done = run(videos, "--out", tmp_path / "out", *given)
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_folders_that_cannot_be_used(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    nothing = run(tmp_path / "empty", "--out", tmp_path / "out")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "without videos" in nothing.stderr
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("")
    assert "not empty" in run(videos, "--out", tmp_path / "mine").stderr
    run(videos / "deep", "--out", tmp_path / "out")
    other = run(videos / "deep", "--out", tmp_path / "out", "--threshold", "0.5")
    assert other.exit_code == 1
    assert "other settings (threshold differ)" in other.stderr


def test_verbose_says_what_happens(videos: Path, tmp_path: Path) -> None:
    done = run(videos, "--out", tmp_path / "out", "-v")
    assert "models loaded" in done.stderr
    assert "done in" in done.stderr
    assert "coprop.batch.segment" in done.stderr


def test_gpus_are_taken_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        "coprop.cli.collection_job.checked_device", lambda name: torch.device(name or "cuda:0")
    )
    assert _devices("", 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert _devices("cuda", 2) == ["cuda:0", "cuda:1"]
    assert _devices("cuda:1", 2) == ["cuda:1", "cuda:1"]
    assert _devices("cpu", 2) == ["cpu", "cpu"]


def test_an_interrupt_leaves_the_index_of_what_is_complete(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coprop.batch import Segment

    one = Segment.one

    def stop(self: Segment, path: Path, **given: Any) -> Any:
        if path.name == "b.mp4":
            raise KeyboardInterrupt
        return one(self, path, **given)

    monkeypatch.setattr(Segment, "one", stop)
    done = run(videos, "--out", tmp_path / "out")
    assert done.exit_code == 130
    assert "repeat the command" in done.stderr
    assert [Path(row["path"]).name for row in index(tmp_path / "out")] == ["a.mp4"]
    assert not list((tmp_path / "out").glob(".*"))
