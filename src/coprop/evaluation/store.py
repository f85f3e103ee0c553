"""The folder of an evaluation: what was asked, a row for each finished clip, and the results."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from coprop.errors import OutputError
from coprop.evaluation.row_form import fault_of
from coprop.storage.files import (
    is_empty,
    output_errors,
    remove_left,
    visible,
    write_text,
)
from coprop.storage.json_lines import JsonLines, refuse_other_settings, settings_in

SETTINGS, RESULTS, TABLE, TIMINGS = "settings.json", "results.json", "results.md", "timings.json"
_ROWS = "rows"
_ANEW = "Start anew with --force, or choose another folder."


class EvaluationFolder:
    """Keeps finished clips, so that an evaluation that was stopped goes on where it ended.

    Each process appends to a file of its own, one JSON object a line; a line that a kill cut short
    does not count.

    Args:
        path: made if needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._appending: dict[int, JsonLines] = {}

    def check(self, settings: dict[str, Any]) -> None:
        """Refuses to go on with another evaluation's rows.

        Args:
            settings: what is evaluated, as JSON can hold it.

        Raises:
            OutputError: the folder holds rows of other settings, or something else.
        """
        noted = self.path / SETTINGS
        if not noted.is_file():
            self._refuse_others()
            return
        refuse_other_settings(
            settings_in(noted, _ANEW),
            settings,
            held=f"{self.path} holds an evaluation with",
            remedy="Choose another folder, or start anew with --force.",
        )

    def open(self, settings: dict[str, Any]) -> None:
        """Makes the folder and notes the settings in it.

        Raises:
            OutputError: it cannot be written.
        """
        with output_errors(self.path):
            (self.path / _ROWS).mkdir(parents=True, exist_ok=True)
        remove_left(self.path)
        self.write(SETTINGS, to_json(settings))

    def clear(self) -> None:
        """Removes an earlier evaluation, if there is one; other files stay."""
        if not (self.path / SETTINGS).is_file():
            return
        with output_errors(self.path):
            for path in self._row_files():
                path.unlink()
            with suppress(OSError):  # something else is in it
                (self.path / _ROWS).rmdir()
            for name in (RESULTS, TABLE, TIMINGS, SETTINGS):  # the settings last: they say whose
                (self.path / name).unlink(missing_ok=True)

    def rows(self) -> dict[int, dict[str, Any]]:
        """The finished clips' rows by index.

        Raises:
            OutputError: a damaged row.
        """
        rows = {}
        for path in self._row_files():
            lines = _lines(path)
            for number, row in lines:
                if fault := fault_of(row):
                    raise lines.damaged(number, fault)
                rows[int(row["index"])] = row
        return rows

    def append(self, row: dict[str, Any], process: int) -> None:
        """Adds a finished clip's row, on disk when this returns."""
        if process not in self._appending:
            self._appending[process] = _lines(self.path / _ROWS / f"{process}.jsonl")
        self._appending[process].append(row)

    def write(self, name: str, text: str) -> None:
        """Writes a file, whole or not at all."""
        write_text(self.path / name, text)

    def damaged(self, error: Exception) -> OutputError:
        """The error that says that rows which are there cannot be summed up."""
        return OutputError(
            f"a row in {self.path / _ROWS} is damaged ({type(error).__name__}: {error}). {_ANEW}"
        )

    def _row_files(self) -> list[Path]:
        return [path for path in visible(self.path / _ROWS) if path.suffix == ".jsonl"]

    def _refuse_others(self) -> None:
        """Refuses a folder without settings, but for what a stop before they were written left."""
        if not self.path.exists():
            return
        with output_errors(self.path):
            rows = self.path / _ROWS
            if not is_empty(self.path, [rows] if rows.is_dir() and is_empty(rows) else []):
                raise OutputError(
                    f"{self.path} is not empty, and no evaluation of coprop. Choose another folder."
                )


def to_json(content: object) -> str:
    """Readable JSON; NaN is no number in it, so what has no value must be None."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _lines(path: Path) -> JsonLines:
    return JsonLines(path, remedy=f"Remove that line, and the clip is done again. {_ANEW}")
