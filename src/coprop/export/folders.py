"""Folders that appear whole or not at all, and are replaced only where coprop made them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coprop.errors import OutputError
from coprop.storage.files import is_empty, output_errors, write_text

MARK = ".coprop-export"
"""A hidden file that says that a folder is an export, and may be replaced by another."""


def check_folder(path: Path, *, force: bool) -> None:
    """Refuses a folder that must not be replaced.

    Raises:
        OutputError: there is a file, or a folder with something in it that is not to be replaced
            or is no export.
    """
    with output_errors(path):
        if not path.exists() and not path.is_symlink():
            return
        if not path.is_dir():
            raise OutputError(f"{path} is a file; this export is a folder. Choose another name.")
        if is_empty(path):
            return
        if not (path / MARK).is_file():
            raise OutputError(
                f"{path} holds something else than an earlier export, which is never replaced. "
                "Choose another folder."
            )
        if not force:
            raise OutputError(
                f"{path} is there already. Choose another folder, or replace it with force=True "
                "(on the command line, --force)."
            )


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Gives a temporary folder; what was written there takes the folder's place at the end.

    After an exception nothing is left of it, and a folder that was there before stays.

    Raises:
        OutputError: it cannot be written.
    """
    # Hidden, since a visible NAME.old may be somebody's own.
    part, old = (path.with_name(f".{path.name}.{end}") for end in ("part", "old"))
    with output_errors(path):
        _tidy(path, part, old)  # after a process that was killed
        try:
            part.mkdir(parents=True)
            write_text(part / MARK, "")
            yield part
            if path.exists():
                path.rename(old)
            part.rename(path)
        finally:
            _tidy(path, part, old)


def _tidy(path: Path, part: Path, old: Path) -> None:
    """Leaves the folder, or else the one before it, and nothing that is half done."""
    if old.exists() and not path.exists():
        old.rename(path)
    for left in (part, old):
        shutil.rmtree(left, ignore_errors=True)
