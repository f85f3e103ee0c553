"""Alignment in both forms, against sets of pixels and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from metric_samples import few

from coprop.errors import CoPropError
from coprop.metrics.functional import aligned_by_identity, aligned_by_mask, alignment_rate

Masks = np.ndarray
frames = st.integers(1, 3)


def pixels(mask: Masks) -> set[tuple[int, ...]]:
    return set(zip(*np.nonzero(mask), strict=True))


def slow_identity(
    prediction: Masks, objects: Masks, sounding: Masks, covered: float, outside: float
) -> bool:
    """One frame; the definition in words of sets of pixels."""
    predicted, areas = pixels(prediction), [pixels(mask) for mask in objects]
    visible = [i for i, area in enumerate(areas) if area]
    marked = {i for i in visible if len(areas[i] & predicted) / len(areas[i]) >= covered}
    heard = {i for i in visible if sounding[i]}
    allowed = set().union(*(areas[i] for i in heard))
    stray = len(predicted - allowed) / len(predicted) if predicted else 0.0
    return marked == heard and stray <= outside


def columns(*numbers: int) -> torch.Tensor:
    """A mask of columns of a frame of 3 x 10 pixels."""
    mask = torch.zeros(3, 10, dtype=torch.bool)
    mask[:, list(numbers)] = True
    return mask


class TestByIdentity:
    @few
    @given(st.data(), st.sampled_from([0.25, 0.5, 1.0]), st.sampled_from([0.0, 0.25, 0.5]))
    def test_equals_the_definition(
        self, data: st.DataObject, covered: float, outside: float
    ) -> None:
        n, count = data.draw(frames), data.draw(st.integers(0, 3))
        prediction = data.draw(arrays(np.bool_, (n, 4, 5)))
        objects = data.draw(arrays(np.bool_, (n, count, 4, 5)))
        sounding = data.draw(arrays(np.bool_, (n, count)))
        aligned = aligned_by_identity(
            *map(torch.from_numpy, (prediction, objects, sounding)),
            covered=covered,
            outside=outside,
        )
        rows = zip(prediction, objects, sounding, strict=True)
        assert aligned.tolist() == [slow_identity(*row, covered, outside) for row in rows]

    @few
    @given(arrays(np.bool_, (3, 4, 5)), st.lists(st.booleans(), min_size=3, max_size=3))
    def test_the_truth_is_aligned_where_objects_do_not_overlap(
        self, noise: Masks, sounding: list[bool]
    ) -> None:
        owner = noise.argmax(axis=0)
        objects = torch.from_numpy(np.arange(3)[:, None, None] == owner)[None]
        heard = torch.tensor([sounding])
        prediction = (objects & heard[:, :, None, None]).any(1)
        assert aligned_by_identity(prediction, objects, heard).all()

    @pytest.mark.parametrize(
        ("predicted", "sounding", "aligned"),
        [
            # Objects: columns 0-3 and 4-7 of ten; 8 and 9 are background.
            (range(0, 4), [True, False], True),
            (range(0, 2), [True, False], True),  # just half of it
            (range(0, 1), [True, False], False),  # too little of it
            (range(0, 4), [False, True], False),  # the other one
            (range(0, 4), [True, True], False),  # one of two
            (range(0, 8), [True, False], False),  # a silent one too
            (range(0, 5), [True, False], True),  # a fifth astray
            (range(2, 5), [True, False], False),  # a third astray
            ([], [False, False], True),
            ([8], [False, False], False),
            ([], [True, False], False),
        ],
    )
    def test_by_hand(self, predicted: list[int], sounding: list[bool], aligned: bool) -> None:
        objects = torch.stack([columns(0, 1, 2, 3), columns(4, 5, 6, 7)])
        prediction = columns(*predicted).byte()
        result = aligned_by_identity(prediction[None], objects[None], torch.tensor([sounding]))
        assert result.tolist() == [aligned]

    def test_what_sounds_out_of_sight_does_not_count(self) -> None:
        hidden = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
        prediction = torch.stack([torch.zeros(2, 2), torch.ones(2, 2)]).bool()
        aligned = aligned_by_identity(prediction, hidden, torch.ones(2, 1).bool())
        assert aligned.tolist() == [True, False]

    @pytest.mark.parametrize(
        ("shape", "thresholds", "message"),
        [
            ((1, 3, 2, 2), {}, "shapes"),
            ((1, 2, 2, 3), {}, "shapes"),
            ((2, 2, 2, 2), {}, "shapes"),
            ((2, 2, 2), {}, "dimensions"),
            ((1, 2, 2, 2), {"covered": 0.0}, "covered"),
            ((1, 2, 2, 2), {"covered": 1.1}, "covered"),
            ((1, 2, 2, 2), {"outside": 1.0}, "outside"),
            ((1, 2, 2, 2), {"outside": -0.1}, "outside"),
        ],
    )
    def test_bad_input(
        self, shape: tuple[int, ...], thresholds: dict[str, float], message: str
    ) -> None:
        objects, sounding = torch.zeros(shape, dtype=torch.bool), torch.tensor([[True, False]])
        with pytest.raises(CoPropError, match=message):
            aligned_by_identity(torch.zeros(1, 2, 2).bool(), objects, sounding, **thresholds)

    def test_floats_and_no_frames(self) -> None:
        objects, sounding = torch.zeros(1, 1, 2, 2).bool(), torch.ones(1, 1).bool()
        with pytest.raises(CoPropError, match="threshold"):
            aligned_by_identity(torch.zeros(1, 2, 2), objects, sounding)
        with pytest.raises(CoPropError, match="objects must be a bool"):
            aligned_by_identity(torch.zeros(1, 2, 2).bool(), objects.float(), sounding)
        with pytest.raises(CoPropError, match="at least one frame"):
            aligned_by_identity(torch.zeros(0, 2, 2).bool(), objects[:0], sounding[:0])


class TestByMask:
    @few
    @given(frames.flatmap(lambda n: st.tuples(*[arrays(np.bool_, (n, 3, 4))] * 2)))
    def test_equals_the_definition(self, masks: tuple[Masks, Masks]) -> None:
        expected = []
        for found, wanted in zip(*(map(pixels, mask) for mask in masks), strict=True):
            either = len(found | wanted)
            expected.append(len(found & wanted) / either >= 0.5 if wanted else not found)
        assert aligned_by_mask(*map(torch.from_numpy, masks)).tolist() == expected

    def test_by_hand(self) -> None:
        wanted = torch.stack([columns(0, 1)] * 3 + [columns()] * 2)
        found = torch.stack(
            [columns(0), columns(0, 1, 2, 3, 4), columns(0, 1), columns(), columns(9)]
        )
        assert aligned_by_mask(found, wanted).tolist() == [True, False, True, True, False]
        assert aligned_by_mask(found, wanted, iou=0.4).tolist() == [True, True, True, True, False]

    @pytest.mark.parametrize(
        ("prediction", "target", "iou", "message"),
        [
            (torch.zeros(1, 2, 2), torch.zeros(1, 2, 2).bool(), 0.5, "threshold"),
            (torch.zeros(1, 2, 2).bool(), torch.zeros(1, 2, 2), 0.5, "target must be"),
            (torch.zeros(1, 2, 2).bool(), torch.zeros(1, 2, 3).bool(), 0.5, "one shape"),
            (torch.zeros(0, 2, 2).bool(), torch.zeros(0, 2, 2).bool(), 0.5, "at least one frame"),
            (torch.zeros(1, 2, 2).bool(), torch.zeros(1, 2, 2).bool(), 0.0, "iou"),
            (torch.zeros(1, 2, 2).bool(), torch.zeros(1, 2, 2).bool(), 1.5, "iou"),
        ],
    )
    def test_bad_input(
        self, prediction: torch.Tensor, target: torch.Tensor, iou: float, message: str
    ) -> None:
        with pytest.raises(CoPropError, match=message):
            aligned_by_mask(prediction, target, iou=iou)


def test_rate_is_the_share_of_frames() -> None:
    assert alignment_rate(torch.tensor([True, True, True, False])) == 0.75
    assert alignment_rate([False, True]) == 0.5
    for bad in (torch.zeros(0).bool(), torch.ones(2), torch.ones(2, 2).bool()):
        with pytest.raises(CoPropError, match="aligned must be one bool"):
            alignment_rate(bad)
