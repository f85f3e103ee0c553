"""Names that would break a line, steer a terminal or turn what follows are printed escaped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from media_samples import tone, write_wav
from typer.testing import CliRunner, Result

import coprop
from coprop.cli import app
from coprop.cli.summary import summary
from coprop.errors import CoPropError
from coprop.evaluation.table import text
from coprop.media.audio_file import AudioFile
from coprop.media.writer import RESULT
from coprop.utils.brief import one_line
from small_clips import write_clip

STRANGE = "a\nb\x1b[31m\r\x07\x9b2J\u202egpj\u2028c\ud800"
SHOWN = r"a\nb\x1b[31m\r\x07\x9b2J\u202egpj\u2028c\ud800"
ON_DISK = STRANGE.replace("\ud800", "")  # no file can have half a character in its name
SHOWN_ON_DISK = SHOWN.replace(r"\ud800", "")


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def is_clean(printed: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in printed)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / f"{ON_DISK}.mp4", frames=3)


def test_one_line() -> None:
    assert one_line(STRANGE) == SHOWN
    for plain in ("動画\u3000１.mp4", "می\u200cخواهم", "👩\u200d🚀 été.mkv", "a\u00a0b", "\\n", ""):
        assert one_line(plain) == plain
    shown = SHOWN.replace(r"a\n", "a\n")  # messages have lines of their own, with code
    assert str(CoPropError(f"no such file: {STRANGE}.")) == f"no such file: {shown}."


def test_run(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / f"out {ON_DISK}"
    done = command("run", clip, "--out", out)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert is_clean(done.output)
    assert lines[0].startswith(f"{SHOWN_ON_DISK}.mp4: 3 frames")
    assert lines[-1].startswith(f"Written to {tmp_path}/out {SHOWN_ON_DISK}: masks/")
    assert json.loads((out / RESULT).read_text(encoding="utf-8"))["video"] == clip.name
    refused = command("run", clip, "--out", out)
    assert refused.exit_code == 1
    assert is_clean(refused.output)
    assert refused.stderr.count("\n") == 1
    missing = command("run", tmp_path / f"no {ON_DISK}", "--out", tmp_path / "other")
    assert (missing.exit_code, missing.stderr.count("\n")) == (1, 1)
    assert is_clean(missing.output)


def test_detect(clip: Path, tmp_path: Path) -> None:
    one = command("detect", clip)
    assert one.exit_code == 0
    assert is_clean(one.stdout)
    assert one.stdout.startswith(f"{SHOWN_ON_DISK}.mp4: ")
    folder = tmp_path / ON_DISK
    folder.mkdir()
    shutil.copy(clip, folder)
    (folder / f"bad {ON_DISK}.wav").write_bytes(b"no sound")
    several = command("detect", folder, "--out", tmp_path / f"{ON_DISK}.jsonl")
    assert several.exit_code == 1
    assert is_clean(several.output)
    assert several.stderr.count("\n") == 1
    assert several.stdout.splitlines()[-1].startswith(f"Written to {tmp_path}/{SHOWN_ON_DISK}.jso")


@pytest.mark.parametrize(
    "line",
    [
        *(["run", "clip.mp4", f"extra {ON_DISK}", "--out", "x"], ["run", f"--{ON_DISK}"]),
        *([f"{ON_DISK}"], ["run", "x.mp4", "-o", "x", "--device", ON_DISK]),
        *(["run", "x.mp4", "-o", "x", "--threshold", ON_DISK], ["data", "verify", ON_DISK]),
        ["eval", "--dataset", "ms3", "--root", ON_DISK, "--out", "out", "--model", ON_DISK],
        ["data", "compose", "--sources", ON_DISK, "--out", ON_DISK],
        ["examples", "--dataset", "avss", "--root", ON_DISK, "--out", ON_DISK],
    ],
)
def test_lines_that_are_refused(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["coprop", *line])
    from coprop.cli.app import exit_code

    assert exit_code(app) in (1, 2)
    printed = capfd.readouterr()
    assert is_clean(printed.out + printed.err)
    assert printed.err


def test_what_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = write_wav(tmp_path / "w.wav", tone(8000, 2.0), 8000).read_bytes()
    path = tmp_path / f"{ON_DISK}.wav"
    path.write_bytes(whole[: len(whole) // 2])
    with AudioFile(path):
        pass
    (said,) = caplog.messages
    assert is_clean(said)
    assert said.startswith(f"{tmp_path}/{SHOWN_ON_DISK}.wav breaks off")


def test_lines_that_are_made_of_names() -> None:
    content = {
        **{"video": STRANGE, "width": 2, "height": 2, "control_points": [{"time_s": 0.0}]},
        "segments": [
            {"start_s": 0.0, "end_s": 1.0, "categories": [{"name": STRANGE, "probability": 0.5}]}
        ],
        "frames": [{"time_s": 0.0, "area": 0.5}],
    }
    told = summary(content, Path(STRANGE))
    assert len(told.splitlines()) == 5
    assert is_clean(told)
    assert told.count(SHOWN) == 3
    results = {
        "dataset": {"name": STRANGE, "clips": 1, "classes": 1},
        "methods": {"m\nm": {"all frames": {}, "key frames": {}, "normal frames": {}}},
    }
    table = text(results, {"m\nm": {"seconds_per_frame": 1.0}})
    assert is_clean(table)
    assert table.startswith(SHOWN)


def test_values_in_a_session(clip: Path) -> None:
    from coprop.media.reader import VideoFile

    assert repr(VideoFile(clip)).isprintable()
    with pytest.raises(CoPropError) as error:
        coprop.CoProp.from_pretrained(Path(f"no {ON_DISK}"))
    assert is_clean(str(error.value))
