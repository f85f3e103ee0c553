"""`EventDetector`: control points where the set of sounding words changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.events.activity import (
    ActivityRule,
    changes_of,
    events_of,
    events_of_stretches,
    moved_to,
    over_time,
)
from coprop.control_points.events.pieces import probabilities
from coprop.control_points.events.tagger import SoundTagger, Tagger
from coprop.control_points.events.words import Vocabulary
from coprop.control_points.features import MOST_WINDOWS, STEP_S, num_steps
from coprop.control_points.grid import nearest_windows, with_edges
from coprop.silence import is_silent, quiet_blocks, silence_edges_s
from coprop.types import AudioTrack, ControlPoints, Segment, WindowDetector
from coprop.utils.checks import number, whole
from coprop.values.given_sound import GivenSound, as_track

MIN_GAP_S = 0.5
"""Seconds from one change to the next, at least."""

OFF_SHARE = 0.5
"""Of the threshold: a word that is heard goes on until its probability falls below this share."""

SHORTEST_S = 0.2
"""Seconds: what is heard for less is no event."""

_EDGE_S = 0.25  # a change this near to where sound begins or ends by its level is that moment
_MOST = 3  # words of a segment
_ANY = ""  # the source of all that is heard, named or not: it ends where silence begins


class EventDetector:
    """Finds the control points where the set of sounding words changes, and names what sounds.

    A word begins to be heard where its probability reaches the threshold, and is heard until it
    falls below half of that; pauses under 0.6 s belong to it, and events under 0.2 s are none.
    Words of one source, such as "Bark" and "Yip", come and go together; words that say little, such
    as "Animal" or "Music", are named but begin nothing. What begins or ends within 0.25 s of where
    the sound does by its level (`coprop.silence`) does so there, to 10 ms.

    A tagger that hears a second at once, such as YAMNet, tells well what is heard and badly when
    (its ``blur_s`` is above 0). With such a one the sound is first cut where it changes, by
    ``changes``, and a cut is a control point where the words before and after it differ: the same
    thresholds, from stretch to stretch instead of from step to step. In a stretch that is silent by
    its level no word is heard, and it begins and ends with a control point.

    Made by `ControlPointDetector.events`, and called like every detector:
    ``detector(audio, windows=5)``.

    Args:
        tagger: hears words, see `SoundTagger`.
        vocabulary: its words, and what they are heard of.
        threshold: probability from which a word is heard, in (0, 1]; None for the tagger's own.
        min_gap_s: the shortest time between two changes, in seconds; 0 for none.
        changes: where a sound may change; asked where the tagger cannot tell.

    Raises:
        CoPropError: a threshold or gap out of its range.
    """

    def __init__(
        self,
        tagger: Tagger,
        vocabulary: Vocabulary,
        *,
        threshold: float | None = None,
        min_gap_s: float = MIN_GAP_S,
        changes: WindowDetector,
    ) -> None:
        chosen = tagger.threshold if threshold is None else threshold
        wanted = "a probability above 0, at most 1, where lower finds more words"
        self.threshold = number("threshold", chosen, wanted, above=0.0, high=1.0)
        wanted = "a number of seconds, 0 or more"
        self.min_gap_s = number("min_gap_s", min_gap_s, wanted, low=0.0)
        self.words = tagger.words
        self._tagger, self._vocabulary, self._changes = tagger, vocabulary, changes
        self._sources = _columns(vocabulary.sources)

    @property
    def tagger(self) -> SoundTagger:
        """What hears the words."""
        return self._tagger.model

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({type(self._tagger.model).__name__}, {len(self.words)} words, "
            f"threshold={self.threshold:g}, min_gap_s={self.min_gap_s:g})"
        )

    def __call__(self, audio: GivenSound, *, windows: int | None = None) -> ControlPoints:
        """The control points of a track of any length, with words.

        Args:
            audio: the sound; see `GivenSound` for what is taken beside an `Audio`.
            windows: N >= 1 for N equal windows with one flag each: a change is flagged in the
                window whose start is nearest. None for a grid of 50 ms and the changes' own times.

        Returns:
            Times, flags, and scores: at a change, how far the probabilities of what came or went
            differ before and after it; 0 where nothing changes, 1 at the beginning. `categories`
            and `probabilities` have for each flag up to three words, the best first, that are heard
            until the next with at least the threshold, none in silence. Of AudioSet's names the
            best is one that says what sounds: "Drum" before "Music".

        Raises:
            AudioError: no sound.
            CoPropError: windows below 1.
            ModelOutputError: the tagger breaks its contract.
        """
        audio = as_track(audio)
        if windows is not None:
            wanted = f"at least 1 and at most {MOST_WINDOWS}, or None for a 50 ms grid"
            windows = whole("windows", windows, wanted, low=1, high=MOST_WINDOWS)
        heard = probabilities(self._tagger, audio)
        quiet = quiet_blocks(audio)
        changes_s = self._changes_s(audio, heard, quiet)
        scores = self._scores(heard, [0.0, *changes_s, audio.duration_s])
        times_s, scores, flags = _on_grid(audio, windows, changes_s, scores)
        named = self._named(heard, quiet, times_s[flags], audio.duration_s)
        return ControlPoints(
            times_s,
            scores,
            flags,
            tuple(tuple(word for word, _ in words) for words in named),
            tuple(tuple(probability for _, probability in words) for words in named),
        )

    def probabilities(self, audio: GivenSound) -> NDArray[np.float32]:
        """(T, words) of each word of `words` in each step of the tagger."""
        return probabilities(self._tagger, as_track(audio))

    def _changes_s(
        self, audio: AudioTrack, heard: NDArray[np.float32], quiet: NDArray[np.bool_]
    ) -> list[float]:
        end_s, step_s = audio.duration_s, self._tagger.step_s
        rule = ActivityRule(
            on=self.threshold,
            off=OFF_SHARE * self.threshold,
            shortest_s=SHORTEST_S,
            blur_s=self._tagger.blur_s,
        )
        curves = {name: heard[:, own].max(axis=1) for name, own in self._sources.items()}
        if rule.blur_s > 0:
            cuts = [t for t in self._changes(audio, windows=None).change_times_s if t < end_s]
            stretches = [0.0, *cuts, end_s]
            silent = [is_silent(quiet, Segment(*span)) for span in pairwise(stretches)]
            curves[_ANY] = np.ones(len(heard), dtype=np.float32)
            events = [
                event
                for name, curve in curves.items()
                for event in events_of_stretches(name, curve, step_s, stretches, silent, rule)
            ]
            return changes_of(events, end_s, 0.0)  # what cuts the sound keeps them apart
        edges_s = silence_edges_s(quiet)
        events = [
            moved_to(edges_s, event, _EDGE_S)
            for name, curve in curves.items()
            for event in events_of(name, curve, step_s, end_s, rule)
        ]
        return changes_of(events, end_s, self.min_gap_s, edges_s.tolist())

    def _scores(self, heard: NDArray[np.float32], edges_s: Sequence[float]) -> NDArray[np.float64]:
        """(changes,) the largest difference of a source's probability between two segments."""
        pooled = self._pooled(heard, edges_s)
        sources = np.array([pooled[:, own].max(axis=1) for own in self._sources.values()])
        if sources.size == 0:
            return np.zeros(len(edges_s) - 2)
        return np.asarray(np.abs(np.diff(sources, axis=1)).max(axis=0), dtype=np.float64)

    def _named(
        self,
        heard: NDArray[np.float32],
        quiet: NDArray[np.bool_],
        starts_s: NDArray[np.float64],
        end_s: float,
    ) -> list[list[tuple[str, float]]]:
        """The best words from each control point to the next, with their probabilities."""
        edges_s = [*starts_s.tolist(), max(end_s, float(starts_s[-1]))]
        shares = np.array(self._vocabulary.shares)
        named: list[list[tuple[str, float]]] = []
        for span, found in zip(pairwise(edges_s), self._pooled(heard, edges_s), strict=True):
            silent = span[0] >= end_s or is_silent(quiet, Segment(*span))
            best = [] if silent else np.argsort(-found * shares, kind="stable")[:_MOST].tolist()
            named.append(
                [(self.words[i], float(found[i])) for i in best if found[i] >= self.threshold]
            )
        return named

    def _pooled(self, heard: NDArray[np.float32], edges_s: Sequence[float]) -> NDArray[np.float32]:
        """(segments, words) probabilities from each time to the next."""
        step_s, blur_s = self._tagger.step_s, self._tagger.blur_s
        spans = [over_time(heard, span, step_s, blur_s) for span in pairwise(edges_s)]
        return np.stack(spans)


def _columns(sources: Sequence[str | None]) -> dict[str, list[int]]:
    """The words of each source, by number."""
    columns: dict[str, list[int]] = {}
    for number_, source in enumerate(sources):
        if source is not None:
            columns.setdefault(source, []).append(number_)
    return columns


def _on_grid(
    audio: AudioTrack,
    windows: int | None,
    changes_s: Sequence[float],
    found: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Times, scores and flags: of windows, or each 50 ms and at the changes."""
    steps = num_steps(audio) if windows is None else windows
    step_s = STEP_S if windows is None else (audio.duration_s or 1.0) / windows
    times_s = np.arange(steps, dtype=np.float64) * step_s
    scores, flags = np.zeros(steps), np.zeros(steps, dtype=bool)
    edges_s = np.array(changes_s, dtype=np.float64)
    if windows is not None:
        nearest = nearest_windows(edges_s, audio, windows)
        inside = nearest < windows
        edges_s, found = np.asarray(nearest[inside] * step_s, dtype=np.float64), found[inside]
    times_s, scores, flags = with_edges(times_s, scores, flags, edges_s, found)
    flags[0], scores[0] = True, 1.0
    return times_s, scores, flags
