"""The folder of an evaluation: what was asked, a row for each finished clip, and the results."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coprop.errors import OutputError
from coprop.media.atomic import output_errors, replacing

SETTINGS, RESULTS, TABLE, TIMINGS = "settings.json", "results.json", "results.md", "timings.json"
_ROWS = "rows"


class EvaluationFolder:
    """Keeps finished clips, so that an evaluation that was stopped goes on where it ended.

    Each process appends to a file of its own, one JSON object a line; a line that a kill cut short
    does not count.

    Args:
        path: made if needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, settings: dict[str, Any]) -> None:
        """Refuses to go on with another evaluation's rows.

        Args:
            settings: what is evaluated, as JSON can hold it.

        Raises:
            OutputError: the folder holds rows of other settings, or something else.
        """
        if not self.path.exists():
            return
        noted = self.path / SETTINGS
        if not noted.is_file():
            if any(self.path.iterdir()):
                raise OutputError(
                    f"{self.path} is not empty, and no evaluation of coprop. Choose another folder."
                )
            return
        before = json.loads(noted.read_text(encoding="utf-8"))
        now = json.loads(json.dumps(settings))
        different = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
        if different:
            raise OutputError(
                f"{self.path} holds an evaluation with other settings ({', '.join(different)} "
                "differ). Choose another folder, or start anew with --force."
            )

    def open(self, settings: dict[str, Any]) -> None:
        """Makes the folder and notes the settings in it.

        Raises:
            OutputError: it cannot be written.
        """
        with output_errors(self.path):
            (self.path / _ROWS).mkdir(parents=True, exist_ok=True)
        self.write(SETTINGS, to_json(settings))

    def clear(self) -> None:
        """Removes an earlier evaluation, if there is one; other files stay."""
        if not (self.path / SETTINGS).is_file():
            return
        with output_errors(self.path):
            for name in (SETTINGS, RESULTS, TABLE, TIMINGS):
                (self.path / name).unlink(missing_ok=True)
            for path in (self.path / _ROWS).glob("*.jsonl"):
                path.unlink()
            (self.path / _ROWS).rmdir()

    def rows(self) -> dict[int, dict[str, Any]]:
        """The finished clips' rows by index."""
        rows = {}
        for path in sorted((self.path / _ROWS).glob("*.jsonl")):
            for row in _complete_lines(path):
                rows[int(row["index"])] = row
        return rows

    def append(self, row: dict[str, Any], process: int) -> None:
        """Adds a finished clip's row, on disk when this returns."""
        path = self.path / _ROWS / f"{process}.jsonl"
        with output_errors(path), path.open("ab+") as file:
            if file.tell() and not _ends_a_line(file):
                file.write(b"\n")  # what a kill cut short stays a line of its own
            file.write(json.dumps(row).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def write(self, name: str, text: str) -> None:
        """Writes a file, whole or not at all."""
        with replacing(self.path / name) as part:
            part.write_text(text, encoding="utf-8")


def to_json(content: object) -> str:
    """Readable JSON; NaN is no number in it, so what has no value must be None."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _complete_lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "index" in row:
            yield row


def _ends_a_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")
