"""The dialogue about one chunk of sound, step by step, whoever asks the model and when."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.language_models.base import LLM_SAMPLE_RATE, Answer, Dialogue, Turn
from coprop.control_points.rcpg.answers import Failure, parse_flags, without_thoughts
from coprop.control_points.rcpg.categories import categories_in
from coprop.control_points.rcpg.examples import Example, ExampleStore, Retrieved
from coprop.control_points.rcpg.prompts import Prompts
from coprop.control_points.rcpg.trace import ChunkTrace, Step
from coprop.errors import LanguageModelError
from coprop.types import Audio
from coprop.utils.checks import as_number, shown

_SILENT_ANSWER = "(no answer)"  # chat templates and servers refuse turns without words


@dataclass(frozen=True)
class Question:
    """What the model is to be asked next.

    Args:
        dialogue: all that was said, the question last.
        windows: for a list of so many flags; None for a free answer.
    """

    dialogue: Dialogue
    windows: int | None


@dataclass(frozen=True, eq=False)
class ChunkAudio:
    """What a dialogue is about.

    Args:
        samples: (n,) float32 mono at `LLM_SAMPLE_RATE`.
        windows: N equal windows of it.
        start_s: where in its track it begins, in seconds.
        end_s: where it ends.
        first_window: of the track's, its first, from 0.
    """

    samples: NDArray[np.float32]
    windows: int
    start_s: float
    end_s: float
    first_window: int


@dataclass(frozen=True)
class DialogueOptions:
    """How it is led.

    Args:
        steps: 1 or 3 prompts.
        prompts: their words.
        examples: where to look for annotated examples; None for none.
        num_examples: how many are shown, at most.
        hear_examples: let the model hear them too.
        retries: how often it is asked again for a list, after an answer that holds none.
        max_audio_s: the longest sound that the model hears, in seconds.
    """

    steps: int
    prompts: Prompts
    examples: ExampleStore | None
    num_examples: int
    hear_examples: bool
    retries: int
    max_audio_s: float


@dataclass(frozen=True, eq=False)
class DialogueResult:
    """What came of a dialogue.

    Args:
        flags: (N,) bool, the first True; where no answer could be used, all others False.
        scores: (N,) in [0, 1]: the model's probabilities, or where it gives none the flags; the
            first is 1.
        usable: whether an answer could be used.
        trace: the dialogue.
    """

    flags: NDArray[np.bool_]
    scores: NDArray[np.float64]
    usable: bool
    trace: ChunkTrace


DialogueRun = Generator[Question, Answer, DialogueResult]
"""Gives questions, takes answers, and returns what came of it."""


def dialogue_about(chunk: ChunkAudio, options: DialogueOptions) -> DialogueRun:
    """The dialogue of the paper's section 3.2 about one chunk.

    The sound goes along with the first question. A chunk of one window is not asked for a list,
    since that is [1] by convention.

    Args:
        chunk: the sound.
        options: how to lead it.
    """
    transcript, prompts = _Transcript(chunk, prompts=options.prompts), options.prompts
    categories: tuple[str, ...] | None = None
    described = named = ""
    if options.steps == 3:
        described = yield from transcript.ask("describe", prompts.describe)
        named = yield from transcript.ask("categories", prompts.categories)
        categories = categories_in(named)
    if chunk.windows == 1:
        return _result(transcript, Answer("[1]"), (1,), categories, ())
    question = prompts.say(prompts.control_points, chunk.windows)
    shown: tuple[Example, ...] = ()
    sounds: tuple[tuple[str, NDArray[np.float32]], ...] = ()
    if options.examples is not None:
        names = categories or categories_in(described)
        found = _retrieve(chunk, options, options.examples, names)
        shown = found.examples
        if options.hear_examples:
            sounds = tuple((f"example {_name(e)}", e.read().samples) for e in shown)
        question = "\n".join([*_examples_text(found, options), question])
    answer, flags = yield from transcript.ask_flags(question, sounds, options.retries)
    return _result(transcript, answer, flags, categories, tuple(_name(e) for e in shown))


@dataclass
class _Transcript:
    """A dialogue as it grows."""

    chunk: ChunkAudio
    prompts: Prompts
    turns: list[Turn] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def ask(self, name: str, prompt: str) -> Generator[Question, Answer, str]:
        """A free answer, without thoughts."""
        text = self.prompts.say(prompt, self.chunk.windows)
        answer = yield from self._ask(name, text, (), None)
        return without_thoughts(answer.text)

    def ask_flags(
        self, question: str, sounds: tuple[tuple[str, NDArray[np.float32]], ...], retries: int
    ) -> Generator[Question, Answer, tuple[Answer, tuple[int, ...] | None]]:
        """The answer that holds a list, and the list; None where none did."""
        windows = self.chunk.windows
        answer = yield from self._ask("control points", question, sounds, windows)
        for remaining in range(retries, -1, -1):
            flags = parse_flags(answer.text, windows)
            if not isinstance(flags, Failure):
                return answer, flags.values
            self.steps[-1] = replace(self.steps[-1], problem=flags.reason)
            if remaining:
                retry = self.prompts.say(self.prompts.retry, windows, problem=flags.reason)
                answer = yield from self._ask("retry", retry, (), windows)
        return answer, None

    def _ask(
        self,
        name: str,
        prompt: str,
        sounds: tuple[tuple[str, NDArray[np.float32]], ...],
        windows: int | None,
    ) -> Generator[Question, Answer, Answer]:
        if not self.turns:
            span = f"{self.chunk.start_s:.2f} to {self.chunk.end_s:.2f} s"
            sounds = ((span, self.chunk.samples), *sounds)
        audios = tuple(samples for _, samples in sounds)
        self.turns.append(Turn("user", prompt, audios))
        answer = yield Question(tuple(self.turns), windows)
        probabilities = None if windows is None else answer.probabilities
        if probabilities is not None:
            _check_probabilities(probabilities, windows)
        named = tuple(what for what, _ in sounds)
        self.steps.append(Step(name, prompt, named, answer.text, probabilities=probabilities))
        self.turns.append(Turn("assistant", without_thoughts(answer.text) or _SILENT_ANSWER))
        return answer


def _retrieve(
    chunk: ChunkAudio, options: DialogueOptions, examples: ExampleStore, categories: tuple[str, ...]
) -> Retrieved:
    longest_s = options.max_audio_s if options.hear_examples else float("inf")
    sound = Audio(chunk.samples, LLM_SAMPLE_RATE)
    return examples.retrieve(categories, sound, options.num_examples, longest_s=longest_s)


def _examples_text(found: Retrieved, options: DialogueOptions) -> Iterator[str]:
    prompts = options.prompts
    if not found.examples:
        return
    intro = prompts.same_category if found.by_category else prompts.alike
    yield prompts.say(intro, len(found.examples[0].flags))
    for number, example in enumerate(found.examples, start=1):
        yield prompts.say(
            prompts.example if example.categories else prompts.unnamed_example,
            len(example.flags),
            number=number,
            categories=", ".join(c.replace("_", " ") for c in example.categories),
            flags="[" + ",".join(map(str, example.flags)) + "]",
        )
    if options.hear_examples:
        yield prompts.say(prompts.examples_heard, len(found.examples[0].flags))


def _name(example: Example) -> str:
    return example.name or example.audio.name


def _check_probabilities(probabilities: object, windows: int | None) -> None:
    numbers = [as_number(p) for p in probabilities] if isinstance(probabilities, Sequence) else []
    if len(numbers) != windows or not all(p is not None and 0 <= p <= 1 for p in numbers):
        raise LanguageModelError(
            f"the model gave {shown(probabilities)} as probabilities for {windows} windows; there "
            "must be one in [0, 1] for each, or none at all."
        )


def _result(
    transcript: _Transcript,
    answer: Answer,
    flags: tuple[int, ...] | None,
    categories: tuple[str, ...] | None,
    examples: tuple[str, ...],
) -> DialogueResult:
    chunk = transcript.chunk
    trace = ChunkTrace(
        chunk.start_s, chunk.end_s, chunk.first_window, tuple(transcript.steps), flags, categories,
        examples,
    )  # fmt: skip
    values = flags or (1, *[0] * (chunk.windows - 1))
    probable = None if flags is None else answer.probabilities
    scores = np.array(values if probable is None else probable, dtype=np.float64)
    scores[0] = 1.0
    return DialogueResult(np.array(values, dtype=np.bool_), scores, flags is not None, trace)
