"""What hears words: the protocol of a tagger, and a tagger as the detector takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coprop.errors import CoPropError, ModelOutputError
from coprop.utils.checks import array_of, number, shown, whole
from coprop.values.audio import HIGHEST_RATE

PIECE_S = 30.0
"""Seconds that a tagger hears at once where it does not say: what most audio models take."""

CONTEXT_S = 2.0
"""Seconds of a piece on either side that only help to hear the rest, where it does not say."""

THRESHOLD = 0.5
"""Probability from which a word counts as heard, where the tagger does not say."""

_LONGEST_S = 3600.0  # an hour: what is longer was meant in another unit
_FORM = (
    "a tagger has words (texts), sample_rate (Hz) and step_s (seconds), and is called with (n,) "
    "float32 samples to return (steps, words) probabilities"
)


class SoundTagger(Protocol):
    """What hears words in a sound, moment by moment: any object of this shape.

    It may have more: ``piece_s``, the longest sound it is given (30 s where it does not say);
    ``context_s``, how much of a piece on either side is heard only for the sake of the rest (2 s);
    ``threshold``, the probability from which a word counts (0.5); and ``blur_s``, by how much a
    sound seems to begin too early and to end too late (0).
    """

    @property
    def words(self) -> tuple[str, ...]:
        """What it hears, in words."""
        ...

    @property
    def sample_rate(self) -> int:
        """Of the sound that it takes, in Hz."""
        ...

    @property
    def step_s(self) -> float:
        """From one answer to the next, in seconds: a whole number of samples."""
        ...

    def __call__(self, samples: NDArray[np.float32], /) -> ArrayLike:
        """(n,) mono samples in [-1, 1] -> (steps, words) probabilities in [0, 1].

        Step t is that of the sound from ``t * step_s`` to ``(t + 1) * step_s``. The last may be
        cut off by the end of the sound: there are n / (step_s * sample_rate) steps, rounded up.
        """
        ...


@dataclass(frozen=True, eq=False)
class Tagger:
    """A tagger whose properties have been checked. See `SoundTagger` for what they mean.

    Args:
        model: the tagger itself.
        chosen: which of its words are asked for, by number; None for all.
    """

    model: SoundTagger
    words: tuple[str, ...]
    sample_rate: int
    step_samples: int
    piece_steps: int
    context_steps: int
    threshold: float
    blur_s: float
    chosen: tuple[int, ...] | None = None

    @property
    def step_s(self) -> float:
        return self.step_samples / self.sample_rate

    def __call__(self, samples: NDArray[np.float32]) -> ArrayLike:
        found = self.model(samples)
        if self.chosen is None:
            return found
        array = array_of("what the tagger returns", found, error=ModelOutputError)
        fits = array.ndim == 2 and array.shape[1] == len(self.model.words)
        return array[:, list(self.chosen)] if fits else array


def as_tagger(model: Any, words: tuple[str, ...] | None = None) -> Tagger:
    """A tagger, with some of its words or all.

    Raises:
        CoPropError: it is none, a property is out of its range, or it does not know a word.
    """
    lacking = [name for name in ("words", "sample_rate", "step_s") if not hasattr(model, name)]
    if lacking or not callable(model):
        said = f"without {', '.join(lacking)}" if lacking else "which cannot be called"
        raise CoPropError(f"{_FORM}; got {shown(model)}, {said}.")
    known = check_words("a tagger's words", model.words)
    chosen = None if words is None else _places(words, known)
    wanted = f"a whole number of Hz, {HIGHEST_RATE} at most"
    rate = whole("a tagger's sample_rate", model.sample_rate, wanted, low=1, high=HIGHEST_RATE)
    step = _step_samples(model.step_s, rate)
    piece_s = _optional(model, "piece_s", PIECE_S, "seconds, an hour at most", _LONGEST_S)
    context_s = _optional(model, "context_s", CONTEXT_S, "seconds, 0 or more", _LONGEST_S)
    piece, context = (round(s * rate / step, 6) for s in (piece_s, context_s))
    piece_steps, context_steps = int(piece), -int(-context // 1)
    if piece_steps <= 2 * context_steps:
        raise CoPropError(
            f"a tagger's piece_s must be longer than two of its context_s and a step, got "
            f"{piece_s:g} s and {context_s:g} s with steps of {step / rate:g} s."
        )
    return Tagger(
        model,
        known if words is None else words,
        rate,
        step,
        piece_steps,
        context_steps,
        _optional(model, "threshold", THRESHOLD, "a probability", 1.0),
        _optional(model, "blur_s", 0.0, "seconds, 0 or more", _LONGEST_S),
        chosen,
    )


def check_words(name: str, words: object) -> tuple[str, ...]:
    """Words in a tuple: at least one, none empty, none twice.

    Raises:
        CoPropError: anything else.
    """
    if isinstance(words, str) or not hasattr(words, "__iter__"):
        alone = f"; for one word give [{words!r}]" if isinstance(words, str) else ""
        raise CoPropError(f"{name} must be a list of words, got {shown(words)}{alone}.")
    found = list(words)
    for word in found:
        if not isinstance(word, str) or not word.strip():
            raise CoPropError(f"{name} must be words, got {shown(word)} among them.")
    stripped = [word.strip() for word in found]
    if not stripped:
        raise CoPropError(f"{name} must be at least one word, got none.")
    folded = [word.casefold() for word in stripped]
    twice = next((word for word in stripped if folded.count(word.casefold()) > 1), None)
    if twice is not None:
        raise CoPropError(f"{name} must differ from one another, got {twice!r} twice.")
    return tuple(stripped)


def _places(words: tuple[str, ...], known: tuple[str, ...]) -> tuple[int, ...]:
    places = {word.casefold(): place for place, word in enumerate(known)}
    unknown = [word for word in words if word.casefold() not in places]
    if unknown:
        raise CoPropError(
            f"this tagger has no word {', '.join(map(shown, unknown[:5]))}; it has "
            f"{', '.join(known[:10])}{', ...' if len(known) > 10 else ''}."
        )
    return tuple(places[word.casefold()] for word in words)


def _step_samples(step_s: object, rate: int) -> int:
    wanted = "a positive number of seconds, 10 at most"
    samples = number("a tagger's step_s", step_s, wanted, above=0.0, high=10.0) * rate
    if round(samples) < 1 or abs(samples - round(samples)) > 1e-3:
        raise CoPropError(
            f"a tagger's step_s must be a whole number of samples, got {step_s} s, which is "
            f"{samples:g} samples at {rate} Hz."
        )
    return round(samples)


def _optional(model: Any, name: str, default: float, wanted: str, high: float) -> float:
    value = getattr(model, name, default)
    return number(f"a tagger's {name}", value, wanted, low=0.0, high=high)
