"""What can be downloaded of a result: all of it, the overlay, and every export."""

from __future__ import annotations

import shutil
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from coprop.demo.visits import Visit
from coprop.export.targets import TARGETS
from coprop.media.writer import OVERLAY
from coprop.result import Result
from coprop.storage.files import replacing, visible

ALL, FILM = "result", "overlay"

_NAMES = {FILM: "The film with its masks (mp4)", ALL: "Masks, film, timeline and result.json (zip)"}


def downloads() -> list[tuple[str, str]]:
    """What there is, as (what the page shows, name)."""
    exports = [
        (f"{target.about[0].upper()}{target.about[1:]} ({_kind(name)})", name)
        for name, target in TARGETS.items()
    ]
    return [(shown, name) for name, shown in _NAMES.items()] + exports


def prepared(visit: Visit, name: str) -> Path:
    """The file of a download, which is made if it has not been yet; folders become archives.

    Args:
        visit: with a complete result.
        name: of the download.

    Raises:
        CoPropError: there is no such download, or the result cannot be written in this form.
    """
    stem = visit.video.stem
    if name == FILM:
        return _named(visit.result / OVERLAY, visit.folder / "downloads" / f"{stem}-{OVERLAY}")
    if name == ALL:
        return _archive(visit.result, visit.folder / "downloads" / f"{stem}-result.zip")
    # A result that was read back knows no masks but those on disk, however long it is.
    result = Result.load(visit.result, visit.video)
    place = visit.folder / "exports" / (TARGETS[name].file if name in TARGETS else name)
    if not place.exists():
        result.export(name, place)
    if place.is_dir():
        return _archive(place, visit.folder / "downloads" / f"{stem}-{place.name}.zip")
    return _named(place, visit.folder / "downloads" / f"{stem}-{place.name}")


def _kind(name: str) -> str:
    return "zip" if TARGETS[name].is_folder else TARGETS[name].suffix.lstrip(".")


def _named(file: Path, wanted: Path) -> Path:
    """The file under a name that tells of its video."""
    if not wanted.exists():
        wanted.parent.mkdir(exist_ok=True)
        with replacing(wanted) as part:
            shutil.copyfile(file, part)
    return wanted


def _archive(folder: Path, wanted: Path) -> Path:
    if not wanted.exists():
        wanted.parent.mkdir(exist_ok=True)
        with replacing(wanted) as part, ZipFile(part, "w", ZIP_DEFLATED) as archive:
            for file in visible(folder):
                archive.write(file, file.relative_to(folder))
    return wanted
