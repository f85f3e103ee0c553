from __future__ import annotations

import pytest

from coprop.control_points.rcpg.numbers import NUMBERS, cardinal, ordinal
from coprop.control_points.rcpg.prompts import EXAMPLE_BASED, TABLE_2B, Prompts
from coprop.errors import CoPropError

# The paper's words, sections 4.3 and 3.2.
ONE_STEP = (
    "Divide the audio into five frames. Assume the audio category of the first frame is 1. If the "
    "category of the current frame matches the previous frame, output 0; otherwise, output 1. "
    "Provide the categories of frames one through five in sequence, formatted as a list."
)
EXAMPLES = (
    "When the category, timbre, and quantity of the current frame audio differ from the previous "
    "frame, we call the current frame a keyframe. The audio frames are evenly divided into ten "
    "frames, keyframes are marked as 1, and non-key frames are marked as 0. Please output the "
    "categories of these ten frames in order from the first frame to the tenth frame in the format "
    "of a list."
)


def test_the_papers_words() -> None:
    assert TABLE_2B.describe == "Please describe the input audio."
    assert TABLE_2B.categories == ("How many different sound categories are present in the audio?")
    assert TABLE_2B.say(TABLE_2B.control_points, 5) == ONE_STEP
    assert EXAMPLE_BASED.describe == "Please briefly describe the content of this audio."
    assert EXAMPLE_BASED.say(EXAMPLE_BASED.control_points, 10) == EXAMPLES


@pytest.mark.parametrize(
    ("number", "words", "place"),
    [
        (1, "one", "first"),
        (12, "twelve", "twelfth"),
        (20, "twenty", "twentieth"),
        (64, "sixty-four", "sixty-fourth"),
        (110, "one hundred and ten", "one hundred and tenth"),
        (600, "six hundred", "six hundredth"),
        (1000, "1000", "1000th"),
        (1002, "1002", "1002nd"),
        (1011, "1011", "1011th"),
    ],
)
def test_numbers_in_words(number: int, words: str, place: str) -> None:
    assert cardinal(number) == words
    assert ordinal(number) == place
    assert NUMBERS.get(words, number) == number


def test_words_of_ones_own() -> None:
    own = Prompts(control_points="{count} flags, {n}, to the {nth}. {{literally}}")
    assert own.say(own.control_points, 3) == "3 flags, three, to the third. {literally}"


@pytest.mark.parametrize("text", ["{frames} frames", "{", "{0}", "{n.x}"])
def test_bad_braces_are_named(text: str) -> None:
    with pytest.raises(CoPropError, match="the prompt control_points cannot be filled in"):
        Prompts(control_points=text)
