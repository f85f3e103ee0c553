"""The command ``coprop``: what it writes, prints and returns."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
import typer
from cheap_pipeline import Copying, red
from PIL import Image
from typer.testing import CliRunner, Result

import coprop
from coprop import CoProp
from coprop.cli import app
from coprop.cli.common import reported
from coprop.cli.summary import summary
from small_clips import write_clip
from started import Started

WRITTEN = {"masks", "overlay.mp4", "timeline.png", "result.json"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


def _noting(given: dict[str, Any]) -> Callable[..., None]:
    def plot(path: Path, **options: Any) -> None:
        given.update(options)
        path.write_bytes(b"")

    return plot


@pytest.fixture
def red_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a small function in the place of the default weights."""

    real = CoProp.from_pretrained

    def pretrained(folder: str | None = None, segmenter: None = None, **parts: Any) -> CoProp:
        if folder is not None:
            return real(folder, **parts)
        return CoProp.wrap(red, propagator=Copying(), **parts)

    monkeypatch.setattr(CoProp, "from_pretrained", staticmethod(pretrained))


def coprop_command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_help_and_version() -> None:
    assert coprop_command("--version").stdout == f"coprop {coprop.__version__}\n"
    for command in ([], ["run"], ["detect"], ["doctor"]):
        result = coprop_command(*command, "--help")
        assert result.exit_code == 0
    assert "coprop run clip.mp4 --out result" in coprop_command("run", "--help").stdout
    assert "130" in coprop_command("--help").stdout


@pytest.mark.parametrize("command", ["run", "live"])
def test_help_tells_the_default_that_is_used(command: str) -> None:
    code = (
        "import coprop.assembly.defaults as used; used.DEFAULT_MAX_SEGMENT_S = 7.25; import sys; "
        f"sys.argv = ['coprop', '{command}', '--help']; from coprop.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "7.25" in done.stdout


def test_the_default_end_to_end_in_a_process_of_its_own(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=2)
    arguments = ["run", str(clip), "--out", str(tmp_path / "out")]
    done = Started(arguments, cwd=tmp_path, env={"HF_HUB_OFFLINE": "1"})
    output, errors = done.communicate()
    assert done.returncode == 0, errors.decode()
    assert names(tmp_path / "out") == WRITTEN
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 2
    assert b"2 frames of 64 x 48" in output
    assert errors == b""  # no terminal, so no progress bar


@pytest.mark.usefixtures("red_model")
class TestRun:
    def test_masks_overlay_and_report(self, clip: Path, tmp_path: Path) -> None:
        result = coprop_command("run", clip, "--out", tmp_path / "deep" / "out")
        assert result.exit_code == 0, result.output
        out = tmp_path / "deep" / "out"
        assert names(out) == WRITTEN
        mask = np.asarray(Image.open(out / "masks" / "000003.png"))
        assert mask.shape == (48, 64)
        assert mask[24, 20] == 1
        assert mask[2, 2] == 0
        report = json.loads((out / "result.json").read_text())
        assert report["num_frames"] == 5
        assert [row["index"] for row in report["frames"]] == [0, 1, 2, 3, 4]
        with av.open(str(out / "overlay.mp4")) as overlay:
            assert overlay.streams.audio
        assert str(out) in result.stdout

    def test_json_is_all_that_is_printed(self, clip: Path, tmp_path: Path) -> None:
        result = coprop_command("run", clip, "--out", tmp_path / "out", "--json")
        printed = json.loads(result.stdout)
        report = json.loads((tmp_path / "out" / "result.json").read_text())
        del report["frames"]
        assert printed == {**report, "out": str(tmp_path / "out")}

    def test_quiet_prints_nothing(self, clip: Path, tmp_path: Path) -> None:
        result = coprop_command("run", clip, "--out", tmp_path / "out", "--quiet")
        assert result.exit_code == 0
        assert result.output == ""
        assert names(tmp_path / "out") == WRITTEN

    def test_sound_from_another_file(self, clip: Path, tmp_path: Path) -> None:
        silent = write_clip(tmp_path / "silent.mp4", sound=False)
        result = coprop_command("run", silent, "--out", tmp_path / "out", "--audio", clip)
        assert result.exit_code == 0, result.output

    @pytest.mark.usefixtures("no_timelines")
    def test_longest_time_between_keyframes(self, clip: Path, tmp_path: Path) -> None:
        counts = []
        for seconds in ("0", "0.2"):
            coprop_command(
                *("run", clip, "-o", tmp_path / "out", "--force"),
                *("--max-segment", seconds, "--threshold", "1"),
            )
            report = json.loads((tmp_path / "out" / "result.json").read_text())
            assert len(report["segments"]) == 1
            counts.append(sum(row["keyframe"] for row in report["frames"]))
        assert counts[0] == 1
        assert counts[1] >= 5

    def test_segments_are_the_same_everywhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From control point to control point: as printed, in result.json and the timeline."""
        drawn: dict[str, Any] = {}
        monkeypatch.setattr("coprop.media.writer.plot_timeline", _noting(drawn))
        long = write_clip(tmp_path / "clip.mp4", frames=20)
        options = ("--max-segment", "0.5", "--threshold", "0.02")
        result = coprop_command("run", long, "-o", tmp_path / "out", *options)
        report = json.loads((tmp_path / "out" / "result.json").read_text())
        segments = report["segments"]
        assert len(segments) >= 2
        assert f", {len(report['control_points']) - 1} change" in result.stdout
        assert f", {len(segments)} segments\n" in result.stdout
        listed = [line.split() for line in result.stdout.splitlines() if " s " in line]
        assert [float(line[0]) for line in listed] == [round(s["start_s"], 2) for s in segments]
        keyframes = [row["time_s"] for row in report["frames"] if row["keyframe"]]
        assert len(keyframes) >= 8
        for segment in segments:
            assert any(segment["start_s"] - 1e-3 <= t < segment["end_s"] for t in keyframes)
        edges = [(s.start_s, s.end_s) for s in drawn["segments"]]
        assert edges == [pytest.approx((s["start_s"], s["end_s"]), abs=1e-3) for s in segments]
        assert drawn["keyframe_times_s"] == pytest.approx(keyframes, abs=1e-6)

    @pytest.mark.usefixtures("no_timelines")
    def test_result_json_is_small(self, tmp_path: Path) -> None:
        """Ten seconds of 25 frames each: under 100 lines, and none of them long."""
        long = write_clip(tmp_path / "clip.mp4", frames=250, fps=25)
        coprop_command("run", long, "-o", tmp_path / "out")
        text = (tmp_path / "out" / "result.json").read_text(encoding="utf-8")
        assert len(json.loads(text)["frames"]) == 250
        assert len(text.splitlines()) < 100
        assert max(map(len, text.splitlines())) < 600

    def test_an_earlier_result_is_kept_without_force(self, clip: Path, tmp_path: Path) -> None:
        (tmp_path / "result.json").write_text("earlier")
        refused = coprop_command("run", clip, "--out", tmp_path)
        assert refused.exit_code == 1
        assert "not empty" in refused.stderr
        assert "--force" in refused.stderr
        assert names(tmp_path) == {"result.json"}
        (tmp_path / "notes.txt").write_text("mine")
        replaced = coprop_command("run", clip, "--out", tmp_path, "--force")
        assert replaced.exit_code == 0
        assert names(tmp_path) == WRITTEN | {"notes.txt"}
        assert json.loads((tmp_path / "result.json").read_text())["num_frames"] == 5

    def test_the_folder_is_looked_at_before_any_work(
        self, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(folder: Any = None, *, device: Any = None) -> CoProp:
            raise AssertionError("the weights were loaded")

        monkeypatch.setattr(CoProp, "from_pretrained", staticmethod(refuse))
        (tmp_path / "file").write_text("")
        assert coprop_command("run", clip, "--out", tmp_path).exit_code == 1

    def test_the_input_is_not_removed_as_an_earlier_result(self, tmp_path: Path) -> None:
        video = write_clip(tmp_path / "overlay.mp4")
        result = coprop_command("run", video, "--out", tmp_path, "--force")
        assert result.exit_code == 1
        assert "would remove" in result.stderr
        assert video.exists()


def no_such_file(folder: Path) -> Path:
    return folder / "absent.mp4"


def a_folder(folder: Path) -> Path:
    return folder


def a_text_file(folder: Path) -> Path:
    path = folder / "notes.mp4"
    path.write_text("no video at all\n" * 20)
    return path


def a_silent_video(folder: Path) -> Path:
    return write_clip(folder / "silent.mp4", sound=False)


@pytest.mark.usefixtures("red_model")
class TestErrors:
    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (no_such_file, "no such file"),
            (a_folder, "is a directory"),
            (a_text_file, "cannot be opened"),
            (a_silent_video, "no audio track"),
        ],
    )
    def test_input(self, make: Callable[[Path], Path], said: str, tmp_path: Path) -> None:
        source = make(tmp_path)
        result = coprop_command("run", source, "--out", tmp_path / "out")
        assert result.exit_code == 1
        assert said in result.stderr
        assert str(source) in result.stderr
        assert result.stderr.count("\n") == 1
        assert result.stdout == ""
        assert not (tmp_path / "out").exists()
        detected = coprop_command("detect", source, "--method", "cosine")
        assert detected.exit_code == 1
        assert said in detected.stderr

    def test_out_below_a_file(self, clip: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for out in (tmp_path / "file", tmp_path / "file" / "out"):
            result = coprop_command("run", clip, "--out", out)
            assert result.exit_code == 1
            assert "is a file" in result.stderr

    def test_out_without_permission(
        self, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
        result = coprop_command("run", clip, "--out", tmp_path / "out")
        assert result.exit_code == 1
        assert "permission" in result.stderr

    def test_model_folder(self, clip: Path, tmp_path: Path) -> None:
        result = coprop_command("run", clip, "--out", tmp_path / "out", "--model", tmp_path)
        assert result.exit_code == 1
        assert "keyframe_segmenter" in result.stderr

    def test_debug_shows_the_exception(self, tmp_path: Path) -> None:
        arguments = ("run", tmp_path / "absent.mp4", "--out", tmp_path / "out", "--debug")
        assert isinstance(coprop_command(*arguments).exception, coprop.CoPropError)

    @pytest.mark.parametrize(
        "wrong",
        [
            ("--device", "toaster"),
            ("--device", "cuda:99"),
            ("--device", "meta"),
            ("--threshold", "2"),
            ("--min-gap", "-1"),
            ("--min-gap", "inf"),
            ("--max-segment", "inf"),
            ("--max-segment", "1e-9"),
            ("--gpus-per-worker", "inf"),
            ("--start", "inf"),
            ("--end", "0.5", "--start", "0.5"),
            ("--end", "0"),
            ("--method", "magic"),
            ("--bogus",),
        ],
    )
    def test_usage(self, wrong: tuple[str, ...], clip: Path, tmp_path: Path) -> None:
        result = coprop_command("run", clip, "--out", tmp_path / "out", *wrong)
        assert result.exit_code == 2
        assert wrong[0] in result.stderr
        assert "None" not in result.stderr
        assert "Traceback" not in result.stderr


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from coprop import CoProp
from coprop.__main__ import main
from cheap_pipeline import Copying, red

class Slow(Copying):
    def step(self, frame, audio, state):
        time.sleep(0.2)
        return super().step(frame, audio, state)

CoProp.from_pretrained = lambda folder=None, segmenter=None, **parts: CoProp.wrap(
    red, propagator=Slow(), **parts
)
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_a_terminal(tmp_path: Path, number: signal.Signals) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=200, fps=25)
    out = tmp_path / "out"
    terminal, stderr = pty.openpty()
    process = Started(
        ["run", str(clip), "--out", str(out)],
        code=SLOW,
        env={"TERM": "xterm"},
        stderr=os.ttyname(stderr),
    )
    # Read all the time: the progress bar waits for ever once a terminal has 4 kB that nobody reads.
    reading = ThreadPoolExecutor(1).submit(read_all, terminal)
    deadline = time.monotonic() + 120
    while not (out / "masks" / "000004.png").exists() and time.monotonic() < deadline:
        if process.poll() is not None:
            os.close(stderr)
            pytest.fail(f"it ended by itself: {reading.result(60)}")
        time.sleep(0.05)
    os.close(stderr)
    process.send_signal(number)
    said = reading.result(60)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert stdout == b""
    assert "Segmenting frames" in said
    assert "interrupted after" in said
    assert "Traceback" not in said
    assert names(out) == {"masks"}
    masks = sorted((out / "masks").iterdir())
    assert 5 <= len(masks) < 200
    for path in masks:
        assert np.asarray(Image.open(path)).shape == (48, 64)


def read_all(descriptor: int) -> str:
    """What a terminal shows until its other side is closed."""
    parts = []
    while True:
        try:
            part = os.read(descriptor, 1 << 16)
        except OSError:  # how Linux says that nobody writes any more
            part = b""
        if not part:
            os.close(descriptor)
            return b"".join(parts).decode(errors="replace")
        parts.append(part)


class TestDetect:
    def test_table(self, clip: Path) -> None:
        result = coprop_command("detect", clip, "--method", "cosine")
        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        assert lines[0].startswith("clip.mp4: 1.")
        assert lines[3].split() == ["0.00", "1.000"]

    def test_json_finds_the_change(self, tmp_path: Path) -> None:
        clip = write_clip(tmp_path / "clip.mp4", frames=20)
        result = coprop_command("detect", clip, "--method", "cosine", "--json")
        times = [point["time_s"] for point in json.loads(result.stdout)["control_points"]]
        assert times == pytest.approx([0.0, 2.0], abs=0.15)

    def test_windows(self, clip: Path) -> None:
        result = coprop_command("detect", clip, "--method", "cosine", "--windows", "5", "--json")
        content = json.loads(result.stdout)
        assert content["windows"][0] == {"time_s": 0.0, "score": 1.0, "flag": 1}
        assert len(content["windows"]) == 5
        table = coprop_command("detect", clip, "--method", "cosine", "--windows", "5").stdout
        assert len(table.splitlines()) == 8

    def test_threshold_and_gap_reach_the_detector(self, clip: Path) -> None:
        arguments = ("detect", clip, "--method", "cosine", "--json", "--min-gap", "0")
        few = json.loads(coprop_command(*arguments, "--threshold", "1").stdout)
        many = json.loads(coprop_command(*arguments, "--threshold", "0").stdout)
        assert few["threshold"] == 1
        assert len(few["control_points"]) < len(many["control_points"])

    @pytest.mark.parametrize("option", ["--method", "--detector"])
    def test_events_have_words(self, option: str) -> None:
        clip = Path(__file__).parents[1] / "examples" / "clip.mp4"
        content = json.loads(coprop_command("detect", clip, option, "events", "--json").stdout)
        assert (content["method"], content["threshold"]) == ("events", 0.05)
        assert len(content["categories"]) == len(content["control_points"])
        for words, known in zip(content["categories"], content["probabilities"], strict=True):
            assert len(words) == len(known)
            assert all(0.05 <= p <= 1 for p in known)
        table = coprop_command("detect", clip, option, "events").stdout
        named = zip(content["categories"], content["probabilities"], strict=True)
        word, probability = next((words[0], known[0]) for words, known in named if words)
        assert f"{word} {probability:.2f}" in table

    def test_no_windows(self, clip: Path) -> None:
        assert coprop_command("detect", clip, "--windows", "0").exit_code == 2


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(tmp_path: Path, closed: str) -> None:
    """As some schedulers start their jobs."""
    clip, out = write_clip(tmp_path / "clip.mp4"), tmp_path / "points.jsonl"
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "coprop", "detect"]
    done = subprocess.run([*command, clip, "-v", "--out", out], check=False)
    assert done.returncode == 0
    assert [json.loads(line)["file"] for line in out.read_text().splitlines()] == ["clip.mp4"]


def test_matplotlib_draws_without_the_backend_of_the_caller(tmp_path: Path) -> None:
    """As a notebook's shell hands on its own, which need not be in this environment."""
    clip = write_clip(tmp_path / "clip.mp4", frames=2)
    (tmp_path / "mine.py").write_text("def make():\n    return lambda f, a: f[:, :1] - 0.5\n")
    command = [sys.executable, "-m", "coprop", "run", clip, "--model", "mine:make", "--out", "out"]
    environment = {**os.environ, "MPLBACKEND": "of_a_notebook"}
    subprocess.run(command, env=environment, cwd=tmp_path, check=True)
    assert (tmp_path / "out" / "timeline.png").stat().st_size > 0


class TestDoctor:
    def test_all_is_well(self) -> None:
        result = coprop_command("doctor")
        assert result.exit_code == 0, result.stdout
        assert "Everything needed is there." in result.stdout
        report = json.loads(coprop_command("doctor", "--json").stdout)
        assert report["ok"]
        assert report["versions"]["torch"] == importlib.metadata.version("torch")
        assert report["devices"][0] == "cpu"
        assert all(file["bytes"] > 0 for file in report["files"])

    def test_missing_and_damaged_files(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = sys.modules["coprop.cli.doctor"]
        monkeypatch.setattr(module, "PACKAGE", tmp_path)
        pointer = tmp_path / "weights" / "propagator" / "model.safetensors"
        pointer.parent.mkdir(parents=True)
        pointer.write_text("a pointer and no weights\n")
        result = coprop_command("doctor")
        assert result.exit_code == 1
        assert "weights/propagator/model.safetensors is damaged" in result.stdout
        assert "control_points/novelty.safetensors is missing" in result.stdout
        assert "pip install" in result.stdout

    def test_changed_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = sys.modules["coprop.cli.doctor"]
        monkeypatch.setattr(module, "_noted_checksum", lambda name: "0" * 64)
        report = json.loads(coprop_command("doctor", "--json").stdout)
        assert not report["ok"]
        assert {file["state"] for file in report["files"]} == {"changed"}

    def test_extras_and_what_they_lack(self, monkeypatch: pytest.MonkeyPatch) -> None:
        needed = [
            "numpy>=1",
            'numpy>=1; extra == "have"',
            "no-such-package>=1; python_version > '3' and extra == 'lack'",
            "coprop[have,lack]; extra == 'all'",
            "pytest; extra == 'dev'",
        ]
        monkeypatch.setattr(importlib.metadata, "requires", lambda name: needed)
        report = json.loads(coprop_command("doctor", "--json").stdout)
        assert report["extras"] == {"have": [], "lack": ["no-such-package"]}
        assert report["ok"]
        text = coprop_command("doctor").stdout
        assert 'needs no-such-package: pip install "coprop[lack]"' in text

    def test_module_that_does_not_import(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "timm", None)
        result = coprop_command("doctor")
        assert result.exit_code == 1
        assert "timm cannot be imported" in result.stdout


def test_summary_of_many_segments() -> None:
    dog = {"name": "Dog", "probability": 0.93}
    content = {
        "video": "long.mp4",
        "width": 64,
        "height": 48,
        "control_points": [{"time_s": float(i), "score": 1.0} for i in range(0, 30, 2)],
        "segments": [
            {"start_s": float(i), "end_s": i + 1.0, "categories": [dog] if i else []}
            for i in range(30)
        ],
        "frames": [{"time_s": float(i), "area": 0.5} for i in range(30)],
    }
    text = summary(content, Path("out"))
    assert "30 frames of 64 x 48, 14 changes, 30 segments\n" in text
    assert "and 10 more" in text
    assert text.count("50.0%") == 20
    assert text.count("Dog 0.93") == 19
    assert "\n    1.00 to 2.00 s  Dog 0.93   50.0% masked\n" in text
    assert "\n    0.00 to 1.00 s  -          50.0% masked\n" in text


def test_summary_of_silence() -> None:
    content = {
        "video": "quiet.mp4",
        "width": 64,
        "height": 48,
        "control_points": [{"time_s": 0.0, "score": 1.0}],
        "segments": [],
        "frames": [{"time_s": 0.0, "area": 0.0}],
    }
    text = summary(content, Path("out"))
    assert "1 frame of 64 x 48, 0 changes, 0 segments\n\nNothing is heard.\n" in text


def _fill_memory() -> None:
    torch.empty(1 << 50)


def _fill_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB.")


@pytest.mark.parametrize(
    ("fill", "said"), [(_fill_memory, "there is not enough memory"), (_fill_gpu, "--device cpu")]
)
def test_memory_that_is_short(
    fill: Callable[[], None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, reported(debug=False):
        fill()
    assert ended.value.exit_code == 1
    assert said in capsys.readouterr().err
