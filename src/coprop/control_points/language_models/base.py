"""The language model slot: what a model that hears looks like, and dialogues as chats of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from coprop.errors import CoPropError, LanguageModelError
from coprop.utils.brief import Brief
from coprop.utils.checks import as_number, shown

LLM_SAMPLE_RATE = 16_000
"""Of all sound that is handed to language models, in Hz."""

MIN_AUDIO_S = 0.1
"""Shorter sounds are followed by silence up to this length: of 20 ms, models hear nothing."""


@dataclass(frozen=True, eq=False, repr=False)
class Turn(Brief):
    """What one side says in a dialogue.

    Args:
        role: who says it.
        text: the words.
        audios: sounds that go along, before the words; each (n,) float32 mono in [-1, 1] at
            `LLM_SAMPLE_RATE`.
    """

    role: Literal["user", "assistant"]
    text: str
    audios: tuple[NDArray[np.float32], ...] = ()


Dialogue = tuple[Turn, ...]
"""Turns in order; the last is the user's, and is to be answered."""


@dataclass(frozen=True)
class Answer:
    """What a model replies.

    Args:
        text: its words.
        probabilities: for an answer of N flags, how probable the model held each to be 1, in
            [0, 1]; None where it does not tell.
    """

    text: str
    probabilities: tuple[float, ...] | None = None


class LanguageModel(Protocol):
    """What answers the detector's prompts."""

    @property
    def name(self) -> str:
        """The model and all options that its answers depend on; answers are cached under it."""
        ...

    @property
    def max_audio_s(self) -> float:
        """The longest sound that it hears to the end, in seconds."""
        ...

    def answer(self, dialogues: Sequence[Dialogue]) -> list[Answer]:
        """A free answer to each dialogue.

        Raises:
            LanguageModelError: it cannot be asked, or does not answer.
        """
        ...

    def answer_flags(self, dialogues: Sequence[Dialogue], windows: int) -> list[Answer]:
        """A list of ``windows`` flags, "[1,0,...]", to each dialogue.

        A model that can be held to that form is; from others the text may be anything.

        Raises:
            LanguageModelError: it cannot be asked, or does not answer.
        """
        ...


def checked_model(llm: LanguageModel) -> LanguageModel:
    """A language model that has what `LanguageModel` says.

    Raises:
        CoPropError: it lacks something.
    """
    for name in ("answer", "answer_flags"):
        if not callable(getattr(llm, name, None)):
            raise CoPropError(
                "llm must be a LanguageModel, or a server's URL, a folder or a name on the hub as "
                f"text; {type(llm).__name__} has no {name}()."
            )
    if not isinstance(getattr(llm, "name", None), str):
        raise CoPropError(f"name of {type(llm).__name__} must be text, as answers are kept by it.")
    wanted = "a positive number of seconds, the longest sound that the model hears"
    given = getattr(llm, "max_audio_s", None)
    longest_s = as_number(given)
    if longest_s is None or not longest_s > 0:
        raise CoPropError(
            f"max_audio_s of {type(llm).__name__} must be {wanted}, got {shown(given)}."
        )
    return llm


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
            f"sounds are float32 NumPy arrays (n,) with n >= 1, mono at {LLM_SAMPLE_RATE} Hz, got "
            f"{given}; Audio.from_array(samples, rate).resampled({LLM_SAMPLE_RATE}).samples is one."
        )
    if not np.isfinite(samples).all():
        raise LanguageModelError(
            "a sound has samples that are NaN or infinite; replace them, for instance with "
            "numpy.nan_to_num()."
        )
    if len(samples) > max_audio_s * LLM_SAMPLE_RATE:
        raise LanguageModelError(
            f"a sound lasts {len(samples) / LLM_SAMPLE_RATE:.3f} s, and {model} hears "
            f"{max_audio_s:g} s; cut it into pieces, since the end of a longer one is not heard."
        )
    shortage = round(MIN_AUDIO_S * LLM_SAMPLE_RATE) - len(samples)
    return np.pad(samples, (0, shortage)) if shortage > 0 else samples
