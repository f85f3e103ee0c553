"""Processes that share a collection: killed ones leave no trace in what comes out."""

from __future__ import annotations

import sys
from pathlib import Path

import cheap_pipeline
import pytest

from coprop.batch import Segment
from coprop.batch.rows import Status
from coprop.batch.workers import WorkerPool, available_cores
from coprop.errors import CheckpointError
from small_clips import write_clip
from tools.bench.collections import content, differences, disturbed, lines_of, make_videos, start

MADE_BY = "cheap_pipeline:without_drawing"


@pytest.fixture(autouse=True)
def path_of_children(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", ":".join([str(Path(__file__).parent), *map(str, sys.path)]))
    monkeypatch.chdir(root)


def test_killed_and_resumed_is_the_same_as_undisturbed(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    make_videos(videos, 8)
    *_, last = lines_of(start(videos, tmp_path / "one", 1, made_by=MADE_BY))
    assert last["failed"] == 0
    told = disturbed(videos, tmp_path / "killed", 8, seed=1, made_by=MADE_BY)
    assert [line.split(" after")[0] for line in told[:3]] == ["a worker", "a worker", "the run"]
    assert told[3] == "resumed to the end, 0 failed"
    assert differences(tmp_path / "one", tmp_path / "killed") == []
    assert len((tmp_path / "one" / "index.jsonl").read_text().splitlines()) == 8
    found = next((tmp_path / "one").glob("*/result.json"))
    found.write_text(found.read_text() + " ")
    assert differences(tmp_path / "one", tmp_path / "killed") == [
        str(found.relative_to(tmp_path / "one"))
    ]
    assert content(found.parent / "none") is None


def test_a_video_that_kills_its_process_is_told(tmp_path: Path) -> None:
    paths = [write_clip(tmp_path / f"{name}.mp4", frames=2) for name in ("deadly", "a")]
    with WorkerPool([Segment(tmp_path / "out", pipeline=cheap_pipeline.deadly)]) as pool:
        outcomes = {Path(outcome.path).stem: outcome for outcome in pool.run(paths)}
    assert outcomes["a"].status is Status.done
    assert outcomes["deadly"].status is Status.failed
    assert "was killed by SIGKILL, 2 times" in str(outcomes["deadly"].error)


def refuse() -> None:
    raise CheckpointError("no weights here")


def test_models_that_cannot_be_loaded_end_all(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=2)
    segment = Segment(tmp_path / "out", pipeline=refuse)  # type: ignore[arg-type]
    with WorkerPool([segment]) as pool, pytest.raises(CheckpointError, match="no weights here"):
        list(pool.run([path]))


def test_threads_are_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("coprop.batch.workers.available_cores", lambda: 6)
    segments = [Segment(tmp_path, pipeline=cheap_pipeline.pipeline)] * 4
    assert WorkerPool(segments)._threads == 1
    assert WorkerPool(segments[:2])._threads == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert WorkerPool(segments)._threads is None
    assert available_cores() >= 1


def test_nothing_to_do() -> None:
    with WorkerPool([]) as pool:
        assert list(pool.run([])) == []
