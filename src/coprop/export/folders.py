"""Folders of exports, which are replaced only where coprop made them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coprop.errors import OutputError
from coprop.storage.files import is_clutter, output_errors, write_text
from coprop.storage.folders import replacing_folder

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
        if all(is_clutter(inner.name) for inner in path.iterdir()):
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
def new_export(path: Path) -> Iterator[Path]:
    """Gives a temporary folder, marked as an export, that takes the folder's place at the end.

    Raises:
        OutputError: it cannot be written.
    """
    with replacing_folder(path) as part:
        write_text(part / MARK, "")
        yield part
