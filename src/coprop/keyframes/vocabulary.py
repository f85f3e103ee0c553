"""The words for what sounds: which of the default's groups they mean, and how much they say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from coprop.encoders.yamnet import class_names
from coprop.keyframes.groups import sounding_groups

# What people call a thing, or the sound it makes, where that is no ImageNet name. ImageNet has no
# class for people; the classes of that group are clothes and sports gear.
_OTHER_NAMES = {
    "person": (
        *("person", "people", "human", "man", "men", "woman", "women", "child", "children"),
        *("baby", "babies", "boy", "girl", "male", "female", "speech", "speaker", "singer"),
        *("voice", "crowd", "laughter", "choir"),
    ),
    "big_cat": ("lion", "tiger"),
    "poultry": ("rooster", "chicken"),
    "duck": ("goose", "geese"),
    "dog": ("wolf", "wolves", "coyote", "puppy"),
    "cow": ("cattle", "bull"),
    "sheep": ("goat", "lamb"),
    "sea_mammal": ("whale", "dolphin", "seal"),
    "drum": ("tabla", "percussion", "bongo"),
    "guitar": ("ukulele", "banjo", "mandolin"),
    "bowed_strings": ("violin", "cello", "viola", "double bass", "fiddle"),
    "mallets": ("marimba", "xylophone", "glockenspiel", "vibraphone"),
    "reed": ("saxophone", "clarinet", "oboe", "bassoon"),
    "brass": ("trumpet", "trombone", "tuba", "horn"),
    "car": ("bus", "buses", "truck", "ambulance", "vehicle", "siren"),
    "aircraft": ("airplane", "plane", "helicopter", "jet"),
    "boat": ("ship",),
    "motorcycle": ("motorbike",),
    "gun": ("gunshot", "rifle"),
    "tool": ("chainsaw", "hammer", "saw", "drill", "lawn mower"),
    "household": ("keyboard", "typewriter", "vacuum cleaner", "hair dryer"),
}

# YAMNet gives a general class a higher probability than what it stands for: "Music" 0.95 and "Drum
# kit" 0.16 of a drummer. The shares of it that count were chosen on recordings of single
# instruments: from a sixth down for vague classes, and a half down for families, the right names
# come first as often as they can.
_VAGUE_SHARE = 0.1  # as much as is named at all: vague classes come after all others
_FAMILY_SHARE = 0.3

# First and last of classes that follow one another: genres and moods; places and noise.
_VAGUE_STRETCHES = (
    ("Pop music", "Hip hop music"),
    ("Rock music", "Scary music"),
    ("Inside, small room", "Static"),
    ("Distortion", "Cacophony"),
    ("Throbbing", "Vibration"),
)
_VAGUE = (
    *("Animal", "Domestic animals, pets", "Livestock, farm animals, working animals"),
    *("Wild animals", "Music", "Musical instrument", "Hands", "Sound effect", "Silence"),
    *("Harmonic", "Pulse", "Field recording"),
)
_FAMILIES = (
    *("Canidae, dogs, wolves", "Fowl", "Plucked string instrument", "Keyboard (musical)"),
    *("Percussion", "Mallet percussion", "Brass instrument", "Bowed string instrument"),
    *("Wind instrument, woodwind instrument", "Synthesizer", "Sampler", "Electronic tuner"),
    *("Vehicle", "Motor vehicle (road)", "Boat, Water vehicle", "Emergency vehicle"),
    *("Rail transport", "Aircraft", "Engine", "Mechanisms", "Tools", "Power tool", "Explosion"),
    *("Alarm", "Water", "Liquid", "Wood", "Glass"),
)


def groups_named(categories: Iterable[str]) -> frozenset[str]:
    """The groups that the categories name; those that name none are left out.

    A name counts wherever it stands in the text as a word or as several, in the singular or plural,
    with spaces, hyphens or underscores between: "dog_barking", "two men talking". Names of
    AudioSet's classes, such as "Bow-wow", mean the groups that are heard so.

    Args:
        categories: what sounds, in words.

    Example:
        >>> sorted(groups_named(["dog_barking", "two men talking"]))
        ['dog', 'person']
    """
    found: set[str] = set()
    for category in categories:
        words = _words(category)
        phrases = {
            " ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)
        }
        named = {group for name, group in _groups_by_name().items() if name in phrases}
        heard = _groups_by_audioset_name().get(" ".join(words), frozenset())
        # "Trumpet" is heard of elephants too, "Vehicle horn, car horn" has an instrument's name.
        found |= (named & heard) or heard or named
    return frozenset(found)


@cache
def shares() -> dict[str, float]:
    """How much of a general AudioSet class's probability counts, by name; of all others, all of it.

    Example:
        >>> shares()["Music"], "Drum kit" in shares()
        (0.1, False)
    """
    names = class_names()
    vague = set(_VAGUE)
    for first, last in _VAGUE_STRETCHES:
        vague |= set(names[names.index(first) : names.index(last) + 1])
    return dict.fromkeys(_FAMILIES, _FAMILY_SHARE) | dict.fromkeys(vague, _VAGUE_SHARE)


@cache
def _groups_by_audioset_name() -> dict[str, frozenset[str]]:
    """AudioSet's names in normal form -> the groups that are heard so."""
    found: dict[str, frozenset[str]] = {}
    for name, group in sounding_groups().items():
        for heard in group.audioset:
            normal = " ".join(_words(heard))
            found[normal] = found.get(normal, frozenset()) | {name}
    return found


@cache
def _groups_by_name() -> dict[str, str]:
    """Each known name in normal form -> its group; the groups' own names outrank ImageNet's."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    names: dict[str, str] = {}
    for group, known in sounding_groups().items():
        if group != "person":
            for index in known.imagenet:
                for name in info.index_to_description(index).split(","):
                    names[" ".join(_words(name))] = group
    for group, others in _OTHER_NAMES.items():
        names |= {" ".join(_words(name)): group for name in others}
    return names | {" ".join(_words(group)): group for group in sounding_groups()}


def _words(text: str) -> list[str]:
    return [_singular(word) for word in re.findall(r"[a-z]+", text.lower())]


def _singular(word: str) -> str:
    if word.endswith(("ss", "us")) or len(word) < 4:
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word.removesuffix("s")
