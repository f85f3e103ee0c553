"""AudioSet's classes that say little of what sounds, and how much their probability counts.

YAMNet gives a general class a higher probability than what it stands for: "Music" 0.95 and "Drum
kit" 0.16 of a drummer. The shares were chosen on recordings of single instruments: from a sixth
down for vague classes, and a half down for families, the right names come first as often as they
can.
"""

from __future__ import annotations

import functools

from coprop.encoders.yamnet import class_names

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


@functools.cache
def shares() -> dict[str, float]:
    """How much of a general class's probability counts, by its name; of all others, all of it."""
    names = class_names()
    vague = set(_VAGUE)
    for first, last in _VAGUE_STRETCHES:
        vague |= set(names[names.index(first) : names.index(last) + 1])
    return dict.fromkeys(_FAMILIES, _FAMILY_SHARE) | dict.fromkeys(vague, _VAGUE_SHARE)
