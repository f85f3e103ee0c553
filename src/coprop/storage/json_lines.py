"""Rows of JSON that are added one by one, and that a kill or a full disk cannot spoil."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from coprop.errors import OutputError
from coprop.storage.files import (
    MOST_BYTES,
    differing,
    output_errors,
    parse_json,
    read_json,
    write_text,
)
from coprop.storage.locks import WriterLock
from coprop.utils.brief import first_line

_TAIL = 1 << 16  # bytes looked at in one go while the last line's end is searched


class JsonLines:
    """A file with one JSON object a line, only ever added to.

    A last line without an end, as a kill leaves it, does not count and is cut off before more is
    written. A row that cannot be written whole leaves nothing behind.

    Args:
        path: the file; it need not be there.
        remedy: what to do about a line that cannot be used, a sentence.
        fault: what is said of such a line.
        begins: how every row begins; a last line without an end that begins otherwise is refused.
        synced: whether a row is on disk when `append` returns, rather than on its way there.
        finite: refuse rows with NaN or infinite numbers.
    """

    def __init__(
        self,
        path: Path,
        *,
        remedy: str,
        fault: str = "is damaged",
        begins: str = "{",
        synced: bool = True,
        finite: bool = True,
    ) -> None:
        self.path = path
        self._remedy = remedy
        self._fault = fault
        self._begins = begins.encode()
        self._synced = synced
        self._finite = finite
        self._whole = False  # whether the file is known to end with a line's end

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The rows, each with its line's number, from 1.

        Raises:
            OutputError: a line that is no JSON object, or a file that cannot be read.
        """
        try:
            if self.path.exists() and not self.path.is_file():
                raise OutputError(f"{self.path} is no regular file. {self._remedy}")
            with self.path.open("rb") as file:
                number = 0
                while line := file.readline(MOST_BYTES):
                    number += 1
                    if line.endswith(b"\n"):
                        yield number, self._row(number, line)
                    elif not _may_begin_a_row(line, self._begins):
                        raise self.damaged(number, "it is no row, nor the beginning of one")
        except FileNotFoundError:
            return
        except OSError as error:
            raise OutputError(
                f"cannot read {self.path}: {first_line(error)}. {self._remedy}"
            ) from error

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds a row.

        Raises:
            OutputError: the file cannot be written; it is as it was before.
        """
        line = json.dumps(row, allow_nan=not self._finite).encode() + b"\n"
        with output_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+", buffering=0) as file:
                if not self._whole:
                    file.truncate(_end_of_last_line(file))
                end = file.seek(0, os.SEEK_END)
                self._whole = False
                try:
                    rest = memoryview(line)
                    while rest:
                        rest = rest[file.write(rest) or 0 :]
                    if self._synced:
                        os.fsync(file.fileno())
                except BaseException:
                    with suppress(OSError):
                        file.truncate(end)
                    raise
                self._whole = True

    def replace(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Puts other rows in place of all that are there, whole or not at all.

        Raises:
            OutputError: the file cannot be written.
        """
        lines = (json.dumps(row, allow_nan=not self._finite) + "\n" for row in rows)
        write_text(self.path, "".join(lines))
        self._whole = True

    def lock(self) -> WriterLock:
        """Keeps other writers out; a context manager.

        Raises:
            OutputError: another one is at work, or the file's folder cannot be written.
        """
        return WriterLock.of_file(self.path)

    def damaged(self, number: int, reason: object) -> OutputError:
        """The error that says that a line cannot be used."""
        return OutputError(f"{self.path}, line {number} {self._fault}: {reason}. {self._remedy}")

    def _row(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            row = parse_json(line, finite=self._finite)
        except ValueError as error:
            raise self.damaged(number, first_line(error)) from error
        if not isinstance(row, dict):
            raise self.damaged(number, "it is no JSON object")
        return row


def settings_in(path: Path, remedy: str) -> dict[str, Any]:
    """The settings that a file of JSON holds.

    Raises:
        OutputError: it is damaged; it tells the remedy, sentences.
    """
    try:
        found = read_json(path)
        if not isinstance(found, dict):
            raise ValueError("it holds no settings")
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} is damaged: {first_line(error)}. {remedy}") from error
    return found


def refuse_other_settings(
    before: Mapping[str, Any], now: Mapping[str, Any], *, held: str, remedy: str
) -> None:
    """Keeps rows of different settings apart.

    Args:
        before: settings that were read from a file.
        now: those of this call.
        held: what came about under the former, such as "rows.jsonl holds rows of".
        remedy: what to do, sentences.

    Raises:
        OutputError: they differ; it names the settings that do.
    """
    if names := differing(before, now):
        raise OutputError(f"{held} other settings ({', '.join(names)} differ). {remedy}")


def _end_of_last_line(file: Any) -> int:
    """Where the last whole line ends, in bytes from the beginning."""
    start: int = file.seek(0, os.SEEK_END)
    end = start
    while start:
        start = max(start - _TAIL, 0)
        file.seek(start)
        found: int = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _may_begin_a_row(line: bytes, begins: bytes) -> bool:
    return line.startswith(begins) or begins.startswith(line)
