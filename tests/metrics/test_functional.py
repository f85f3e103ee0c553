"""The metrics against the benchmark's own figures and against slow references."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coprop.errors import CoPropError
from coprop.metrics.functional import (
    alignment,
    alignment_rate,
    avsbench_jaccard,
    control_point_scores,
    jaccard,
    match_times,
)

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "avsbench_jaccard.npz")
few = settings(deadline=None, max_examples=60)
masks = arrays(np.bool_, (4, 5))
times = st.lists(st.integers(0, 20).map(lambda tick: tick / 10), max_size=7)


def loop_jaccard(prediction: np.ndarray, target: np.ndarray) -> float:
    """One frame, pixel by pixel."""
    both = either = 0
    for p, t in zip(prediction.ravel().tolist(), target.ravel().tolist(), strict=True):
        both += p != 0 and t != 0
        either += p != 0 or t != 0
    return both / either if either else 1.0


def loop_alignment(
    prediction: np.ndarray,
    objects: np.ndarray,
    sounding: list[bool],
    covered: float,
    outside: float,
) -> bool:
    """The definition in words of sets of pixels."""
    predicted = set(zip(*np.nonzero(prediction), strict=True))
    pixels = [set(zip(*np.nonzero(mask), strict=True)) for mask in objects]
    visible = [i for i, area in enumerate(pixels) if area]
    marked = {i for i in visible if len(pixels[i] & predicted) / len(pixels[i]) >= covered}
    heard = {i for i in visible if sounding[i]}
    allowed = set().union(*(pixels[i] for i in heard))
    stray = len(predicted - allowed) / len(predicted) if predicted else 0.0
    return marked == heard and stray <= outside


def brute_force_matching(first: tuple[float, ...], second: tuple[float, ...], tol: float) -> int:
    """The largest of all matchings: leave the first point out, or pair it with any other."""

    @cache
    def best(start: int, free: frozenset[int]) -> int:
        if start == len(first):
            return 0
        options = [best(start + 1, free)]
        for other in free:
            if round(abs(first[start] - second[other]), 6) <= tol:
                options.append(1 + best(start + 1, free - {other}))
        return max(options)

    return best(0, frozenset(range(len(second))))


class TestJaccard:
    @few
    @given(masks, masks)
    def test_equals_counting_pixels(self, prediction: np.ndarray, target: np.ndarray) -> None:
        score = jaccard(torch.from_numpy(prediction), torch.from_numpy(target))
        assert float(score) == pytest.approx(loop_jaccard(prediction, target), abs=1e-6)

    def test_empty_frames(self) -> None:
        empty, full = torch.zeros(2, 3, dtype=torch.bool), torch.ones(2, 3, dtype=torch.bool)
        score = jaccard(
            torch.stack([empty, empty, full, full]), torch.stack([empty, full, empty, full])
        )
        assert score.tolist() == [1.0, 0.0, 0.0, 1.0]

    def test_any_label_is_foreground(self) -> None:
        labels = torch.tensor([[0, 1], [7, 0]], dtype=torch.uint8)
        assert float(jaccard(labels, torch.tensor([[False, True], [True, False]]))) == 1.0

    def test_frames_are_scored_one_by_one(self) -> None:
        generator = torch.Generator().manual_seed(1)
        prediction = torch.randint(0, 2, (2, 3, 4, 5), generator=generator)
        target = torch.randint(0, 2, (2, 3, 4, 5), generator=generator)
        scores = jaccard(prediction, target)
        assert scores.shape == (2, 3)
        assert torch.equal(scores[1, 2], jaccard(prediction[1, 2], target[1, 2]))

    @pytest.mark.parametrize(
        ("prediction", "target", "message"),
        [
            (torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.bool), "threshold"),
            (torch.zeros(2, 2, dtype=torch.int64), torch.zeros(2, 2), "target must be"),
            (torch.zeros(2, 2, dtype=torch.bool), torch.zeros(3, 2, dtype=torch.bool), "one shape"),
            (torch.zeros(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool), "H, W"),
        ],
    )
    def test_bad_input(self, prediction: torch.Tensor, target: torch.Tensor, message: str) -> None:
        with pytest.raises(CoPropError, match=message):
            jaccard(prediction, target)


class TestAvsbenchJaccard:
    @pytest.mark.parametrize("case", GOLDEN["case_names"].tolist())
    def test_equals_the_official_score(self, case: str) -> None:
        probabilities = torch.from_numpy(GOLDEN[f"{case}/logits"]).sigmoid()
        scores = avsbench_jaccard(probabilities, torch.from_numpy(GOLDEN[f"{case}/gt"]))
        expected = GOLDEN[f"{case}/mask_iou_per_frame"]
        np.testing.assert_allclose(scores.numpy(), expected, atol=1e-6)
        assert float(scores.mean()) == pytest.approx(float(GOLDEN[f"{case}/mask_iou"]), abs=1e-6)

    def test_mean_over_a_data_set(self) -> None:
        probabilities = torch.from_numpy(GOLDEN["agg/logits"]).sigmoid()
        score = avsbench_jaccard(probabilities, torch.from_numpy(GOLDEN["agg/gt"])).mean()
        assert float(score) == pytest.approx(float(GOLDEN["agg/miou_frames_per_batch_1"]), abs=1e-6)

    @few
    @given(masks, masks)
    def test_is_jaccard_where_there_is_a_target(self, p: np.ndarray, t: np.ndarray) -> None:
        score = float(avsbench_jaccard(torch.from_numpy(p).float(), torch.from_numpy(t)))
        assert score == pytest.approx(
            loop_jaccard(p, t) if t.any() else 1 - float(p.mean()), abs=1e-6
        )

    @pytest.mark.parametrize(
        ("probabilities", "message"),
        [
            (torch.full((2, 2), 1.5), r"\[0, 1\]"),
            (torch.full((2, 2), float("nan")), r"\[0, 1\]"),
            (torch.zeros(2, 2, dtype=torch.bool), "float"),
            (torch.zeros(2, 3), "one shape"),
        ],
    )
    def test_bad_input(self, probabilities: torch.Tensor, message: str) -> None:
        with pytest.raises(CoPropError, match=message):
            avsbench_jaccard(probabilities, torch.zeros(2, 2, dtype=torch.bool))


class TestAlignment:
    @few
    @given(
        masks,
        arrays(np.bool_, (3, 4, 5)),
        st.lists(st.booleans(), min_size=3, max_size=3),
        st.sampled_from([0.25, 0.5, 1.0]),
        st.sampled_from([0.0, 0.25, 0.5]),
    )
    def test_equals_the_definition(
        self,
        prediction: np.ndarray,
        objects: np.ndarray,
        sounding: list[bool],
        covered: float,
        outside: float,
    ) -> None:
        result = alignment(
            torch.from_numpy(prediction),
            torch.from_numpy(objects),
            torch.tensor(sounding),
            covered=covered,
            outside=outside,
        )
        assert result is loop_alignment(prediction, objects, sounding, covered, outside)

    @few
    @given(arrays(np.bool_, (3, 4, 5)), st.lists(st.booleans(), min_size=3, max_size=3))
    def test_the_truth_is_aligned_where_objects_do_not_overlap(
        self, noise: np.ndarray, sounding: list[bool]
    ) -> None:
        owner = noise.argmax(axis=0)
        objects = torch.from_numpy(np.arange(3)[:, None, None] == owner)
        heard = torch.tensor(sounding)
        assert alignment(objects[heard].any(0), objects, heard)

    @pytest.mark.parametrize(
        ("columns", "sounding", "aligned"),
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
    def test_by_hand(self, columns: list[int], sounding: list[bool], aligned: bool) -> None:
        objects = torch.zeros(2, 3, 10, dtype=torch.bool)
        objects[0, :, 0:4] = objects[1, :, 4:8] = True
        prediction = torch.zeros(3, 10, dtype=torch.uint8)
        prediction[:, list(columns)] = 1
        assert alignment(prediction, objects, torch.tensor(sounding)) is aligned

    def test_what_sounds_out_of_sight_does_not_count(self) -> None:
        objects = torch.zeros(1, 2, 2, dtype=torch.bool)
        nothing = torch.zeros(2, 2, dtype=torch.bool)
        assert alignment(nothing, objects, torch.tensor([True]))
        assert not alignment(~nothing, objects, torch.tensor([True]))

    def test_no_objects(self) -> None:
        nothing = torch.zeros(2, 2, dtype=torch.bool)
        none, silent = torch.zeros(0, 2, 2, dtype=torch.bool), torch.zeros(0, dtype=torch.bool)
        assert alignment(nothing, none, silent)
        assert not alignment(~nothing, none, silent)

    def test_rate_is_the_share_of_frames(self) -> None:
        objects = torch.ones(4, 1, 2, 2, dtype=torch.bool)
        predictions = torch.zeros(4, 2, 2, dtype=torch.bool)
        predictions[:3] = True
        sounding = torch.tensor([[True], [True], [False], [False]])
        assert alignment_rate(predictions, objects, sounding) == 0.75
        with pytest.raises(CoPropError, match="T >= 1"):
            alignment_rate(predictions[:0], objects[:0], sounding[:0])
        with pytest.raises(CoPropError, match="T >= 1"):
            alignment_rate(predictions, objects[:2], sounding)

    @pytest.mark.parametrize(
        ("shape", "thresholds", "message"),
        [
            ((3, 2, 2), {}, "shapes"),
            ((2, 2, 3), {}, "shapes"),
            ((2, 2), {}, "shapes"),
            ((2, 2, 2), {"covered": 0.0}, "covered"),
            ((2, 2, 2), {"covered": 1.1}, "covered"),
            ((2, 2, 2), {"outside": 1.0}, "outside"),
            ((2, 2, 2), {"outside": -0.1}, "outside"),
        ],
    )
    def test_bad_input(
        self, shape: tuple[int, ...], thresholds: dict[str, float], message: str
    ) -> None:
        objects, sounding = torch.zeros(shape, dtype=torch.bool), torch.tensor([True, False])
        with pytest.raises(CoPropError, match=message):
            alignment(torch.zeros(2, 2, dtype=torch.bool), objects, sounding, **thresholds)


class TestControlPointScores:
    @few
    @given(times, times, st.sampled_from([0.0, 0.1, 0.3]))
    def test_the_matching_is_the_largest(
        self, predicted: list[float], true: list[float], tolerance: float
    ) -> None:
        scores = control_point_scores(predicted, true, tolerance)
        if predicted and true:
            matched = brute_force_matching(tuple(predicted), tuple(true), tolerance)
            assert scores.precision == matched / len(predicted)
            assert scores.recall == matched / len(true)
            harmonic = 2 * matched / (len(predicted) + len(true))
            assert scores.f1 == pytest.approx(harmonic)
        else:
            assert set(scores) == {float(not predicted and not true)}

    @few
    @given(times, times)
    def test_swapping_the_sets_swaps_precision_and_recall(
        self, first: list[float], second: list[float]
    ) -> None:
        one, other = control_point_scores(first, second), control_point_scores(second, first)
        assert (one.precision, one.recall, one.f1) == (other.recall, other.precision, other.f1)

    def test_a_chain_is_not_matched_greedily_by_distance(self) -> None:
        # 1.2 is nearest to 1.3, but taking that pair would leave 1.0 and 1.5 alone.
        assert control_point_scores([1.2, 1.5], [1.0, 1.3]).f1 == 1.0

    def test_two_predictions_cannot_share_a_point(self) -> None:
        scores = control_point_scores([0.9, 1.0, 1.1], [1.0])
        assert scores == (pytest.approx(1 / 3), 1.0, 0.5)

    def test_the_tolerance_is_inclusive(self) -> None:
        assert control_point_scores([0.3], [0.2], 0.1).f1 == 1.0
        assert control_point_scores([0.301], [0.2], 0.1).f1 == 0.0

    @pytest.mark.parametrize(
        ("predicted", "tolerance"),
        [([float("nan")], 0.1), ([float("inf")], 0.1), ([1.0], -0.1), ([1.0], float("nan"))],
    )
    def test_bad_input(self, predicted: list[float], tolerance: float) -> None:
        with pytest.raises(CoPropError):
            control_point_scores(predicted, [1.0], tolerance)


def test_pairs_are_one_to_one_and_as_many_as_possible() -> None:
    found, true = np.array([1.0, 1.2, 3.0, 5.0]), np.array([0.9, 1.1, 3.3, 5.1])
    assert match_times(found, true, 0.25).tolist() == [True, True, False, True]
    assert match_times(np.array([1.0, 1.1]), np.array([1.05]), 0.25).sum() == 1
    assert match_times(np.array([]), true, 0.25).tolist() == []
