"""The dialogue with a language model, step by step; models are scripts here."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from coprop import ControlPointDetector, CoPropError
from coprop.control_points.language_models.base import Answer, Dialogue
from coprop.control_points.rcpg import RCPGDetector
from coprop.control_points.rcpg.examples import Example, ExampleStore
from coprop.control_points.rcpg.prompts import EXAMPLE_BASED, TABLE_2B, Prompts
from coprop.control_points.rcpg.trace import Trace
from coprop.errors import LanguageModelError
from coprop.types import Audio, ControlPoints
from coprop.utils.brief import counted
from scripted_models import RATE, Scripted, Served, hears_levels, stepped

FLAGS = [1, 0, 0, 1, 0]
SOUND, SHORT = stepped(FLAGS), stepped(FLAGS[:2])


def texts(dialogue: Dialogue) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in dialogue]


def flags(points: ControlPoints) -> list[int]:
    return [int(flag) for flag in points.flags]


@pytest.fixture
def store(tmp_path: Path) -> ExampleStore:
    examples = []
    for name, category, own in (("bark", "dog_barking", (1, 0, 1)), ("bow", "violin", (1, 1))):
        audio = stepped(own)
        soundfile.write(tmp_path / f"{name}.wav", audio.samples, RATE)
        examples.append(Example(tmp_path / f"{name}.wav", (category,), own, name))
    return ExampleStore(examples)


class TestVariants:
    def test_one_step(self) -> None:
        llm = Scripted(hears_levels)
        points = ControlPointDetector.rcpg(llm, steps=1)(SOUND, windows=5)
        assert flags(points) == FLAGS
        assert points.scores.tolist() == FLAGS
        assert points.times_s.tolist() == [0, 1, 2, 3, 4]
        assert points.categories is None
        ((dialogues, windows),) = llm.calls
        assert windows == 5
        prompt = TABLE_2B.say(TABLE_2B.control_points, 5)
        assert texts(dialogues[0]) == [("user", prompt)]
        np.testing.assert_array_equal(dialogues[0][0].audios[0], SOUND.samples)

    def test_three_steps(self) -> None:
        llm = Scripted(hears_levels)
        points = ControlPointDetector.rcpg(llm)(SOUND, windows=5)
        assert flags(points) == FLAGS
        assert points.categories == (("dog barking", "cello"),) * sum(FLAGS)
        assert [windows for _, windows in llm.calls] == [None, None, 5]
        said = "There are two: a dog barking and a cello."
        assert texts(llm.asked[-1]) == [
            ("user", "Please describe the input audio."),
            ("assistant", said),
            ("user", "How many different sound categories are present in the audio?"),
            ("assistant", said),
            ("user", TABLE_2B.say(TABLE_2B.control_points, 5)),
        ]
        assert [len(turn.audios) for turn in llm.asked[-1]] == [1, 0, 0, 0, 0]

    def test_the_full_method_shows_examples(self, store: ExampleStore) -> None:
        llm = Scripted(hears_levels)
        points, trace = ControlPointDetector.rcpg(llm, examples=store).explain(SOUND, windows=5)
        assert flags(points) == FLAGS
        assert llm.asked[0][0].text == EXAMPLE_BASED.describe
        assert llm.asked[-1][-1].text.splitlines() == [
            "Here are annotated examples of the same category:",
            "Example 1 (dog barking), divided into three frames: [1,0,1]",
            "Example 2 (violin), divided into two frames: [1,1]",
            EXAMPLE_BASED.say(EXAMPLE_BASED.control_points, 5),
        ]
        assert llm.asked[-1][-1].audios == ()
        assert trace.chunks[0].examples == ("bark", "bow")

    def test_examples_can_be_heard(self, store: ExampleStore) -> None:
        llm = Scripted(lambda asked, windows: "A violin." if windows is None else "[1,0]")
        detector = ControlPointDetector.rcpg(
            llm, examples=store, num_examples=1, hear_examples=True
        )
        _, trace = detector.explain(SOUND, windows=2)
        (sound,) = llm.asked[-1][-1].audios
        np.testing.assert_allclose(sound, store.examples[1].read().samples)
        assert TABLE_2B.examples_heard in llm.asked[-1][-1].text
        assert trace.chunks[0].steps[-1].sounds == ("example bow",)

    def test_examples_longer_than_the_model_hears_are_left_out(self, store: ExampleStore) -> None:
        llm = Scripted(lambda asked, windows: "A dog." if windows is None else "[1,0]")
        llm.max_audio_s = 2.5
        detector = ControlPointDetector.rcpg(llm, examples=store, hear_examples=True)
        _, trace = detector.explain(Audio(SOUND.samples[: 2 * RATE], RATE), windows=2)
        assert trace.chunks[0].examples == ("bow",)
        assert "that sound alike" in trace.chunks[0].steps[-1].prompt

    def test_the_description_helps_where_no_category_is_named(self, store: ExampleStore) -> None:
        def script(asked: Dialogue, windows: int | None) -> str:
            if windows:
                return "[1,0]"
            return "Two." if len(asked) > 1 else "Someone plays a violin."

        detector = ControlPointDetector.rcpg(Scripted(script), examples=store, num_examples=1)
        points, trace = detector.explain(SOUND, windows=2)
        assert trace.chunks[0].examples == ("bow",)
        assert points.categories == ((),) * int(points.flags.sum())

    def test_a_file_of_examples_and_other_words(self, store: ExampleStore, tmp_path: Path) -> None:
        store.save(tmp_path / "store.jsonl")
        llm = Scripted(hears_levels)
        own = Prompts(describe="What is it?", control_points="{count}!", example="{flags}")
        detector = ControlPointDetector.rcpg(
            llm, examples=tmp_path / "store.jsonl", num_examples=1, prompts=own
        )
        assert flags(detector(SOUND, windows=5)) == FLAGS
        assert llm.asked[0][0].text == "What is it?"
        assert llm.asked[-1][-1].text.splitlines()[1:] == ["[1,0,1]", "5!"]


class TestFlagsAndScores:
    def test_scores_are_the_models_probabilities(self) -> None:
        llm = Scripted(lambda asked, windows: Answer("[0,1,0]", (0.2, 0.7, 0.4)))
        points = ControlPointDetector.rcpg(llm, steps=1)(SOUND, windows=3)
        assert flags(points) == [1, 1, 0]
        assert points.scores.tolist() == [1.0, 0.7, 0.4]

    def test_flags_are_what_was_said_and_not_a_threshold(self) -> None:
        llm = Scripted(lambda asked, windows: Answer("[1,0,1]", (0.9, 0.8, 0.3)))
        assert flags(ControlPointDetector.rcpg(llm, steps=1)(SOUND, windows=3)) == [1, 0, 1]

    @pytest.mark.parametrize("wrong", [(0.5,), (0.5, 0.5, 1.5), (0.5, 0.5, float("nan"))])
    def test_bad_probabilities_are_named(self, wrong: tuple[float, ...]) -> None:
        llm = Scripted(lambda asked, windows: Answer("[1,0,1]", wrong))
        with pytest.raises(LanguageModelError, match="probabilities for 3 windows"):
            ControlPointDetector.rcpg(llm, steps=1)(SOUND, windows=3)

    def test_one_window_needs_no_list(self) -> None:
        llm = Scripted(hears_levels)
        points = ControlPointDetector.rcpg(llm)(SOUND, windows=1)
        assert flags(points) == [1]
        assert points.categories == (("dog barking", "cello"),)
        assert [windows for _, windows in llm.calls] == [None, None]
        quiet = Scripted(hears_levels)
        assert flags(ControlPointDetector.rcpg(quiet, steps=1)(SOUND, windows=1)) == [1]
        assert quiet.calls == []

    def test_an_empty_track_is_not_asked_about(self) -> None:
        llm = Scripted(hears_levels)
        empty = Audio(np.zeros(0, np.float32), RATE)
        points, trace = ControlPointDetector.rcpg(llm).explain(empty, windows=3)
        assert (flags(points), points.scores.tolist()) == ([1, 0, 0], [1, 0, 0])
        assert llm.calls == []
        assert "nothing was asked" in trace.notes[0]

    def test_windows_of_a_second(self) -> None:
        llm = Scripted(hears_levels)
        assert len(ControlPointDetector.rcpg(llm)(SOUND).flags) == 5
        half = ControlPointDetector.rcpg(llm, window_s=0.5)(SOUND)
        assert flags(half) == [1, 0, 0, 0, 0, 0, 1, 0, 0, 0]
        assert half.change_times_s == (3.0,)

    def test_sound_is_handed_over_as_it_is(self) -> None:
        llm = Scripted(hears_levels)
        rng = np.random.default_rng(0)
        track = Audio(rng.uniform(-1, 1, 44_100).astype(np.float32), 44_100)
        ControlPointDetector.rcpg(llm, steps=1)(track, windows=2)
        (sound,) = llm.asked[0][0].audios
        assert sound.dtype == np.float32
        np.testing.assert_array_equal(sound, track.resampled(RATE).samples)


class TestFailures:
    def test_the_model_is_told_why_and_asked_again(self) -> None:
        answers = iter(["<think>[1,0]</think>Sorry.", "", "[1,0,0,1,0]"])
        llm = Scripted(lambda asked, windows: next(answers))
        points, trace = ControlPointDetector.rcpg(llm, steps=1).explain(SOUND, windows=5)
        assert flags(points) == FLAGS
        assert texts(llm.asked[-1])[1:] == [
            ("assistant", "Sorry."),
            ("user", TABLE_2B.say(TABLE_2B.retry, 5, problem="it holds no list of 0 and 1")),
            ("assistant", "(no answer)"),
            ("user", TABLE_2B.say(TABLE_2B.retry, 5, problem="it is empty")),
        ]
        assert [s.name for s in trace.chunks[0].steps] == ["control points", "retry", "retry"]
        assert [s.problem for s in trace.chunks[0].steps] == [
            "it holds no list of 0 and 1",
            "it is empty",
            None,
        ]
        assert trace.notes == ()

    @pytest.mark.parametrize("retries", [0, 2])
    def test_an_error_after_so_many_answers(self, retries: int) -> None:
        llm = Scripted(lambda asked, windows: "[1,0]")
        detector = ControlPointDetector.rcpg(llm, steps=1, retries=retries, on_failure="raise")
        asked = counted(retries + 1, "answer")
        said = rf"in {asked}; of the last, '\[1,0\]', its list has 2 entries, not 5"
        with pytest.raises(LanguageModelError, match=said):
            detector(SOUND, windows=5)
        assert len(llm.calls) == retries + 1

    def test_novelty_stands_in_and_says_so(self) -> None:
        llm = Scripted(lambda asked, windows: "I cannot hear.")
        detector = ControlPointDetector.rcpg(llm)
        with pytest.warns(RuntimeWarning, match="are those of the fallback detector") as caught:
            points, trace = detector.explain(SOUND, windows=5)
        assert len(caught) == 1
        expected = ControlPointDetector.novelty()(SOUND, windows=5)
        np.testing.assert_array_equal(points.flags, expected.flags)
        np.testing.assert_array_equal(points.scores, expected.scores)
        assert points.categories == (("cannot",),) * int(points.flags.sum())
        assert trace.chunks[0].flags is None
        assert "fallback detector" in trace.notes[0]

    def test_novelty_stands_in_for_the_chunk_in_question_only(self) -> None:
        true = [1] + [int(i % 7 == 3) for i in range(1, 20)]
        track = stepped(true)

        def script(asked: Dialogue, windows: int | None) -> str:
            second = asked[0].audios[0][0] != track.samples[0]
            return "no" if second else hears_levels(asked, windows)

        llm = Scripted(script)
        llm.max_audio_s = 10.0
        with pytest.warns(RuntimeWarning):
            points, trace = ControlPointDetector.rcpg(llm, steps=1).explain(track, windows=20)
        assert [chunk.flags is None for chunk in trace.chunks] == [False, True, True]
        assert flags(points)[:9] == true[:9]
        novelty = ControlPointDetector.novelty()(track, windows=20)
        assert flags(points)[9:] == flags(novelty)[9:]

    def test_a_model_that_forgets_a_dialogue(self) -> None:
        class Forgetful(Scripted):
            def answer_flags(self, dialogues, windows):  # type: ignore[no-untyped-def]
                return []

        with pytest.raises(LanguageModelError, match="gave 0 answers to 1 dialogues"):
            ControlPointDetector.rcpg(Forgetful(hears_levels), steps=1)(SOUND, windows=5)


class TestLongTracks:
    @settings(deadline=None, max_examples=40)
    @given(
        true=st.lists(st.integers(0, 1), min_size=1, max_size=50),
        max_audio_s=st.sampled_from([0.4, 0.75, 1.0, 3.0, float("inf")]),
        overlap_s=st.sampled_from([0.0, 0.5, 5.0]),
    )
    def test_no_change_is_lost_or_invented(
        self, true: list[int], max_audio_s: float, overlap_s: float
    ) -> None:
        llm = Scripted(hears_levels, max_audio_s=max_audio_s)
        detector = ControlPointDetector.rcpg(llm, steps=1, overlap_s=overlap_s)
        track = stepped(true, window_s=0.2)
        assert flags(detector(track, windows=len(true))) == [1, *true[1:]]
        for dialogue in llm.asked:
            assert len(dialogue[0].audios[0]) <= max_audio_s * RATE

    @settings(deadline=None, max_examples=60)
    @given(
        samples=st.integers(0, 50_000),
        windows=st.none() | st.integers(1, 80),
        rate=st.sampled_from([8_000, 16_000, 44_100]),
        max_audio_s=st.floats(0.1, 4.0) | st.just(float("inf")),
    )
    def test_every_window_of_any_track_gets_one_flag(
        self, samples: int, windows: int | None, rate: int, max_audio_s: float
    ) -> None:
        track = Audio(np.full(samples, 0.3, np.float32), rate)
        llm = Scripted(
            lambda asked, wanted: "one" if wanted is None else "[" + "1," * wanted + "]",
            max_audio_s=max_audio_s,
        )
        points = ControlPointDetector.rcpg(llm)(track, windows=windows)
        expected = windows or max(1, int(samples / rate + 0.5))
        assert len(points.flags) == len(points.scores) == expected
        assert points.flags[0]
        if samples and expected > 1 and max_audio_s == float("inf"):
            assert points.flags.all()

    def test_windows_longer_than_the_model_hears(self) -> None:
        track = stepped([1, 0, 0, 0, 1, 0])
        llm = Scripted(hears_levels, max_audio_s=1.0)
        points, trace = ControlPointDetector.rcpg(llm, steps=1).explain(track, windows=3)
        assert flags(points) == [1, 0, 1]
        assert trace.notes == ("each window was asked about in 4 parts",)

    def test_categories_of_all_chunks(self) -> None:
        names = iter(["a bell", "a bell", "a dog", "a cat and a dog"])
        llm = Scripted(lambda asked, n: next(names) if n is None else "[" + "1," * n + "]")
        points = ControlPointDetector.rcpg(llm)(stepped([1] * 50), windows=50)
        assert points.categories is not None
        early = points.categories.index(("cat", "dog"))
        assert points.categories == (("dog",),) * early + (("cat", "dog"),) * (50 - early)
        assert 20 < early < 30  # where the chunks overlap

    def test_a_segment_over_two_chunks_has_the_names_of_both(self) -> None:
        names = iter(["a bell", "a bell", "a dog", "a cat"])
        flag = "[1," + "0," * 9

        def script(asked: Dialogue, n: int | None) -> str:
            return next(names) if n is None else flag + "1," + "0," * (n - 11) + "]"

        points = ControlPointDetector.rcpg(Scripted(script))(stepped([1] * 50), windows=50)
        # Flags at 10 s, from the first chunk, and 10 s into the second, which begins by 26 s.
        assert points.change_times_s[0] == 10
        assert points.categories == (("dog",), ("dog", "cat"), ("cat",))


class TestMany:
    tracks = tuple(stepped([1, *(int(i == k) for i in range(1, 6))]) for k in range(1, 6))

    @pytest.mark.parametrize("kind", [Scripted, Served])
    def test_as_one_by_one_and_in_order(self, kind: type[Scripted]) -> None:
        llm = kind(hears_levels)
        detector = ControlPointDetector.rcpg(llm, batch_size=2)
        seen: list[tuple[str, int, int | None]] = []
        results = list(
            detector.detect_all(self.tracks, windows=6, progress=lambda *step: seen.append(step))
        )
        assert [flags(points) for points in results] == [
            flags(detector(track, windows=6)) for track in self.tracks
        ]
        assert [int(np.flatnonzero(points.flags)[1]) for points in results] == [1, 2, 3, 4, 5]
        assert seen == [("control points", done, 5) for done in range(1, 6)]

    def test_one_track_alone_is_told_how(self) -> None:
        detector = ControlPointDetector.rcpg(Scripted(lambda asked, windows: "[1]"), steps=1)
        with pytest.raises(CoPropError, match=r"several tracks, got Audio.*call the detector"):
            list(detector.detect_all(SOUND))  # type: ignore[arg-type]

    def test_step_by_step_in_batches(self) -> None:
        llm = Scripted(hears_levels)
        detector = ControlPointDetector.rcpg(llm, batch_size=3)
        results = list(detector.detect_all(iter(self.tracks), windows=[6, 6, 3, 6, 6]))
        assert [len(points.flags) for points in results] == [6, 6, 3, 6, 6]
        assert [(len(dialogues), windows) for dialogues, windows in llm.calls] == [
            (3, None),
            (3, None),
            (2, 6),
            (1, 3),
            (2, None),
            (2, None),
            (2, 6),
        ]

    def test_a_server_is_asked_several_at_a_time_and_no_more(self) -> None:
        busy, most = 0, 0
        together = threading.Barrier(3, timeout=60)
        lock = threading.Lock()

        def script(asked: Dialogue, windows: int | None) -> str:
            nonlocal busy, most
            with lock:
                busy += 1
                most = max(most, busy)
            together.wait()  # passes only if three are asked at once
            with lock:
                busy -= 1
            return hears_levels(asked, windows)

        detector = ControlPointDetector.rcpg(Served(script), steps=1)
        assert len(list(detector.detect_all(self.tracks + self.tracks[:1], windows=6))) == 6
        assert most == 3

    def test_tracks_are_taken_as_they_are_needed(self) -> None:
        taken = 0

        def tracks() -> Iterator[Audio]:
            nonlocal taken
            for track in self.tracks:
                taken += 1
                yield track

        detector = ControlPointDetector.rcpg(Scripted(hears_levels), batch_size=2)
        results = detector.detect_all(tracks(), windows=6)
        next(results)
        assert taken == 2
        results.close()  # type: ignore[attr-defined]

    def test_empty_tracks_among_others(self) -> None:
        empty = Audio(np.zeros(0, np.float32), RATE)
        tracks = [empty, self.tracks[0], empty, empty, self.tracks[1], empty]
        for kind in (Scripted, Served):
            detector = ControlPointDetector.rcpg(kind(hears_levels))
            found = [flags(points) for points in detector.detect_all(tracks, windows=6)]
            assert [sum(own) for own in found] == [1, 2, 1, 1, 2, 1]
            assert found[1].index(1, 1) == 1
            assert found[4].index(1, 1) == 2

    @pytest.mark.parametrize("kind", [Scripted, Served])
    def test_results_before_an_error_are_given(self, kind: type[Scripted]) -> None:
        def script(asked: Dialogue, windows: int | None) -> str:
            if asked[0].audios[0][0] > 0.12:
                raise LanguageModelError("the server is gone")
            return hears_levels(asked, windows)

        tracks = [*self.tracks[:2], Audio(np.full(RATE, 0.5, np.float32), RATE), self.tracks[3]]
        detector = ControlPointDetector.rcpg(kind(script), steps=1, batch_size=1)
        results = detector.detect_all(tracks, windows=6)
        assert [flags(next(results)) for _ in range(2)]
        with pytest.raises(LanguageModelError, match="the server is gone"):
            next(results)


class TestTrace:
    def test_round_trip_and_text(self, store: ExampleStore, tmp_path: Path) -> None:
        answers = {None: "A dog, «Hund».", 5: Answer("[1,0,0,1,0]", (0.9, 0.1, 0.2, 0.8, 0.3))}
        llm = Scripted(lambda asked, windows: answers[windows])
        _, trace = ControlPointDetector.rcpg(llm, examples=store).explain(SOUND, windows=5)
        trace.save(tmp_path / "deep" / "trace.json")
        assert Trace.load(tmp_path / "deep" / "trace.json") == trace
        text = str(trace)
        for said in (
            "a track of 5.00 s, 5 windows",
            "asked: scripted",
            "describe [0.00 to 5.00 s]",
            "  > Please briefly describe the content of this audio.",
            "  < A dog, «Hund».",
            "  < [1,0,0,1,0]",
            "  probabilities: 0.90, 0.10, 0.20, 0.80, 0.30",
            "categories: dog, hund",
            "examples: bark",
            "control points: [1, 0, 0, 1, 0]",
        ):
            assert said in text.splitlines() or said in text, said

    def test_failures_are_in_the_text(self) -> None:
        llm = Scripted(lambda asked, windows: "no\nlist")
        with pytest.warns(RuntimeWarning):
            text = str(ControlPointDetector.rcpg(llm, steps=1).explain(SOUND, windows=2)[1])
        assert "  < no\n  < list\n  ! it holds no list of 0 and 1" in text
        assert "\nnote: a track: scripted gave no usable list for 0.00 to 5.00 s" in text

    @settings(deadline=None, max_examples=30)
    @given(text=st.text(max_size=40))
    def test_any_answer_can_be_saved(
        self, text: str, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        llm = Scripted(lambda asked, windows: text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trace = ControlPointDetector.rcpg(llm, retries=0).explain(SHORT, windows=2)[1]
        path = tmp_path_factory.mktemp("trace") / "trace.json"
        trace.save(path)
        assert Trace.load(path) == trace

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 1}', '{"version": 2}'])
    def test_other_files_are_refused(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "trace.json").write_text(text)
        with pytest.raises(CoPropError, match="cannot be read as a trace"):
            Trace.load(tmp_path / "trace.json")
        row = {"version": 1, "chunks": [{"steps": []}]}
        (tmp_path / "trace.json").write_text(json.dumps(row))
        with pytest.raises(CoPropError, match="cannot be read as a trace"):
            Trace.load(tmp_path / "trace.json")


def test_a_model_that_does_not_tell_how_long_it_hears() -> None:
    llm = Scripted(hears_levels)
    llm.max_audio_s = "30"  # type: ignore[assignment]
    with pytest.raises(CoPropError, match=r"max_audio_s of Scripted must be .* got '30'"):
        ControlPointDetector.rcpg(llm)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"steps": 2}, "steps must be 1 or 3"),
        ({"steps": 1, "examples": "x.jsonl"}, "use steps=3"),
        ({"examples": "absent.jsonl"}, "examples cannot be read"),
        ({"window_s": 0.0}, "window_s must be"),
        ({"window_s": float("nan")}, "window_s must be"),
        ({"overlap_s": -1.0}, "overlap_s must be"),
        ({"num_examples": 0}, "num_examples must be at least 1"),
        ({"retries": -1}, "retries must be at least 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"on_failure": "guess"}, "on_failure must be"),
        ({"on_failure": np.array(["raise", "novelty"])}, "on_failure must be"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(CoPropError, match=message):
        ControlPointDetector.rcpg(Scripted(hears_levels), **parameters)  # type: ignore[arg-type]


def test_bad_windows_are_named() -> None:
    detector = ControlPointDetector.rcpg(Scripted(hears_levels))
    with pytest.raises(CoPropError, match=r"windows must be at least 1 and at most .*got 0"):
        detector(SOUND, windows=0)


def test_models_by_name(tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match=str(tmp_path)):
        ControlPointDetector.rcpg(str(tmp_path))  # a folder without a model
    assert isinstance(ControlPointDetector.rcpg(Scripted(hears_levels)), RCPGDetector)
