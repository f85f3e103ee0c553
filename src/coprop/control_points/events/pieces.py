"""A tagger's probabilities over a track of any length, heard in pieces that overlap.

Of each piece the middle is kept. What a tagger says of a moment depends on some sound around it; as
long as that is no more than the pieces overlap by, the pieces together say what one pass would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.events.tagger import Tagger
from coprop.errors import ModelOutputError
from coprop.types import AudioTrack
from coprop.utils.checks import array_of

_ROUNDING = 1e-6  # of a probability that a network computed


@dataclass(frozen=True)
class Piece:
    """What is heard at once, and what of it is kept, in steps.

    Args:
        low, high: from where to where it is heard.
        first, last: from where to where its answers are kept.
    """

    low: int
    high: int
    first: int
    last: int


def pieces(total: int, longest: int, context: int) -> Iterator[Piece]:
    """Covers ``total`` steps with pieces of ``longest`` at most, each kept step once, in order.

    A kept step has ``context`` steps on either side in its piece, or the track's own end there. The
    last piece is as long as the others, where the track is.

    Args:
        total: steps in all, at least 1.
        longest: steps of a piece, more than twice the context.
        context: steps on either side.
    """
    if total <= longest:
        yield Piece(0, total, 0, total)
        return
    first = 0
    while first < total:
        low = min(max(first - context, 0), total - longest)
        high = low + longest
        last = total if high == total else high - context
        yield Piece(low, high, first, last)
        first = last


def probabilities(tagger: Tagger, audio: AudioTrack) -> NDArray[np.float32]:
    """(T, words) probabilities in each step of a track; a step that the track only begins counts.

    Raises:
        ModelOutputError: the tagger returns something else.
    """
    track = audio.resampled(tagger.sample_rate)
    size = tagger.step_samples
    total = -(-track.num_samples // size)
    found = np.zeros((total, len(tagger.words)), dtype=np.float32)
    for piece in pieces(total, tagger.piece_steps, tagger.context_steps) if total else ():
        samples = track.read(piece.low * size, min(piece.high * size, track.num_samples))
        heard = _checked(tagger, samples, piece.high - piece.low)
        found[piece.first : piece.last] = heard[piece.first - piece.low : piece.last - piece.low]
    return found


def _checked(tagger: Tagger, samples: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    wanted = f"(steps, words) probabilities, here ({steps}, {len(tagger.words)})"
    heard = array_of("what the tagger returns", tagger(samples), error=ModelOutputError)
    if heard.shape != (steps, len(tagger.words)):
        raise ModelOutputError(
            f"the tagger was given {len(samples)} samples, {steps} steps of {tagger.step_s:g} s, "
            f"and must return {wanted}; got {heard.shape}."
        )
    if not np.all((heard >= -_ROUNDING) & (heard <= 1 + _ROUNDING)):
        raise ModelOutputError(
            f"the tagger must return {wanted}, in [0, 1], got {np.min(heard):g} to "
            f"{np.max(heard):g}; a sigmoid makes them of logits."
        )
    return np.asarray(np.clip(heard, 0.0, 1.0), dtype=np.float32)
