"""``coprop eval`` as people run it: killed and repeated, and in two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import avsbench_folders
import pytest
import small_library
from typer.testing import CliRunner

from coprop.cli import app
from started import Started

MODULES = Path(__file__).parent / "evaluation"
ROOT = Path(__file__).parents[1]
PATHS = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]  # the former holds tools/
RESULTS = "results.json"


COMPOSED = "tools.benchmark:composed"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_library.build(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def ms3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of five frames, which take a thirtieth of the time of composed ones."""
    return avsbench_folders.build_ms3(tmp_path_factory.mktemp("avsbench"))


def arguments(
    root: Path, out: Path, model: str = "small_dataset:build", dataset: str = "ms3"
) -> list[str]:
    return [
        *("eval", "--dataset", dataset, "--root", str(root)),
        *("--out", str(out), "--limit", "2", "--methods", "alone,true", "--model", model),
        "--quiet",
    ]


def start(given: Sequence[str]) -> Started:
    """Starts the command in the folder of the module with the model."""
    return Started(given, cwd=MODULES, env={"PYTHONPATH": os.pathsep.join(PATHS)})


def finish(process: Started | subprocess.Popen[bytes]) -> str:
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors.decode()
    return output.decode()


TWO = (
    *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
    *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
    *("--main_process_port", "0", "-m", "coprop"),
)


@pytest.fixture(scope="module")
def whole(ms3: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("whole") / "out"
    output = finish(start(arguments(ms3, out)))
    assert "J avsbench" in output
    assert max(map(len, output.splitlines()[:-1])) <= 80
    assert {path.name for path in out.iterdir()} >= {RESULTS, "results.md", "timings.json", "rows"}
    return (out / RESULTS).read_bytes()


def test_killed_and_repeated(whole: bytes, ms3: Path, tmp_path: Path) -> None:
    """Clips that were done are not done again, and the results are the same to the byte."""
    out = tmp_path / "out"
    slow = arguments(ms3, out, "small_dataset:build_slowly")
    process = start(slow)
    rows = out / "rows" / "0.jsonl"
    deadline = time.monotonic() + 120
    while not (rows.exists() and rows.read_bytes().count(b"\n") >= 1):
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = rows.read_bytes()
    done = kept.count(b"\n")
    assert done == 1
    assert not (out / RESULTS).exists()
    # The same settings but for the pause between clips, which the name of the model would tell.
    settings = out / "settings.json"
    settings.write_text(settings.read_text().replace("build_slowly", "build"), encoding="utf-8")
    finish(start(arguments(ms3, out)))
    assert rows.read_bytes().startswith(kept)
    assert (out / RESULTS).read_bytes() == whole


def test_two_processes_share_the_clips(whole: bytes, ms3: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*TWO, *arguments(ms3, out)],
        cwd=MODULES,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(PATHS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output = finish(process)
    assert output.count("Written to") == 1
    lines = [path.read_bytes().count(b"\n") for path in sorted((out / "rows").iterdir())]
    assert lines == [1, 1]
    assert (out / RESULTS).read_bytes() == whole


def invoke(*given: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(given))
    return result.exit_code, result.stdout, result.stderr


def test_json_is_all_that_is_printed(
    whole: bytes, ms3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(MODULES)
    code, output, _ = invoke(*arguments(ms3, tmp_path / "out"), "--json")
    assert code == 0
    expected = json.loads(whole)
    assert json.loads(output) == {**expected, "clips": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--model": "no_such_module:build"}, "cannot import 'no_such_module'"),
        ({"--model": "small_dataset:no_such"}, "small_dataset has no function 'no_such'"),
        ({"--model": "small_dataset:SECONDS"}, "small_dataset has no function 'SECONDS'"),
        ({"--model": "json:loads"}, "json:loads cannot be called without arguments"),
        ({"--model": "/no/such/folder"}, "keyframe_segmenter/config.json"),
        ({"--methods": "alone,best"}, "methods are one or more of nothing, everything"),
        ({"--methods": ","}, "methods are one or more of nothing, everything"),
        ({"--root": "/no/such/folder"}, "manifest.jsonl does not exist"),
        ({"--dataset": "s4", "--root": "/no/such/folder"}, "/no/such/folder"),
        ({"--control-points": "flags.jsonl", "--limit": None}, "leave out flags.jsonl"),
        ({"--split": "validation"}, "validation"),
    ],
)
def test_what_cannot_be_evaluated_is_told_in_a_line(
    sources: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str | None],
    message: str,
) -> None:
    monkeypatch.chdir(MODULES)
    out = tmp_path / "out"
    command, *pairs = [x for x in arguments(sources, out, dataset=COMPOSED) if x != "--quiet"]
    given = dict(zip(pairs[::2], pairs[1::2], strict=True)) | changes
    code, _, errors = invoke(command, *(x for k, v in given.items() if v for x in (k, v)))
    assert code == 1, errors
    assert errors.startswith("coprop: ")
    assert message in errors
    assert not out.exists()


def test_other_sounds(ms3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(MODULES)
    given = [x if x != "alone,true" else "alone" for x in arguments(ms3, tmp_path / "out")]
    code, output, errors = invoke(*given, "--sound", "noise", "--mute")
    assert code == 0, errors
    assert max(map(len, output.splitlines()[:-1])) <= 80
    for title in ("J sounding, muted", "J sounding, noise", "false area, muted", "mute drop"):
        assert f"\n{title} " in output
    assert "false area, other" not in output
    results = (tmp_path / "out" / RESULTS).read_bytes()
    content = json.loads(results)
    assert content["settings"]["sounds"] == ["own", "muted", "noise"]
    figures = content["methods"]["every frame alone"]["all frames"]
    assert 0 <= figures["noise_false_area"] <= 1
    same = ("--sound", "muted", "--sound", "own", "--sound", "noise")  # nothing is left to do
    assert invoke(*given, *same)[0] == 0
    assert (tmp_path / "out" / RESULTS).read_bytes() == results
    code, _, errors = invoke(*given)
    assert (code, "sounds differ" in errors) == (1, True)


def test_another_clip_s_sound_needs_one(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(MODULES)
    given = [x if x != "2" else "1" for x in arguments(sources, tmp_path / "out", dataset=COMPOSED)]
    code, _, errors = invoke(*given, "--sound", "other")
    assert code == 1
    assert "the sound of another clip needs two clips or more" in errors
    assert errors.count("\n") == 1
    code, _, errors = invoke(*given, "--sound", "hum")
    assert (code, "'own', 'muted', 'noise', 'other'" in errors) == (2, True)


def test_a_folder_of_other_settings_is_kept_unless_forced(
    ms3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(MODULES)
    out = tmp_path / "out"
    assert invoke(*arguments(ms3, out))[0] == 0
    before = (out / RESULTS).read_bytes()
    code, _, errors = invoke(*arguments(ms3, out), "--tolerance", "0.5")
    assert code == 1
    assert "tolerance_s differ" in errors
    assert (out / RESULTS).read_bytes() == before
    assert invoke(*arguments(ms3, out), "--tolerance", "0.5", "--force")[0] == 0
    assert json.loads((out / RESULTS).read_text())["settings"]["tolerance_s"] == 0.5
