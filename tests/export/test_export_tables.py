"""Segments as CSV, Audacity's labels and ELAN's annotations."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from export_samples import SEGMENTS, result

from coprop import Category, Result, Segment
from coprop.export.recording import plain_number

BEST = [each.categories[0].name if each.categories else "sounding" for each in SEGMENTS]


def with_segments(*segments: Segment) -> Result:
    whole = result()
    return Result(whole.masks, whole.control_points, segments, whole.frames, whole.audio, None)


def test_csv(tmp_path: Path) -> None:
    result().export("csv", tmp_path / "segments.csv")
    with (tmp_path / "segments.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(float(row["start_s"]), float(row["end_s"])) for row in rows] == [
        (each.start_s, each.end_s) for each in SEGMENTS
    ]
    assert [row["name"] for row in rows] == ["Drum kit", 'Bird <&> "quoted"', "", "Drum kit"]
    assert float(rows[0]["probability"]) == 0.36291234
    assert rows[2]["probability"] == ""
    assert rows[0]["other_names"] == "Drum, big\tone 0.3"


def test_audacity(tmp_path: Path) -> None:
    result().export("audacity", tmp_path / "segments.txt")
    lines = (tmp_path / "segments.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    assert [(float(start), float(end), name) for start, end, name in rows] == [
        (each.start_s, each.end_s, name) for each, name in zip(SEGMENTS, BEST, strict=True)
    ]


def test_a_name_does_not_break_a_label(tmp_path: Path) -> None:
    made = with_segments(Segment(0.1, 0.2, (Category("two\tparts\nand lines", 1.0),)))
    made.export("audacity", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "0.1\t0.2\ttwo parts and lines\n"


def test_small_times_have_no_exponent(tmp_path: Path) -> None:
    assert plain_number(1e-7) == "0.0000001"
    assert plain_number(123456789.125) == "123456789.125"
    assert float(plain_number(1 / 3)) == 1 / 3


def test_elan_by_its_schema(tmp_path: Path) -> None:
    result().export("elan", tmp_path / "segments.eaf")
    root = ElementTree.parse(tmp_path / "segments.eaf").getroot()
    assert root.tag == "ANNOTATION_DOCUMENT"
    assert [each.tag for each in root][:3] == ["HEADER", "TIME_ORDER", "TIER"]
    slots = {
        slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", ""))
        for slot in root.iterfind("TIME_ORDER/TIME_SLOT")
    }
    found = [
        (
            slots[each.get("TIME_SLOT_REF1")],
            slots[each.get("TIME_SLOT_REF2")],
            each.findtext("ANNOTATION_VALUE"),
        )
        for each in root.iterfind("TIER/ANNOTATION/ALIGNABLE_ANNOTATION")
    ]
    assert found == [
        (round(each.start_s * 1000), round(each.end_s * 1000), name)
        for each, name in zip(SEGMENTS, BEST, strict=True)
    ]


def test_elan_opened_by_pympi(tmp_path: Path) -> None:
    elan = pytest.importorskip("pympi.Elan")
    result().export("elan", tmp_path / "segments.eaf")
    document = elan.Eaf(str(tmp_path / "segments.eaf"))
    found = sorted(document.get_annotation_data_for_tier("sounding"))
    assert found == [
        (round(each.start_s * 1000), round(each.end_s * 1000), name)
        for each, name in zip(SEGMENTS, BEST, strict=True)
    ]


def test_elan_takes_any_name_and_any_span(tmp_path: Path) -> None:
    made = with_segments(Segment(0.2, 0.2, (Category("\x00 bell", 1.0),)), Segment(0.5, math.inf))
    made.export("elan", tmp_path / "a.eaf")
    root = ElementTree.parse(tmp_path / "a.eaf").getroot()
    values = [int(slot.get("TIME_VALUE", "")) for slot in root.iter("TIME_SLOT")]
    assert values == [200, 201, 500, 1034]  # no annotation is empty, and the video ends
    assert root.findtext(".//ANNOTATION_VALUE") == "\ufffd bell"


def test_no_segment_at_all(tmp_path: Path) -> None:
    made = with_segments()
    made.export("csv", tmp_path / "a.csv")
    made.export("audacity", tmp_path / "a.txt")
    made.export("elan", tmp_path / "a.eaf")
    assert (tmp_path / "a.csv").read_text().count("\n") == 1
    assert (tmp_path / "a.txt").read_text() == ""
