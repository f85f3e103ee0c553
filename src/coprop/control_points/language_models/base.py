"""The language model slot: what a model that hears looks like to the detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from coprop.brief import Brief

SAMPLE_RATE = 16_000
"""Of all sound that is handed to language models, in Hz."""


@dataclass(frozen=True, eq=False, repr=False)
class Turn(Brief):
    """What one side says in a dialogue.

    Args:
        role: who says it.
        text: the words.
        audios: sounds that go along, before the words; each (n,) float32 mono in [-1, 1] at
            `SAMPLE_RATE`.
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
