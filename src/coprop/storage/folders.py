"""Folders that appear whole or not at all, and folders to work in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coprop.storage.files import hidden_beside, left_in, output_errors


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Gives a temporary folder; what was written there takes the folder's place at the end.

    After an exception nothing is left of it, and a folder that was there before stays. For those
    who keep other writers out.

    Raises:
        OutputError: it cannot be written.
    """
    part = hidden_beside(path)
    with output_errors(path):
        _tidy(path)  # after a process that was killed
        try:
            part.mkdir(parents=True)
            yield part
            if path.exists():
                path.rename(hidden_beside(path, "old"))
            part.rename(path)
        finally:
            _tidy(path)


@contextmanager
def working_folder(parent: Path, name: str) -> Iterator[Path]:
    """Gives a hidden folder in another one, which is gone at the end.

    With it goes what a process that was killed has left of one of that name. For those who keep
    other writers out.
    """
    path = hidden_beside(parent / name)
    for left in left_in(parent, name):
        shutil.rmtree(left, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _tidy(path: Path) -> None:
    """Leaves the folder, or else the one before it, and nothing that is half done."""
    before = left_in(path.parent, path.name, "old")
    if before and not path.exists():
        before.pop().rename(path)
    for left in (*left_in(path.parent, path.name), *before):
        shutil.rmtree(left, ignore_errors=True)
