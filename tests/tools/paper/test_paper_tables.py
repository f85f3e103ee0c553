"""The tables of the paper's shape: laid out from figures, and made whole on clips that are tiny."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_library

from coprop.training.session import Outcome
from tools.benchmark.config import ClipConfig
from tools.paper import __main__ as tables
from tools.paper import layout, training

NAMES = ("jaccard_avsbench", "f_measure_avsbench", "jaccard_strict", "alignment_mask")
SIZES = ["size=[65,65]", "frames_per_clip=2", "batch_size=1"]


def summary(value: float) -> dict[str, dict[str, float | None]]:
    """All figures alike; onsets are found in all frames only."""
    frames = dict.fromkeys(("all frames", "key frames", "normal frames"), value)
    found = {name: dict.fromkeys(NAMES, own) for name, own in frames.items()}
    return {**found, "all frames": {**found["all frames"], "onset_error_s": 0.25}}


def test_every_line_has_a_row_and_every_row_a_line() -> None:
    lines = [line for table in layout.TABLES for line in table.lines]
    assert {line.row for line in lines} == set(tables.ROWS)
    assert {row.segmenter for row in tables.ROWS.values()} == set(training.SEGMENTERS)
    assert {row.propagator for row in tables.ROWS.values()} == set(training.PROPAGATORS)
    for table in layout.TABLES:
        assert all(0 <= i < len(table.lines) for claim in table.claims for i in claim)


def test_tables_need_no_more_than_their_rows() -> None:
    chosen = tables.tables_named(["6", "5"])
    assert [table.name for table in chosen] == ["5", "6"]
    assert set(tables.rows_of(chosen)) == {
        "novelty AOT",
        "novelty 1",
        "novelty",
        "fewer AOT",
        "fewer",
    }


def test_spread_and_gains() -> None:
    assert layout.spread([0.5, 0.6, 0.7]) == "0.600 ± 0.100"
    assert layout.spread([0.5]) == "0.500"
    assert layout.spread([0.5, None]) == layout.spread([]) == "–"
    assert layout.difference([0.5, 0.5, 0.5], [0.6, 0.5, 0.3]) == "-0.033, 1 of 3"
    assert layout.difference([0.5, None], [0.6, 0.6]) == "–"


def test_tables_of_figures() -> None:
    figures = {row: [summary(0.5), summary(0.75)] for row in tables.ROWS}
    figures["novelty"] = [summary(0.75), summary(0.75)]
    text = layout.markdown(layout.TABLES, figures)
    spread = "0.625 ± 0.177"
    assert (
        f"| segmenter of key frames, cosine, AOT | {spread} | {spread} | {spread} | {spread} "
        "| 0.250 ± 0.000 | 0.5882 | 0.7005 |"
    ) in text
    gain = "+0.125, 1 of 2"
    assert f"| cosine → novelty | {gain} | {gain} | {gain} | {gain} | +0.0437 | +0.0351 |" in text
    # Figures that no line has are no column; key frames have no onsets.
    assert "silent area" not in text
    assert (
        "| key frames | 0.750 ± 0.000 | 0.750 ± 0.000 | 0.750 ± 0.000 | 0.750 ± 0.000 | – |" in text
    )


@pytest.mark.usefixtures("small_pictures")
def test_whole_and_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each stage leaves what the next one needs; a repeat trains and scores nothing anew."""
    monkeypatch.setattr(training, "CLIPS", ClipConfig(fps=0.5, size=(64, 96), unseen=0.0))
    monkeypatch.setattr(training, "COMMON", [*training.COMMON, *SIZES])
    (tmp_path / "sources").mkdir()
    sources = small_library.build(tmp_path / "sources", small_library.WIDE, distinct=True)
    work = tmp_path / "work"
    given = ["--sources", str(sources), "--work", str(work), "--seed-list", "4"]
    given += ["--clips", "1", "--train-clips", "1", "--steps", "1", "1"]

    def run(*more: str) -> tuple[int, str, str]:
        code = tables.main([*given, *more])
        return code, *capsys.readouterr()

    assert run("--only", "compose")[0] == 0
    code, _, errors = run("--only", "evaluate")
    assert (code, "is not trained yet" in errors) == (1, True)
    code, _, errors = run("--only", "tables")
    assert (code, "are not all evaluated" in errors) == (1, True)
    with monkeypatch.context() as stopped:
        stopped.setattr(training, "train", lambda *_, **__: Outcome(0, finished=False))
        code, _, errors = run()
        assert code == 130
        assert errors.endswith(f"interrupted; to go on, repeat it ({work}).\n")
    code, output, errors = run()
    assert code == 0, errors
    assert output.startswith("benchmark test moc seen, 1 clips; 1 seeds, each trained for 1 steps")
    assert output.count("### Table") == 4
    rows = {path: path.read_bytes() for path in work.glob("evaluations/*/*/rows/*.jsonl")}
    assert len(rows) == len(tables.ROWS)
    logs = {path: path.read_bytes() for path in work.glob("models/*/*/log.jsonl")}
    assert len(logs) == 5

    for more in ([], ["--only", "tables"]):
        assert run(*more)[:2] == (0, output)
    assert all(path.read_bytes() == content for path, content in (rows | logs).items())
    code, _, errors = run("--steps", "2", "2")
    assert (code, "training with other settings (steps was 1, is 2)" in errors) == (1, True)
    code, _, errors = run("--set", "learning_rate=0.5")
    assert (code, "training with other settings (learning_rate was" in errors) == (1, True)
    assert run("--only", "tables", "--tables", "6", "2b")[1].count("### Table") == 2
    code, _, errors = run("--only", "evaluate", "--max-segment", "2")
    assert (code, "max_segment_s differ" in errors) == (1, True)
