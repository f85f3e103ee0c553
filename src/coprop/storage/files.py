"""Files that coprop writes and reads back: whole or not at all, and never believed blindly."""

from __future__ import annotations

import glob
import json
import math
import os
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from coprop.errors import OutputError
from coprop.utils.brief import first_line

MOST_BYTES = 64 << 20
"""Of one JSON value, a file or a line: many times what an hour of video takes, and soon parsed."""

_MOST_NESTED = 64  # nothing here nests deeper than 6; far below where Python's recursion ends
_LARGEST_WHOLE = 1 << 63  # what other programs hold in an integer, and what a float can hold
_MOST_DIGITS = 20  # of the largest whole number, with its sign: longer ones are not even parsed
_OF_WINDOWS = {"thumbs.db", "ehthumbs.db", "desktop.ini"}  # lists that it keeps beside pictures
_TRIES, _PAUSE_S = 10, 0.1  # virus scanners and indexers look into new files for less than this
_A_LINE = 5  # objects: ten seconds of 60 frames each are then 120 lines
_TOKEN_BYTES = 4  # of a temporary name: nobody has a file of that name by chance
_TOKEN = "[0-9a-f]" * 2 * _TOKEN_BYTES
_REASON = "Results need a directory that can be written to, on a disk with free space."


@contextmanager
def output_errors(path: Path, *others: type[Exception]) -> Iterator[None]:
    """Turns the system's errors into one that names the path.

    Args:
        path: what is written.
        others: errors of the library that writes it, beside OSError.

    Raises:
        OutputError: in place of any of these errors.
    """
    kinds: tuple[type[Exception], ...] = (OSError, *others)
    try:
        yield
    except kinds as error:
        raise OutputError(f"cannot write {path}: {first_line(error)}. {_REASON}") from error


def hidden_beside(path: Path, ending: str = "part") -> Path:
    """A temporary name in the same directory, such as ``.clip.json.5fd1c09a.part``.

    It is another one each time, so that it is nobody's file, nor another writer's.
    """
    return path.with_name(f".{path.name}.{secrets.token_hex(_TOKEN_BYTES)}.{ending}")


def left_in(folder: Path, name: str | None = None, ending: str = "part") -> list[Path]:
    """What is called as by `hidden_beside`; all of it, or what belongs to a file of that name.

    For those who keep other writers out: what is there then is what a kill has left.
    See `remove_left` for files, `coprop.storage.folders` for folders.
    """
    own = "*" if name is None else glob.escape(name)
    return sorted(folder.glob(f".{own}.{_TOKEN}.{ending}"))


@contextmanager
def replacing(path: Path, *others: type[Exception], part: Path | None = None) -> Iterator[Path]:
    """Gives a temporary path; what was written there takes its place at the end.

    After an exception nothing is left of it, and a file that was there before stays.

    Args:
        path: the file.
        others: errors of the library that writes it; see `output_errors`.
        part: the temporary path, of a file that was begun before.

    Raises:
        OutputError: the file cannot be written.
    """
    part = part or hidden_beside(path)
    with output_errors(path, *others):
        try:
            yield part
            _put(part, path)
        except BaseException:
            remove(part)
            raise


def _put(part: Path, path: Path) -> None:
    """Lets a file take another's place; Windows refuses while somebody has that one open."""
    for left in range(_TRIES, -1, -1):
        try:
            part.replace(path)
            return
        except PermissionError:
            if not left or os.name != "nt":
                raise
            time.sleep(_PAUSE_S)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")  # the same bytes everywhere


def remove(*paths: Path) -> None:
    """Removes files, those that are there and can be removed."""
    for path in paths:
        with suppress(OSError):
            path.unlink()


def remove_left(folder: Path, name: str | None = None) -> None:
    """Removes the files that a kill has left in a folder; see `left_in`."""
    remove(*left_in(folder, name))


def visible(folder: Path) -> list[Path]:
    """The files in a folder and in those below it, sorted, without what people do not see.

    That is what begins with a dot, or lies in a folder that does (``._a.mp4`` of macOS, too), and
    the lists that Windows keeps beside pictures.
    """
    found = []
    for path in folder.rglob("*"):
        inner = path.relative_to(folder).parts
        if not any(map(is_hidden, inner)) and path.is_file():
            found.append(path)
    return sorted(found)


def is_empty(folder: Path, left: Collection[Path] = ()) -> bool:
    """Whether people see nothing in a folder (see `visible`), nor any folder in it.

    Args:
        folder: one that is there.
        left: what else may be in it.

    Raises:
        OSError: it cannot be read.
    """
    return all(is_hidden(path.name) or path in left for path in folder.iterdir())


def is_hidden(name: str) -> bool:
    """Whether people do not see a file or folder of that name (see `visible`)."""
    return name.startswith(".") or name.lower() in _OF_WINDOWS


def is_clutter(name: str) -> bool:
    """Whether file managers leave files of that name in folders, which nobody misses."""
    return name.startswith("._") or name.lower() in {".ds_store", *_OF_WINDOWS}


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """The value that a JSON text holds.

    Args:
        text: the JSON.
        finite: refuse NaN and infinite numbers, which Python would take and JSON does not know.

    Raises:
        ValueError: it is no JSON, or holds numbers or a nesting that nobody writes.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"it is longer than {MOST_BYTES >> 20} MB")
    try:
        value = json.loads(
            text,
            parse_int=_whole,
            parse_float=_finite if finite else None,
            parse_constant=_no_number if finite else None,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if _nested(value) > _MOST_NESTED:
        raise ValueError(f"it is nested more than {_MOST_NESTED} deep")
    return value


def read_json(path: Path) -> Any:
    """The value that a JSON file holds.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, too large, or no JSON (see `parse_json`).
    """
    size = path.stat().st_size
    if not path.is_file():
        raise ValueError("it is no regular file")
    if size > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES >> 20} MB")
    return parse_json(path.read_bytes())


def one_a_line(content: Mapping[str, Any], *, many: Collection[str] = ()) -> str:
    """JSON to be read by people and small: a line for each key, and for each object in a list.

    Args:
        content: the object.
        many: keys of lists that are long, which have five objects to a line.

    Raises:
        ValueError, TypeError: something that JSON cannot hold, such as NaN.
    """
    fields = []
    for key, value in content.items():
        text = _compact(value)
        if isinstance(value, list | tuple) and any(isinstance(v, dict) for v in value):
            items = [_compact(item) for item in value]
            step = _A_LINE if key in many else 1
            lines = [", ".join(items[i : i + step]) for i in range(0, len(items), step)]
            text = "[\n" + ",\n".join(f"    {line}" for line in lines) + "\n  ]"
        fields.append(f"  {_compact(str(key))}: {text}")
    return "{\n" + ",\n".join(fields) + "\n}" if fields else "{}"


def differing(
    before: Mapping[str, Any], now: Mapping[str, Any], free: Collection[str] = ()
) -> list[str]:
    """Names of the settings that are not the same, as JSON holds them.

    Args:
        before: settings that were read from a file.
        now: those of this call.
        free: names that may differ.
    """
    now = json.loads(json.dumps(now))  # tuples become lists, as they are in the file
    names = {*before, *now} - set(free)
    return sorted(n for n in names if n not in before or n not in now or before[n] != now[n])


def _compact(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:_MOST_DIGITS]} is too large")
    return value


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS or abs(int(digits)) > _LARGEST_WHOLE:
        raise ValueError(f"the number {digits[:_MOST_DIGITS]}... is too large")
    return int(digits)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON's")


def _nested(value: Any) -> int:
    """How many lists and objects lie inside one another, counted without recursion."""
    depth, level = 0, [value]
    while level and depth <= _MOST_NESTED:
        holders = [each for each in level if isinstance(each, list | dict)]
        inner = [each.values() if isinstance(each, dict) else each for each in holders]
        level = [item for items in inner for item in items]
        depth += bool(inner)
    return depth
