"""What is said to the language model, in the paper's words where it quotes them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from coprop.control_points.rcpg.numbers import cardinal, ordinal
from coprop.errors import CoPropError

_SAMPLE: dict[str, Any] = {
    **{"n": "five", "nth": "fifth", "count": 5, "number": 1, "categories": "dog", "flags": "[1]"},
    **{"examples": "", "problem": "", "names": ""},
}


@dataclass(frozen=True)
class Prompts:
    """The prompts of each step; braces mark what is filled in.

    Every prompt may use ``{n}`` (the number of windows in words: "five"), ``{nth}`` ("fifth") and
    ``{count}`` (in digits). The defaults are those of the paper's table 2b (section 4.3), which
    asks for five frames; `EXAMPLE_BASED` are those of section 3.2, which asks for ten.

    Args:
        describe: the first of three steps.
        categories: the second; what its answer names is looked up in the examples.
        control_points: the last step, and the only one of a single step.
        same_category: comes before examples of the same category. The paper does not quote its
            words for this and the next four.
        alike: comes before examples that sound alike, where none has the category.
        example: one of the examples; also ``{number}`` (from 1), ``{categories}``, ``{flags}``
            ("[1,0,0,1,0]"), and ``{n}`` of the example.
        unnamed_example: one of which no category is known.
        examples_heard: comes after them, where their sounds go along.
        retry: after an answer that cannot be used; also ``{problem}``.

    Raises:
        CoPropError: braces around something else.
    """

    describe: str = "Please describe the input audio."
    categories: str = "How many different sound categories are present in the audio?"
    control_points: str = (
        "Divide the audio into {n} frames. Assume the audio category of the first frame is 1. If "
        "the category of the current frame matches the previous frame, output 0; otherwise, output "
        "1. Provide the categories of frames one through {n} in sequence, formatted as a list."
    )
    same_category: str = "Here are annotated examples of the same category:"
    alike: str = "Here are annotated examples that sound alike:"
    example: str = "Example {number} ({categories}), divided into {n} frames: {flags}"
    unnamed_example: str = "Example {number}, divided into {n} frames: {flags}"
    examples_heard: str = (
        "The sounds that come with this message are those of the examples, in this order. The "
        "question is about the first audio."
    )
    retry: str = (
        "This cannot be used: {problem}. Answer with a list of {count} entries and nothing else, "
        "each of them 0 or 1, such as [1,0]."
    )

    def __post_init__(self) -> None:
        for field in fields(self):
            try:
                getattr(self, field.name).format_map(_SAMPLE)
            except (KeyError, ValueError, IndexError, AttributeError) as error:
                raise CoPropError(
                    f"the prompt {field.name} cannot be filled in ({error!r}); braces may hold "
                    "{n}, {nth} and {count}, others as the documentation of Prompts says, and "
                    "braces that are meant as such are doubled."
                ) from error

    def say(self, prompt: str, windows: int, **others: object) -> str:
        """A prompt with its braces filled in.

        Args:
            prompt: one of the fields.
            windows: N >= 1.
            others: what else it may use.
        """
        values = {"n": cardinal(windows), "nth": ordinal(windows), "count": windows, **others}
        return prompt.format_map(values)


TABLE_2B = Prompts()
"""The paper's prompts for one step and for three (section 4.3)."""

EXAMPLE_BASED = Prompts(
    describe="Please briefly describe the content of this audio.",
    control_points=(
        "When the category, timbre, and quantity of the current frame audio differ from the "
        "previous frame, we call the current frame a keyframe. The audio frames are evenly divided "
        "into {n} frames, keyframes are marked as 1, and non-key frames are marked as 0. Please "
        "output the categories of these {n} frames in order from the first frame to the {nth} "
        "frame in the format of a list."
    ),
)
"""The paper's prompts for the full method (section 3.2); `categories` is table 2b's, since the
paper shows that of figure 2 in a picture only."""
