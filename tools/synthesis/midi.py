"""Short phrases as standard MIDI files, rendered with FluidSynth."""

from __future__ import annotations

import random
import struct
import subprocess
from pathlib import Path

Note = tuple[float, float, int, int]  # start and length in seconds, key, velocity
TICKS_PER_S = 960
SLOT_S = 9.0
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9))
KICK, SNARE, CLOSED, OPEN, CRASH, RIDE = 36, 38, 42, 46, 49, 51
TOMS = (50, 48, 47, 45, 43, 41)

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


def phrases(program: int, count: int, seed: str) -> list[list[Note]]:
    """`count` phrases of 2 to 6 s proper to one melodic program."""
    _, low, high, chords = PROGRAMS[program]
    rng = random.Random(f"{seed}/{program}")
    if program in EFFECT_PROGRAMS:
        return [_effect(rng, low, high) for _ in range(count)]
    makers = [_melody, _melody, _run, _sustained, _repeated] + [_chords, _arpeggio] * chords
    return [rng.choice(makers)(rng, low, high) for _ in range(count)]


def drum_phrases(kit: int, count: int, seed: str) -> list[list[Note]]:
    """`count` patterns for one drum kit of channel 10."""
    rng = random.Random(f"{seed}/kit{kit}")
    return [rng.choice([_beat, _beat, _fill, _single_drum, _ride])(rng) for _ in range(count)]


def render(
    phrases_: list[list[Note]], program: int, *, drums: bool, font: Path, wav: Path
) -> list[tuple[float, float]]:
    """Writes all phrases into one wav and returns where (start and end in seconds) each lies."""
    midi = wav.with_suffix(".mid")
    midi.write_bytes(_midi_file(phrases_, program, channel=9 if drums else 0))
    command = ["fluidsynth", "-ni", "-q", "-g", "0.5", "-r", "44100", "-T", "wav", "-F"]
    subprocess.run([*command, str(wav), str(font), str(midi)], check=True, capture_output=True)
    midi.unlink()
    return [(i * SLOT_S, (i + 1) * SLOT_S) for i in range(len(phrases_))]


def kits() -> tuple[int, ...]:
    """The drum kits rendered."""
    return DRUM_KITS


def _midi_file(phrases_: list[list[Note]], program: int, *, channel: int) -> bytes:
    events: list[tuple[int, int, bytes]] = [(0, 0, bytes([0xC0 | channel, program]))]
    for slot, notes in enumerate(phrases_):
        for start, length, key, velocity in notes:
            on = round((slot * SLOT_S + 0.05 + start) * TICKS_PER_S)
            off = on + max(1, round(length * TICKS_PER_S))
            events.append((on, 2, bytes([0x90 | channel, key, velocity])))
            events.append((off, 1, bytes([0x80 | channel, key, 0])))
    end = round(len(phrases_) * SLOT_S * TICKS_PER_S)
    track, last = b"", 0
    for tick, _, message in [*sorted(events), (end, 3, b"\xff\x2f\x00")]:
        track += _variable_length(tick - last) + message
        last = tick
    # 480 ticks a quarter at the standard tempo of 120 quarters a minute: 960 ticks a second.
    return (
        b"MThd"
        + struct.pack(">IHHHI", 6, 0, 1, 480, 0x4D54726B)
        + struct.pack(">I", len(track))
        + track
    )


def _variable_length(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.insert(0, 0x80 | value & 0x7F)
    return bytes(groups)


def _velocity(rng: random.Random) -> int:
    return rng.randint(60, 120)


def _keys(rng: random.Random, low: int, high: int, count: int, leap: int) -> list[int]:
    """A random walk over a scale inside a range."""
    scale, tonic = rng.choice(SCALES), rng.randrange(12)
    allowed = [k for k in range(low, high + 1) if (k - tonic) % 12 in scale]
    at, keys = rng.randrange(len(allowed)), []
    for _ in range(count):
        keys.append(allowed[at])
        at = min(max(at + rng.randint(-leap, leap), 0), len(allowed) - 1)
    return keys


def _melody(rng: random.Random, low: int, high: int) -> list[Note]:
    beat, total = rng.uniform(0.18, 0.6), rng.uniform(2.0, 6.0)
    notes: list[Note] = []
    at = 0.0
    for key in _keys(rng, low, high, 40, 3):
        length = beat * rng.choice([0.5, 1, 1, 1, 2])
        if at + length > total:
            break
        if rng.random() > 0.1:
            notes.append((at, length * rng.uniform(0.5, 1.0), key, _velocity(rng)))
        at += length
    return notes or [(0.0, 2.0, (low + high) // 2, 90)]


def _run(rng: random.Random, low: int, high: int) -> list[Note]:
    beat = rng.uniform(0.12, 0.3)
    count = min(int(rng.uniform(2.0, 5.0) / beat), 24)
    scale, tonic = rng.choice(SCALES), rng.randint(low, max(low, high - 24))
    keys = [tonic + 12 * octave + step for octave in range(3) for step in scale]
    keys = [k for k in keys if k <= high]
    path = keys + keys[-2:0:-1] if len(keys) > 2 else keys
    velocity = _velocity(rng)
    return [(i * beat, beat, path[i % len(path)], velocity) for i in range(count)]


def _sustained(rng: random.Random, low: int, high: int) -> list[Note]:
    count = rng.choice([1, 1, 2, 3])
    length = rng.uniform(2.0, 5.0) / count
    keys = _keys(rng, low, high, count, 5)
    return [(i * length, length * 0.97, key, _velocity(rng)) for i, key in enumerate(keys)]


def _repeated(rng: random.Random, low: int, high: int) -> list[Note]:
    beat = rng.uniform(0.15, 0.7)
    keys = _keys(rng, low, high, 3, 2)
    count = max(3, int(rng.uniform(2.0, 4.5) / beat))
    return [(i * beat, beat * 0.6, keys[i * 3 // count], _velocity(rng)) for i in range(count)]


def _triad(rng: random.Random, low: int, high: int) -> list[int]:
    root = rng.randint(low, max(low, high - 19))
    third = rng.choice([3, 4])
    return [k for k in (root, root + third, root + 7, root + 12, root + 12 + third) if k <= high]


def _chords(rng: random.Random, low: int, high: int) -> list[Note]:
    count, velocity = rng.choice([1, 2, 3, 4, 6]), _velocity(rng)
    length, spread = rng.uniform(2.5, 5.5) / count, rng.choice([0.0, 0.0, 0.03])
    return [
        (i * length + n * spread, length * 0.9, key, velocity)
        for i in range(count)
        for n, key in enumerate(_triad(rng, low, high))
    ]


def _arpeggio(rng: random.Random, low: int, high: int) -> list[Note]:
    beat, notes = rng.uniform(0.1, 0.3), []
    at, total = 0.0, rng.uniform(2.0, 5.5)
    while at < total:
        for key in _triad(rng, low, high):
            notes.append((at, beat * rng.choice([1, 3]), key, _velocity(rng)))
            at += beat
    return notes


def _effect(rng: random.Random, low: int, high: int) -> list[Note]:
    count = rng.choice([1, 1, 2, 3])
    length = rng.uniform(2.0, 5.0) / count
    return [
        (i * length, length * 0.95, rng.randint(low, high), _velocity(rng)) for i in range(count)
    ]


def _hit(at: float, key: int, velocity: int) -> Note:
    return (at, 0.1, key, velocity)


def _beat(rng: random.Random) -> list[Note]:
    step, steps = rng.uniform(0.1, 0.18), rng.choice([16, 24, 32])
    hat, pulse = rng.choice([CLOSED, CLOSED, RIDE, OPEN]), rng.choice([1, 2])
    kicks = {0, 8} | {rng.randrange(16) for _ in range(3)}
    notes = [_hit(i * step, hat, rng.randint(50, 90)) for i in range(0, steps, pulse)]
    notes += [_hit(i * step, KICK, rng.randint(85, 120)) for i in range(steps) if i % 16 in kicks]
    notes += [_hit(i * step, SNARE, rng.randint(85, 120)) for i in range(4, steps, 8)]
    return [n for n in notes if n[0] < 6.0] + [_hit(0.0, CRASH, 100)] * (rng.random() < 0.3)


def _fill(rng: random.Random) -> list[Note]:
    step, count = rng.uniform(0.08, 0.2), rng.randint(12, 28)
    drums = [SNARE, SNARE, *TOMS]
    notes = [
        _hit(i * step, drums[i * len(drums) // count], rng.randint(70, 120)) for i in range(count)
    ]
    return [*notes, _hit(count * step, CRASH, 115), _hit(count * step, KICK, 115)]


def _single_drum(rng: random.Random) -> list[Note]:
    key = rng.choice([KICK, SNARE, SNARE, CLOSED, OPEN, CRASH, *TOMS])
    step = rng.uniform(0.1, 0.9)
    count = max(2, int(rng.uniform(2.0, 4.0) / step))
    return [_hit(i * step, key, rng.randint(60, 120)) for i in range(count)]


def _ride(rng: random.Random) -> list[Note]:
    step, count = rng.uniform(0.2, 0.35), rng.randint(10, 18)
    notes = [_hit(i * step, RIDE, rng.randint(60, 100)) for i in range(count)]
    notes += [_hit((i + 0.66) * step, RIDE, 60) for i in range(1, count, 2)]
    return notes + [_hit(i * step, rng.choice([KICK, SNARE]), 70) for i in range(count)]
