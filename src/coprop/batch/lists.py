"""Lists of videos: text, CSV and JSON lines."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from coprop.errors import MediaError
from coprop.storage.files import parse_json
from coprop.utils.brief import first_line
from coprop.utils.paths import from_home, no_such_file

COLUMNS = ("path", "video", "file", "filename")
"""Which column of a CSV file, or key of a JSON object, names the video: the first that is there."""

_TEXT = {".txt", ".lst", ".list"}
_TABLES = {".csv": ",", ".tsv": "\t"}
_LINES = {".jsonl", ".ndjson"}
SUFFIXES = frozenset({*_TEXT, *_TABLES, *_LINES})
"""Of files that are taken as lists."""


def is_list(path: Path) -> bool:
    """Whether a path is that of a list, told by its suffix."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def read_list(path: Path) -> list[Path]:
    """The paths that a list names, in its order.

    Relative ones are looked for beside the list first, and then in the working directory.

    Raises:
        MediaError: the list cannot be read, names nothing, or has a line that names no path.
    """
    try:
        # Names of files are bytes; those that are no UTF-8 come through as the system has them.
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except FileNotFoundError as error:
        raise MediaError(no_such_file(path)) from error
    except OSError as error:
        raise MediaError(
            f"{path} cannot be read: {first_line(error)}. Check the file and its permissions."
        ) from error
    suffix = path.suffix.lower()
    if suffix in _TABLES:
        named = _of_table(path, text, _TABLES[suffix])
    else:
        named = _of_json(path, text) if suffix in _LINES else _of_text(text)
    found = [_located(name, path, number) for number, name in named]
    if not found:
        raise MediaError(f"{path} names no video; write one path a line.")
    return found


def _of_text(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if line.strip() and not line.startswith("#"):
            yield number, line


def _of_table(path: Path, text: str, separator: str) -> Iterator[tuple[int, str]]:
    cells = [cell.strip(' "\r').lower() for cell in text.partition("\n")[0].split(";")]
    if separator == "," and len(cells) > 1 and {*cells} & {*COLUMNS}:
        separator = ";"  # as spreadsheets write it where the comma is in numbers
    rows = csv.reader(text.splitlines(keepends=True), delimiter=separator)
    column = None
    try:
        for row in rows:
            if column is None:
                column, named = _column(path, row)
                if named:
                    continue
            if not any(cell.strip() for cell in row):
                continue
            if len(row) <= column or not row[column].strip():
                raise MediaError(f"{path}, line {rows.line_num} names no video.")
            yield rows.line_num, row[column]
    except csv.Error as error:
        raise MediaError(f"{path}, line {rows.line_num} is no line of a table: {error}.") from error


def _column(path: Path, head: list[str]) -> tuple[int, bool]:
    """Which column has the paths, and whether the first row names it."""
    names = [cell.strip().lower() for cell in head]
    for name in COLUMNS:
        if name in names:
            return names.index(name), True
    if len(head) == 1:
        return 0, False
    raise MediaError(
        f"{path} has the columns {', '.join(head)[:100]}, and none of them is named "
        f"{_listed(COLUMNS)}; name the one with the paths so in the first line."
    )


def _of_json(path: Path, text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = parse_json(line)
        except ValueError as error:
            raise MediaError(f"{path}, line {number} is no JSON: {error}.") from error
        if isinstance(value, dict):
            value = next((value[name] for name in COLUMNS if name in value), None)
        if not isinstance(value, str) or not value.strip():
            raise MediaError(
                f"{path}, line {number} names no video; a line is a path, as text, or an object "
                f"with {_listed(COLUMNS)}."
            )
        yield number, value


def _located(name: str, path: Path, number: int) -> Path:
    if "\0" in name:
        raise MediaError(f"{path}, line {number} has a NUL character, which no path has.")
    given = Path(from_home(name))
    beside = path.parent / given
    return given if not os.path.lexists(beside) and os.path.lexists(given) else beside


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"
