"""Control points and events against every matching there is; frames near changes."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from metric_samples import few

from coprop.errors import CoPropError
from coprop.metrics.functional import (
    ControlPointCounts,
    control_point_counts,
    control_point_scores,
    event_errors,
    match_times,
    near_changes,
)

times = st.lists(st.integers(0, 20).map(lambda tick: tick / 10), max_size=7)
series = st.lists(st.booleans(), min_size=1, max_size=12)


def best_matching(first: tuple[float, ...], second: tuple[float, ...], limit: float) -> tuple:
    """Most pairs, then least total error: leave the first point out, or pair it with any other."""

    @cache
    def best(start: int, free: frozenset[int]) -> tuple[int, float]:
        if start == len(first):
            return 0, 0.0
        options = [best(start + 1, free)]
        for other in free:
            error = round(abs(first[start] - second[other]), 6)
            if error <= limit:
                pairs, total = best(start + 1, free - {other})
                options.append((pairs + 1, total - error))
        return max(options)

    return best(0, frozenset(range(len(second))))


class TestControlPoints:
    @few
    @given(times, times, st.sampled_from([0.0, 0.1, 0.3]))
    def test_the_matching_is_the_largest(
        self, predicted: list[float], true: list[float], tolerance: float
    ) -> None:
        scores = control_point_scores(predicted, true, tolerance)
        if predicted and true:
            matched, _ = best_matching(tuple(predicted), tuple(true), tolerance)
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

    def test_counts_of_clips_are_scored_together(self) -> None:
        clips = control_point_counts([1.0, 2.0], [1.1]), control_point_counts([], [3.0, 4.0])
        assert clips == ((1, 2, 1), (0, 0, 2))
        total = ControlPointCounts(*map(sum, zip(*clips, strict=True)))
        assert total.scores() == (0.5, pytest.approx(1 / 3), pytest.approx(0.4))

    @pytest.mark.parametrize(
        ("predicted", "tolerance"),
        [([float("nan")], 0.1), ([float("inf")], 0.1), ([1.0], -0.1), ([1.0], float("nan"))],
    )
    def test_bad_input(self, predicted: list[float], tolerance: float) -> None:
        with pytest.raises(CoPropError, match="seconds"):
            control_point_scores(predicted, [1.0], tolerance)

    def test_pairs_are_one_to_one_and_as_many_as_possible(self) -> None:
        found, true = np.array([1.0, 1.2, 3.0, 5.0]), np.array([0.9, 1.1, 3.3, 5.1])
        assert match_times(found, true, 0.25).tolist() == [True, True, False, True]
        assert match_times(np.array([1.0, 1.1]), np.array([1.05]), 0.25).sum() == 1
        assert match_times(np.array([]), true, 0.25).tolist() == []


class TestEvents:
    @few
    @given(st.data(), st.sampled_from(["onset", "offset"]), st.sampled_from([0.0, 0.2, 0.5]))
    def test_equals_the_best_of_all_matchings(
        self, data: st.DataObject, kind: str, limit_s: float
    ) -> None:
        predicted = data.draw(series)
        true = data.draw(st.lists(st.booleans(), min_size=len(predicted), max_size=len(predicted)))
        steps = data.draw(
            st.lists(st.integers(1, 4), min_size=len(predicted), max_size=len(predicted))
        )
        clock = [float(tick) / 10 for tick in np.cumsum(steps)]
        change = (False, True) if kind == "onset" else (True, False)
        found, wanted = (
            tuple(t for t, states in zip(clock[1:], pairwise(s), strict=True) if states == change)
            for s in (predicted, true)
        )
        pairs, total = best_matching(found, wanted, limit_s)
        result = event_errors(predicted, true, clock, kind=kind, limit_s=limit_s)
        assert len(result.errors_s) == pairs
        assert sum(result.errors_s) == pytest.approx(-total, abs=1e-6)
        assert (result.missed, result.false) == (len(wanted) - pairs, len(found) - pairs)
        assert all(0 <= error <= limit_s + 1e-8 for error in result.errors_s)

    @few
    @given(series, st.sampled_from(["onset", "offset"]))
    def test_the_truth_has_no_errors(self, true: list[bool], kind: str) -> None:
        result = event_errors(true, true, range(len(true)), kind=kind)
        assert not any(result.errors_s)
        assert (result.missed, result.false) == (0, 0)

    def test_by_hand(self) -> None:
        true = [False, True, True, False, False, True]
        late = [False, False, True, True, True, True]
        clock = torch.arange(6, dtype=torch.float64) / 4
        assert event_errors(late, true, clock, kind="onset") == ((0.25,), 1, 0)
        assert event_errors(late, true, clock, kind="offset") == ((), 1, 0)
        assert event_errors(true, late, clock, kind="onset") == ((0.25,), 0, 1)

    def test_the_beginning_is_no_event(self) -> None:
        whole = torch.ones(4, dtype=torch.bool)
        assert event_errors(whole, whole, range(4), kind="onset") == ((), 0, 0)
        ended = np.array([True, False, False, False])
        assert event_errors(ended, ended, range(4), kind="offset") == ((0.0,), 0, 0)

    def test_as_many_pairs_as_possible_come_before_small_errors(self) -> None:
        # True onsets at 2 and 5, predicted at 4 and 7: 4 is nearest to 5, which leaves 2 alone.
        true = [t in (2, 5) for t in range(9)]
        found = [t in (4, 7) for t in range(9)]
        assert event_errors(found, true, range(9), kind="onset", limit_s=2).errors_s == (2.0, 2.0)

    def test_of_these_the_least_total_error(self) -> None:
        # Predicted at 2 and 5, true at 4: both are within reach, the nearer one is taken.
        true = [t == 4 for t in range(8)]
        found = [t in (2, 5) for t in range(8)]
        assert event_errors(found, true, range(8), kind="onset", limit_s=2) == ((1.0,), 0, 1)

    def test_the_limit_is_inclusive(self) -> None:
        true, found = [False, True, False, False], [False, False, False, True]
        clock = [0.0, 0.1, 0.2, 0.4]
        assert event_errors(found, true, clock, kind="onset", limit_s=0.3).missed == 0
        assert event_errors(found, true, clock, kind="onset", limit_s=0.29).missed == 1

    @pytest.mark.parametrize(
        ("predicted", "times_s", "options", "message"),
        [
            ([True, False], [0.0, 0.0], {}, "increase"),
            ([True, False], [1.0, 0.5], {}, "increase"),
            ([True, False], [0.0, float("nan")], {}, "increase"),
            ([True, False], [0.0, float("inf")], {}, "increase"),
            ([True, False], [0.0], {}, "a time for each frame"),
            ([True], [0.0, 1.0], {}, "a time for each frame"),
            ([], [], {}, "predicted must be one bool"),
            ([1, 0], [0.0, 1.0], {}, "predicted must be one bool"),
            ([[True, False]], [0.0, 1.0], {}, "predicted must be one bool"),
            ([True, False], [0.0, 1.0], {"kind": "change"}, "kind must be one of"),
            ([True, False], [0.0, 1.0], {"limit_s": -1.0}, "limit_s"),
            ([True, False], [0.0, 1.0], {"limit_s": float("nan")}, "limit_s"),
        ],
    )
    def test_bad_input(
        self, predicted: list[bool], times_s: list[float], options: dict, message: str
    ) -> None:
        with pytest.raises(CoPropError, match=message):
            event_errors(predicted, [True, False], times_s, **{"kind": "onset", **options})

    def test_bad_truth(self) -> None:
        with pytest.raises(CoPropError, match="true must be one bool"):
            event_errors([True, False], torch.ones(2), [0.0, 1.0], kind="onset")


class TestNearChanges:
    @few
    @given(series, st.integers(0, 4))
    def test_equals_looking_around_every_frame(self, changes: list[bool], k: int) -> None:
        count = len(changes)
        expected = [
            any(changes[t] and t - k <= i <= t + k - 1 for t in range(1, count))
            for i in range(count)
        ]
        assert near_changes(changes, k).tolist() == expected

    def test_by_hand(self) -> None:
        changes = np.array([True, False, False, True, False, False, False, True])
        assert near_changes(changes, 1).nonzero().flatten().tolist() == [2, 3, 6, 7]
        assert not near_changes(changes, 0).any()

    @pytest.mark.parametrize(
        ("changes", "frames", "message"),
        [
            ([True, False], -1, "0 or more"),
            ([], 1, "one bool"),
            ([0, 1], 1, "one bool"),
            ([[True]], 1, "one bool"),
        ],
    )
    def test_bad_input(self, changes: list[bool], frames: int, message: str) -> None:
        with pytest.raises(CoPropError, match=message):
            near_changes(changes, frames)
