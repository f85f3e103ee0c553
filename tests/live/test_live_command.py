"""``coprop live``: a file played as if it were live, and what is said where there is no camera."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import av
import pytest
from typer.testing import CliRunner

from coprop import CoProp, Result
from coprop.cli.app import app
from coprop.media.clip import Clip
from pipeline_samples import Recorder, Shifter, changes_at
from small_clips import write_clip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the default's networks, which are tested elsewhere."""
    pipeline = CoProp.wrap(
        Recorder(), detector=changes_at(), propagator=Shifter(), max_segment_s=None, namer=None
    )
    monkeypatch.setattr(CoProp, "from_pretrained", lambda *_, **__: pipeline)


def live(*arguments: Any) -> Any:
    return CliRunner().invoke(app, ["live", *map(str, arguments)])


def test_a_file_played_as_if_it_were_live(tmp_path: Path) -> None:
    path, out = write_clip(tmp_path / "clip.mp4", frames=10), tmp_path / "out"
    done = live("--file", path, "--speed", 0, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout[done.stdout.index("{") :])
    assert content["num_frames"] == 10
    assert content["dropped"] == 0
    assert content["look_ahead_s"] == 0.3
    assert 0.3 <= content["latency"]["waiting_median_s"] <= 0.4001
    assert content["latency"]["median_s"] > content["latency"]["computing_median_s"]
    result = Result.load(out, path)
    assert [m.index for m in result.masks] == list(range(10))
    assert result.labels[-1].any()
    with av.open(str(out / "overlay.mp4")) as overlay:
        assert len(list(overlay.decode(video=0))) == 10
        assert overlay.streams.audio


def test_seconds_end_it_and_the_overlay_has_the_sound_so_far(tmp_path: Path) -> None:
    path, out = write_clip(tmp_path / "clip.mp4", frames=20), tmp_path / "out"
    done = live("--file", path, "--speed", 0, "--seconds", 2, "--look-ahead", 0, "--out", out)
    assert done.exit_code == 0, done.output
    assert "From sample to mask" in done.output
    assert len(Result.load(out).masks) == 10
    with av.open(str(out / "overlay.mp4")) as overlay:
        samples = sum(frame.samples for frame in overlay.decode(audio=0))
        assert 1.5 < samples / overlay.streams.audio[0].rate < 2.3


def test_frames_that_come_while_the_machine_is_at_work_are_dropped(tmp_path: Path) -> None:
    from coprop.live.sources import played

    path = write_clip(tmp_path / "clip.mp4", frames=20, fps=20)
    with Clip(path) as clip:
        import time

        shown = []
        for moment in played(clip, 2.0):
            if moment.picture is not None:
                shown.append(moment.time_s)
                time.sleep(0.1)
    assert shown[0] == 0
    assert len(shown) < 15


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--file", "nothing.mp4"], "nothing.mp4"),
        (["--file", "FILE", "--camera", "/dev/video0"], "--camera is of a camera"),
        (["--file", "FILE", "--frame-rate", "30"], "a file has its own"),
        (["--speed", "2"], "--speed is for --file"),
        (["--size", "640"], "'640' is no WIDTHxHEIGHT"),  # and not the camera's fault
        (["--size", "0x480"], "is no WIDTHxHEIGHT"),
        (["--file", "FILE", "--look-ahead", "9"], "look-ahead"),
        (["--file", "SILENT"], "no audio track"),
    ],
)
def test_what_cannot_be_played(tmp_path: Path, arguments: list[str], said: str) -> None:
    files = {
        "FILE": write_clip(tmp_path / "clip.mp4"),
        "SILENT": write_clip(tmp_path / "silent.mp4", sound=False),
    }
    done = live(*[files.get(a, a) for a in arguments], "--out", tmp_path / "out")
    assert done.exit_code in (1, 2)
    assert said in " ".join(done.output.split()), done.output
    assert not (tmp_path / "out" / "result.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other platforms name devices differently")
def test_no_camera_is_told_in_a_sentence(tmp_path: Path) -> None:
    done = live("--camera", "/dev/video-none", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "there is no camera '/dev/video-none' that can be opened" in done.output
    assert "--file VIDEO" in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_the_pipeline_is_that_of_coprop_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a saved pipeline has stays its own; functions and words are taken as well."""
    given: list[tuple[Any, dict[str, Any]]] = []
    made = CoProp.from_pretrained()
    monkeypatch.setattr(
        CoProp, "from_pretrained", lambda folder, **parts: given.append((folder, parts)) or made
    )
    path = write_clip(tmp_path / "clip.mp4", frames=2, size=(32, 24))
    play = ("--file", path, "--speed", 0, "-q", "--force", "--out", tmp_path / "out")
    assert live(*play, "--model", "me/mine", "--offline").exit_code == 0
    ((folder, parts),) = given
    assert folder == "me/mine"
    assert parts["max_segment_s"] == "saved"
    assert parts.get("detector") is None
    assert live(*play, "--words", "dog").exit_code == 0
    assert "1 words" in repr(given[1][1]["detector"])
    assert live(*play, "--propagator", "nope").exit_code == 2
    (tmp_path / "live_model.py").write_text(
        "from coprop import CoProp\nfrom pipeline_samples import Recorder, Shifter, changes_at\n"
        "def build():\n"
        "    return CoProp.wrap(Recorder(), detector=changes_at(), propagator=Shifter())\n"
    )
    monkeypatch.chdir(tmp_path)
    assert live(*play, "--model", "live_model:build").exit_code == 0
    assert len(given) == 2
