"""The folder of a collection: what is complete in it, and how a result gets there whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coprop.errors import OutputError
from coprop.storage.files import (
    differing,
    is_empty,
    one_a_line,
    output_errors,
    read_json,
    remove_left,
    write_text,
)
from coprop.storage.locks import WriterLock
from coprop.utils.brief import first_line

COLLECTION, VIDEO = "collection.json", "video.json"
_RESULT = "result.json"
_SCHEMA = 1
_PATIENCE_S = 60.0  # for others who look at the settings or write the index: it takes them moments


class CollectionFolder:
    """Results of many videos, each in a folder that has the id of the video's content as its name.

    A result is made in a hidden folder beside, ``.ID.part``, and renamed when all of it is there:
    what has the name of an id is complete, whoever was killed. Processes may share the folder, on
    several machines too; nothing is worked on by two of them.

    Args:
        path: the folder.
        settings: what results depend on, as JSON holds it. A folder takes no results of others.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.settings = dict(settings)

    def open(self, *, force: bool = False) -> None:
        """Makes the folder, or looks whether it is one of these settings.

        Args:
            force: take a folder with other things in it, which stay; where it is of other
                settings, begin anew.

        Raises:
            OutputError: it has other settings, or other things in it, or cannot be written.
        """
        file = self.path / COLLECTION
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"cannot write {self.path}: it is a file. Choose a folder.")
        with WriterLock.of_file(file, wait_s=_PATIENCE_S):
            remove_left(self.path, COLLECTION)
            before = self._settings_before()
            if before is None and not force:
                self._refuse_others()
            names = differing(before or {}, self.settings) if before is not None else []
            if names and not force:
                raise OutputError(
                    f"{self.path} holds results of other settings ({', '.join(names)} differ). "
                    "Give the same ones, choose another folder, or begin anew with --force "
                    "(force=True)."
                )
            if before is None or names:
                self._begin()

    def result_of(self, id: str) -> Path:
        """Where the result of a video is when it is complete."""
        return self.path / id

    def row(self, id: str) -> dict[str, Any] | None:
        """The row of a complete result of these settings; None where there is none."""
        folder = self.result_of(id)
        try:
            found = read_json(folder / VIDEO)
            complete = found["row"]["id"] == id and (folder / _RESULT).is_file()
        except (OSError, ValueError, LookupError, TypeError):
            return None
        if not complete or differing(found["settings"], self.settings):
            return None
        row: dict[str, Any] = found["row"]
        return row

    @contextmanager
    def writing(self, id: str) -> Iterator[tuple[Path, Callable[[Mapping[str, Any]], None]]]:
        """Gives a new folder to write a result into, and a function that completes it.

        The function takes the video's row. What has not been completed is removed.

        Raises:
            LockedError: another process is at work on this video.
            OutputError: it cannot be written, or something else has the name of the result.
        """
        part = self.path / f".{id}.part"
        with WriterLock.of_file(part):
            _removed(part)  # of a process that was killed

            def complete(row: Mapping[str, Any]) -> None:
                content = {"schema": _SCHEMA, "settings": self.settings, "row": row}
                write_text(part / VIDEO, one_a_line(content) + "\n")
                self._put(part, self.result_of(id))

            try:
                yield part, complete
            finally:
                _removed(part)

    def lock_of_index(self) -> WriterLock:
        """Keeps others from writing the index; a context manager."""
        return WriterLock.of_file(self.path / "index", wait_s=_PATIENCE_S)

    def _put(self, part: Path, place: Path) -> None:
        old = part.with_suffix(".old")
        _removed(old)
        with output_errors(place):
            if place.exists():
                if not (place / VIDEO).is_file():
                    raise OutputError(
                        f"{place} is no result of a collection, but has the name of one; move it "
                        "away."
                    )
                place.rename(old)
            part.rename(place)
        _removed(old)

    def _settings_before(self) -> dict[str, Any] | None:
        file = self.path / COLLECTION
        try:
            found = read_json(file)["settings"]
            if not isinstance(found, dict):
                raise TypeError("its settings are no object")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise OutputError(
                f"{file} is damaged: {first_line(error)}. Remove it to begin anew, or choose "
                "another folder."
            ) from error
        return found

    def _refuse_others(self) -> None:
        with output_errors(self.path):
            empty = is_empty(self.path)
        if not empty:
            raise OutputError(
                f"{self.path} is not empty, and no folder of a collection. Choose another folder, "
                "or write into it with --force (force=True)."
            )

    def _begin(self) -> None:
        from coprop import __version__

        for name in ("index.jsonl", "index.parquet"):
            with output_errors(self.path):
                (self.path / name).unlink(missing_ok=True)
        content = {"schema": _SCHEMA, "coprop": __version__, "settings": self.settings}
        write_text(self.path / COLLECTION, one_a_line(content) + "\n")


def _removed(folder: Path) -> None:
    with output_errors(folder):
        if os.path.lexists(folder):
            shutil.rmtree(folder)
