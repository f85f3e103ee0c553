"""Recordings, renders and speech: mono 44.1 kHz, trimmed and normalised."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from tools.sources.packs import PACKS, Pack
from tools.sources.pictures import stamp_group
from tools.sources.tables import (
    ANIMALS,
    FREESOUND,
    STAMP_SOUND_SKIPPED,
    STAMP_SOUND_SKIPPED_FOLDERS,
    TUXPAINT,
    Entry,
)
from tools.synthesis.machines import machines, speech
from tools.synthesis.midi import PROGRAMS, drum_phrases, kits, phrases, render

RATE = 44_100
SHORTEST_S, LONGEST_S = 0.3, 12.0
MOST_PIECES = 3
Samples = NDArray[np.float32]


def freesound(folder: Path, out: Path) -> list[Entry]:
    """Recordings of single instruments."""
    return _classes(folder, out / "sounds" / "freesound", FREESOUND, "freesound", "CC0 or CC-BY")


def animals(folder: Path, out: Path) -> list[Entry]:
    """Recordings without a stated licence: they test, and never train weights that ship."""
    target = out / "sounds" / "animals"
    return _classes(folder, target, ANIMALS, "animals", "none stated", ships=False, test_only=True)


def _classes(
    folder: Path,
    target: Path,
    groups: dict[str, str | None],
    source: str,
    licence: str,
    *,
    ships: bool = True,
    test_only: bool = False,
) -> list[Entry]:
    entries = []
    for name, group in groups.items():
        for path in sorted((folder / name).glob("*.*")):
            pieces = convert(path.read_bytes(), target / f"{name}_{path.stem}")
            if pieces:
                entries.append(Entry("sound", pieces, group, source, licence, ships, test_only))
    return entries


def stamps(debs: Path, out: Path) -> list[Entry]:
    """The sounds that stamps make; the spoken descriptions are left to `speech`."""
    root, entries = debs / TUXPAINT, []
    for path in sorted([*root.rglob("*.ogg"), *root.rglob("*.wav")]):
        name = path.relative_to(root).with_suffix("").as_posix()
        folder, _, stem = name.rpartition("/")
        skipped = any(part in folder for part in STAMP_SOUND_SKIPPED_FOLDERS)
        if "_desc" in stem or stem in STAMP_SOUND_SKIPPED or (skipped and stem != "blackcat"):
            continue
        pieces = convert(path.read_bytes(), out / "sounds" / "tuxpaint" / name.replace("/", "_"))
        if pieces:
            entries.append(Entry("sound", pieces, stamp_group(name), "tuxpaint-stamps", "GPL-2+"))
    return entries


def packs(debs: Path, out: Path) -> Iterator[list[Entry]]:
    """The sounds of every pack whose package is there, and no package twice."""
    for pack in PACKS:
        if (debs / pack.path).exists():
            yield _pack(pack, debs, out / "sounds" / pack.source)


def _pack(pack: Pack, debs: Path, target: Path) -> list[Entry]:
    chosen: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
    for name, content in pack.members(debs / pack.path):
        matches = [p for p, _ in pack.patterns if fnmatchcase(name, p)]
        if matches:
            chosen[matches[0]].append((name, content))
    groups, entries = dict(pack.patterns), []
    for pattern, members in chosen.items():
        members.sort(key=lambda member: hashlib.sha256(member[1]).digest())
        for name, content in members[: pack.limits.get(pattern, len(members))]:
            pieces = convert(
                content, target / Path(name).with_suffix("").as_posix().replace("/", "_")
            )
            if pieces:
                group, path = groups[pattern], Path(name)
                take = path.parent if group == "person" else path.with_suffix("")
                series = str(take).rstrip("0123456789_-")
                made = Entry("sound", pieces, group, pack.source, pack.licence, series=series)
                entries.append(made)
    return entries


def synthesised(out: Path) -> list[Entry]:
    """Synthetic speech, and machines and weather of which there are few recordings."""
    entries = []
    for name, wav in speech():
        pieces = convert(wav, out / "sounds" / "espeak" / name)
        entries.append(Entry("sound", pieces, "person", "espeak-ng", "free output"))
    for name, group, samples in machines():
        path, tidy = out / "sounds" / "synthesised" / f"{name}.flac", _tidy(samples)
        if tidy is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tidy, RATE, subtype="PCM_16")
            entries.append(Entry("sound", (path,), group, "synthesised", "Apache-2.0"))
    return entries


def renders(
    font: Path, out: Path, *, source: str, licence: str, test_only: bool = False
) -> list[Entry]:
    """Phrases played by every melodic program that is of use, and by the drum kits."""
    entries = []
    for program, (group, *_) in PROGRAMS.items():
        count = _phrase_count(group, test_only=test_only)
        made = _render_all(program, count, font, out / "sounds" / source, drums=False)
        entries += [Entry("sound", (p,), group, source, licence, True, test_only) for p in made]
    for kit in kits():
        made = _render_all(kit, 3 if test_only else 12, font, out / "sounds" / source, drums=True)
        entries += [Entry("sound", (p,), "drum", source, licence, True, test_only) for p in made]
    return entries


def _phrase_count(group: str | None, *, test_only: bool) -> int:
    """Some 90 phrases a group whatever its number of programs, 10 to 40 a program."""
    if group is None:
        return 1 if test_only else 6
    programs = sum(other == group for other, *_ in PROGRAMS.values())
    return 4 if test_only else min(40, max(10, 90 // programs))


def _render_all(number: int, count: int, font: Path, folder: Path, *, drums: bool) -> list[Path]:
    name = f"kit{number:03}" if drums else f"program{number:03}"
    paths = [folder / f"{name}_{i:02}.flac" for i in range(count)]
    done = folder / f"{name}_{count}.done"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        make = drum_phrases if drums else phrases
        with tempfile.TemporaryDirectory() as scratch:
            wav = Path(scratch) / "phrases.wav"
            spans = render(make(number, count, font.stem), number, drums=drums, font=font, wav=wav)
            samples = decode(wav.read_bytes())
        for path, (start, end) in zip(paths, spans, strict=True):
            phrase = _tidy(samples[int(start * RATE) : int(end * RATE)])
            if phrase is not None:
                soundfile.write(path, phrase, RATE, subtype="PCM_16")
        done.touch()
    return [path for path in paths if path.exists()]


def convert(content: bytes, stem: Path) -> tuple[Path, ...]:
    """Decodes, trims, cuts to pieces of at most 12 s and writes; empty if nothing is heard."""
    existing = tuple(sorted(stem.parent.glob(f"{stem.name}.[0-9].flac")))
    if existing:
        return existing
    samples = _tidy(decode(content))
    if samples is None:
        return ()
    stem.parent.mkdir(parents=True, exist_ok=True)
    count = min(MOST_PIECES, int(np.ceil(len(samples) / (LONGEST_S * RATE))))
    written = []
    for number in range(count):
        length = int(LONGEST_S * RATE)
        piece = _tidy(samples[number * length : (number + 1) * length])
        if piece is not None:
            written.append(stem.parent / f"{stem.name}.{number}.flac")
            soundfile.write(written[-1], piece, RATE, subtype="PCM_16")
    return tuple(written)


def decode(content: bytes) -> Samples:
    """(n,) mono at 44.1 kHz of an encoded file; empty if it cannot be read."""
    command = ["ffmpeg", "-v", "error", "-i", "pipe:0", "-ac", "1", "-ar", str(RATE), "-f", "f32le"]
    command += ["pipe:1"]
    output = subprocess.run(command, input=content, capture_output=True, check=False).stdout
    return np.frombuffer(output, dtype=np.float32)


def _tidy(samples: NDArray[np.floating[Any]]) -> Samples | None:
    """Without leading and trailing silence, peak 0.9; None if silent or too short."""
    frame = RATE // 100
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    if len(frames) == 0:
        return None
    level = np.sqrt((frames**2).mean(axis=1))
    if level.max() < 1e-4:
        return None
    heard = np.flatnonzero(level > 0.01 * level.max())
    kept = samples[heard[0] * frame : (heard[-1] + 1) * frame]
    if len(kept) < SHORTEST_S * RATE:
        return None
    return np.asarray(kept * (0.9 / np.abs(kept).max()), dtype=np.float32)
