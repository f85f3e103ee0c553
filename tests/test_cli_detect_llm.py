"""``coprop detect``, ``examples``, ``compare-detectors``: language models, and many files."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from small_library import build
from typer.testing import CliRunner, Result

from coprop.cli import app
from coprop.control_points import language_models
from coprop.control_points.language_models.base import Dialogue
from coprop.control_points.rcpg.trace import Trace
from coprop.errors import CoPropError, LanguageModelError
from scripted_models import RATE, Scripted, Served, hears_levels, stepped
from started import Started


def coprop_command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(path: Path, flags: list[int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, stepped(flags).samples, RATE, subtype="FLOAT")
    return path


def change_at(second: int) -> list[int]:
    return [1, *(int(i == second) for i in range(1, 5))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sounds in a folder with other files."""
    write(tmp_path / "in" / "a.wav", change_at(1))
    write(tmp_path / "in" / "b.wav", change_at(2))
    write(tmp_path / "in" / "deep" / "a.wav", change_at(3))
    (tmp_path / "in" / "notes.txt").write_text("no sound")
    return tmp_path / "in"


Script = Callable[[Dialogue, int | None], Any]


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scripted]:
    """Puts a scripted model in the place of those that --llm names."""

    def put(script: Script = hears_levels, kind: type[Scripted] = Scripted) -> Scripted:
        model = kind(script)
        named = {}

        def language_model(
            source: str, *, served_name: str | None = None, device: str | None = None
        ) -> Scripted:
            named.update(source=source, served_name=served_name, device=device)
            return model

        monkeypatch.setattr(language_models, "language_model", language_model)
        model.named = named  # type: ignore[attr-defined]
        return model

    return put


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestOneFile:
    def test_table(self, folder: Path, llm: Callable[..., Scripted]) -> None:
        llm()
        result = coprop_command("detect", folder / "a.wav", "--llm", "x", "--windows", "5")
        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        assert lines[0] == "a.wav: 5.00 s, rcpg, 3 steps, asked scripted"
        assert lines[2] == "window     time_s    score  flag  heard"
        assert lines[4].split() == ["1", "1.00", "1.000", "1", "dog", "barking,", "cello"]
        assert lines[5].split() == ["2", "2.00", "0.000", "0"]
        result = coprop_command("detect", folder / "a.wav", "--llm", "x")
        lines = result.stdout.splitlines()
        assert lines[2] == "    time_s    score  heard"
        assert lines[4] == "      1.00    1.000  dog barking, cello"

    def test_each_control_point_has_its_names(
        self, folder: Path, llm: Callable[..., Scripted]
    ) -> None:
        llm()
        result = coprop_command("detect", folder / "a.wav", "--llm", "x", "--json")
        content = json.loads(result.stdout)
        assert len(content["control_points"]) == 2
        assert content["categories"] == [["dog barking", "cello"]] * 2

    def test_rows_of_earlier_versions_are_kept(
        self, folder: Path, tmp_path: Path, llm: Callable[..., Scripted]
    ) -> None:
        llm()
        out = tmp_path / "points.jsonl"
        command = ("detect", folder / "a.wav", "--llm", "x", "--out", out)
        assert coprop_command(*command).exit_code == 0
        for change in ({"categories": ["dog barking", "cello"]}, {"categories": None}):
            (row,) = rows(out)
            old = {k: v for k, v in {**row, **change}.items() if v is not None}
            out.write_text(json.dumps(old) + "\n")
            again = coprop_command(*command)
            assert again.exit_code == 0, again.output
            assert "1 done before" in again.stdout
            assert rows(out) == [old]

    def test_json(self, folder: Path, llm: Callable[..., Scripted]) -> None:
        model = llm()
        result = coprop_command(
            *("detect", folder / "a.wav", "--llm", "http://host/v1", "--llm-model", "qwen"),
            *("--steps", "1", "--json"),
        )
        content = json.loads(result.stdout)
        assert content["control_points"] == [
            {"time_s": 0.0, "score": 1.0},
            {"time_s": 1.0, "score": 1.0},
        ]
        assert (content["method"], content["llm"], content["steps"]) == ("rcpg", "scripted", 1)
        assert "categories" not in content
        assert len(model.calls) == 1
        assert model.named == {  # type: ignore[attr-defined]
            "source": "http://host/v1",
            "served_name": "qwen",
            "device": None,
        }

    def test_trace_and_cache(
        self, folder: Path, tmp_path: Path, llm: Callable[..., Scripted]
    ) -> None:
        model = llm()
        command = ("detect", folder / "a.wav", "--llm", "x", "--cache", tmp_path / "cache")
        first = coprop_command(*command, "--trace", tmp_path / "trace.json")
        assert first.exit_code == 0, first.output
        trace = Trace.load(tmp_path / "trace.json")
        assert trace.source == str(folder / "a.wav")
        assert [step.name for step in trace.chunks[0].steps] == [
            "describe",
            "categories",
            "control points",
        ]
        assert len(model.calls) == 3
        assert coprop_command(*command).stdout == first.stdout
        assert len(model.calls) == 3

    def test_no_usable_answer(self, folder: Path, llm: Callable[..., Scripted]) -> None:
        llm(lambda asked, windows: "Sorry.")
        command = ("detect", folder / "a.wav", "--llm", "x", "--json")
        result = coprop_command(*command)
        assert result.exit_code == 0
        assert "those of the fallback detector" in result.stderr
        assert result.stderr.count("\n") == 1
        assert "fallback detector" in json.loads(result.stdout)["notes"][0]
        stopped = coprop_command(*command, "--on-failure", "raise")
        assert stopped.exit_code == 1
        assert f"{folder / 'a.wav'}: scripted gave no usable list" in stopped.stderr

    def test_a_model_that_cannot_be_asked(self, folder: Path, llm: Callable[..., Scripted]) -> None:
        def gone(asked: Dialogue, windows: int | None) -> str:
            raise LanguageModelError("the server is gone; start it.")

        llm(gone)
        result = coprop_command("detect", folder / "a.wav", "--llm", "x")
        assert (result.exit_code, result.stderr) == (1, "coprop: the server is gone; start it.\n")

    @pytest.mark.parametrize(
        ("options", "wrong"),
        [
            (("--steps", "1"), "--steps"),
            (("--examples", "x.jsonl"), "--examples"),
            (("--cache", "x"), "--cache"),
            (("--trace", "x"), "--trace"),
            (("--on-failure", "raise"), "--on-failure"),
            (("--llm", "x", "--threshold", "0.1"), "--threshold"),
            (("--llm", "x", "--min-gap", "1"), "--min-gap"),
            (("--llm", "x", "--method", "cosine"), "--method"),
            (("--llm", "x", "--llm-model", "y"), "--llm-model"),
            (("--llm", "x", "--steps", "2"), "--steps"),
            (("--llm", "http://x", "--device", "cpu"), "--device"),
            (("--llm", "x", "--device", "toaster"), "--device"),
            (("--llm", ""), "--llm: it is empty; give a server's URL"),
        ],
    )
    def test_options_that_do_not_go_together(
        self, options: tuple[str, ...], wrong: str, folder: Path
    ) -> None:
        result = coprop_command("detect", folder / "a.wav", *options)
        assert result.exit_code == 2
        assert wrong in result.stderr

    def test_examples_need_three_steps(self, folder: Path, llm: Callable[..., Scripted]) -> None:
        llm()
        result = coprop_command(
            "detect", folder / "a.wav", "--llm", "x", "--steps", "1", "--examples", "x.jsonl"
        )
        assert result.exit_code == 1
        assert "steps=3" in result.stderr


class TestFolder:
    @pytest.mark.parametrize("kind", [Scripted, Served])
    def test_rows_and_traces(
        self, folder: Path, tmp_path: Path, llm: Callable[..., Scripted], kind: type[Scripted]
    ) -> None:
        model = llm(kind=kind)
        command = ("detect", folder, "--llm", "x", "--windows", "5", "-o", tmp_path / "o.jsonl")
        result = coprop_command(*command, "--trace", tmp_path / "traces")
        assert result.exit_code == 0, result.output
        assert result.stdout == f"Written to {tmp_path / 'o.jsonl'}: 3 files.\n"
        found = rows(tmp_path / "o.jsonl")
        assert [row["path"] for row in found] == [
            str(folder / name) for name in ("a.wav", "b.wav", "deep/a.wav")
        ]
        for row, second in zip(found, (1, 2, 3), strict=True):
            assert [window["flag"] for window in row["windows"]] == change_at(second)
        for name in ("a.wav", "b.wav", "deep/a.wav"):
            assert Trace.load(tmp_path / "traces" / f"{name}.json").source == str(folder / name)
        asked = len(model.asked)
        again = coprop_command(*command)
        assert again.stdout.endswith(": 0 files, 3 done before.\n")
        assert len(model.asked) == asked

    def test_json_lines_on_stdout(self, folder: Path) -> None:
        result = coprop_command("detect", folder, "--method", "cosine", "--json")
        assert result.exit_code == 0, result.output
        found = [json.loads(line) for line in result.stdout.splitlines()]
        assert [row["file"] for row in found] == ["a.wav", "b.wav", "a.wav"]
        table = coprop_command("detect", folder / "a.wav", folder / "b.wav", "--method", "cosine")
        assert table.stdout.count("time_s") == 2

    def test_a_file_that_cannot_be_read(self, folder: Path, llm: Callable[..., Scripted]) -> None:
        (folder / "aa.wav").write_text("no sound")
        llm()
        for options in (("--llm", "x"), ("--method", "cosine")):
            result = coprop_command("detect", folder, "--json", *options)
            assert result.exit_code == 1
            assert len(result.stdout.splitlines()) == 3
            assert str(folder / "aa.wav") in result.stderr
            assert result.stderr.count("\n") == 1

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        result = coprop_command("detect", tmp_path)
        assert result.exit_code == 1
        assert "is a directory without video or audio files" in result.stderr

    def test_a_row_that_was_cut_short_does_not_count(
        self, folder: Path, tmp_path: Path, llm: Callable[..., Scripted]
    ) -> None:
        llm()
        out = tmp_path / "o.jsonl"
        command = ("detect", folder, "--llm", "x", "--out", out)
        coprop_command(*command)
        whole = out.read_bytes()
        for length in (len(whole) - 1, len(whole) - 50, 10, 0):
            out.write_bytes(whole[:length])
            assert coprop_command(*command).exit_code == 0
            assert out.read_bytes() == whole

    def test_rows_of_other_settings_are_refused(
        self, folder: Path, tmp_path: Path, llm: Callable[..., Scripted]
    ) -> None:
        llm()
        out = tmp_path / "o.jsonl"
        coprop_command("detect", folder, "--llm", "x", "--out", out)
        before = out.read_bytes()
        assert before
        for options in (("--llm", "x", "--steps", "1"), ("--llm", "x", "--windows", "3"), ()):
            result = coprop_command("detect", folder, "--out", out, *options)
            assert result.exit_code == 1
            assert "rows of other settings" in result.stderr
            assert out.read_bytes() == before
        for mine in ('{"file": "mine"}\n', "not whole, and no row", '{"pa\n'):
            out.write_text(mine)
            result = coprop_command("detect", folder, "--out", out)
            assert (result.exit_code, out.read_text()) == (1, mine)
            assert "line 1 is no row" in result.stderr

    def test_nowhere_to_write(self, folder: Path, llm: Callable[..., Scripted]) -> None:
        llm()
        for option in ("--out", "--cache"):
            where = folder / "notes.txt" / "x"
            result = coprop_command("detect", folder, "--llm", "x", option, where)
            assert result.exit_code == 1, option
            assert "notes.txt" in result.stderr


SLOW = """
import sys, time
from pathlib import Path
from coprop.__main__ import main
from coprop.control_points import language_models
from scripted_models import Scripted, hears_levels

log = Path(sys.argv.pop())

def script(asked, windows):
    with log.open("a") as file:
        file.write(f"{asked[0].audios[0].sum()} {len(asked)}\\n")
    time.sleep(0.1)
    return hears_levels(asked, windows)

language_models.language_model = lambda source, served_name=None, device=None: Scripted(script)
main()
"""


def test_killed_and_run_again_asks_nothing_twice(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / "in" / f"{number:02d}.wav", [1, 0, 1, *[0] * (number + 1)])
    out, log = tmp_path / "o.jsonl", tmp_path / "asked"
    command = [
        *("detect", str(tmp_path / "in"), "--llm", "x"),
        *("--cache", str(tmp_path / "cache"), "--out", str(out), str(log)),
    ]
    process = Started(command, code=SLOW)
    deadline = time.monotonic() + 120
    # After the first batch of eight, in the middle of the second.
    while not (log.exists() and log.read_text().count("\n") > 28) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert len(rows(out)) == 8
    asked_before = log.read_text().splitlines()
    assert len(asked_before) < 60
    done = Started(command, code=SLOW)
    output, errors = done.communicate()
    assert done.returncode == 0, errors.decode()
    assert output.endswith(b"12 files, 8 done before.\n")
    found = rows(out)
    assert [Path(row["path"]).stem for row in found] == [f"{n:02d}" for n in range(20)]
    assert all(len(row["control_points"]) == 2 for row in found)
    asked = log.read_text().splitlines()
    # What was asked at the moment of the kill, one batch at most, could not be kept.
    assert len(set(asked)) == 60
    assert len(asked) <= 60 + 8
    assert asked[:24] == asked_before[:24]
    assert not set(asked[:24]) & set(asked[len(asked_before) :])


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sources"))


class TestDatasets:
    def test_examples_and_comparison(
        self,
        sources: Path,
        tmp_path: Path,
        llm: Callable[..., Scripted],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        import tools.benchmark
        from tools.benchmark.composed_clips import ComposedClips

        def few(root: Path, split: str, limit: int | None) -> ComposedClips:
            return ComposedClips(root, limit or 3, split=split)

        monkeypatch.setattr(tools.benchmark, "composed", few)
        composed = ("--dataset", "tools.benchmark:composed", "--root", sources)
        train = tmp_path / "train.jsonl"
        made = coprop_command("examples", *composed, "--split", "train", "--out", train)
        assert made.exit_code == 0, made.output
        assert made.stdout.startswith(f"Written to {train}: 3 examples of 3 clips of composed")
        again = ("examples", *composed, "--split", "train", "--out", train)
        refused = coprop_command(*again)
        assert refused.exit_code == 1
        assert "is there already" in refused.stderr
        assert coprop_command(*again, "--force").exit_code == 0
        model = llm(lambda asked, n: "A dog." if n is None else "[" + "1," * n + "]")
        command = ("compare-detectors", *composed, "--limit", "3", "--llm", "x")
        result = coprop_command(*command, "--examples", train, "--json")
        assert result.exit_code == 0, result.output
        content = json.loads(result.stdout)
        table = {row.pop("detector"): row for row in content["rows"]}
        assert list(table) == [
            *("all ones", "first only", "cosine", "novelty", "events", "1-step", "3-step", "RCPG"),
        ]
        ones = table["all ones"]
        assert ones["exact"]["recall"] == 1.0
        precision = content["changes"] / content["windows"]
        assert ones["exact"]["precision"] == pytest.approx(precision, abs=1e-4)
        assert table["1-step"] == table["RCPG"] == ones  # this model says 1 throughout
        assert table["first only"]["exact"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
        assert content["clips"] == 3
        assert content["windows"] == 3 * 7
        assert any("answers of scripted; with an untrained model" in n for n in content["notes"])
        assert any("[1,0" in d[-1].text for d in model.asked)  # examples were shown

    def test_the_table(self, sources: Path, llm: Callable[..., Scripted]) -> None:
        llm(lambda asked, n: "no")
        composed = ("--dataset", "tools.benchmark:composed", "--root", sources, "--limit", "2")
        plain = coprop_command("compare-detectors", *composed)
        assert plain.exit_code == 0, plain.output
        lines = plain.stdout.splitlines()
        assert lines[1].split() == ["detector", *("precision", "recall", "F1") * 2]
        assert [line[:12].strip() for line in lines[2:7]] == [
            *("all ones", "first only", "cosine", "novelty", "events"),
        ]
        asked = coprop_command("compare-detectors", *composed, "--llm", "x")
        assert "1-step: in 2 clips the novelty detector stood in" in asked.stdout
        assert "RCPG, the full method, is asked with --examples" in asked.stdout
        figures = [line.split()[-6:] for line in asked.stdout.splitlines()[2:9]]
        assert figures[3] == figures[5] == figures[6]  # novelty, in its own name and for others

    def test_what_goes_with_llm(self, sources: Path) -> None:
        composed = ("--dataset", "tools.benchmark:composed", "--root", sources)
        for options in (("--examples", "x"), ("--cache", "x"), ("--device", "cpu")):
            result = coprop_command("compare-detectors", *composed, *options)
            assert result.exit_code == 2
            assert options[0] in result.stderr

    def test_no_such_dataset_folder(self, tmp_path: Path) -> None:
        for command in (("examples", "--out", tmp_path / "x.jsonl"), ("compare-detectors",)):
            result = coprop_command(*command, "--dataset", "ms3", "--root", tmp_path / "absent")
            assert result.exit_code == 1
            assert "absent" in result.stderr


def test_an_oracle_scores_one(sources: Path) -> None:
    from coprop.control_points.rcpg.example_building import true_flags
    from coprop.evaluation.detectors import compare_detectors
    from coprop.types import AudioTrack, ControlPoints
    from tools.benchmark.composed_clips import ComposedClips

    clips = ComposedClips(sources, count=5)
    known = {clips[i].audio.samples.tobytes(): true_flags(clips[i]) for i in range(5)}

    def shifted(by: int) -> Callable[[AudioTrack, int], ControlPoints]:
        def detect(audio: AudioTrack, windows: int) -> ControlPoints:
            true = known[audio.read(0, audio.num_samples).tobytes()]
            assert true is not None
            flags = true.copy()
            if by:
                flags[1:] = np.r_[[False] * by, true[1:-by]]
            return ControlPoints(np.arange(windows) * 1.0, flags * 1.0, flags)

        return detect

    for wrong in (0, 1.5, "3"):
        with pytest.raises(CoPropError, match="limit must be a whole number, 1 or more"):
            compare_detectors(clips, {}, limit=wrong)  # type: ignore[arg-type]
    comparison = compare_detectors(clips, {"oracle": shifted(0), "late": shifted(1)})
    table = {row.name: row for row in comparison.rows}
    assert comparison.changes > 0
    assert table["oracle"].exact.scores() == (1.0, 1.0, 1.0)
    assert table["oracle"].exact.true == comparison.changes
    assert table["late"].near.scores().precision == 1.0
    assert table["late"].exact.scores().f1 < table["late"].near.scores().f1
