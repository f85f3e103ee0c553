"""Paths, in the forms in which people bring them."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import TypeGuard

from coprop.errors import CoPropError
from coprop.utils.checks import shown

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # a letter alone is a drive of Windows

AnyPath = str | os.PathLike[str]
"""Where a file or a folder is."""


def is_path(value: object) -> TypeGuard[AnyPath]:
    """Whether it is text or a path object."""
    return isinstance(value, (str, os.PathLike))


def is_opened(value: object) -> bool:
    """Whether it is an opened file, or what stands in one, where a path is wanted."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return True
    return hasattr(value, "read") and hasattr(value, "seek")


def as_path(name: str, value: object, *, error: type[CoPropError] = CoPropError) -> Path:
    """A path, whatever it was given as.

    Args:
        name: of the argument, for the error.
        value: what was given.
        error: what is raised.

    Raises:
        CoPropError: it is no path, or one that no file can have.
    """
    text = os.fspath(value) if is_path(value) else None
    if not isinstance(text, str):
        raise error(f"{name} must be a path, as text or pathlib.Path, got {shown(value)}.")
    if not text:
        raise error(f"{name} is empty text, and no path; the current folder is '.'.")
    if "\0" in text:
        raise error(f"{name} is {text[:60]!r}, but no file can have a name with a NUL character.")
    try:
        os.lstat(text)
    except UnicodeEncodeError as fault:
        raise error(f"{name} is {text[:60]!r}, but no file can have such a name here.") from fault
    except OSError as fault:
        if fault.errno == errno.ENAMETOOLONG:
            raise error(f"{name} is longer than names of files can be: {text[:60]}...") from fault
    return Path(text)


def from_home(path: str) -> str:
    """A path that no shell has read: a ``~`` at its beginning is the user's own folder."""
    return os.path.expanduser(path)  # noqa: PTH111 - Path's fails where there is no such user


def no_such_file(path: Path) -> str:
    """What is said of a file that is to be read and is not there."""
    if _ADDRESS.match(path.as_posix()):
        address = path.as_posix().replace(":/", "://", 1)  # a path keeps one slash of the two
        return f"{address} is an address, and nothing is fetched; download it, and give the file."
    return f"no such file: {path}. Check the path and the working directory."


def real_path(path: Path) -> Path:
    """Where a path leads: `Path.resolve`, which raises where links form a loop, without that."""
    return Path(os.path.realpath(path))
