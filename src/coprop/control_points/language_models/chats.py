"""Dialogues as transformers' chat templates take them, with their sounds checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.language_models.base import SAMPLE_RATE, Dialogue
from coprop.errors import LanguageModelError

MIN_AUDIO_S = 0.1
"""Shorter sounds are followed by silence up to this length: of 20 ms, models hear nothing."""


def messages(dialogue: Dialogue, model: str, max_audio_s: float) -> list[dict[str, Any]]:
    """A dialogue's turns, sounds before words in each.

    Args:
        dialogue: turns, the last of them the user's.
        model: which one it is for, for the message.
        max_audio_s: the longest sound that it hears to the end, in seconds.

    Returns:
        A message for each turn. The sounds are the turns' own arrays, but for those shorter than
        `MIN_AUDIO_S`.

    Raises:
        LanguageModelError: no turn or another's is the last, sounds of the assistant's, or a sound
            of another shape or type, empty, with NaN, or too long.
    """
    if not dialogue or dialogue[-1].role != "user":
        given = f"the {dialogue[-1].role}'s" if dialogue else "none"
        raise LanguageModelError(
            f"the last turn of a dialogue must be the user's, to be answered; got {given}."
        )
    if any(turn.audios for turn in dialogue if turn.role != "user"):
        raise LanguageModelError("only the user's turns may have sounds, not the assistant's.")
    return [
        {
            "role": turn.role,
            "content": [
                *({"type": "audio", "audio": _sound(s, model, max_audio_s)} for s in turn.audios),
                {"type": "text", "text": turn.text},
            ],
        }
        for turn in dialogue
    ]


def _sound(samples: NDArray[np.float32], model: str, max_audio_s: float) -> NDArray[np.float32]:
    is_array = isinstance(samples, np.ndarray)
    if not (is_array and samples.ndim == 1 and samples.size and samples.dtype == np.float32):
        given = f"{samples.dtype} of shape {samples.shape}" if is_array else type(samples).__name__
        raise LanguageModelError(
            f"sounds are float32 NumPy arrays (n,) with n >= 1, mono at {SAMPLE_RATE} Hz, got "
            f"{given}; Audio.from_array(samples, rate).resampled({SAMPLE_RATE}).samples is one."
        )
    if not np.isfinite(samples).all():
        raise LanguageModelError(
            "a sound has samples that are NaN or infinite; replace them, for instance with "
            "numpy.nan_to_num()."
        )
    if len(samples) > max_audio_s * SAMPLE_RATE:
        raise LanguageModelError(
            f"a sound lasts {len(samples) / SAMPLE_RATE:.3f} s, and {model} hears {max_audio_s:g} "
            "s; cut it into pieces, since the end of a longer one is not heard."
        )
    shortage = round(MIN_AUDIO_S * SAMPLE_RATE) - len(samples)
    return np.pad(samples, (0, shortage)) if shortage > 0 else samples
