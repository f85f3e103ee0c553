"""Categories of sound in words: read out of prose, and compared with one another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from coprop.control_points.rcpg.numbers import NUMBERS

SAME_GROUP = 0.5
"""How alike two names are that share no word but belong to one of the default's groups."""

LEAST_LIKENESS = 0.5
"""Names less alike than this are of different categories."""

_LONGEST_NAME = 5  # words; longer runs are no names

# Words that tell nothing of what sounds.
_FILLER_WORDS = """
a an the this that these those it its they them their there here he she his her we i you
and or but nor so as if then than while when where which who whose what how both either each
every all any some several many few more most other others another such same
of in on at by to from for with within into over under during between throughout through about
after before along around near behind alongside amid together
is are was were be been being am has have had having do does did can could may might will would
shall should must seem seems appear appears include includes including contain contains
containing consist consists comprise comprises feature features featuring present hear hears
heard identify identified distinguish recognize detect detected occur occurs follow follows
followed accompany accompanied make makes making made create creates come comes coming start
starts end ends begin begins play plays played playing perform performs performed performing
produce produces produced
sound sounds sounding noise noises audio audios audible type types kind kinds sort sorts
category categories class classes source sources segment segments clip clips recording
recordings track piece part parts frame frames second seconds file input content background
foreground beginning
different distinct various separate unique primary main mainly overall total number first
last also only just very likely possibly probably perhaps namely respectively
first second third finally next
"""
_FILLERS = frozenset(_FILLER_WORDS.split()) | {w for words in NUMBERS for w in words.split()}
_IRREGULAR = {
    **{"men": "man", "women": "woman", "children": "child", "people": "person", "mice": "mouse"},
    **{"wolves": "wolf", "geese": "goose", "buses": "bus", "sheep": "sheep"},
}
_NOT = frozenset(("no", "not", "without", "neither", "nor", "never", "none"))


def categories_in(text: str) -> tuple[str, ...]:
    """The names of what sounds in an answer, in prose or as a list, each once.

    A name is a run of words that tell something, in lower case and in the singular: "There are two
    different types of audio in this segment, one for cello and the other for pianos." names
    "cello" and "piano". What stands after a "no" or "without" is left out.

    Args:
        text: the answer.
    """
    found: dict[str, None] = {}
    for piece in re.split(r"[^\w\s'’_-]|\s[-–—]\s|\n", text):
        run: list[str] = []
        denied = False
        for word in [*_words(piece), ""]:
            if word and word not in _FILLERS and word not in _NOT:
                run.append(word)
                continue
            if 0 < len(run) <= _LONGEST_NAME and not denied:
                found[" ".join(run)] = None
            denied = word in _NOT or (denied and not run)
            run = []
    return tuple(found)


def normal_name(category: str) -> str:
    """A category in normal form: lower case, singular, without fillers; "playing_cellos": "cello".

    Where nothing but fillers is in it, they stay.
    """
    words = _words(category)
    return " ".join([word for word in words if word not in _FILLERS] or words)


def likeness(first: Sequence[str], second: Sequence[str]) -> float:
    """How alike two sets of categories are, in [0, 1].

    Each name counts with its best partner in the other set; names that are less than half alike
    count nothing. Two names are as alike as the share of words that they have in common, of all
    their words and of the shorter one's, in the mean; names of one group of the default's, such as
    "man" and "female singing", or "cello" and "violin", at least half.

    Args:
        first: categories in words.
        second: the same.
    """
    if not first or not second:
        return 0.0
    rows = [[_name_likeness(a, b) for b in second] for a in first]
    best = [*map(max, rows), *map(max, zip(*rows, strict=True))]
    return float(sum(best) / len(best))


def _name_likeness(first: str, second: str) -> float:
    a, b = frozenset(normal_name(first).split()), frozenset(normal_name(second).split())
    if not a or not b:
        return 0.0
    both = len(a & b)
    shared = (both / len(a | b) + both / min(len(a), len(b))) / 2  # "dog" is in "dog barking"
    if shared < SAME_GROUP and _groups(first) & _groups(second):
        shared = SAME_GROUP
    return shared if shared >= LEAST_LIKENESS else 0.0


@lru_cache(maxsize=4096)
def _groups(name: str) -> frozenset[str]:
    from coprop.keyframes.vocabulary import groups_named  # loads timm for ImageNet's names

    return groups_named([name])


def _words(text: str) -> list[str]:
    found: Iterable[str] = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text.lower())
    letters = [word for word in found if len(word) > 1 or not word.isascii()]
    return [_singular(word) for word in letters]


def _singular(word: str) -> str:
    word = re.sub(r"['’]s?$", "", word)
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _FILLERS or len(word) < 4 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes")):
        return word[:-2]
    return word.removesuffix("s")
