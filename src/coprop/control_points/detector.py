"""`ControlPointDetector`: where in a track the set of sounding sources changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from coprop.control_points import embeddings as _embeddings
from coprop.control_points import novelty as _novelty
from coprop.control_points.embeddings import Embed
from coprop.control_points.features import MOST_WINDOWS, STEP_S
from coprop.control_points.grid import nearest_windows, with_edges
from coprop.control_points.levels import edge_chances
from coprop.errors import CoPropError
from coprop.silence import (
    block_levels_db,
    heard_spans,
    quiet_blocks,
    silence_edges_s,
)
from coprop.types import SAME_S, AudioTrack, ControlPoints
from coprop.utils.checks import array_of, check_choice, check_function, number, whole
from coprop.utils.paths import AnyPath
from coprop.values.given_sound import GivenSound, as_track

if TYPE_CHECKING:
    import torch

    from coprop.control_points.events.detector import EventDetector
    from coprop.control_points.events.tagger import SoundTagger
    from coprop.control_points.events.words import Words
    from coprop.control_points.language_models.base import LanguageModel
    from coprop.control_points.rcpg import RCPGDetector
    from coprop.control_points.rcpg.examples import ExampleStore
    from coprop.control_points.rcpg.prompts import Prompts

ScoreFunction = Callable[[AudioTrack, int | None], NDArray[np.float64]]
"""``score(audio, windows)`` gives (windows,) scores in [0, 1], one for the start of each window, or
where ``windows`` is None one each 50 ms from the start of the track."""

FineScore = Callable[[AudioTrack], NDArray[np.float64]]
"""(T,) scores in [0, 1] of a track, one each 50 ms."""

EdgeChances = Callable[
    [NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]],
    NDArray[np.float64],
]
"""``chances(levels_db, quiet, edges_s, scores)``, as `coprop.control_points.levels` has them."""

NOVELTY_THRESHOLD = 0.5  # a chance: its score is calibrated to that of a change
COSINE_THRESHOLD = 0.025  # a cosine distance, fitted to the log-mel bands
EMBEDDING_THRESHOLD = 0.3  # a cosine distance, of embeddings that are given


class ControlPointDetector:
    """Finds the control points of a track (paper section 3.2), by any score of change.

    A control point is where the score reaches ``threshold`` and is the highest within ``min_gap_s``
    on either side. Constructors: `novelty` (the default of the library), `cosine` (the paper's
    baseline), `events` (by the words that are heard) and `rcpg` (the paper's method, by a language
    model). A plain function from a track to `ControlPoints` can be used in its place.

    Args:
        score: how sure it is that the sources change at each step, see `ScoreFunction`.
        threshold: in [0, 1]; lower finds more changes.
        min_gap_s: the shortest time between two changes, in seconds; 0 for none.

    Raises:
        CoPropError: no such function, a threshold outside [0, 1], or a negative or infinite gap.
    """

    def __init__(
        self,
        score: ScoreFunction,
        *,
        threshold: float,
        min_gap_s: float = 0.0,
    ) -> None:
        wanted = "a function of a track and a number of windows"
        check_function("score", score, ("audio", "windows"), wanted)
        wanted = "in [0, 1], where lower finds more changes"
        threshold = number("threshold", threshold, wanted, low=0.0, high=1.0)
        min_gap_s = number("min_gap_s", min_gap_s, "a number of seconds, 0 or more", low=0.0)
        self.score = score
        self.threshold = threshold
        self.min_gap_s = min_gap_s

    def __repr__(self) -> str:
        return f"{type(self).__name__}(threshold={self.threshold:g}, min_gap_s={self.min_gap_s:g})"

    @classmethod
    def novelty(
        cls,
        embed: Embed | None = None,
        *,
        sample_rate: int | None = None,
        window_s: float = 0.5,
        threshold: float | None = None,
        min_gap_s: float = _novelty.MIN_GAP_S,
    ) -> ControlPointDetector:
        """Compares what is heard before and after each moment, over several context lengths.

        Where a silence of 0.6 s or more begins or ends is a change too, at its own time, whatever
        ``min_gap_s`` says; what changes less than that from it is explained by it. Its score is the
        chance that the sources change there, or 1 with ``embed``.

        Without ``embed``, a small network that comes with the library compares what its sound
        effects encoder makes of the sound; the score is the chance of a change. With it, the
        embeddings of windows of ``window_s`` are averaged over up to two seconds on either side,
        and the score is the cosine distance.

        Args:
            embed: (n, m) float32 samples at ``sample_rate`` to (n, d) embeddings.
            sample_rate: the rate that ``embed`` takes, in Hz; None for the track's own.
            window_s: length of the windows given to ``embed``, in seconds, from 0.05 to 3600.
            threshold: in [0, 1]; None for the fitted one, or 0.3 with ``embed``.
            min_gap_s: the shortest time between two changes, in seconds.

        Raises:
            CoPropError: a parameter outside its range.
        """
        embedding = _embeddings.Embedding(embed, sample_rate, window_s)
        if embed is None:
            score, usual = _novelty.novelty_scores, NOVELTY_THRESHOLD
        else:
            score, usual = embedding.novelty_scores, EMBEDDING_THRESHOLD
        chosen = usual if threshold is None else threshold
        chances = edge_chances if embed is None else None
        fused = WithLevel(score, min_gap_s, chances)
        return cls(fused, threshold=chosen, min_gap_s=min_gap_s)

    @classmethod
    def cosine(
        cls,
        embed: Embed | None = None,
        *,
        sample_rate: int | None = None,
        window_s: float = 1.0,
        threshold: float | None = None,
        min_gap_s: float = 0.5,
    ) -> ControlPointDetector:
        """The paper's baseline (table 2): cosine distance between consecutive windows' features.

        Given a number of windows, each is compared with the one before it. Otherwise the
        ``window_s`` before and after each step of the fine grid are compared.

        Args:
            embed: (n, m) float32 samples at ``sample_rate`` to (n, d) embeddings; None for the mean
                of the window's log-mel bands.
            sample_rate: the rate that ``embed`` takes, in Hz; None for the track's own.
            window_s: window length on the fine grid, in seconds, from 0.05 to 3600.
            threshold: in [0, 1], on 1 - cosine similarity (distances above 1 count as 1); None for
                0.025, fitted to the log-mel bands, or 0.3 with ``embed``.
            min_gap_s: the shortest time between two changes, in seconds.

        Raises:
            CoPropError: a parameter outside its range.
        """
        features = _embeddings.Embedding(embed, sample_rate, window_s)
        usual = COSINE_THRESHOLD if embed is None else EMBEDDING_THRESHOLD
        chosen = usual if threshold is None else threshold
        return cls(features.cosine_scores, threshold=chosen, min_gap_s=min_gap_s)

    @classmethod
    def rcpg(
        cls,
        llm: LanguageModel | str,
        *,
        steps: Literal[1, 3] = 3,
        examples: ExampleStore | AnyPath | None = None,
        window_s: float = 1.0,
        num_examples: int = 3,
        hear_examples: bool = False,
        prompts: Prompts | None = None,
        retries: int = 2,
        on_failure: Literal["raise", "novelty"] = "novelty",
        overlap_s: float = 4.0,
        batch_size: int = 8,
    ) -> RCPGDetector:
        """The paper's method (section 3.2): a language model that hears lists the changes.

        ``steps=1``, ``steps=3`` and ``examples`` are the three variants of table 2b. See
        `RCPGDetector` for what the arguments do.

        Args:
            llm: the model; or a server's URL, a folder, or a name on the hub.
            steps: how many prompts.
            examples: annotated examples, or their JSON-lines file.
            window_s: about how long windows are where their number is not given, in seconds, from
                0.05 to 3600.
            num_examples: how many examples are shown, at most.
            hear_examples: send their sounds along.
            prompts: other words than the paper's.
            retries: how often it is asked again for a list that can be used.
            on_failure: "raise" an error after that, or take those windows from `novelty`.
            overlap_s: of the chunks of tracks longer than the model hears, in seconds.
            batch_size: dialogues that a model in this process is led through side by side.

        Raises:
            CoPropError: a parameter outside its range, or a model that cannot be loaded.
            DatasetError: examples that cannot be read.
        """
        from coprop.control_points.rcpg import RCPGDetector  # most users need no language model

        check_choice("on_failure", on_failure, ("raise", "novelty"))
        return RCPGDetector(
            llm,
            steps=steps,
            examples=examples,
            window_s=window_s,
            num_examples=num_examples,
            hear_examples=hear_examples,
            prompts=prompts,
            retries=retries,
            fallback=None if on_failure == "raise" else cls.novelty(),
            overlap_s=overlap_s,
            batch_size=batch_size,
        )

    @classmethod
    def events(
        cls,
        model: SoundTagger | AnyPath | None = None,
        *,
        words: Words | None = None,
        threshold: float | None = None,
        min_gap_s: float = _novelty.MIN_GAP_S,
        device: torch.device | str | None = None,
        local_files_only: bool = False,
    ) -> EventDetector:
        """Where the set of sounding words changes, and which words they are, with probabilities.

        Args:
            model: hears words. None for YAMNet, which comes with the library; a folder or id on the
                hub of a PE-A-Frame, such as "facebook/pe-a-frame-small"; or any `SoundTagger`.
            words: "audioset" (521 names), "avss" (the 70 classes of AVSBench-semantic; YAMNet has
                names for 63), or a list of one's own: PE-A-Frame takes any, YAMNet names of
                AudioSet's classes and of what they are heard of. None for AudioSet's, or all of a
                tagger's own.
            threshold: probability from which a word is heard; None for the model's own: 0.05 for
                YAMNet, 0.5 for PE-A-Frame.
            min_gap_s: the shortest time between two changes, in seconds.
            device: where a PE-A-Frame computes; None for the CPU.
            local_files_only: never ask the hub for a PE-A-Frame.

        Raises:
            CoPropError: words that the model does not know, or a parameter outside its range.
            CheckpointError: no such PE-A-Frame, or a gated one.
        """
        from coprop.control_points.events.building import event_detector

        return event_detector(
            model,
            words,
            threshold=threshold,
            min_gap_s=min_gap_s,
            changes=cls.novelty(min_gap_s=min_gap_s),
            device=device,
            local_files_only=local_files_only,
        )

    def __call__(self, audio: GivenSound, *, windows: int | None = None) -> ControlPoints:
        """The control points of a track of any length.

        Args:
            audio: the sound; see `GivenSound` for what is taken beside an `Audio`.
            windows: N >= 1 for N equal windows with one flag each; flag i says that the sources of
                window i differ from those of window i - 1. A change inside a window belongs to the
                nearest edge between two windows, so one in a window's first half flags that window
                and a later one the next. None for a grid of 50 ms.

        Returns:
            Times at which the windows (or steps of the grid, and the edges of silences between
            them) start, scores and flags. The first flag is always set and its score is 1. An
            empty track counts as one second long.

        Raises:
            AudioError: no sound.
            CoPropError: windows below 1 or above a million, or a score function that breaks its
                contract.
        """
        audio = as_track(audio)
        if windows is not None:
            wanted = f"at least 1 and at most {MOST_WINDOWS}, or None for a 50 ms grid"
            windows = whole("windows", windows, wanted, low=1, high=MOST_WINDOWS)
        edges_s: NDArray[np.float64] = np.zeros(0)
        chances: NDArray[np.float64] = np.zeros(0)
        if isinstance(self.score, WithLevel):
            found, edges_s, chances = self.score.parts(audio, windows, self.threshold)
        else:
            found = self.score(audio, windows)
        scores = _checked(found, windows)
        step_s = STEP_S if windows is None else (audio.duration_s or 1.0) / windows
        times_s = np.arange(len(scores), dtype=np.float64) * step_s
        scores[0] = 0.0  # the start must not outshine a change just after it
        flags = pick_peaks(times_s, scores, self.threshold, self.min_gap_s)
        if windows is not None:
            nearest = nearest_windows(edges_s, audio, windows)
            inside = nearest < windows
            edges_s = np.asarray(nearest[inside] * step_s, dtype=np.float64)
            chances = chances[inside]
        times_s, scores, flags = with_edges(times_s, scores, flags, edges_s, chances)
        flags[0], scores[0] = True, 1.0
        return ControlPoints(times_s, scores, flags)


def pick_peaks(
    times_s: NDArray[np.float64], scores: NDArray[np.float64], threshold: float, min_gap_s: float
) -> NDArray[np.bool_]:
    """(T,) True where a score reaches the threshold and none less than the gap away is higher.

    Times are increasing and evenly spaced; of equal neighbours the first is taken.
    """
    flags = scores >= threshold
    candidates = np.flatnonzero(flags)
    low = np.searchsorted(times_s, times_s[candidates] - min_gap_s + 1e-9, side="left")
    high = np.searchsorted(times_s, times_s[candidates] + min_gap_s - 1e-9, side="right")
    for index, first, stop in zip(candidates, low, high, strict=True):
        earlier, later = scores[first:index], scores[index + 1 : stop]
        flags[index] = not (np.any(earlier >= scores[index]) or np.any(later > scores[index]))
    return flags


@dataclass(frozen=True)
class WithLevel:
    """A score of change, and the edges of silences, which explain what changes beside them.

    Args:
        fine_score: each 50 ms.
        min_gap_s: what changes less than this from an edge is explained by it.
        chances: how sure each edge is; None for wholly.
    """

    fine_score: FineScore
    min_gap_s: float
    chances: EdgeChances | None

    def __call__(self, audio: AudioTrack, windows: int | None) -> NDArray[np.float64]:
        return self.parts(audio, windows, 0.0)[0]

    def parts(
        self, audio: AudioTrack, windows: int | None, threshold: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Scores, for windows too: the highest peak of the fine scores nearest to a window's start;
        and the times and chances of those edges whose chance reaches the threshold.
        """
        scores = self.fine_score(audio)
        levels_db = block_levels_db(audio)
        if not levels_db.size:
            return np.zeros(windows or 1), np.zeros(0), np.zeros(0)
        quiet = quiet_blocks(audio)
        edges_s = silence_edges_s(quiet)
        chances = np.ones(len(edges_s))
        if self.chances is not None:
            chances = self.chances(levels_db, quiet, edges_s, scores)
        edges_s, chances = edges_s[chances >= threshold], chances[chances >= threshold]
        times_s = np.arange(len(scores), dtype=np.float64) * STEP_S
        explained = np.ones(len(scores), dtype=bool)  # in silence nothing changes
        for span in heard_spans(quiet):
            explained[(times_s >= span.start_s) & (times_s < span.end_s)] = False
        for edge_s in edges_s:
            explained |= np.abs(times_s - edge_s) < self.min_gap_s - SAME_S
        scores[explained] = 0.0
        if windows is not None:
            peaks = np.flatnonzero(pick_peaks(times_s, scores, 0.0, max(self.min_gap_s, STEP_S)))
            nearest = nearest_windows(times_s[peaks], audio, windows)
            inside = nearest < windows  # nearest to the end of the track: no window starts there
            fine, scores = scores, np.zeros(windows)
            np.maximum.at(scores, nearest[inside], fine[peaks[inside]])
        return scores, edges_s, chances


def _checked(scores: NDArray[np.float64], windows: int | None) -> NDArray[np.float64]:
    array = array_of("what the score function returns", scores).astype(np.float64)
    expected = "(steps,)" if windows is None else f"({windows},)"
    if array.ndim != 1 or not array.size or windows not in (None, len(array)):
        raise CoPropError(f"the score function must return {expected} scores, got {array.shape}.")
    if not np.all((array >= 0.0) & (array <= 1.0)):
        raise CoPropError(
            f"the score function must return finite scores in [0, 1], got {array.min()} to "
            f"{array.max()}."
        )
    return array
