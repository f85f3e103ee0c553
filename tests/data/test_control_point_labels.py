"""Key frames from masks, and annotation files."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coprop.data.control_point_labels import (
    control_points_from_flags,
    key_frame_flags,
    read_control_points,
    write_control_points,
)
from coprop.errors import CoPropError, DatasetError, OutputError, ShapeError

few = settings(deadline=None, max_examples=60)
clips = arrays(
    np.uint8, st.tuples(st.integers(1, 6), st.just(4), st.just(5)), elements=st.integers(0, 4)
)
flag_lists = st.lists(st.booleans(), max_size=9).map(lambda rest: [True, *rest])


def squares(*sets: set[int]) -> list[np.ndarray]:
    """Label maps of 10 x 100 in which class c covers 2 % at a place of its own."""
    maps = []
    for classes in sets:
        labels = np.zeros((10, 100), dtype=np.uint8)
        for c in classes:
            labels[0:2, 10 * c : 10 * c + 10] = c
        maps.append(labels)
    return maps


class TestFlags:
    def test_sets_of_classes(self) -> None:
        maps = squares({1}, {1}, {1, 2}, {2}, set(), set(), {2})
        assert key_frame_flags(maps).tolist() == [1, 0, 1, 1, 1, 0, 1]

    def test_binary_masks_tell_only_empty_from_not(self) -> None:
        left, right = (m > 0 for m in squares({1}, {5}))
        empty = np.zeros_like(left)
        flags = key_frame_flags([left, right, empty, right, left])
        assert flags.tolist() == [1, 0, 1, 1, 0]
        flags = key_frame_flags([left, right, empty, right, left], min_overlap=0.1)
        assert flags.tolist() == [1, 1, 1, 1, 1]

    def test_overlap_is_intersection_over_union(self) -> None:
        wide = np.zeros((10, 10), dtype=bool)
        wide[:, :6] = True
        part = np.zeros_like(wide)
        part[:, :3] = True  # half of it
        assert key_frame_flags([wide, part], min_overlap=0.5).tolist() == [1, 0]
        assert key_frame_flags([wide, part], min_overlap=0.51).tolist() == [1, 1]

    def test_small_areas_do_not_count(self) -> None:
        plain, stain = squares({1}, {1})
        stain[9, 99] = 7  # a thousandth
        assert key_frame_flags([plain, stain]).tolist() == [1, 1]
        assert key_frame_flags([plain, stain], min_area=0.001).tolist() == [1, 1]
        assert key_frame_flags([plain, stain], min_area=0.0011).tolist() == [1, 0]
        stain = np.zeros((100, 100), dtype=np.uint8)
        stain[0, :4] = 1
        assert key_frame_flags([0 * stain, stain]).tolist() == [1, 0]  # the default: 0.0005

    @few
    @given(clips, st.permutations(range(1, 5)))
    def test_names_of_classes_do_not_matter(self, clip: np.ndarray, order: list[int]) -> None:
        flags = key_frame_flags(clip)
        assert flags.shape == (len(clip),)
        assert flags.dtype == np.bool_
        assert flags[0]
        renamed = np.array([0, *order], dtype=np.uint8)[clip]
        np.testing.assert_array_equal(key_frame_flags(renamed), flags)
        np.testing.assert_array_equal(
            key_frame_flags(renamed, min_overlap=0.4), key_frame_flags(clip, min_overlap=0.4)
        )

    @few
    @given(clips, st.integers(1, 8), st.sampled_from([None, 0.0, 0.5, 1.0]))
    def test_masks_that_stay_are_no_change(
        self, clip: np.ndarray, count: int, overlap: float | None
    ) -> None:
        flags = key_frame_flags([clip[0]] * count, min_overlap=overlap)
        assert flags.tolist() == [True] + [False] * (count - 1)

    @few
    @given(clips)
    def test_equals_comparing_sets(self, clip: np.ndarray) -> None:
        sets = [set(frame.ravel().tolist()) - {0} for frame in clip]
        changes = [a != b for a, b in pairwise(sets)]
        assert key_frame_flags(clip, min_area=0).tolist() == [True, *changes]

    def test_bad_input(self) -> None:
        good = np.zeros((4, 5), dtype=np.uint8)
        with pytest.raises(DatasetError, match="at least one label map, got none"):
            key_frame_flags([])
        with pytest.raises(ShapeError, match=r"label map 1 is float64 of shape \(4, 5\)"):
            key_frame_flags([good, good.astype(float)])
        with pytest.raises(ShapeError, match=r"label map 0 is uint8 of shape \(4,\)"):
            key_frame_flags([good[:, 0]])
        with pytest.raises(
            ShapeError, match=r"label map 1 is \(4, 4\), the one before it \(4, 5\)"
        ):
            key_frame_flags([good, good[:, 1:]])
        with pytest.raises(ShapeError, match=r"label map 0 is float32"):
            key_frame_flags([torch.zeros(4, 4, dtype=torch.bfloat16)])
        for name, value in (
            *(("min_area", x) for x in (-0.1, float("nan"), "0", None)),
            *(("min_overlap", x) for x in (1.5, [1])),
        ):
            with pytest.raises(DatasetError, match=rf"{name} must be a share, in \[0, 1\]"):
                key_frame_flags([good], **{name: value})


class TestTimes:
    def test_windows_begin_at_their_share(self) -> None:
        assert control_points_from_flags([1, 0, 0, 1, 1], 5) == (3.0, 4.0)
        assert control_points_from_flags(np.array([True, True]), 3.0) == (1.5,)
        assert control_points_from_flags([1], 10.0) == ()

    @few
    @given(flag_lists, st.floats(0.1, 100))
    def test_inside_and_increasing(self, flags: list[bool], duration_s: float) -> None:
        times = control_points_from_flags(flags, duration_s)
        assert len(times) == sum(flags) - 1
        assert all(a < b for a, b in zip((0.0, *times), (*times, duration_s), strict=True))

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            ([], "a list of 0 and 1"),
            ([[1, 0]], "a list of 0 and 1"),
            ([1.0, 0.5], "a list of 0 and 1"),
            ([1, 2], r"0 or 1, got \[1, 2\]"),
            ([0, 1], "the first flag must be 1"),
            ([[1], [1, 0]], "a list of 0 and 1"),
            (torch.ones(2, dtype=torch.bfloat16), "a list of 0 and 1"),
        ],
    )
    def test_bad_flags(self, flags: list[object], message: str) -> None:
        with pytest.raises(DatasetError, match=message) as caught:
            control_points_from_flags(flags, 5.0)
        assert not str(caught.value).startswith("flags: ")

    @pytest.mark.parametrize("duration_s", [0.0, -1.0, float("inf"), float("nan"), "5", None])
    def test_bad_duration(self, duration_s: Any) -> None:
        with pytest.raises(DatasetError, match="duration_s must be a positive number"):
            control_points_from_flags([1, 0], duration_s)


class TestFiles:
    @few
    @given(annotations=st.dictionaries(st.text(max_size=8), flag_lists, max_size=5))
    def test_round_trip(
        self, tmp_path_factory: pytest.TempPathFactory, annotations: dict[str, list[bool]]
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "round_trip.jsonl"
        write_control_points(path, annotations)
        read = read_control_points(path)
        assert {clip: flags.tolist() for clip, flags in read.items()} == annotations
        assert list(read) == list(annotations)

    def test_form_of_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "flags.jsonl"
        write_control_points(path, {"a": [True, False], "b": np.array([1, 1])})
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines == ['{"clip": "a", "flags": [1, 0]}', '{"clip": "b", "flags": [1, 1]}']
        path.write_text('\n{"flags": [true, 0], "clip": "a", "by": "me"}\r\n\n', encoding="utf-8")
        assert read_control_points(path)["a"].tolist() == [True, False]
        path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")  # as on Windows
        assert read_control_points(path)["a"].tolist() == [True, False]

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("no json", "line 2 is not JSON"),
            ("[1, 0]", r"line 2 is \[1, 0\]; each line must be"),
            ('{"clip": "b"}', "each line must be"),
            ('{"clip": 3, "flags": [1]}', "each line must be"),
            ('{"clip": "b", "flags": "1"}', "line 2: flags must be a list of 0 and 1"),
            ('{"clip": "b", "flags": [0, 1]}', "line 2: the first flag must be 1"),
            ('{"clip": "b", "flags": [1, 3]}', r"line 2: flags are 0 or 1, got \[1, 3\]"),
            ('{"clip": "a", "flags": [1]}', "line 2 has the clip 'a' a second time"),
        ],
    )
    def test_bad_line(self, tmp_path: Path, line: str, message: str) -> None:
        path = tmp_path / "flags.jsonl"
        path.write_text('{"clip": "a", "flags": [1, 0]}\n' + line, encoding="utf-8")
        with pytest.raises(DatasetError, match=f"{re.escape(str(path))}.*{message}"):
            read_control_points(path)

    def test_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"cannot be read from .*none\.jsonl"):
            read_control_points(tmp_path / "none.jsonl")
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x80")
        with pytest.raises(DatasetError, match="cannot be read from"):
            read_control_points(tmp_path / "binary")

    def test_bad_flags_leave_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="clip 'a': the first flag must be 1"):
            write_control_points(tmp_path / "flags.jsonl", {"a": [0, 1]})
        with pytest.raises(DatasetError, match="named by text, got 5"):
            write_control_points(tmp_path / "flags.jsonl", {5: [1, 0]})  # type: ignore[dict-item]
        assert not list(tmp_path.iterdir())
        with pytest.raises(OutputError, match="cannot write"):
            write_control_points(tmp_path / "none" / "flags.jsonl", {"a": [1]})


def test_errors_are_of_the_family() -> None:
    assert issubclass(DatasetError, CoPropError)
