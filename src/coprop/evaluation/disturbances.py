"""What is heard in place of a clip's own sound: nothing, noise, or the sound of another clip.

The disturbances of AVSBench-Robust (Li et al. 2025, arXiv 2502.00358): nothing that is seen makes
these sounds, so no mask is right, and what is masked all the same was not found by listening.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from coprop.data.labelled import LabelledClip, LabelledDataset, note_name
from coprop.errors import CoPropError
from coprop.types import Audio
from coprop.values.audio import LOUDEST

HeardSound = Literal["own", "muted", "noise", "other"]
"""What is heard: the clip's own sound, silence, white noise, or another clip's sound."""

OWN, OTHER = "own", "other"
DISTURBANCES = tuple(name for name in get_args(HeardSound) if name != OWN)

Disturbance = Callable[[LabelledClip], LabelledClip | None]
"""Gives a clip with another sound, or None where there is none for it."""


def disturbances(sounds: Iterable[str], dataset: LabelledDataset) -> dict[str, Disturbance]:
    """What gives the clips of a dataset these sounds, by name; their own is none of them.

    Raises:
        CoPropError: the sound of another clip is asked for, and the dataset has none that is fit.
    """
    makers: dict[str, Callable[[], Disturbance]] = {
        "muted": lambda: muted,
        "noise": lambda: noisy,
        OTHER: lambda: OtherSounds(dataset),
    }
    return {name: makers[name]() for name in sounds if name != OWN}


def sounds_named(names: Iterable[str]) -> tuple[str, ...]:
    """Sounds in the order of `HeardSound`, each once; the clip's own is always among them.

    Raises:
        CoPropError: an unknown name.
    """
    asked = list(names)
    unknown = [name for name in asked if name not in get_args(HeardSound)]
    if unknown:
        raise CoPropError(
            f"sounds are {', '.join(get_args(HeardSound))}; got {', '.join(unknown)}."
        )
    return tuple(name for name in get_args(HeardSound) if name == OWN or name in asked)


def muted(clip: LabelledClip) -> LabelledClip:
    """The clip in digital silence."""
    return _hearing(clip, np.zeros(clip.audio.num_samples, dtype=np.float32))


def noisy(clip: LabelledClip) -> LabelledClip:
    """The clip with white noise in place of its sound, as loud as that: of the same RMS.

    Samples are uniform, as in AVSBench-Robust, and drawn from the clip's name: a clip has the same
    noise in every run. A clip of digital silence has none.
    """
    own = clip.audio.samples.astype(np.float64)
    rng = np.random.default_rng(list(_digest(clip.name)))
    noise = rng.uniform(-1, 1, len(own))
    rms, drawn_rms = (np.sqrt(np.mean(x**2)) if x.size else 0.0 for x in (own, noise))
    noise *= rms / max(drawn_rms, np.finfo(np.float64).tiny)
    return _hearing(clip, np.clip(noise, -LOUDEST, LOUDEST).astype(np.float32))


class OtherSounds:
    """Gives each clip of a dataset the sound of another one: a derangement (see `partners`).

    The sound is as loud as it is in its own clip, from its beginning, cut to the clip's length or
    repeated up to it.

    Args:
        dataset: every clip of it is read once.

    Raises:
        CoPropError: fewer than two clips, two of one name, or none that could have another's sound.
    """

    def __init__(self, dataset: LabelledDataset) -> None:
        if len(dataset) < 2:
            raise CoPropError(
                f"the sound of another clip needs two clips or more, and {dataset.name} has "
                f"{len(dataset)}; evaluate more, or leave out the sound other."
            )
        self._dataset = dataset
        self._index_of: dict[str, int] = {}
        words: dict[str, ClipWords] = {}
        for index in range(len(dataset)):  # one clip's sound in memory at a time
            clip = dataset[index]
            note_name(self._index_of, clip.name, index, dataset.name)
            words[clip.name] = ClipWords.of(clip)
        self.partner_of = partners(words)
        """The name of the clip whose sound each has, by name; None where none is fit."""
        if not any(self.partner_of.values()):
            raise CoPropError(
                f"every clip of {dataset.name} hears what every other one shows, so that no "
                "other's sound would be wrong; evaluate clips of more categories, or leave out "
                "the sound other."
            )

    def __call__(self, clip: LabelledClip) -> LabelledClip | None:
        partner = self.partner_of[clip.name]
        if partner is None:
            return None
        other = self._dataset[self._index_of[partner]].audio.resampled(clip.audio.sample_rate)
        return _hearing(clip, np.resize(other.samples, clip.audio.num_samples))


@dataclass(frozen=True)
class ClipWords:
    """What is known of a clip in words.

    Args:
        seen: what is in the picture, sounding or not.
        heard: what is in the sound, seen or not.
    """

    seen: frozenset[str]
    heard: frozenset[str]

    @classmethod
    def of(cls, clip: LabelledClip) -> ClipWords:
        """The words of a labelled clip; none where its dataset names nothing."""
        return cls(
            frozenset((*clip.categories, *clip.silent)),
            frozenset((*clip.categories, *clip.off_screen)),
        )


def partners(clips: Mapping[str, ClipWords]) -> dict[str, str | None]:
    """For each clip another one, in whose sound nothing is heard that the clip shows.

    As many clips as possible have one of their own; the others share. It depends on the names and
    words alone, not on their order: clips are sorted by the SHA-256 of their names, and each
    prefers those that follow it, the last being followed by the first. Where no words are known,
    each has the next one.

    Args:
        clips: by name.

    Returns:
        the other clip's name by name; None where every other one has something that is seen.
    """
    names = sorted(clips, key=_digest)
    fit = [
        [
            j
            for j in (*range(i + 1, len(names)), *range(i))
            if not clips[name].seen & clips[names[j]].heard
        ]
        for i, name in enumerate(names)
    ]
    chosen = _matched(fit)
    return {
        name: names[chosen.get(i, fit[i][0])] if fit[i] else None for i, name in enumerate(names)
    }


def _matched(fit: Sequence[Sequence[int]]) -> dict[int, int]:
    """One of its list for each number, no two the same, for as many as possible (Berge, 1957)."""
    taker_of: dict[int, int] = {}
    taken_by: dict[int, int] = {}
    for first in range(len(fit)):
        asked_by: dict[int, int] = {}
        waiting = deque([first])
        while waiting:
            taker = waiting.popleft()
            free = next((j for j in fit[taker] if j not in taker_of), None)
            if free is not None:
                _hand_on(free, taker, asked_by, taker_of, taken_by)
                break
            new = [j for j in fit[taker] if j not in asked_by]
            asked_by.update(dict.fromkeys(new, taker))
            waiting.extend(taker_of[j] for j in new)
    return taken_by


def _hand_on(
    free: int,
    taker: int,
    asked_by: dict[int, int],
    taker_of: dict[int, int],
    taken_by: dict[int, int],
) -> None:
    """Gives what is free to one who asks, what that one had to the next, up to the first."""
    while True:
        before = taken_by.get(taker)
        taker_of[free], taken_by[taker] = taker, free
        if before is None:
            return
        free, taker = before, asked_by[before]


def _hearing(clip: LabelledClip, samples: NDArray[np.float32]) -> LabelledClip:
    """The clip with other samples. The words for its own sound are not those of the new one."""
    audio = Audio(samples, clip.audio.sample_rate)
    return replace(clip, audio=audio, categories=(), heard=None, off_screen=())


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
