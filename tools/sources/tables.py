"""Which file, folder or General MIDI program shows or sounds which group."""

from __future__ import annotations

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

# General MIDI programs from 0: (programs, group, lowest and highest note, may sound chords).
_PROGRAMS: list[tuple[str, str | None, int, int, bool]] = [
    ("0 1 2 3 4 5 6", "piano", 33, 96, True),
    ("8 10", "mallets", 60, 96, True),
    ("9 13", "mallets", 72, 100, True),
    ("11 12", "mallets", 48, 89, True),
    ("14", "bell", 55, 79, True),
    ("112", "bell", 65, 96, True),
    ("16 17 18 19 20", "organ", 36, 88, True),
    ("21 23", "accordion", 48, 88, True),
    ("24 25 26 27 28 29 30", "guitar", 40, 80, True),
    ("105", "guitar", 50, 80, True),
    ("33 34 35 36", "guitar", 28, 55, False),
    ("32 43", "bowed_strings", 28, 58, False),
    ("40 110", "bowed_strings", 55, 96, False),
    ("41", "bowed_strings", 48, 84, False),
    ("42", "bowed_strings", 36, 72, False),
    ("44 45 48 49", "bowed_strings", 36, 88, True),
    ("46", "harp", 36, 96, True),
    ("52 53", "person", 48, 79, True),
    ("56 59", "brass", 54, 84, False),
    ("57", "brass", 40, 70, False),
    ("58", "brass", 29, 58, False),
    ("60", "brass", 41, 75, False),
    ("61", "brass", 43, 79, True),
    ("64", "reed", 56, 84, False),
    ("65", "reed", 49, 80, False),
    ("66", "reed", 44, 74, False),
    ("67", "reed", 36, 66, False),
    ("68 111", "reed", 58, 88, False),
    ("69", "reed", 52, 80, False),
    ("70", "reed", 34, 68, False),
    ("71", "reed", 50, 88, False),
    ("72", "flute", 74, 102, False),
    ("73 74 75 76 77 78 79", "flute", 60, 94, False),
    ("47", "drum", 40, 57, False),
    ("114", "drum", 55, 84, True),
    ("116 117 118", "drum", 40, 67, False),
    ("123", "bird", 60, 84, False),
    ("124", "telephone", 66, 78, False),
    ("125", "aircraft", 48, 66, False),
    ("127", "gun", 48, 70, False),
    ("15 22 104 106 107 108 109", None, 48, 84, True),
    ("38 39 50 51 54 55 62 63", None, 40, 76, True),
    ("80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95", None, 45, 84, True),
    ("96 97 98 99 100 101 102 103", None, 45, 84, True),
    ("121 122 126", None, 50, 72, False),
]
PROGRAMS: dict[int, tuple[str | None, int, int, bool]] = {
    int(program): (group, low, high, chords)
    for programs, group, low, high, chords in _PROGRAMS
    for program in programs.split()
}
EFFECT_PROGRAMS = {121, 122, 123, 124, 125, 126, 127}
DRUM_KITS = (0, 8, 16, 24, 25, 32, 40, 48)
