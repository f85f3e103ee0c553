"""Names of sounds to phrases for what makes them, as detectors that read understand them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from coprop.errors import CoPropError
from coprop.keyframes.groups import sounding_groups
from coprop.keyframes.vocabulary import shares
from coprop.utils.checks import shown

Phrases = Mapping[str, str | None] | Callable[[str], str | None]
"""Names of sounds to phrases, a table or a function; None or "" where there is nothing to be seen.

Names that are not in a table become phrases by themselves: "Violin, fiddle" is "violin".
"""

_THINGS: Mapping[str, tuple[str, ...]] = {
    "baby": ("Baby cry, infant cry", "Baby laughter", "Babbling"),
    "child": (
        *("Child speech, kid speaking", "Children shouting", "Child singing", "Children playing"),
    ),
    "people": ("Crowd", "Cheering", "Applause", "Chatter", "Choir", "Conversation"),
    "dog": (
        *("Bark", "Yip", "Howl", "Bow-wow", "Growling", "Whimper (dog)", "Pant"),
        "Canidae, dogs, wolves",
    ),
    "cat": ("Purr", "Meow", "Hiss", "Caterwaul"),
    "horse": ("Clip-clop", "Neigh, whinny"),
    "cow": ("Cattle, bovinae", "Moo", "Cowbell"),
    "pig": ("Oink", "Snort"),
    "goat": ("Bleat",),
    "chicken": ("Fowl", "Chicken, rooster", "Cluck"),
    "rooster": ("Crowing, cock-a-doodle-doo",),
    "turkey": ("Gobble",),
    "duck": ("Quack",),
    "goose": ("Honk",),
    "lion": ("Roaring cats (lions, tigers)", "Roar"),
    "bird": (
        *("Bird vocalization, bird call, bird song", "Chirp, tweet", "Squawk"),
        "Bird flight, flapping wings",
    ),
    "pigeon": ("Pigeon, dove", "Coo"),
    "crow": ("Caw",),
    "owl": ("Hoot",),
    "mouse": ("Rodents, rats, mice", "Patter"),
    "insect": ("Buzz",),
    "fly": ("Fly, housefly",),
    "bee": ("Bee, wasp, etc.",),
    "frog": ("Croak",),
    "snake": ("Rattle",),
    "whale": ("Whale vocalization",),
    "guitar": (
        *("Plucked string instrument", "Steel guitar, slide guitar", "Strum"),
        "Tapping (guitar technique)",
    ),
    "keyboard instrument": ("Keyboard (musical)",),
    "drum": ("Percussion", "Rimshot", "Drum roll"),
    "violin": ("Violin, fiddle", "Bowed string instrument", "Pizzicato", "String section"),
    "xylophone": ("Marimba, xylophone", "Mallet percussion"),
    "bell": ("Change ringing (campanology)", "Ding", "Ding-dong", "Chime"),
    "turntable": ("Scratching (performance technique)",),
    "car": (
        *("Motor vehicle (road)", "Vehicle horn, car horn, honking", "Toot", "Car alarm"),
        *("Skidding", "Tire squeal", "Car passing by", "Traffic noise, roadway noise", "Engine"),
        *("Medium engine (mid frequency)", "Engine knocking", "Engine starting", "Idling"),
        "Accelerating, revving, vroom",
    ),
    "truck": (
        *("Air brake", "Air horn, truck horn", "Reversing beeps", "Heavy engine (low frequency)"),
    ),
    "fire truck": ("Fire engine, fire truck (siren)",),
    "emergency vehicle": ("Siren",),
    "motorcycle": ("Light engine (high frequency)",),
    "train": (
        *("Rail transport", "Train whistle", "Train horn", "Railroad car, train wagon"),
        *("Train wheels squealing", "Steam whistle", "Clickety-clack"),
    ),
    "airplane": (
        *("Fixed-wing aircraft, airplane", "Aircraft", "Aircraft engine", "Jet engine"),
        "Propeller, airscrew",
    ),
    "ship": ("Foghorn",),
    "gun": ("Gunshot, gunfire", "Fusillade", "Cap gun"),
    "cannon": ("Artillery fire",),
    "clock": ("Tick", "Tick-tock"),
    "telephone": (
        *("Telephone bell ringing", "Ringtone", "Telephone dialing, DTMF", "Dial tone"),
        "Busy signal",
    ),
    "saw": ("Sawing",),
    "axe": ("Chop",),
    "file": ("Filing (rasp)",),
    "sandpaper": ("Sanding",),
    "knife": ("Chopping (food)",),
    "frying pan": ("Frying (food)", "Sizzle"),
    "toilet": ("Toilet flush",),
    "faucet": ("Water tap, faucet", "Drip", "Fill (with liquid)"),
    "computer keyboard": ("Typing",),
    "keys": ("Keys jangling",),
    "playing cards": ("Shuffling cards",),
    "pen": ("Writing",),
    "camera": ("Single-lens reflex camera",),
    "door": ("Slam", "Knock", "Doorbell", "Creak"),
    "cupboard": ("Cupboard open or close",),
    "drawer": ("Drawer open or close",),
    "ball": ("Basketball bounce", "Bouncing"),
    "glass": ("Chink, clink", "Shatter"),
    "sea": ("Ocean", "Waves, surf"),
    "fire": ("Crackle",),
    "leaves": ("Rustling leaves",),
}
_NOTHING = (
    *("Silence", "Wind", "Wind noise (microphone)", "Thunderstorm", "Thunder", "Rumble", "Steam"),
    *("Sonar", "Whoosh, swoosh, swish", "Thump, thud", "Thunk", "Effects unit", "Chorus effect"),
    *("Bang", "Slap, smack", "Whack, thwack", "Smash, crash", "Breaking", "Boom", "Burst, pop"),
    *("Eruption", "Crack", "Splinter", "Squish", "Flap", "Scratch", "Scrape", "Rub", "Roll"),
    *("Crushing", "Crumpling, crinkling", "Tearing", "Beep, bleep", "Ping", "Clang", "Squeal"),
    *("Squeak", "Rustle", "Whir", "Clatter", "Clicking", "Plop", "Jingle, tinkle", "Hum", "Zing"),
    *("Boing", "Crunch", "Sine wave", "Chirp tone", "Mains hum", "White noise", "Pink noise"),
    *("Speech synthesizer", "Synthetic singing", "Tap", "Mechanisms", "Electronic tuner"),
)


@cache
def _table() -> dict[str, str | None]:
    vague = {name: None for name, share in shares().items() if share <= 0.1}
    persons = dict.fromkeys(sounding_groups()["person"].audioset, "person")
    things = {name: thing for thing, names in _THINGS.items() for name in names}
    return {**vague, **persons, **dict.fromkeys(_NOTHING), **things}


def audioset_phrases() -> dict[str, str | None]:
    """The phrases for AudioSet's names, where a name is not what makes the sound.

    Change what you like, and give it as ``phrases``.

    >>> audioset_phrases()["Bark"], audioset_phrases()["Music"]
    ('dog', None)
    """
    return dict(_table())


def check_phrases(phrases: object) -> None:
    """Raise CoPropError unless None, a table of words or a function."""
    if phrases is None or (callable(phrases) and not isinstance(phrases, Mapping)):
        return
    if not isinstance(phrases, Mapping):
        raise CoPropError(
            "phrases must be a dict from names of sounds to phrases, such as {'Bark': 'dog'}, a "
            f"function of a name, or None, got {shown(phrases)}."
        )
    for name, phrase in phrases.items():
        if not isinstance(name, str) or not (phrase is None or isinstance(phrase, str)):
            raise CoPropError(
                "phrases must be names of sounds with phrases, or None where nothing is to be "
                f"seen, got {shown(name)}: {shown(phrase)}."
            )


def phrase_of(name: str, phrases: Phrases | None = None) -> str | None:
    """What to look for where a sound of this name is heard; None for nothing.

    Args:
        name: of a sound.
        phrases: in place of `audioset_phrases`.

    Raises:
        CoPropError: a function returned anything but a phrase or None.

    >>> phrase_of("Bark"), phrase_of("Violin, fiddle"), phrase_of("emergency-car")
    ('dog', 'violin', 'emergency car')
    """
    if callable(phrases) and not isinstance(phrases, Mapping):
        phrase = phrases(name)
    else:
        folded = _folded() if phrases is None else {k.casefold(): v for k, v in phrases.items()}
        phrase = folded.get(name.casefold(), name)
    if phrase is None:
        return None
    if not isinstance(phrase, str):
        raise CoPropError(
            f"phrases must give a phrase or None for a name, got {shown(phrase)} for {name!r}."
        )
    phrase = _plain(phrase) if phrase == name else phrase.strip()
    return phrase if phrase and any(c.isalnum() for c in phrase) else None  # else nothing is named


@cache
def _folded() -> dict[str, str | None]:
    return {name.casefold(): phrase for name, phrase in _table().items()}


def _plain(name: str) -> str | None:
    """The first of a name's alternatives, without what stands in brackets."""
    first = re.sub(r"\s*\(.*?\)", "", name).partition(",")[0]
    words = re.sub(r"[-_]+", " ", first).casefold().split()
    return " ".join(words) or None
