"""Control points by words: pieces and seams, hysteresis, levels, words, what is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known_tagger import RATE, STEP, ByLevel, Reaching, sound_of

from coprop import Audio, ControlPointDetector, CoPropError
from coprop.control_points.events.activity import (
    ActivityRule,
    Event,
    changes_of,
    events_of,
    events_of_stretches,
    moved_to,
    over_time,
)
from coprop.control_points.events.pieces import pieces, probabilities
from coprop.control_points.events.tagger import as_tagger
from coprop.errors import ModelOutputError

TURNS = [("a", 2.0), ("ab", 2.0), ("b", 2.0), ("", 2.0), ("b", 2.0)]


def random_sound(seconds: float, seed: int = 0) -> Audio:
    samples = np.random.default_rng(seed).random(round(seconds * RATE), dtype=np.float32)
    return Audio(samples, RATE)


class TestPieces:
    @settings(deadline=None, max_examples=200)
    @given(total=st.integers(1, 400), longest=st.integers(3, 60), context=st.integers(0, 29))
    def test_each_step_is_kept_once_with_its_context(
        self, total: int, longest: int, context: int
    ) -> None:
        context = min(context, (longest - 1) // 2)
        kept = []
        for piece in pieces(total, longest, context):
            assert piece.high - piece.low == min(longest, total)
            assert piece.low <= piece.first < piece.last <= piece.high
            assert piece.low == 0 or piece.first - piece.low >= context
            assert piece.high == total or piece.high - piece.last >= context
            kept += range(piece.first, piece.last)
        assert kept == list(range(total))

    @pytest.mark.parametrize("seconds", [0.001, 0.25, 3.0, 3.01, 5.95, 61.234])
    def test_pieces_say_what_one_pass_says(self, seconds: float) -> None:
        audio, tagger = random_sound(seconds), Reaching()
        found = probabilities(as_tagger(tagger), audio)
        np.testing.assert_array_equal(found, tagger(audio.samples))

    def test_ten_minutes(self) -> None:
        audio, tagger = random_sound(600.0), Reaching()
        found = probabilities(as_tagger(tagger), audio)
        assert len(found) == 6000
        np.testing.assert_array_equal(found, tagger(audio.samples))

    def test_too_little_overlap_would_show(self) -> None:
        audio, tagger = random_sound(30.0), Reaching(context_s=0.2)
        found, known = probabilities(as_tagger(tagger), audio), tagger(audio.samples)
        assert np.any(found != known)

    def test_a_tagger_is_given_no_more_than_a_piece(self) -> None:
        lengths: list[int] = []

        class Noting(Reaching):
            def __call__(self, samples: np.ndarray) -> Any:
                lengths.append(len(samples))
                return super().__call__(samples)

        probabilities(as_tagger(Noting()), random_sound(20.03))
        assert max(lengths) == 3 * RATE
        assert min(lengths) > 2.9 * RATE  # the last piece is as long as the others

    def test_ten_minutes_of_events_as_in_one_piece(self) -> None:
        rng = np.random.default_rng(1)
        kinds = ["a", "b", "ab", ""]
        turns = [(kinds[rng.integers(4)], float(rng.integers(7, 60)) / 10) for _ in range(180)]
        audio = sound_of(turns)
        assert audio.duration_s > 500
        small, large = (
            ControlPointDetector.events(ByLevel(piece_s=s))(audio) for s in (3.0, 3600.0)
        )
        np.testing.assert_array_equal(small.times_s, large.times_s)
        np.testing.assert_array_equal(small.flags, large.flags)
        assert small.categories == large.categories
        edges = np.cumsum([seconds for _, seconds in turns])[:-1]
        real = [
            edge
            for edge, (before, after) in zip(edges, pairwise(turns), strict=True)
            if before[0] != after[0]
        ]
        assert list(small.change_times_s) == pytest.approx(real, abs=0.03)


class TestDetector:
    def test_words_come_and_go(self) -> None:
        points = ControlPointDetector.events(ByLevel())(sound_of(TURNS))
        assert points.change_times_s == pytest.approx((2.0, 4.0, 6.0, 8.0), abs=0.02)
        assert points.categories == (("a",), ("a", "b"), ("b",), (), ("b",))
        assert points.probabilities is not None
        assert points.probabilities[0] == pytest.approx((0.92,))
        assert points.scores[points.flags] == pytest.approx([1, 0.9, 0.9, 0.9, 0.9], abs=0.01)
        assert np.all(points.scores[~points.flags] == 0)

    def test_segments_have_the_probabilities(self) -> None:
        audio = sound_of(TURNS)
        spans = ControlPointDetector.events(ByLevel())(audio).spans(audio.duration_s)
        (first,) = spans[0].categories
        assert (first.name, first.probability) == ("a", pytest.approx(0.92))
        assert [len(span.categories) for span in spans] == [1, 2, 1, 0, 1]

    def test_where_sound_begins_by_level_the_words_do(self) -> None:
        audio = sound_of([("", 1.0), ("a", 2.0), ("", 2.0)])
        shifted = Audio(np.roll(audio.samples, 37), RATE)  # between two steps
        points = ControlPointDetector.events(ByLevel())(shifted)
        assert points.change_times_s == pytest.approx((1.04, 3.04), abs=0.011)

    def test_windows(self) -> None:
        points = ControlPointDetector.events(ByLevel())(sound_of(TURNS), windows=5)
        assert points.flags.tolist() == [True] * 5
        assert points.times_s.tolist() == [0, 2, 4, 6, 8]
        assert points.categories == (("a",), ("a", "b"), ("b",), (), ("b",))

    @pytest.mark.parametrize("windows", [None, 1, 7])
    @pytest.mark.parametrize("samples", [0, 1, 99, 100, 101])
    def test_hardly_any_sound(self, samples: int, windows: int | None) -> None:
        audio = Audio(np.full(samples, 0.25, np.float32), RATE)
        points = ControlPointDetector.events(ByLevel())(audio, windows=windows)
        assert len(points.flags) == (windows or len(points.flags))
        assert points.flags.tolist()[0]
        assert points.categories is not None

    def test_threshold_is_the_taggers_own_or_given(self) -> None:
        audio = sound_of(TURNS)
        assert ControlPointDetector.events(ByLevel()).threshold == 0.5
        deaf = ControlPointDetector.events(ByLevel(), threshold=0.95)(audio)
        assert deaf.change_times_s == ()
        assert deaf.categories == ((),)

    def test_some_words_of_a_tagger(self) -> None:
        detector = ControlPointDetector.events(ByLevel(), words=["B"])
        assert detector.words == ("B",)
        assert detector(sound_of(TURNS)).change_times_s == pytest.approx((2, 6, 8), abs=0.02)

    def test_a_network_may_be_a_tagger(self) -> None:
        class Network(torch.nn.Module):
            words, sample_rate, step_s = ("a", "b"), RATE, STEP / RATE

            def __init__(self) -> None:
                super().__init__()
                self.gain = torch.nn.Parameter(torch.ones(1))

            def forward(self, samples: Any) -> torch.Tensor:
                return torch.from_numpy(ByLevel()(samples)) * self.gain

        detector = ControlPointDetector.events(Network(), words=["b"])
        assert detector(sound_of(TURNS)).categories == ((), ("b",), (), ("b",))

    def test_pickled_and_shown(self) -> None:
        import pickle

        detector = ControlPointDetector.events()
        again = pickle.loads(pickle.dumps(detector))
        assert repr(again) == repr(detector)
        assert "521 words" in repr(detector)


class TestActivity:
    RULE = ActivityRule(on=0.5, off=0.25, shortest_s=0.2)

    def events(self, *values: float) -> list[tuple[float, float]]:
        found = events_of("x", np.array(values, np.float32), 0.1, len(values) * 0.1, self.RULE)
        return [(round(e.start_s, 6), round(e.end_s, 6)) for e in found]

    def test_hysteresis(self) -> None:
        assert self.events(0.3, 0.6, 0.3, 0.3, 0.2, 0.3) == [(0.1, 0.4)]
        assert self.events(0.3, 0.4, 0.4) == []

    def test_pauses_and_shortest(self) -> None:
        assert self.events(0, 1, 0, 0, 0, 0, 0, 1, 0) == [(0.1, 0.8)]
        assert self.events(0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0) == [(0.1, 0.3)]

    def test_stretches(self) -> None:
        curve = np.repeat(np.array([0.6, 0.3, 0.1, 0.3], np.float32), 10)
        edges = [0.0, 1.0, 2.0, 3.0, 4.0]
        rule = replace(self.RULE, blur_s=0.2)
        loud = [False] * 4
        assert events_of_stretches("x", curve, 0.1, edges, loud, rule) == [Event("x", 0.0, 2.0)]
        quiet = [False, True, False, False]
        assert events_of_stretches("x", curve, 0.1, edges, quiet, rule) == [Event("x", 0.0, 1.0)]

    def test_the_blurred_ends_of_a_span_do_not_count(self) -> None:
        curve = np.array([[1], [1], [0], [0], [0], [0], [1], [1]], np.float32)
        assert over_time(curve, (0.1, 0.7), 0.1, 0.1) == 0
        assert over_time(curve, (0.0, 0.8), 0.1, 0.1) > 0.5
        assert over_time(curve, (0.2, 0.3), 0.1, 0.1) == 0  # its middle, where all is blurred
        assert over_time(curve[:0], (0.0, 0.0), 0.1, 0.1).shape == (1,)

    def test_what_takes_anothers_place_is_one_change(self) -> None:
        events = [Event("a", 0, 2.0), Event("b", 2.2, 5.0), Event("c", 4.8, 9.0)]
        assert changes_of(events, 9.0, 0.5) == pytest.approx([2.1, 4.9])
        assert changes_of(events, 9.0, 0.5, [2.2]) == pytest.approx([2.2, 4.9])
        assert changes_of(events, 9.0, 0.0) == pytest.approx([2.0, 2.2, 4.8, 5.0])

    def test_a_short_event_keeps_both_ends(self) -> None:
        assert changes_of([Event("a", 1.0, 1.2)], 9.0, 0.5) == pytest.approx([1.0, 1.2])

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20)), max_size=12), st.booleans())
    def test_changes_increase(self, spans: list[tuple[int, int]], known: bool) -> None:
        events = [Event(str(i), a / 10, (a + b) / 10) for i, (a, b) in enumerate(spans)]
        found = changes_of(events, 9.5, 0.5, [a / 10 for a, _ in spans] if known else ())
        assert np.all(np.diff(found) > 0)
        assert all(0 < t < 9.5 for t in found)

    def test_moved_to_edges_within_reach(self) -> None:
        edges = np.array([1.0, 1.1])
        assert moved_to(edges, Event("x", 0.9, 3.0), 0.25) == Event("x", 1.0, 3.0)
        assert moved_to(edges, Event("x", 1.02, 1.04), 0.25) == Event("x", 1.02, 1.04)
        assert moved_to(np.zeros(0), Event("x", 1, 2), 0.25) == Event("x", 1, 2)


class NoWords:
    sample_rate, step_s = RATE, 0.1

    def __call__(self, samples: Any) -> Any:
        return samples


class TestRefused:
    @pytest.mark.parametrize(
        ("model", "options", "said"),
        [
            (5, {}, "a tagger has words .*, sample_rate .* and step_s"),
            (NoWords(), {}, "without words"),
            (torch.nn.Linear(1, 1), {}, "folder or id of a PE-A-Frame, or a tagger"),
            (ByLevel, {}, "folder or id of a PE-A-Frame, or a tagger"),
            (ByLevel(words=()), {}, "at least one word"),
            (ByLevel(words=("a", "A")), {}, "'A' twice|'a' twice"),
            (ByLevel(words="ab"), {}, "must be a list of words"),
            (ByLevel(sample_rate=0), {}, "sample_rate must be a whole number of Hz"),
            (ByLevel(step_s=0.10005), {}, "whole number of samples"),
            (ByLevel(step_s=0), {}, "step_s must be a positive number"),
            (ByLevel(piece_s=1.0), {}, "piece_s must be longer than two"),
            (ByLevel(context_s=-1), {}, "context_s must be seconds"),
            (ByLevel(), {"words": ["c"]}, "no word 'c'; it has a, b"),
            (ByLevel(), {"words": "avss"}, "no word 'accordion'"),
            (None, {"words": "dog"}, r"for one word give \['dog'\]"),
            (None, {"words": 5}, '"audioset", "avss" or a list of words'),
            (None, {"words": []}, "at least one word"),
            (None, {"words": ["dog", " Dog"]}, "'dog' twice"),
            (None, {"words": ["dog", 5]}, "got 5 among them"),
            (None, {"words": ["dog", ""]}, "got '' among them"),
            (None, {"words": ["kazoo", "dog"]}, "YAMNet knows no sound of 'kazoo'"),
            (None, {"words": ["hamer"]}, "Close to 'hamer': 'hammer'"),
            (None, {"threshold": 0}, "threshold must be a probability above 0"),
            (None, {"threshold": 1.5}, "threshold must be a probability"),
            (None, {"threshold": float("nan")}, "threshold must be a probability"),
            (None, {"min_gap_s": -1}, "min_gap_s"),
            (None, {"min_gap_s": None}, "min_gap_s"),
            ("no such folder", {}, "no PE-A-Frame at no such folder: there is no such folder"),
            (b"x", {}, "tagger"),
        ],
    )
    def test_one_sentence(self, model: Any, options: dict[str, Any], said: str) -> None:
        with pytest.raises(CoPropError, match=said):
            ControlPointDetector.events(model, **options)

    @pytest.mark.parametrize(
        ("answers", "said"),
        [
            (lambda n: np.zeros((n, 3)), r"and must return .*\(30, 2\)"),
            (lambda n: np.zeros((n + 1, 2)), r"got \(31, 2\)"),
            (lambda n: np.full((n, 2), 3.0), "a sigmoid makes them of logits"),
            (lambda n: np.full((n, 2), np.nan), r"in \[0, 1\]"),
            (lambda n: "none", "must be an array of numbers"),
            (lambda n: None, "must be an array of numbers"),
        ],
    )
    def test_what_a_tagger_returns(self, answers: Any, said: str) -> None:
        class Wrong(ByLevel):
            def __call__(self, samples: Any) -> Any:
                return answers(-(-len(samples) // STEP))

        with pytest.raises(ModelOutputError, match=said):
            ControlPointDetector.events(Wrong())(random_sound(5.0))

    @pytest.mark.parametrize("windows", [0, -1, 1.5, "5"])
    def test_windows(self, windows: Any) -> None:
        with pytest.raises(CoPropError, match="windows must be"):
            ControlPointDetector.events(ByLevel())(sound_of(TURNS), windows=windows)
