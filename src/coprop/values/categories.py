"""What sounds, by name: with probabilities, or in words alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat

from coprop.errors import CoPropError
from coprop.utils.checks import number, shown, whole


@dataclass(frozen=True)
class Category:
    """What something sounds like, in a word or a few.

    Args:
        name: of AudioSet's classes, where coprop names it, such as "Dog" or "Drum kit".
        probability: that it is heard, in [0, 1]. Several may be at once: they need not sum to one.

    Raises:
        CoPropError: a name that is no text or empty, or a probability out of its range.
    """

    name: str
    probability: float

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise CoPropError(f"a category's name must be a word or a few, got {shown(self.name)}.")
        wanted = "a number in [0, 1]"
        probability = number("probability", self.probability, wanted, low=0, high=1)
        object.__setattr__(self, "probability", probability)

    def __str__(self) -> str:
        return f"{self.name} {self.probability:.2f}"


def as_categories(value: object) -> tuple[Category, ...]:
    """Categories in a tuple.

    Raises:
        CoPropError: anything but a tuple or list of them.
    """
    wanted = "a segment's categories must be a tuple of Category(name, probability)"
    if not isinstance(value, (tuple, list)):
        raise CoPropError(f"{wanted}, got {shown(value)}.")
    for each in value:
        if not isinstance(each, Category):
            raise CoPropError(f"{wanted}, got one with {shown(each)} in it.")
    return tuple(value)


def as_label_names(value: object) -> tuple[tuple[int, str], ...]:
    """What labels stand for: pairs of a label from 1 to 255 and a word, in a tuple.

    Args:
        value: pairs, or words by label.

    Raises:
        CoPropError: anything else.
    """
    pairs = tuple(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, (tuple, list)) or not all(
        isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs
    ):
        raise CoPropError(f"names must be words by label, as {{1: 'dog'}}, got {shown(value)}.")
    return tuple(_label_name(*pair) for pair in pairs)


def _label_name(label: object, name: object) -> tuple[int, str]:
    number = whole("a label in names", label, "a label from 1 to 255", low=1, high=255)
    if not isinstance(name, str) or not name.strip():
        raise CoPropError(f"the name of label {number} must be a word, got {shown(name)}.")
    return number, name


def as_words(categories: object) -> tuple[str, ...] | None:
    """Words in a tuple; None where there are none.

    Raises:
        CoPropError: anything but a tuple or list of words; a single one is none.
    """
    if categories is None:
        return None
    if not isinstance(categories, (tuple, list)) or not all(
        isinstance(word, str) for word in categories
    ):
        raise CoPropError(f"categories must be a tuple of words, or None, got {shown(categories)}.")
    return tuple(categories)


def words_of_spans(categories: object, count: int) -> tuple[tuple[str, ...], ...] | None:
    """The words for what is heard from each of ``count`` control points on; None where unknown.

    Raises:
        CoPropError: anything but a tuple of words for each.
    """
    if categories is None:
        return None
    flags = "the one flag" if count == 1 else f"each of the {count} flags"
    wanted = f"categories must be None or a tuple of words for {flags} set"
    if not isinstance(categories, (tuple, list)):
        raise CoPropError(f"{wanted}, got {shown(categories)}.")
    if categories and all(isinstance(word, str) for word in categories):
        raise CoPropError(
            f"{wanted}, got words alone ({', '.join(categories[:3])}); if they are heard from each "
            f"control point on, give (words,) * {count}."
        )
    if len(categories) != count:
        raise CoPropError(
            f"{wanted}, got {len(categories)}; give an empty tuple where nothing is named."
        )
    if not all(isinstance(words, (tuple, list)) for words in categories):
        raise CoPropError(f"{wanted}, got {', '.join(map(shown, categories[:3]))}.")
    return tuple(as_words(words) or () for words in categories)


def probabilities_of_spans(
    probabilities: object, words: tuple[tuple[str, ...], ...] | None
) -> tuple[tuple[float, ...], ...] | None:
    """The probabilities of the words of each span; None where unknown.

    Raises:
        CoPropError: anything but a number in [0, 1] for each word.
    """
    if probabilities is None:
        return None
    wanted = "probabilities must be None or a tuple for each flag set, with a number for each word"
    if words is None:
        raise CoPropError(f"{wanted}, and there are no words; give categories too.")
    if not isinstance(probabilities, (tuple, list)) or len(probabilities) != len(words):
        raise CoPropError(f"{wanted}, {len(words)} here, got {shown(probabilities)}.")
    for own, known in zip(words, probabilities, strict=True):
        if not isinstance(known, (tuple, list)) or len(known) != len(own):
            raise CoPropError(f"{wanted}, {len(own)} for {own}, got {shown(known)}.")
    return tuple(
        tuple(number("a word's probability", p, "a number in [0, 1]", low=0, high=1) for p in known)
        for known in probabilities
    )


def categories_of_spans(
    words: tuple[tuple[str, ...], ...] | None, probabilities: tuple[tuple[float, ...], ...] | None
) -> Iterator[tuple[Category, ...]]:
    """What is heard in each span, one after another; nothing, for ever, where it is not known."""
    if words is None or probabilities is None:
        return repeat(())
    spans = zip(words, probabilities, strict=True)
    return (tuple(map(Category, own, known)) for own, known in spans)
