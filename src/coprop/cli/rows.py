"""A JSON-lines file of results that a stopped command goes on with."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from coprop.errors import OutputError
from coprop.files import differing
from coprop.json_lines import JsonLines
from coprop.locks import WriterLock

_NO_ROW = "is no row of this command, so nothing is added to it"


class RowFile:
    """The rows of earlier calls, and those that are added; a context manager.

    Args:
        path: the file; made if needed.
        settings: how the rows come about, as JSON can hold it; rows of others are refused.

    Raises:
        OutputError: the file holds something else, or rows of other settings, or another process
            is adding to it.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self.done: set[str] = set()
        self._lines = JsonLines(
            path, remedy="Choose another file.", fault=_NO_ROW, begins='{"path": '
        )
        self._lock = WriterLock.of_file(path)
        try:
            for number, row in self._lines:
                self.done.add(self._key(row, number))
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> RowFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def append(self, key: str, row: dict[str, Any]) -> None:
        """Adds a row; it is on disk when this returns.

        Args:
            key: what the row is about; `done` holds those that are there.
            row: its content.

        Raises:
            OutputError: the file cannot be written.
        """
        self._lines.append({"path": key, **row, "settings": self.settings})
        self.done.add(key)

    def _key(self, row: dict[str, Any], number: int) -> str:
        key, settings = row.get("path"), row.get("settings")
        if not isinstance(key, str) or not isinstance(settings, dict):
            raise self._lines.damaged(number, "it has no path and settings")
        if not isinstance(row.get("control_points"), list):
            raise self._lines.damaged(number, "it has no control points")
        different = differing(settings, self.settings)
        if different:
            raise OutputError(
                f"{self.path} holds rows of other settings ({', '.join(different)} differ). Choose "
                "another file, or remove it to start anew."
            )
        return key
