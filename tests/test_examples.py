"""Every script in examples/ runs, on a clip of a few frames."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from coprop import Audio
from small_clips import write_clip

pytestmark = pytest.mark.usefixtures("small_pictures")

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


def run_example(
    name: str,
    arguments: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def test_all_are_tested_and_short() -> None:
    scripts = {path.name: path.read_text().count("\n") for path in EXAMPLES.glob("*.py")}
    assert set(scripts) >= {"run_on_video.py", "wrap_model.py", "stream.py", "own_detector.py"} | {
        "own_propagator.py"
    }
    assert max(scripts.values()) < 70


def test_run_on_video(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run_example("run_on_video.py", [clip, tmp_path / "out"], monkeypatch, capsys)
    assert "labels: (5, 48, 64) uint8" in said
    assert (tmp_path / "out" / "result.json").exists()


def test_wrap_model(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run_example("wrap_model.py", [clip, tmp_path / "out"], monkeypatch, capsys)
    total, shown = (int(word) for word in said.split() if word.isdecimal())
    assert total == 5
    assert 1 <= shown < total
    assert (tmp_path / "out" / "overlay.mp4").exists()


def test_stream(clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    lines = run_example("stream.py", [clip], monkeypatch, capsys).splitlines()
    assert len(lines) == 6
    assert "keyframe" in lines[0]
    assert "keyframe" not in lines[1]


def test_own_detector(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "changes at [" in run_example("own_detector.py", [clip], monkeypatch, capsys)
    detect = runpy.run_path(str(EXAMPLES / "own_detector.py"))["on_and_off"]
    sound = Audio.from_array([0.0] * 16_000 + [0.5] * 16_000, 16_000)
    assert detect(sound).change_times_s == pytest.approx([1.0])


def test_own_propagator(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run_example("own_propagator.py", [clip], monkeypatch, capsys)
    assert "frames carry a keyframe's mask" in said
