"""A JSON-lines file of results that a stopped command goes on with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from coprop.errors import OutputError

_BEGINNING = b'{"path": '


class RowFile:
    """One JSON object a line, each on disk before the next is worked on.

    A last line that a kill cut short does not count, and is removed before more are written.

    Args:
        path: the file; made if needed.
        settings: how the rows come about, as JSON can hold it; rows of others are refused.

    Raises:
        OutputError: the file holds something else, or rows of other settings.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self.done: set[str] = set()
        *whole, self._cut_short = self._read().split(b"\n")
        for number, line in enumerate(whole, start=1):
            self.done.add(self._key(line, number))
        common = min(len(self._cut_short), len(_BEGINNING))
        if self._cut_short[:common] != _BEGINNING[:common]:
            raise self._no_row(len(whole) + 1)

    def append(self, key: str, row: dict[str, Any]) -> None:
        """Adds a row; it is on disk when this returns.

        Args:
            key: what the row is about; `done` holds those that are there.
            row: its content.

        Raises:
            OutputError: the file cannot be written.
        """
        from coprop.media.atomic import output_errors  # loads PyAV

        line = json.dumps({"path": key, **row, "settings": self.settings}).encode() + b"\n"
        with output_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                if self._cut_short:
                    file.truncate(file.tell() - len(self._cut_short))
                    self._cut_short = b""
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        self.done.add(key)

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise OutputError(
                f"cannot read {self.path}: {error.strerror}. Give the file that rows go to."
            ) from error

    def _key(self, line: bytes, number: int) -> str:
        try:
            row = json.loads(line)
            key, settings = str(row["path"]), row["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._no_row(number) from error
        different = sorted(
            name
            for name in settings.keys() | self.settings.keys()
            if settings.get(name) != self.settings.get(name)
        )
        if different:
            raise OutputError(
                f"{self.path} holds rows of other settings ({', '.join(different)} differ). Choose "
                "another file, or remove it to start anew."
            )
        return key

    def _no_row(self, number: int) -> OutputError:
        return OutputError(
            f"{self.path}, line {number} is no row of this command, so nothing is added to it. "
            "Choose another file."
        )
