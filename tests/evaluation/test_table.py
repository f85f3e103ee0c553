"""The table of results: narrow enough for any terminal, and telling which way is better."""

from __future__ import annotations

import io
import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from coprop.cli.evaluate import _print_table
from coprop.evaluation.scores import ScoreOptions
from coprop.evaluation.summary import summarise
from coprop.evaluation.table import ROWS, SELECTIONS, SEMANTIC_ROWS, markdown, text

NAMES = (
    "nothing masked",
    "everything masked",
    "every frame alone",
    "coprop, cosine",
    "coprop, novelty",
    "coprop, true control points",
)


def results(count: int, *, classes: int = 1) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every figure that there is, a different one in each cell."""
    names = NAMES[:count]
    keys = [key for key, *_ in (*SEMANTIC_ROWS, *ROWS)]
    methods = {
        name: {
            selection: {key: (i + 1) / 10 + j / 1000 for j, key in enumerate(keys)}
            for selection in SELECTIONS
        }
        for i, name in enumerate(names)
    }
    content = {
        "dataset": {"name": "ms3 test", "clips": 64, "classes": classes},
        "settings": {"model": "default", "frames_per_batch": 1, "tolerance_s": 0.25},
        "methods": methods,
    }
    return content, {name: {"seconds": 1.0, "seconds_per_frame": 0.05} for name in names}


@pytest.mark.parametrize("classes", [1, 71])
@pytest.mark.parametrize("count", range(1, 7))
def test_fits_a_terminal_of_80_columns(count: int, classes: int) -> None:
    content, timings = results(count, classes=classes)
    table = text(content, timings)
    assert max(map(len, table.splitlines())) <= 80
    words = table.split()
    for found in content["methods"].values():
        for key, value in found["all frames"].items():
            shown = classes > 1 or not key.startswith("class_")
            assert words.count(f"{value:.3f}") >= (len(SELECTIONS) if shown else 0), key
    head = " ".join(table.splitlines()[3:8])
    for word in chain.from_iterable(name.split() for name in NAMES[:count]):
        assert word in head


def test_methods_that_do_not_fit_follow_below_with_the_same_rows() -> None:
    content, timings = results(6)
    lines = text(content, timings, width=50).splitlines()
    assert max(map(len, lines[2:])) <= 50
    assert sum(line.startswith("silent area ↓") for line in lines) > len(SELECTIONS)
    assert text(content, timings, width=1).count("silent area ↓") == 6 * len(SELECTIONS)


def test_each_figure_tells_which_way_is_better() -> None:
    better = {
        **dict.fromkeys(("J avsbench", "F avsbench", "J dataset", "J strict"), "↑"),
        **dict.fromkeys(("aligned, identity", "aligned, mask", "J near changes"), "↑"),
        **dict.fromkeys(("mute drop", "control point F1", "class J avsbench"), "↑"),
        **dict.fromkeys(("class F avsbench", "class J dataset"), "↑"),
        **dict.fromkeys(("silent area", "onset error, s", "onsets missed", "onsets false"), "↓"),
        **dict.fromkeys((f"false area, {s}" for s in ("muted", "noise", "other")), "↓"),
        **dict.fromkeys((f"J sounding, {s}" for s in ("muted", "noise", "other")), "↓"),
        **{"J sounding": "↑", "off-screen area": "↓"},
        **dict.fromkeys(("offset error, s", "keyframe calls", "seconds a frame"), "↓"),
    }
    content, timings = results(2, classes=71)
    for table, begin in ((text(content, timings), ""), (markdown(content, timings), "| ")):
        assert "↑: higher is better, ↓: lower is better." in table
        for title, sign in better.items():
            assert f"\n{begin}{title} {sign} " in table
        assert table.count("↑") + table.count("↓") == 2 + 3 * (len(better) - 1) + 1


def test_what_there_is_not_is_left_out_or_a_dash() -> None:
    content, timings = results(2)
    first, second = content["methods"].values()
    for found in (first, second):
        found["all frames"]["alignment_identity"] = None
    first["all frames"]["onset_error_s"] = None
    lines = text(content, timings).splitlines()
    table = lines[: lines.index("", 3)]
    assert not any(line.startswith("aligned, identity") for line in table)
    (row,) = (line for line in table if line.startswith("onset error, s"))
    assert row.split()[-2:] == ["–", f"{second['all frames']['onset_error_s']:.3f}"]


def test_a_selection_without_frames_has_no_rows() -> None:
    content, timings = results(2)
    for found in content["methods"].values():
        found["key frames"] = summarise([], ScoreOptions(), 1)["key frames"]
    text(content, timings)
    markdown(content, timings)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_terminal_without_arrows_gets_signs_that_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    content, timings = results(6)
    (tmp_path / "timings.json").write_text(json.dumps(timings), encoding="utf-8")
    printed = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(printed, encoding))
    _print_table(content, tmp_path)
    table = printed.getvalue().decode(encoding)
    assert ("silent area ↓" if encoding == "utf-8" else "silent area v") in table
