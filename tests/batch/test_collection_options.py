"""What a collection makes of options that name files, or more workers than there is work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coprop.cli import collection_job
from coprop.cli.run import RunOptions


def test_words_of_a_file_are_settings(tmp_path: Path) -> None:
    """Of the same file with other words, other results come."""
    words = tmp_path / "words.txt"
    words.write_text("dog\nviolin\n")
    options = RunOptions(paths=[tmp_path], words=str(words))
    before = collection_job._settings(options)
    assert before["words"] == ["dog", "violin"]
    words.write_text("cat\n")
    assert collection_job._settings(options) != before


def test_no_more_workers_than_videos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A number that is far too large costs nothing."""
    asked: list[int] = []

    class Pool:
        def __init__(self, segments: list[Any]) -> None:
            asked.append(len(segments))

        def __enter__(self) -> SimpleNamespace:
            return SimpleNamespace(run=self.run)

        def __exit__(self, *_: object) -> None:
            pass

        def run(self, paths: list[Path]) -> Iterator[Any]:
            return iter(())

    monkeypatch.setattr("coprop.batch.workers.WorkerPool", Pool)
    options = RunOptions(paths=[tmp_path], out=tmp_path, workers=10**9, device="cpu")
    paths = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    assert list(collection_job._in_processes(options, lambda _: None, paths)) == []
    assert asked == [2]
