"""The manifest of a sources folder: every picture and recording, with its digest and licence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from coprop.errors import DatasetError
from coprop.storage.files import parse_json
from coprop.utils.paths import AnyPath, as_path

MANIFEST = "manifest.jsonl"
SPLITS = ("train", "test", "validation")
KINDS = ("picture", "background", "sound", "music")
_TEXTS = ("kind", "path", "split", "source", "licence", "sha256")


@dataclass(frozen=True)
class SourceRow:
    """One line of the manifest.

    Args:
        kind: one of `KINDS`; "music" is what plays softly behind others.
        path: of the file, from the folder, with forward slashes.
        group: what it shows or what sounds; None for what makes no sound or shows nowhere.
        split: one of `SPLITS`.
        source: the collection it comes from.
        licence: under which it may be used.
        sha256: of the file's content, in hexadecimal digits.
    """

    kind: str
    path: str
    group: str | None
    split: str
    source: str
    licence: str
    sha256: str


def read_manifest(folder: AnyPath) -> tuple[SourceRow, ...]:
    """The lines of a sources folder's manifest.

    Raises:
        DatasetError: no manifest, none that can be read, or a line of another form.
    """
    path = as_path("folder", folder, error=DatasetError) / MANIFEST
    rows = [_row(path, number, row) for number, row in read_rows(path, _TEXTS)]
    if not rows:
        raise DatasetError(f"{path} names no picture and no recording; build the sources anew.")
    return tuple(rows)


def read_rows(path: Path, texts: tuple[str, ...]) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a manifest with the numbers of their lines, each with a group or null.

    Args:
        path: of the manifest.
        texts: names of what each object must have as text.

    Raises:
        DatasetError: it cannot be read, or a line of it, which is named by its number.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} cannot be read: {error}. Give a sources folder, as python -m tools.sources "
            "builds it."
        ) from error
    numbered = enumerate(lines, start=1)
    return [
        (number, _object(path, number, line, texts)) for number, line in numbered if line.strip()
    ]


def _object(path: Path, number: int, line: str, texts: tuple[str, ...]) -> dict[str, Any]:
    try:
        content: dict[str, Any] = parse_json(line)
        wrong = [name for name in texts if not isinstance(content[name], str)]
        group = content["group"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path}, line {number} is {line.strip()[:80]!r}; each line must be a JSON object with "
            f"{', '.join(texts)} and group."
        ) from error
    if wrong:
        raise DatasetError(
            f"{path}, line {number}: {', '.join(wrong)} must be text, got "
            f"{[content[name] for name in wrong]}."
        )
    if not isinstance(group, str | None):
        raise DatasetError(f"{path}, line {number}: group must be text or null, got {group!r}.")
    return content


def _row(path: Path, number: int, row: dict[str, Any]) -> SourceRow:
    if row["split"] not in SPLITS:
        raise DatasetError(
            f"{path}, line {number}: split must be one of {SPLITS}, got {row['split']!r}."
        )
    if row["kind"] not in KINDS:
        raise DatasetError(
            f"{path}, line {number}: kind must be one of {KINDS}, got {row['kind']!r}."
        )
    if not is_inside(row["path"]):
        raise DatasetError(
            f"{path}, line {number}: path must lead to a file in the folder, got "
            f"{row['path'][:80]!r}."
        )
    return SourceRow(**{name: row[name] for name in (*_TEXTS, "group")})


def is_inside(path: str) -> bool:
    """Whether a path, with forward slashes, leads to something in the folder it is given from."""
    parts = PurePosixPath(path).parts
    return bool(parts) and "\0" not in path and ".." not in parts and not path.startswith("/")
