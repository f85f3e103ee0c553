"""Reads lists of flags out of what a language model answers."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from coprop.control_points.rcpg.numbers import NUMBERS
from coprop.errors import CoPropError


@dataclass(frozen=True)
class Flags:
    """A list that was found.

    Args:
        values: one for each window, 0 or 1; the first is always 1.
    """

    values: tuple[int, ...]


@dataclass(frozen=True)
class Failure:
    """Why an answer holds no usable list.

    Args:
        reason: in words that continue "This cannot be used:".
    """

    reason: str


# Brackets and commas that Unicode's compatibility form does not turn into ASCII.
_MARKS = str.maketrans({"【": "[", "】": "]", "〔": "[", "〕": "]", "、": ","})
_THOUGHTS = re.compile(r"<(think|thinking|thought|reasoning)>.*?(</\1>|\Z)", re.DOTALL | re.I)
_THOUGHTS_END = re.compile(r"\A.*</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.I)
_SEPARATORS = re.compile(r"[\s,;]+")
_FLAG = re.compile(r"""(['"]?)([01])(?:\.0*)?\1""")
_ALL_FLAGS = re.compile(r"[01](?:[\s,;]+[01])*[\s,;.]*")
_LABEL = re.compile(r"[^\d\[\]:]{0,40}:\s*|[-*>]\s+")
_SAYS = r"[*_`\"']*\s*(?:is|=|->|→|:|-)\s*[*_`\"']*([01])(?![\w.]*\d)"
_LABELLED = re.compile(r"\b(?:frame|window|second)\s*(?:#\s*)?(\d{1,5}|[a-z-]{1,40})" + _SAYS, re.I)
_ORDINAL = re.compile(
    r"\b([a-z-]{1,40}|\d{1,5}(?:st|nd|rd|th))\s+(?:frame|window|second)" + _SAYS, re.I
)


def parse_flags(text: str, windows: int) -> Flags | Failure:
    """The last list of ``windows`` flags in an answer.

    Lists are in square brackets, whatever stands around them, nested or not; spaces, line ends,
    semicolons, quotes and a comma at the end do not matter, nor do digits of full width. Without
    any bracket, a line of nothing but flags is taken, and so are "Frame 1: 1, Frame 2: 0, ..."
    where each frame is named once. What a model thinks between ``<think>`` tags does not count.

    The first flag is 1 in what is returned, whatever the answer says, since the beginning is
    always a control point.

    Args:
        text: the answer.
        windows: N >= 1.

    Raises:
        CoPropError: windows below 1.
    """
    if windows < 1:
        raise CoPropError(f"windows must be at least 1, got {windows}.")
    if not text.strip():
        return Failure("it is empty")
    said = without_thoughts(_plain(text))
    if not said:
        return Failure("it holds thoughts and no answer")
    found, others = _lists(said)
    if not found:
        found = [*_lines(said), *_labelled(said, windows)]
    for values in reversed(found):
        if len(values) == windows:
            return Flags((1, *values[1:]))
    return Failure(_problem(found, others, windows))


def without_thoughts(text: str) -> str:
    """An answer without what stands between ``<think>`` tags, stripped.

    Thoughts may begin before the answer does or break off with it.
    """
    return _THOUGHTS_END.sub("", _THOUGHTS.sub("", text)).strip()


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_MARKS)


def _lists(text: str) -> tuple[list[tuple[int, ...]], bool]:
    """Bracketed lists of flags in order of their ends, and whether there are brackets of others.

    Of nested brackets the innermost count, and then all that the outermost hold.
    """
    found: list[tuple[int, ...]] = []
    others = False
    opened: list[int] = []
    for mark in re.finditer(r"[\[\]]", text):
        if mark.group() == "[":
            opened.append(mark.start())
            continue
        if not opened:
            continue
        start = opened.pop()
        content = text[start + 1 : mark.start()]
        nested = "[" in content or "]" in content
        if nested and opened:
            continue
        values = _values(re.sub(r"[\[\]]", " ", content) if nested else content)
        if values:
            found.append(values)
        else:
            others |= values is None and not nested
    return found, others


def _values(content: str) -> tuple[int, ...] | None:
    """The flags in a list's content; None where something else is in it."""
    values = []
    for part in filter(None, _SEPARATORS.split(content)):
        match = _FLAG.fullmatch(part)
        if match is None:
            return None
        values.append(int(match.group(2)))
    return tuple(values)


def _lines(text: str) -> list[tuple[int, ...]]:
    """Lines that are flags and nothing else, and all of the text where it is."""
    found = []
    for line in [*text.splitlines(), text]:
        line = line.strip("`*\t ")
        label = _LABEL.match(line)
        said = line[label.end() :] if label else line
        if _ALL_FLAGS.fullmatch(said):
            found.append(tuple(int(flag) for flag in re.findall("[01]", said)))
    return found


def _labelled(text: str, windows: int) -> list[tuple[int, ...]]:
    """The flags of "Frame 1: 1, ..." where frames 1 to N, or 0 to N - 1, are each named once."""
    for pattern in (_LABELLED, _ORDINAL):
        pairs = [(_number(label), int(flag)) for label, flag in pattern.findall(text)]
        numbers = sorted(-1 if number is None else number for number, _ in pairs)
        if numbers in (list(range(windows)), list(range(1, windows + 1))) and windows > 1:
            return [tuple(flag for _, flag in sorted((n or 0, f) for n, f in pairs))]
    return []


def _number(label: str) -> int | None:
    digits = label[:-2] if label[-2:].lower() in ("st", "nd", "rd", "th") else label
    return int(digits) if digits.isdecimal() else NUMBERS.get(label.lower())


def _problem(found: list[tuple[int, ...]], others: bool, windows: int) -> str:
    if found:
        return f"its list has {len(found[-1])} entries, not {windows}"
    if others:
        return "its list holds other things than 0 and 1"
    return "it holds no list of 0 and 1"
