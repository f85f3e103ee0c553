"""`Segment` takes what people give it, and answers what it cannot use in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cheap_pipeline import without_drawing

from coprop.batch import Segment
from coprop.errors import CoPropError
from small_clips import write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", size=(32, 24))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"exports": "coco"}, "exports must be a list of names"),
        ({"exports": 5}, "exports must be a list of names"),
        ({"exports": None}, "exports must be a list of names"),
        ({"settings": 5}, "settings must be values by name"),
        ({"settings": "abc"}, "settings must be values by name"),
        ({"settings": [1]}, "settings must be values by name"),
        ({"settings": {"a": object()}}, "that JSON can hold"),
        ({"settings": {"a": float("nan")}}, "that JSON can hold"),
        ({"audio_track": float("nan")}, "audio_track must be a whole number"),
        ({"video_track": "x"}, "video_track must be a whole number"),
        ({"video_track": -1}, "video_track must be a whole number"),
        ({"out": ""}, "out is empty text"),
    ],
)
def test_refused_at_once(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(CoPropError, match=said):
        Segment(**{"out": tmp_path / "out", "pipeline": without_drawing, **given})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("made", [None, 5])
def test_pipeline_that_is_none(tmp_path: Path, clip: Path, made: object) -> None:
    """It is no fault of the videos."""
    segment = Segment(tmp_path / "out", pipeline=lambda: made)
    with pytest.raises(CoPropError, match="but it returned"):
        segment({"path": [str(clip)]})


def test_one_takes_text(tmp_path: Path, clip: Path) -> None:
    segment = Segment(tmp_path / "out", pipeline=without_drawing)
    assert segment.one(str(clip)).status == "done"
    assert segment.one(clip).status == "done before"


@pytest.mark.parametrize("given", [None, 5, b"a", ""])
def test_one_takes_no_other(tmp_path: Path, given: Any) -> None:
    segment = Segment(tmp_path / "out", pipeline=without_drawing)
    with pytest.raises(CoPropError, match=r"path (must be a path|is empty)"):
        segment.one(given)


def test_row_without_a_path_stops_no_other(tmp_path: Path, clip: Path) -> None:
    segment = Segment(tmp_path / "out", pipeline=without_drawing)
    rows = segment({"path": [None, float("nan"), "", str(clip)]})
    assert rows["status"] == ["failed", "failed", "failed", "done"]
    assert all("path" in error for error in rows["error"][:3])


@pytest.mark.parametrize("column", [None, "a.mp4", 5, np.array("a.mp4")])
def test_column_that_is_one_value(tmp_path: Path, column: Any) -> None:
    segment = Segment(tmp_path / "out", pipeline=without_drawing)
    with pytest.raises(CoPropError, match="must be a list of paths"):
        segment({"path": column})


def test_settings_are_those_that_are_read_back(tmp_path: Path, clip: Path) -> None:
    """JSON knows no tuple, and no number as a name."""
    for _ in range(2):
        settings = {"sizes": (1, 2), 3: "three"}  # type: ignore[dict-item]
        segment = Segment(tmp_path / "out", pipeline=without_drawing, settings=settings)
        assert segment({"path": [str(clip)]})["error"] == [None]
    assert segment.one(clip).status == "done before"
