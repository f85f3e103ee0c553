"""The words that are listened for, and which of AudioSet's classes are heard of them."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from coprop.control_points.events.tagger import check_words
from coprop.encoders.yamnet import class_names
from coprop.errors import CoPropError
from coprop.utils.checks import shown

Words = Literal["audioset", "avss"] | Sequence[str]
"""AudioSet's 521 names, the 70 classes of AVSBench-semantic without its background, or a list."""

AVSS = (
    *("accordion", "airplane", "axe", "baby", "bassoon", "bell", "bird", "boat", "boy", "bus"),
    *("car", "cat", "cello", "clarinet", "clipper", "clock", "dog", "donkey", "drum", "duck"),
    *("elephant", "emergency-car", "erhu", "flute", "frying-food", "girl", "goose", "guitar"),
    *("gun", "guzheng", "hair-dryer", "handpan", "harmonica", "harp", "helicopter", "hen"),
    *("horse", "keyboard", "leopard", "lion", "man", "marimba", "missile-rocket", "motorcycle"),
    *("mower", "parrot", "piano", "pig", "pipa", "saw", "saxophone", "sheep", "sitar", "sorna"),
    *("squirrel", "tabla", "tank", "tiger", "tractor", "train", "trombone", "truck", "trumpet"),
    *("tuba", "ukulele", "utv", "vacuum-cleaner", "violin", "wolf", "woman"),
)
"""The classes of AVSBench-semantic, by the dataset's own names, without the background."""

_CHILD = ("Child speech, kid speaking", "Children shouting", "Child singing", "Children playing")
_ADULT = (
    *("Speech", "Conversation", "Narration, monologue", "Shout", "Yell", "Laughter"),
    *("Singing", "Whispering", "Chuckle, chortle"),
)
_ROARING = ("Roaring cats (lions, tigers)", "Roar")
# What is heard of a thing, where no class of AudioSet has its name; or its name is that of a part.
_HEARD_AS: Mapping[str, tuple[str, ...]] = {
    "airplane": ("Fixed-wing aircraft, airplane", "Aircraft", "Aircraft engine", "Jet engine"),
    "axe": ("Chop",),
    "baby": ("Baby cry, infant cry", "Baby laughter", "Babbling"),
    "bassoon": ("Wind instrument, woodwind instrument",),
    "boy": _CHILD,
    "child": _CHILD,
    "clipper": ("Electric shaver, electric razor",),
    "drum": ("Drum", "Drum kit", "Snare drum", "Bass drum", "Drum roll", "Cymbal", "Hi-hat"),
    "emergency car": (
        *("Emergency vehicle", "Police car (siren)", "Ambulance (siren)", "Siren"),
        "Fire engine, fire truck (siren)",
    ),
    "erhu": ("Bowed string instrument",),
    "frying food": ("Frying (food)", "Sizzle"),
    "girl": _CHILD,
    "guzheng": ("Zither",),
    "handpan": ("Steelpan",),
    "hen": ("Chicken, rooster", "Cluck"),
    "keyboard": ("Computer keyboard", "Typing"),
    "leopard": _ROARING,
    "lion": _ROARING,
    "man": _ADULT,
    "mower": ("Lawn mower",),
    "parrot": ("Squawk",),
    "pipa": ("Plucked string instrument",),
    "saw": ("Sawing", "Chainsaw"),
    "tiger": _ROARING,
    "tuba": ("Brass instrument",),
    "wolf": ("Howl", "Canidae, dogs, wolves"),
    "woman": _ADULT,
}
# What sounds without being a thing that the default knows: sources all the same.
_MORE_SOURCES = {
    "fireworks": ("Fireworks", "Firecracker"),
}


@dataclass(frozen=True)
class Vocabulary:
    """The words that are listened for.

    Args:
        words: in order.
        sources: for each word the source that it is heard of, by a name; words of one source come
            and go together. None for words too vague to say that something began.
        shares: how much of a general word's probability counts where the best word is sought.
    """

    words: tuple[str, ...]
    sources: tuple[str | None, ...]
    shares: tuple[float, ...]


def vocabulary(words: Words) -> Vocabulary:
    """The vocabulary that is meant.

    Of AudioSet's names many are of one kind of thing ("Dog", "Bark", "Yip"), and some say little
    ("Animal", "Inside, small room"). Of all others each is a source of its own.

    Raises:
        CoPropError: neither a known vocabulary nor a list of words.
    """
    if isinstance(words, str) and words in ("audioset", "avss"):
        return _audioset() if words == "audioset" else _plain(AVSS)
    if isinstance(words, str) or not hasattr(words, "__iter__"):
        alone = f"; for one word give [{words!r}]" if isinstance(words, str) else ""
        raise CoPropError(
            f'words must be "audioset", "avss" or a list of words, got {shown(words)}{alone}.'
        )
    return _plain(check_words("words", words))


def _plain(words: tuple[str, ...]) -> Vocabulary:
    return Vocabulary(words, words, (1.0,) * len(words))


@cache
def _audioset() -> Vocabulary:
    from coprop.keyframes.groups import sounding_groups
    from coprop.keyframes.vocabulary import shares

    of_groups = {name: group.audioset for name, group in sounding_groups().items()} | _MORE_SOURCES
    meanings = Counter(name for names in of_groups.values() for name in names)
    sources = {
        name: source
        for source, names in of_groups.items()
        for name in names
        if meanings[name] == 1 and name not in shares()
    }
    words = class_names()
    return Vocabulary(
        words,
        tuple(sources.get(word) for word in words),
        tuple(shares().get(word, 1.0) for word in words),
    )


def classes_of(words: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """For each word the AudioSet classes, by number, that are heard of it; none of unknown words.

    A class that one of the words names outright is not counted for another: beside "ukulele",
    "guitar" means guitars alone.
    """
    names = class_names()
    found = {word: _heard_as(word) for word in words}
    outright = {_normal(word): word for word in words}
    numbers = {}
    for word, classes in found.items():
        kept = [
            name
            for name in classes
            if outright.get(_normal(name), word) == word or len(classes) == 1
        ]
        numbers[word] = tuple(names.index(name) for name in kept or classes)
    return numbers


def check_known(words: Sequence[str], classes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuses words that YAMNet hears nothing of.

    Raises:
        CoPropError: there are some; with names that are alike.
    """
    unknown = [word for word in words if not classes[word]]
    if not unknown:
        return
    near = difflib.get_close_matches(unknown[0].casefold(), sorted(_by_part()), 3, 0.6)
    alike = f" Close to {shown(unknown[0])}: {', '.join(map(repr, near))}." if near else ""
    raise CoPropError(
        f"YAMNet knows no sound of {', '.join(map(shown, unknown[:8]))}; words are names of "
        "AudioSet's classes or things they are heard of, such as 'Dog', 'Hammer', 'violin'."
        f"{alike} A PE-A-Frame takes any word."
    )


def _heard_as(word: str) -> tuple[str, ...]:
    """Names of AudioSet's classes."""
    normal = _normal(word)
    if word in class_names():
        return (word,)
    for spelling in (normal, _singular(normal)):
        if spelling in _HEARD_AS:
            return _HEARD_AS[spelling]
    for spelling in (normal, _singular(normal)):
        if spelling in _by_part():
            return _by_part()[spelling]
    return _of_groups(word)


def _of_groups(word: str) -> tuple[str, ...]:
    """Of the groups of things that a word means, the classes that say something."""
    from coprop.keyframes.groups import sounding_groups
    from coprop.keyframes.vocabulary import groups_named, shares

    groups = sounding_groups()
    names = [name for group in sorted(groups_named([word])) for name in groups[group].audioset]
    return tuple(dict.fromkeys(name for name in names if name not in shares()))


@cache
def _by_part() -> dict[str, tuple[str, ...]]:
    """Names of classes, and the parts between their commas, in small letters -> the classes."""
    found: dict[str, tuple[str, ...]] = {}
    for name in class_names():
        for part in dict.fromkeys((name, *name.split(", "), name.partition(" (")[0])):
            normal = _normal(part)
            found[normal] = (*found.get(normal, ()), name) if normal in found else (name,)
    whole = {_normal(name): (name,) for name in class_names()}
    return {**found, **whole}


def _normal(word: str) -> str:
    return " ".join(word.casefold().replace("-", " ").replace("_", " ").split())


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
