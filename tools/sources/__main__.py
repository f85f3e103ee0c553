"""Builds the folder of pictures and recordings that clips are composed from.

    python -m tools.sources --debs UNPACKED --caltech PICTURES --backgrounds BACKGROUNDS \\
        --freesound SOUNDS --animals SOUNDS --soundfont FluidR3_GM.sf2 --out sources

``--help`` names the Debian packages, and the programs that must be on the path.

Every argument but --out may be left out; what it would bring is then missing. A file that is
already there is kept, so a second run only adds. `manifest.jsonl` names every file with its group,
split, source and licence. The split follows from the content: the same input gives the same split.
Test files that are no copies but like a training file are left out of it, by the measure of
`python -m tools.benchmark check`. Much of the material may not be passed on; the folder stays where
it is built.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from coprop.storage.files import write_text
from tools.benchmark.disjoint import check_disjoint
from tools.benchmark.manifest import MANIFEST, read_rows
from tools.sources import packages, pictures, sounds
from tools.sources.tables import ANIMALS, FREESOUND, Entry

# Of the digests' range. Rules and thresholds are chosen on validation, figures printed on test.
TEST, VALIDATION = (0.0, 0.2), (0.2, 0.35)


def main() -> None:
    """Builds or completes the folder and prints what it holds."""
    arguments = _arguments()
    _check(arguments)
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    entries: list[Entry] = []
    first_time = not (out / MANIFEST).exists()
    for collected in _collectors(arguments, out):
        entries += collected
        if first_time:  # the folder is of use before everything is there
            _write_manifest(out, entries)
    _write_manifest(out, entries)
    sys.stdout.write(_table(_without_likenesses(out)))


def _collectors(arguments: argparse.Namespace, out: Path) -> Iterator[list[Entry]]:
    given = arguments
    if given.caltech:
        yield pictures.caltech(given.caltech, out)
    if given.backgrounds:
        yield pictures.backgrounds(given.backgrounds, out)
    if given.freesound:
        yield sounds.freesound(given.freesound, out)
    if given.animals:
        yield sounds.animals(given.animals, out)
    if given.debs:
        yield pictures.stamps(given.debs, out)
        yield pictures.drawings(given.debs, out)
        yield pictures.photographs(given.debs, out)
        yield pictures.scratch(given.debs, out)
        yield pictures.scratch_backgrounds(given.debs, out)
        yield sounds.stamps(given.debs, out)
        yield from sounds.packs(given.debs, out)
    yield sounds.synthesised(out)
    for font in given.soundfont:
        yield sounds.renders(font, out, source=font.stem, licence="MIT")
    if given.test_soundfont:
        yield sounds.renders(
            given.test_soundfont, out, source="TimGM6mb", licence="GPL-2", test_only=True
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.sources",
        description=__doc__,
        epilog=packages.told(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    classes = ", ".join(FREESOUND)
    for name, text in (
        ("debs", "folder with the unpacked packages below: it holds usr/share"),
        (
            "caltech",
            "folder CATEGORY/*_0001.jpg of Caltech-101 with, beside each picture, a PNG of its "
            "name that is not black where the object is: made by hand or by any foreground model",
        ),
        ("backgrounds", "folder of background pictures, *.jpg; the package scratch has some, too"),
        ("freesound", f"folder CLASS/*.ogg of recordings under CC0 or CC BY; CLASS is {classes}"),
        (
            "animals",
            "folder CLASS/*.ogg without a licence, for testing only; CLASS is "
            f"{', '.join(ANIMALS)}",
        ),
        ("test-soundfont", "TimGM6mb.sf2, for testing only"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="PATH", help=text)
    parser.add_argument(
        "--soundfont",
        type=Path,
        nargs="*",
        metavar="FILE",
        default=[],
        help="FluidR3_GM.sf2 and MuseScore_General_Full.sf3: both under MIT",
    )
    parser.add_argument("--out", type=Path, metavar="PATH", required=True, help="folder to build")
    return parser.parse_args()


def _check(given: argparse.Namespace) -> None:
    """Ends the command before any work where something is missing, and says what."""
    packages.check_programs()
    names = ("debs", "caltech", "backgrounds", "freesound", "animals", "test_soundfont")
    folders = [(f"--{name.replace('_', '-')}", getattr(given, name)) for name in names]
    packages.check_folders([*folders, *(("--soundfont", font) for font in given.soundfont)])
    if given.debs:
        packages.tell_missing(given.debs)


def _write_manifest(out: Path, entries: list[Entry]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for entry, split in _with_splits(out, entries):
        for path in entry.paths:
            rows.append(
                {
                    "kind": entry.kind,
                    "path": str(path.relative_to(out)),
                    "group": entry.group,
                    "split": split,
                    "source": entry.source,
                    "licence": entry.licence,
                    "sha256": _digest(path),
                    "ships": entry.ships,
                }
            )
    _replace_manifest(out, rows)
    return rows


def _replace_manifest(out: Path, rows: list[dict[str, object]]) -> None:
    write_text(out / MANIFEST, "".join(json.dumps(row) + "\n" for row in rows))


def _without_likenesses(out: Path) -> list[dict[str, object]]:
    """Drops test files that training has a likeness of: renders that share samples, one face."""
    alike = {pair.test for pair in check_disjoint(out).shared}
    rows = [row for _, row in read_rows(out / MANIFEST, ("path",))]
    kept = [row for row in rows if row["path"] not in alike]
    _replace_manifest(out, kept)
    sys.stdout.write(f"{len(rows) - len(kept)} test files left out: training has their like.\n")
    return kept


def _with_splits(out: Path, entries: list[Entry]) -> Iterator[tuple[Entry, str]]:
    """A fifth to the test split, by the digest of the content; copies of a file are dropped."""
    strata: dict[tuple[str, str | None, str], list[tuple[str, Entry]]] = defaultdict(list)
    seen: set[str] = set()
    for entry in entries:
        digest = _digest(entry.paths[0])
        if digest not in seen:
            seen.add(digest)
            strata[entry.kind, entry.group, entry.source].append((digest, entry))
    for members in strata.values():
        left = sorted(members, key=lambda member: member[0])
        splits: dict[int, str] = {}
        for split, share in (("test", TEST), ("validation", VALIDATION)):
            chosen = _chosen(left, share)
            left = [member for member in left if member[1] not in chosen]
            others = {entry.series for _, entry in left}
            for entry in chosen:
                if not (entry.series and entry.series in others):
                    splits[id(entry)] = split
        for _, entry in members:
            yield entry, "test" if entry.test_only else splits.get(id(entry), "train")


def _chosen(members: list[tuple[str, Entry]], share: tuple[float, float]) -> set[Entry]:
    """Those whose digest falls into a share of all digests; members are in order of digest."""
    chosen: set[Entry] = set()
    tested, total = 0, sum(len(entry.paths) for _, entry in members)
    for rank, (digest, entry) in enumerate(members):
        inside = share[0] <= int(digest[:8], 16) / 2**32 < share[1]
        # Small strata: one if there are three, never the last one, never too many.
        wanted = (inside or (rank == 0 and len(members) >= 3)) and rank < len(members) - 1
        if wanted and tested < 0.25 * total:
            chosen.add(entry)
            tested += len(entry.paths)
    return chosen


_digests: dict[Path, str] = {}


def _digest(path: Path) -> str:
    if path not in _digests:
        _digests[path] = hashlib.sha256(path.read_bytes()).hexdigest()
    return _digests[path]


def _table(rows: list[dict[str, object]]) -> str:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        counts[str(row["group"])][f"{row['kind']}s {row['split']}"] += 1
    kinds, splits = ("pictures", "sounds", "backgrounds"), ("train", "validation", "test")
    columns = [f"{kind} {split}" for kind in kinds for split in splits]
    lines = [f"{'group':16}" + "".join(f"{column:>23}" for column in columns)]
    for group in sorted(counts):
        lines.append(f"{group:16}" + "".join(f"{counts[group][column]:23}" for column in columns))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
