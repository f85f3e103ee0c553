"""The manifest of a sources folder: every picture and recording, with its digest and licence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coprop.errors import DatasetError
from coprop.files import parse_json
from coprop.inputs import AnyPath, as_path

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
        split: "train" or "test".
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
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} cannot be read: {error}. Give a sources folder, as python -m tools.sources "
            "builds it."
        ) from error
    rows = [_row(path, i, line) for i, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise DatasetError(f"{path} names no picture and no recording; build the sources anew.")
    return tuple(rows)


def _row(path: Path, number: int, line: str) -> SourceRow:
    try:
        content = parse_json(line)
        values = {name: content[name] for name in (*_TEXTS, "group")}
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path}, line {number} is {line.strip()[:80]!r}; each line must be a JSON object with "
            f"{', '.join(_TEXTS)} and group."
        ) from error
    wrong = [name for name in _TEXTS if not isinstance(values[name], str)]
    if wrong or values["split"] not in SPLITS:
        raise DatasetError(
            f"{path}, line {number}: {', '.join(wrong) or 'split'} must be "
            f"{'text' if wrong else 'train or test'}, got "
            f"{[values[name] for name in wrong] or values['split']!r}."
        )
    if not (isinstance(values["group"], str | None) and values["kind"] in KINDS):
        raise DatasetError(
            f"{path}, line {number}: kind must be one of {KINDS} and group text or null, got "
            f"{values['kind']!r} and {values['group']!r}."
        )
    if not is_inside(values["path"]):
        raise DatasetError(
            f"{path}, line {number}: path must lead to a file in the folder, got "
            f"{values['path'][:80]!r}."
        )
    return SourceRow(**values)


def is_inside(path: str) -> bool:
    """Whether a path, with forward slashes, leads to something in the folder it is given from."""
    parts = PurePosixPath(path).parts
    return bool(parts) and "\0" not in path and ".." not in parts and not path.startswith("/")
