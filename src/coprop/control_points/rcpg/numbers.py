"""Numbers in English words, as the paper's prompts spell them."""

from __future__ import annotations

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = {
    **{"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth"},
    **{"nine": "ninth", "twelve": "twelfth"},
}
_LARGEST = 999


def cardinal(number: int) -> str:
    """A number from 0 to 999 in words, "sixty-four"; others in digits."""
    if not 0 <= number <= _LARGEST:
        return str(number)
    if number < len(_SMALL):
        return _SMALL[number]
    hundreds, rest = divmod(number, 100)
    if hundreds:
        words = f"{_SMALL[hundreds]} hundred"
        return f"{words} and {cardinal(rest)}" if rest else words
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens]}-{_SMALL[ones]}" if ones else _TENS[tens]


def ordinal(number: int) -> str:
    """A number from 0 to 999 as an ordinal in words, "sixty-fourth"; others as "1000th"."""
    words = cardinal(number)
    if words.isdigit() or words.startswith("-"):
        return f"{words}{_digit_ending(abs(number))}"
    start, last = words[: -len(_last_word(words))], _last_word(words)
    if last in _ORDINALS:
        return start + _ORDINALS[last]
    return start + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def _last_word(words: str) -> str:
    return words.replace("-", " ").split(" ")[-1]


def _digit_ending(number: int) -> str:
    if 10 <= number % 100 < 20:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


NUMBERS = {word(i): i for i in range(_LARGEST + 1) for word in (cardinal, ordinal)}
"""The words that `cardinal` and `ordinal` use -> the number."""
