"""An empty path, as an unset variable of a script is, stands for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from coprop import CoPropError, Result
from coprop.cli.app import app
from coprop.media.audio_file import AudioFile
from coprop.media.reader import VideoFile
from coprop.media.writer import ResultWriter
from small_clips import write_clip


@pytest.mark.parametrize(
    "line",
    [
        ["run", ""],
        ["run", "clip.mp4", ""],
        ["run", "clip.mp4", "--out", ""],
        ["run", "clip.mp4", "--audio", ""],
        ["run", "clip.mp4", "--predictions", ""],
        ["detect", ""],
        ["detect", "clip.mp4", "--out", ""],
        ["export", "", "coco"],
        ["export", "out", "coco", "--out", ""],
        ["live", "--file", "", "--out", "out"],
        ["live", "--file", "clip.mp4", "--out", ""],
        ["eval", "--dataset", "s4", "--root", "", "--out", "out"],
        ["retime", "", "--videos", "clips", "--out", "out"],
        ["data", "verify", ""],
        ["bench", ""],
    ],
    ids=" ".join,
)
def test_commands_refuse_it(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, the current folder with all that is in it was meant."""
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.mp4", frames=1)
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 2, done.output
    assert "the path is empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("use", [VideoFile, AudioFile, Result.load, ResultWriter])
def test_library_refuses_it(use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CoPropError, match="is empty text, and no path"):
        use("")
    assert not list(tmp_path.iterdir())
