"""`RCPGDetector`: control points from a language model that hears (paper section 3.2)."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Literal, cast

from coprop.control_points.embeddings import LONGEST_WINDOW_S
from coprop.control_points.features import MOST_WINDOWS, STEP_S
from coprop.control_points.language_models import language_model
from coprop.control_points.language_models.base import LanguageModel, checked_model
from coprop.control_points.rcpg.chunks import windows_of
from coprop.control_points.rcpg.dialogue import (
    DialogueOptions,
    DialogueResult,
    DialogueRun,
    dialogue_about,
)
from coprop.control_points.rcpg.examples import ExampleStore
from coprop.control_points.rcpg.prompts import EXAMPLE_BASED, TABLE_2B, Prompts
from coprop.control_points.rcpg.run_dialogues import run_dialogues
from coprop.control_points.rcpg.trace import Trace
from coprop.control_points.rcpg.tracks import ChunkedTrack, FlagsAndScores, plan_track
from coprop.errors import CoPropError, LanguageModelError
from coprop.types import AudioTrack, ControlPoints, Progress, WindowDetector
from coprop.utils.brief import brief, counted
from coprop.utils.checks import as_number, number, shown, whole
from coprop.utils.paths import AnyPath, is_path
from coprop.values.given_sound import GivenSound, as_track

_MOST = 100_000  # of questions, examples or retries: far beyond what any model takes
_MISSING = object()


class RCPGDetector:
    """Retrieval-augmented control points generation: asks a language model where the sound changes.

    Three variants, as in the paper's table 2b: one prompt (``steps=1``); three, which describe the
    sound, count its categories and list its changes (``steps=3``); and with ``examples``, whose
    categories the second answer names, the full method. Called like every detector:
    ``detector(audio, windows=5)``.

    The flags are those of the model's list. The scores are the probabilities that the model gives
    them, where it does, and otherwise the flags: a model that is held to the form of a list takes
    each likelier flag, so that there a flag is set where its score is above 0.5, while one that
    writes freely or chooses at random may decide otherwise. No threshold applies.

    Args:
        llm: the model, see `LanguageModel`; or a string, see `language_model`.
        steps: 1 or 3.
        examples: annotated examples, or their JSON-lines file; needs three steps.
        window_s: about how long windows are where their number is not given, in seconds, from
            0.05 to 3600: the track is divided into the number of equal windows that comes nearest.
        num_examples: how many examples are shown, at most.
        hear_examples: send the examples' sounds along. Those longer than the model hears are then
            left out.
        prompts: other words; None for the paper's.
        retries: how often the model is asked again after an answer that holds no usable list.
        fallback: where the windows in question are taken from after that, with a warning and a
            note in the trace; None for an error.
        overlap_s: of the chunks of tracks longer than the model hears, in seconds. A change near a
            chunk's end is taken from the chunk that hears more around it.
        batch_size: dialogues that a model in this process is led through side by side.

    Raises:
        CoPropError: a parameter outside its range.
        DatasetError: examples that cannot be read.
    """

    def __init__(
        self,
        llm: LanguageModel | str,
        *,
        steps: Literal[1, 3] = 3,
        examples: ExampleStore | AnyPath | None = None,
        window_s: float = 1.0,
        num_examples: int = 3,
        hear_examples: bool = False,
        prompts: Prompts | None = None,
        retries: int = 2,
        fallback: WindowDetector | None = None,
        overlap_s: float = 4.0,
        batch_size: int = 8,
    ) -> None:
        _check_options(steps, examples, prompts)
        num_examples, retries, batch_size = (
            whole(name, count, f"at least {least}, a whole number", low=least, high=_MOST)
            for name, count, least in (
                ("num_examples", num_examples, 1),
                ("retries", retries, 0),
                ("batch_size", batch_size, 1),
            )
        )
        wanted = f"a positive number of seconds, from {STEP_S:g} to {LONGEST_WINDOW_S}"
        window_s = number("window_s", window_s, wanted, low=STEP_S, high=LONGEST_WINDOW_S)
        overlap_s = number("overlap_s", overlap_s, "a number of seconds, 0 or more", low=0.0)
        if fallback is not None and not callable(fallback):
            raise CoPropError(f"fallback must be a detector, or None, got {shown(fallback)}.")
        if isinstance(examples, (str, os.PathLike)):
            examples = ExampleStore.load(examples)
        usual = TABLE_2B if examples is None else EXAMPLE_BASED
        self.llm = language_model(llm) if isinstance(llm, str) else checked_model(llm)
        self.options = DialogueOptions(
            steps=steps,
            prompts=prompts or usual,
            examples=examples,
            num_examples=num_examples,
            hear_examples=hear_examples,
            retries=retries,
            max_audio_s=self.llm.max_audio_s,
        )
        self.window_s = window_s
        self.fallback = fallback
        self.overlap_s = overlap_s
        self.batch_size = batch_size

    def __repr__(self) -> str:
        examples = "" if self.options.examples is None else ", with examples"
        return f"RCPGDetector({brief(self.llm.name)}, steps={self.options.steps}{examples})"

    def __call__(self, audio: GivenSound, *, windows: int | None = None) -> ControlPoints:
        """The control points of a track of any length.

        Args:
            audio: the sound.
            windows: N >= 1 for N equal windows with one flag each; flag i says that the sources of
                window i differ from those of window i - 1. None for windows of about ``window_s``.

        Returns:
            Times at which the windows start, scores and flags, and with three steps the
            `categories` that the model named. The first flag is always set and its score is 1. Of
            an empty track the model is asked nothing; it counts as one second without a change.

        Raises:
            CoPropError: windows below 1.
            LanguageModelError: the model cannot be asked; or without a fallback, none of its
                answers could be used.
        """
        return self.explain(audio, windows=windows)[0]

    def explain(
        self, audio: GivenSound, *, windows: int | None = None
    ) -> tuple[ControlPoints, Trace]:
        """The control points, and all that was asked and answered. As calling it otherwise."""
        return next(self.explain_all([audio], windows=windows))

    def detect_all(
        self,
        audios: Iterable[GivenSound],
        *,
        windows: int | Sequence[int | None] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[ControlPoints]:
        """The control points of many tracks, in order, while one iterates.

        A model in this process is asked the same step of ``batch_size`` dialogues together; one
        behind a server as many at a time as its ``concurrency``. Tracks are taken from ``audios``
        shortly before they are heard, and are used until their result has been given.

        Args:
            audios: the tracks.
            windows: as for one track: one number for all, or one for each.
            progress: called as ``progress("control points", tracks so far, tracks in all)``, the
                last None where ``audios`` has no length.

        Raises:
            CoPropError: as for one track; tracks before the one in question have been given.
        """
        for points, _ in self.explain_all(audios, windows=windows, progress=progress):
            yield points

    def explain_all(
        self,
        audios: Iterable[GivenSound],
        *,
        windows: int | Sequence[int | None] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[ControlPoints, Trace]]:
        """As `detect_all`, with all that was asked and answered."""
        total = len(audios) if isinstance(audios, Sequence) else None
        waiting: deque[ChunkedTrack] = deque()

        def dialogues() -> Iterator[DialogueRun]:
            for audio, wanted in _with_windows(audios, windows):
                waiting.append(self._plan(as_track(audio), wanted))
                for chunk in waiting[-1].chunk_audio():
                    yield dialogue_about(chunk, self.options)

        finished = 0
        results = run_dialogues(self.llm, dialogues(), self.batch_size)
        while True:
            result = next(results, None)
            if result is not None:
                next(track for track in waiting if not track.complete).results.append(result)
            while waiting and waiting[0].complete:
                yield self._finish(waiting.popleft())
                finished += 1
                if progress is not None:
                    progress("control points", finished, total)
            if result is None:
                return

    def _plan(self, audio: AudioTrack, windows: int | None) -> ChunkedTrack:
        if windows is None:
            windows = windows_of(audio.duration_s or 1.0, self.window_s)
        wanted = (
            f"at least 1 and at most {MOST_WINDOWS}, or None for windows of {self.window_s:g} s"
        )
        windows = whole("windows", windows, wanted, low=1, high=MOST_WINDOWS)
        return plan_track(audio, windows, self.options.max_audio_s, self.overlap_s)

    def _finish(self, track: ChunkedTrack) -> tuple[ControlPoints, Trace]:
        notes = []
        if not track.chunks:
            notes.append("the track holds no sound; nothing was asked")
        if track.grid.parts > 1:
            notes.append(f"each window was asked about in {track.grid.parts} parts")
        source = str(getattr(track.audio, "path", ""))
        failures = [
            _failure(source or "a track", self.llm.name, r) for r in track.results if not r.usable
        ]
        values = _found(track)
        if failures:
            if self.fallback is None:
                raise LanguageModelError(
                    f'{failures[0]} on_failure="novelty" takes those windows from the novelty '
                    "detector."
                )
            values = _mended(track, _by(self.fallback, track))
        for failure in failures:
            notes.append(f"{failure} These windows are those of the fallback detector.")
            warnings.warn(notes[-1], RuntimeWarning, stacklevel=3)
        points = track.control_points(values)
        return points, Trace(
            model=self.llm.name,
            source=source,
            duration_s=track.audio.duration_s,
            windows=track.grid.windows,
            flags=tuple(int(flag) for flag in points.flags),
            notes=tuple(notes),
            chunks=tuple(one.trace for one in track.results),
        )


def _with_windows(
    audios: Iterable[GivenSound], windows: int | Sequence[int | None] | None
) -> Iterator[tuple[GivenSound, int | None]]:
    """Each track with its number of windows: one for all, or as many as there are tracks."""
    if not isinstance(audios, Iterable):
        raise CoPropError(
            f"audios must be several tracks, got {shown(audios)}; for one, call the detector."
        )
    if windows is None or not isinstance(windows, Iterable):
        yield from ((audio, windows) for audio in audios)
        return
    for audio, wanted in zip_longest(audios, windows, fillvalue=_MISSING):
        if audio is _MISSING or wanted is _MISSING:
            raise CoPropError(
                "windows must be one number for all tracks or one for each, got "
                f"{'fewer' if wanted is _MISSING else 'more'} numbers than tracks."
            )
        yield cast("GivenSound", audio), cast("int | None", wanted)


def _by(fallback: WindowDetector, track: ChunkedTrack) -> ControlPoints:
    """Another detector's control points of the same windows.

    Raises:
        CoPropError: it returned something else, or another number of windows.
    """
    points = fallback(track.audio, windows=track.grid.total)
    if not isinstance(points, ControlPoints) or len(points.flags) != track.grid.total:
        got = f"{len(points.flags)} windows" if isinstance(points, ControlPoints) else shown(points)
        raise CoPropError(
            f"the fallback detector must return ControlPoints of the {track.grid.total} windows "
            f"that it was asked for, got {got}."
        )
    return points


def _found(track: ChunkedTrack) -> list[FlagsAndScores]:
    return [(one.flags, one.scores) for one in track.results]


def _mended(track: ChunkedTrack, instead: ControlPoints) -> list[FlagsAndScores]:
    """Flags and scores of each chunk; those of failed ones from other control points."""
    spans = [slice(chunk.first, chunk.stop) for chunk in track.chunks]
    return [
        own if one.usable else (instead.flags[span], instead.scores[span])
        for one, own, span in zip(track.results, _found(track), spans, strict=True)
    ]


def _failure(source: str, model: str, result: DialogueResult) -> str:
    trace = result.trace
    last = trace.steps[-1]
    tries = sum(step.problem is not None for step in trace.steps)
    return (
        f"{source}: {model} gave no usable list for {trace.start_s:.2f} to {trace.end_s:.2f} s in "
        f"{counted(tries, 'answer')}; of the last, {last.answer[:60]!r}, {last.problem}."
    )


def _check_options(steps: object, examples: object, prompts: object) -> None:
    if as_number(steps) not in (1, 3):
        raise CoPropError(f"steps must be 1 or 3, got {shown(steps)}.")
    if not (examples is None or is_path(examples) or isinstance(examples, ExampleStore)):
        raise CoPropError(
            "examples must be an ExampleStore, or the path of a JSON-lines file, got "
            f"{shown(examples)}."
        )
    if prompts is not None and not isinstance(prompts, Prompts):
        raise CoPropError(f"prompts must be Prompts, or None, got {shown(prompts)}.")
    if examples is not None and steps == 1:
        raise CoPropError(
            "examples are found by the category that the second of three steps names; use steps=3."
        )
