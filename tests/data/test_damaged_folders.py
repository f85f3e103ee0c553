"""Clip records, rows and configs that are damaged: one sentence that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coprop.data.benchmark_record import read_record
from coprop.errors import CoPropError, DatasetError
from coprop.evaluation.row_form import fault_of
from coprop.keyframes.segmenter import KeyframeSegmenter, SegmenterConfig
from coprop.propagation import PropagatorConfig

DEEP = "[" * 100_000
RECORD: dict[str, Any] = {
    **{"name": "s4-0000", "split": "test", "subset": "s4", "fps": 10.0, "num_frames": 5},
    **{"change_times_s": [0.1, 0.2], "categories": ["dog"], "seen_in_training": True},
    "objects": [
        {"group": "dog", "seen_in_training": None, "sounding_s": [[0, 0.5]], "picture": "a"}
    ],
    **{"off_screen": [], "music": None, "background": "b.png"},
}


@pytest.mark.parametrize(
    "change",
    [
        {"fps": 0},
        {"fps": -1},
        {"fps": 1e9},
        {"fps": "10"},
        {"fps": None},
        {"fps": True},
        {"num_frames": 0},
        {"num_frames": 10**12},
        {"num_frames": 1.5},
        {"change_times_s": [0.2, 0.1]},
        {"change_times_s": [-1]},
        {"change_times_s": "12"},
        {"change_times_s": 5},
        {"categories": [1]},
        {"objects": {}, "categories": None},
        {"objects": [5]},
        {"objects": [{"group": 5, "seen_in_training": None, "sounding_s": []}]},
        {"objects": [{"group": None, "seen_in_training": 1, "sounding_s": []}]},
        {"objects": [{"group": None, "seen_in_training": None, "sounding_s": [[1, 0]]}]},
        {"objects": [{"group": None, "seen_in_training": None, "sounding_s": [[1]]}]},
    ],
)
def test_absurd_clip_records(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(RECORD))
    assert read_record(path).num_frames == 5
    path.write_text(json.dumps({**RECORD, **change}))
    with pytest.raises(DatasetError, match=r"clip\.json cannot be read"):
        read_record(path)


@pytest.mark.parametrize("text", ["x", DEEP, "[]", '{"fps": NaN}', '{"fps": 1e400}', "{}"])
def test_clip_records_that_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clip.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match=r"clip\.json cannot be read"):
        read_record(path)


FRAMES: dict[str, list[Any]] = {
    **{"counts": [[1, 2, 3, 12], [0, 0, 0, 12]], "jaccard_strict": [0.25, 1.0]},
    **{"silent_area": [None, 0.0], "alignment_mask": [True, False], "key": [True, False]},
}
SCORES: dict[str, Any] = {
    **{"num_frames": 2, "num_keyframes": 1, "frames": FRAMES, "control_points": None},
    "events": {kind: {"errors_s": [0.1], "missed": 0, "false": 1} for kind in ("onset", "offset")},
}
ROW: dict[str, Any] = {"index": 0, "clip": "a", "scores": {"m": SCORES}, "seconds": {"m": 0.5}}


def test_rows_as_they_are_written() -> None:
    assert not fault_of(ROW)


@pytest.mark.parametrize(
    "change",
    [
        {"num_frames": -1},
        {"num_frames": 1.0},
        {"num_keyframes": None},
        {"control_points": {"matched": -1}},
        {"control_points": [1]},
        {"events": {}},
        {"events": {**SCORES["events"], "onset": {"errors_s": ["1"], "missed": 0, "false": 0}}},
        {"events": {**SCORES["events"], "offset": {"errors_s": [], "missed": {}, "false": 0}}},
        {"frames": {}},
        {"frames": {**FRAMES, "counts": []}},
        {"frames": {**FRAMES, "counts": [[1, 2, 3, 12], {}]}},
        {"frames": {**FRAMES, "counts": [[9, 2, 3, 12], [0, 0, 0, 12]]}},
        {"frames": {**FRAMES, "counts": [[1, 2, 3], [0, 0, 0, 12]]}},
        {"frames": {**FRAMES, "jaccard_strict": [0.5]}},
        {"frames": {**FRAMES, "jaccard_strict": [5.0, 0.0]}},
        {"frames": {**FRAMES, "jaccard_strict": ["x", 0.0]}},
        {"frames": {**FRAMES, "key": [1, 0]}},
        {"frames": {**FRAMES, "classes": [{"1": [1, 2]}, {}]}},
        {"frames": {**FRAMES, "f_curve": [[], None]}},
        {"frames": {**FRAMES, "unheard_of": [1, 2]}},
    ],
)
def test_damaged_scores_of_a_row(change: dict[str, Any]) -> None:
    assert fault_of({**ROW, "scores": {"m": {**SCORES, **change}}})


UNBOUNDED = {"long_term_gap", "max_memory_frames"}  # any number, and no limit, have a meaning


@pytest.mark.parametrize("kind", [SegmenterConfig, PropagatorConfig])
@pytest.mark.parametrize("value", [0, -1, 1.5, 10**9, 1e300, "8", None, [], {}, True, float("nan")])
def test_configs_with_absurd_values(kind: Any, value: Any) -> None:
    right = kind().to_dict()
    for name, usual in right.items():
        if type(usual) is int and usual > 1 and name not in UNBOUNDED:
            with pytest.raises(CoPropError):
                kind.from_dict({**right, name: value})


def test_a_folder_with_an_absurd_config(tmp_path: Path) -> None:
    model = KeyframeSegmenter()
    model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".part") == []
    path = tmp_path / "config.json"
    for text in ('{"working_edge": NaN}', DEEP, "[]", '{"working_edge": 1e9}', "x"):
        path.write_text(text)
        with pytest.raises(CoPropError, match=r"config\.json"):
            KeyframeSegmenter.from_pretrained(tmp_path)
