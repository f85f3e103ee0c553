"""What values look like where they are printed: one line, however much they hold."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import fields
from fractions import Fraction
from typing import Any

_LONGEST = 100  # characters of one value
_MOST = 6  # numbers of a list
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode's categories of what steers and shows nothing
_JOINERS = "\u200c\u200d"  # letters of many scripts, and emoji, are made with them


class Brief:
    """A dataclass that is shown in one line; its decorator takes ``repr=False``."""

    def __repr__(self) -> str:
        told = (f"{f.name}={brief(getattr(self, f.name))}" for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(told)})"


def one_line(text: str) -> str:
    """A text as a terminal can show it in a line: what would steer it is written as Python does.

    Names of files may hold line breaks, the beginning of a terminal's command, and marks that turn
    the direction of what follows.
    """
    if text.isprintable():
        return text
    return "".join(repr(c)[1:-1] if _steers(c) else c for c in text)


def first_line(error: BaseException) -> str:
    """What an error says first, without the full stop; its type's name where it says nothing.

    Of a file that cannot be read that is the system's reason alone, without its number and without
    the path, which whoever tells of it names; and no place among bytes.
    """
    if isinstance(error, UnicodeDecodeError):
        return f"it is no text in {error.encoding.upper()}"
    said = getattr(error, "strerror", None) or str(error)
    return said.strip().partition("\n")[0].rstrip(".") or type(error).__name__


def text_of(lines: Iterable[str]) -> str:
    """Lines as one text, each of them as `one_line` has it."""
    return "\n".join(map(one_line, lines))


def _steers(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN and character not in _JOINERS


def brief(value: object) -> str:
    """A value in a few words: arrays by their shape and type, networks by their class."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        return f"{tuple(shape)} {str(dtype).removeprefix('torch.')}"
    if isinstance(value, Fraction):
        return str(value)
    if callable(value) and hasattr(value, "__qualname__"):  # a function, a method, a class
        return str(value.__qualname__)
    if isinstance(value, (tuple, list)) and len(value) > _MOST:
        return f"{len(value)} {type(value[0]).__name__}s"
    if isinstance(value, (tuple, list)):
        listed = ", ".join(brief(item) for item in value)
        text = f"[{listed}]" if isinstance(value, list) else f"({listed})"
    else:
        text = type(value).__name__ if _is_network(value) else repr(value)
    if "\n" in text or len(text) > _LONGEST or " object at 0x" in text:
        return type(value).__name__
    return text


def numbers(values: Sequence[Any] | Iterable[Any], digits: int) -> str:
    """The first of some numbers, with so many decimals."""
    given = list(values)
    shown = ", ".join(f"{value:.{digits}f}" for value in given[:_MOST])
    return shown if len(given) <= _MOST else f"{shown}, ..."


def counted(count: int, noun: str) -> str:
    """Such as "1 frame" and "2 frames"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _is_network(value: object) -> bool:
    return hasattr(value, "state_dict") and "\n" in repr(value)
