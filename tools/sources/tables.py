"""What a collector finds, and which file or folder shows or sounds which group."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TUXPAINT = "usr/share/tuxpaint/stamps"
RCC = "usr/share/gcompris-qt/rcc"
SCRATCH_MEDIA = "usr/share/scratch/Media"


@dataclass(frozen=True)
class Entry:
    """One picture, background or recording; several paths are pieces of one recording.

    Entries of one series (takes of one session, one speaker) are kept together.
    """

    kind: str
    paths: tuple[Path, ...]
    group: str | None
    source: str
    licence: str
    ships: bool = True
    test_only: bool = False
    series: str = ""


# None: something that makes no sound (pictures), or a sound of nothing that can be seen.
CALTECH: dict[str, str | None] = {
    "Faces_easy": "person",
    "Leopards": "big_cat",
    "Motorbikes": "motorcycle",
    "accordion": "accordion",
    "airplanes": "aircraft",
    "car_side": "car",
    "cellphone": "telephone",
    "chair": None,
    "cougar_face": "big_cat",
    "cup": None,
    "dalmatian": "dog",
    "dragonfly": "insect",
    "electric_guitar": "guitar",
    "elephant": "elephant",
    "emu": "bird",
    "euphonium": "brass",
    "flamingo": "bird",
    "gramophone": None,
    "grand_piano": "piano",
    "helicopter": "aircraft",
    "ibis": "bird",
    "lamp": None,
    "mandolin": "guitar",
    "metronome": "clock",
    "pigeon": "bird",
    "revolver": "gun",
    "rooster": "poultry",
    "saxophone": "reed",
    "soccer_ball": None,
    "sunflower": None,
    "umbrella": None,
    "watch": "clock",
    "wild_cat": "cat",
}

FREESOUND: dict[str, str | None] = {
    "acoustic_guitar": "guitar",
    "bass_drum": "drum",
    "cello": "bowed_strings",
    "clarinet": "reed",
    "double_bass": "bowed_strings",
    "flute": "flute",
    "hi_hat": "drum",
    "saxophone": "reed",
    "snare_drum": "drum",
    "violin_or_fiddle": "bowed_strings",
}

ANIMALS: dict[str, str | None] = {
    "bird": "bird",
    "cat": "cat",
    "chicken": "poultry",
    "cow": "cow",
    "dog": "dog",
    "donkey": "horse",
    "frog": "frog",
    "lion": "big_cat",
    "monkey": "monkey",
    "sheep": "sheep",
}

# Stamps, by folder/name first and then by folder; what is not listed makes no sound.
STAMP_FOLDERS: dict[str, str | None] = {
    "animals/amphibians": "frog",
    "animals/birds": "bird",
    "animals/insects": "insect",
    "animals/mammals/apes": "monkey",
    "animals/mammals/aquatic": "sea_mammal",
    "animals/mammals/bears": "bear",
    "animals/mammals/bovines": "cow",
    "animals/mammals/cats": "big_cat",
    "animals/mammals/dogs": "dog",
    "animals/mammals/equines": "horse",
    "hobbies/music/brass": "brass",
    "hobbies/music/percussion": "drum",
    "hobbies/music/string": "guitar",
    "hobbies/music/wind": "reed",
    "household/tools": "tool",
    "people": "person",
    "vehicles/auto": "car",
    "vehicles/construction": "car",
    "vehicles/emergency": "car",
    "vehicles/flight/planes": "aircraft",
    "vehicles/masstransit": "car",
    "vehicles/race": "car",
    "vehicles/ship": "boat",
}
_STAMP_NAMES: dict[str | None, str] = {
    "poultry": "chicken_profile hen rooster turkey guineafowl helmeted_guineafowl",
    "duck": "drake duck gander",
    "sheep": "goat mountaingoat ram sheep sheep_lamb",
    "pig": "pig pig_golden pig_golden2 wildboar",
    "elephant": "elephant",
    "insect": "mosquito",
    "bowed_strings": "cello violin",
    "car": "garbagetruck",
    "aircraft": "f22_raptor",
    "household": "kettle toilet teapot Washing-machine vacuum_cleaner",
    "cat": "blackcat",
    None: "Brown_slug Woodlouse otter fox gnu-baby gnu-baby-stand gnu-sitting gnu-stand "
    "indian_blackbuck measuring_tape paintbrush_large cementmixer spade",
}
STAMP_NAMES: dict[str, str | None] = {
    name: group for group, names in _STAMP_NAMES.items() for name in names.split()
}
# Drawn, lettered, doubled, of doubtful licence, or no thing at all.
STAMP_SKIPPED_FOLDERS = [
    "cartoon",
    "symbols",
    "roadsigns",
    "flags",
    "military/ammunition",
    "naturalforces",
    "people/toys",
    "body_parts",
    "dinosaur",
    "space",
    "seasonal",
    "houses",
    "monuments",
    "bears/toys",
    "town",
    "hats",
    "clothes",
]
STAMP_SKIPPED_NAMES = {
    "firetruck",
    "final-roll-call",
    "paratrooper",
    "fireman240a",
    "Lightbulb",
    "confetti",
    "lightningbolt",
    "rubberduck",
    "cylinder",
    "button",
    "pizza",
    "infantry-stryker",
    "bradley",
    "ww2_german_gun",
    "key",
    "candle",
    "explosion",
    "fire",
}
# Of doubtful licence; the same recording as another.
STAMP_SOUND_SKIPPED = {"firetruck", "dromedary"}
STAMP_SOUND_SKIPPED_FOLDERS = [
    "symbols",
    "roadsigns",
    "military",
    "space",
    "seasonal",
    "flags",
    "food",
    "cartoon",
]

# Photographic costumes of Scratch; the others are drawn. The name to a digit or dash is one model.
_SCRATCH: dict[str | None, str] = {
    "person": "amon1 anjuli-1 anjuli-2 anjuli-3 anjuli-4 anjuli-5 anna-1 anna-2 anna-3 "
    "breakdancer1 breakdancer2 breakdancer3 calvrett calvrett-jumping calvrett-thinking "
    "cassy-chillin cassy-dancing-1 cassy-dancing-2 cassy-dancing-3 cassy-dancing-4 "
    "cassy-jumping-1 cassy-jumping-2 cassy-phone-1 cassy-sitting-1 cassy-standing-1 chamak1 "
    "chamak2 dan1 dan2 dan3 dan4 dan5 dan6 ed football-run football-stand jay jodi1 jodi2 "
    "lee-fan mako-laughing mako-screaming mako-stop marissa marissa-crouching marissa-sitting "
    "nathan nina1 paul1 referee1 referee2 ribbon-dancer sam thai-dancer thai-dancer2",
    "bird": "bird-flying",
    "cow": "buffalo1 cow1",
    "elephant": "elephant",
    "insect": "grasshopper2 insect1-a insect1-b insect2",
    "aircraft": "airplane",
    "car": "bus car-blue car-bug car-cow street-cleaner-mit",
    "boat": "sail-boat tug-boat yacht",
    "train": "train",
    None: "squirrel1 bike fire-hydrant flower-vase fortune_cookie fruit_platter hair1 hair2 lamp "
    "lego manhole marble-building palmtree rock umbrella",
}
SCRATCH: dict[str, str | None] = {
    name: group for group, names in _SCRATCH.items() for name in names.split()
}

# Drawings that an ImageNet network takes for what they show, for groups short of photographs.
_DRAWN_INSTRUMENTS: dict[str, str] = {
    "bowed_strings": "cello violin",
    "brass": "horn trombone trumpet tuba",
    "drum": "bongo cymbal drum_kit snare_drum timpani",
    "flute": "flute_traversiere",
    "harp": "harp",
    "reed": "clarinet saxophone",
}
DRAWN_INSTRUMENTS = {
    name: group for group, names in _DRAWN_INSTRUMENTS.items() for name in names.split()
}
CLIP_ART = {
    "animals/mammals/big_cats/tigre04_architetto_franc_01": "big_cat",
    "animals/mammals/dogs/beagle_copper_ganson": "dog",
    "animals/fish/orca_matthew_gates_r": "sea_mammal",
    "animals/bugs/ant": "insect",
    "animals/bugs/cavalletta_architetto_fr_01": "insect",
    "food/beverages/teapot_ganson": "household",
    "recreation/music/africandrum_benji_park2": "drum",
    "recreation/music/djambf_ganson": "drum",
    "recreation/music/harp1_ganson": "harp",
    "recreation/music/harp_mo_01": "harp",
    "recreation/music/oboe_ganson": "reed",
    "recreation/music/trumpet_pocket_colour_ganso": "brass",
    "tools/blue_vacuum_cleaner_jaim_01": "household",
    "tools/construction_hammer_jon__01": "tool",
    "tools/ferro_da_stiro_architett_01": "household",
    "transportation/boating/boat_jarno_vasamaa1": "boat",
    "transportation/boating/sailboat_illustration_labels": "boat",
    "transportation/vehicles/trawler_01": "boat",
}
