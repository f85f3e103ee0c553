"""Language models that answer by a script, for the tests of dialogues."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.language_models.base import Answer, Dialogue
from coprop.types import Audio

RATE = 16_000


class Scripted:
    """Answers each dialogue by a function of it and the wanted number of flags.

    Attributes:
        calls: the dialogues of each call, with the number of flags, None for a free answer.
    """

    def __init__(
        self,
        script: Callable[[Dialogue, int | None], Answer | str],
        *,
        max_audio_s: float = 30.0,
        name: str = "scripted",
    ) -> None:
        self.script = script
        self.max_audio_s = max_audio_s
        self.name = name
        self.calls: list[tuple[list[Dialogue], int | None]] = []
        self._lock = threading.Lock()

    def answer(self, dialogues: Sequence[Dialogue]) -> list[Answer]:
        return self._answers(dialogues, None)

    def answer_flags(self, dialogues: Sequence[Dialogue], windows: int) -> list[Answer]:
        return self._answers(dialogues, windows)

    @property
    def asked(self) -> list[Dialogue]:
        """Every dialogue that it was asked about, in order."""
        return [dialogue for dialogues, _ in self.calls for dialogue in dialogues]

    def _answers(self, dialogues: Sequence[Dialogue], windows: int | None) -> list[Answer]:
        with self._lock:
            self.calls.append((list(dialogues), windows))
        answers = [self.script(dialogue, windows) for dialogue in dialogues]
        return [Answer(a) if isinstance(a, str) else a for a in answers]


class Served(Scripted):
    """One that is asked several at a time."""

    concurrency = 3


def hears_levels(dialogue: Dialogue, windows: int | None) -> str:
    """The true flags of `stepped` sound: where a window is louder or softer than the one before."""
    if windows is None:
        return "There are two: a dog barking and a cello."
    sound = dialogue[0].audios[-1]
    edges = [len(sound) * i // windows for i in range(windows + 1)]
    levels = [round(20 * float(np.median(np.abs(sound[a:b])))) for a, b in pairwise(edges)]
    flags = [1, *(int(a != b) for a, b in pairwise(levels))]
    return "[" + ",".join(map(str, flags)) + "]"


def stepped(flags: Sequence[int], window_s: float = 1.0) -> Audio:
    """Constant sound whose level is another from each flagged window on."""
    steps = np.cumsum(flags) % 15 + 1
    length = round(window_s * RATE)
    samples: NDArray[np.float32] = np.repeat(steps / 20, length).astype(np.float32)
    return Audio(samples, RATE)
