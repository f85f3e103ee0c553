"""Processes that share a collection: killed ones leave no trace in what comes out."""

from __future__ import annotations

import sys
from pathlib import Path

import cheap_pipeline
import pytest

import coprop.media.writer as writer
from coprop.batch import Segment
from coprop.batch.rows import Status
from coprop.batch.workers import WorkerPool, available_cores
from coprop.errors import CheckpointError
from coprop.media.clip import Clip
from small_clips import write_clip
from tools.bench.many_videos import content, differences, disturbed, drive, make_videos

MADE_BY = "cheap_pipeline:holding"


@pytest.fixture(autouse=True)
def path_of_children(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", ":".join([str(Path(__file__).parent), *map(str, sys.path)]))
    monkeypatch.chdir(root)
    for place, name in ((Clip, "__init__"), (writer, "plot_timeline")):  # put back afterwards
        monkeypatch.setattr(place, name, getattr(place, name))


def test_killed_and_resumed_is_the_same_as_undisturbed(tmp_path: Path) -> None:
    """A worker is killed, then the run; what is left is done here, and so is the other one.

    The last video is held until then: the run cannot be over before the kills.
    """
    videos, one, killed = tmp_path / "videos", tmp_path / "one", tmp_path / "killed"
    hold = make_videos(videos, 8)[-1].with_suffix(".hold")
    hold.touch()
    told = disturbed(videos, killed, 8, seed=1, workers=2, kills=1, made_by=MADE_BY)
    assert [line.split(" after")[0] for line in told] == ["a worker", "the run"]
    complete = len(list(killed.glob("*/video.json")))
    assert 1 <= complete < 8
    hold.unlink()
    drive(videos, killed, 1, False, MADE_BY)
    drive(videos, one, 1, False, MADE_BY)
    assert differences(one, killed) == []
    assert len((one / "index.jsonl").read_text().splitlines()) == 8
    found = next(one.glob("*/result.json"))
    found.write_text(found.read_text() + " ")
    assert differences(one, killed) == [str(found.relative_to(one))]
    assert content(found.parent / "none") is None


def test_a_video_that_kills_its_process_is_told(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "deadly.mp4", frames=2)
    with WorkerPool([Segment(tmp_path / "out", pipeline=cheap_pipeline.deadly)]) as pool:
        (outcome,) = pool.run([path])
    assert outcome.status is Status.failed
    assert "was killed by SIGKILL, 2 times" in str(outcome.error)
    assert list((tmp_path / "out").glob("[0-9a-f]" * 20)) == []


def test_what_models_print_is_not_among_the_results(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=2)
    with WorkerPool([Segment(tmp_path / "out", pipeline=cheap_pipeline.printing)]) as pool:
        assert [outcome.status for outcome in pool.run([path])] == [Status.done]
    printed = capfd.readouterr()
    assert (printed.out, "weights loaded" in printed.err) == ("", True)


def test_models_that_cannot_be_loaded_end_all(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=2)
    segment = Segment(tmp_path / "out", pipeline=cheap_pipeline.unloadable)
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
