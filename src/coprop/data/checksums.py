"""A folder's list of checksums, in the form of ``sha256sum``: read, and compared with its files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from coprop.errors import DatasetError
from coprop.storage.files import visible
from coprop.types import Progress
from coprop.utils.brief import first_line
from coprop.utils.paths import AnyPath, as_path

CHECKSUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True)
class Verification:
    """What a folder's files are against its list; paths from the folder.

    Args:
        checked: how many files the list names.
        missing: named, and not there.
        changed: there with another content.
        unlisted: there, and not named.
    """

    checked: int
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    unlisted: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Every file is there, unchanged, and no other."""
        return not (self.missing or self.changed or self.unlisted)


def read_checksums(folder: AnyPath) -> dict[str, str]:
    """The listed checksums by path.

    Raises:
        DatasetError: no list there, or a line of another form.
    """
    path = as_path("folder", folder, error=DatasetError) / CHECKSUMS
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} cannot be read: {first_line(error)}. Give the folder of a composed benchmark; "
            "if composing it was stopped, repeat that first."
        ) from error
    sums: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is not None:
            sums[match[2]] = match[1]
        elif line:
            raise DatasetError(
                f"{path}, line {number} is {line[:80]!r}; each line must be a SHA-256 in "
                "hexadecimal digits, two spaces and a path. Compose the folder anew."
            )
    return sums


def verify(folder: AnyPath, progress: Progress | None = None) -> Verification:
    """Compares the files of a folder with its list.

    Args:
        folder: the composed one, with its list.
        progress: called with the step "files".

    Raises:
        DatasetError: no list there, or a file that cannot be read.
    """
    folder = as_path("folder", folder, error=DatasetError)
    sums = read_checksums(folder)
    present = set(listed_files(folder))
    changed = []
    for number, (path, expected) in enumerate(sorted(sums.items()), start=1):
        if path in present and digest_of(folder / path) != expected:
            changed.append(path)
        if progress is not None:
            progress("files", number, len(sums))
    return Verification(
        checked=len(sums),
        missing=tuple(sorted(sums.keys() - present)),
        changed=tuple(changed),
        unlisted=tuple(sorted(present - sums.keys())),
    )


def listed_files(folder: Path) -> list[str]:
    """All files that a list names, but itself: paths from the folder, sorted."""
    found = (path.relative_to(folder).as_posix() for path in visible(folder))
    return sorted(path for path in found if path != CHECKSUMS)


def digest_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        DatasetError: the file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {first_line(error)}. Get the file again, or build the folder "
            "that it belongs to anew."
        ) from error
