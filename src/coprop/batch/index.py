"""The index of a collection: a line a video, as JSON lines and as Parquet."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from coprop.batch.folder import CollectionFolder
from coprop.batch.rows import TIMINGS, Outcome, Status, as_line, failed_row, in_order, key_of
from coprop.errors import MissingPackageError
from coprop.storage.files import output_errors, remove, remove_left, replacing, write_text
from coprop.storage.json_lines import JsonLines
from coprop.utils.extras import needs

INDEX, PARQUET = "index.jsonl", "index.parquet"
_REMEDY = "Remove it; the same command writes it again."
_log = logging.getLogger(__name__)


def write_index(
    folder: CollectionFolder, outcomes: Iterable[tuple[Outcome, Sequence[Path]]]
) -> str | None:
    """Adds what became of videos to the index, whole or not at all.

    Rows of videos that others have done stay. It holds the same whoever did the videos in which
    order, and how often that was stopped, but for the field ``timings``.

    Args:
        folder: of the collection.
        outcomes: each with the other files of the same content.

    Returns:
        why there is no Parquet file, a sentence, or None where there is one.

    Raises:
        OutputError: it cannot be written, or is damaged.
    """
    path = folder.path / INDEX
    with folder.lock_of_index():
        for name in (INDEX, PARQUET):
            remove_left(folder.path, name)
        rows = in_order(_merged(folder, _rows_in(path), list(outcomes)))
        write_text(path, "".join(f"{as_line(row)}\n" for row in rows))
        try:
            write_parquet(folder.path / PARQUET, rows)
        except MissingPackageError as error:
            remove(folder.path / PARQUET)  # an earlier one would tell of an earlier state
            return f"{PARQUET} is not written: {error}"
    return None


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rows as a Parquet file.

    Raises:
        MissingPackageError: pyarrow is not installed.
        OutputError: it cannot be written.
    """
    with needs("pyarrow", "coprop[parquet]", "the index as Parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

    category = pa.struct([("name", pa.string()), ("probability", pa.float64())])
    segment = pa.struct(
        [
            ("start_s", pa.float64()),
            ("end_s", pa.float64()),
            ("categories", pa.list_(category)),
        ]
    )
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("id", "status", "path")),
            ("paths", pa.list_(pa.string())),
            *((name, pa.string()) for name in ("error", "folder")),
            ("bytes", pa.int64()),
            ("duration_s", pa.float64()),
            *((name, pa.int64()) for name in ("width", "height", "num_frames")),
            ("masked", pa.float64()),
            ("control_points", pa.list_(pa.float64())),
            ("segments", pa.list_(segment)),
            ("exports", pa.list_(pa.string())),
            (TIMINGS, pa.struct([("seconds", pa.float64())])),
        ]
    )
    with replacing(path) as part, output_errors(path, pa.ArrowException):
        pq.write_table(pa.Table.from_pylist([_printable(row) for row in rows], schema), part)


def _rows_in(path: Path) -> list[dict[str, Any]]:
    lines, rows = JsonLines(path, remedy=_REMEDY), []
    for number, row in lines:
        paths, words = row.get("paths"), [row.get(name, 0) for name in ("id", "folder", "error")]
        named = isinstance(paths, list) and all(
            isinstance(p, str) for p in (*paths, row.get("path"))
        )
        if not named or not all(isinstance(word, str | None) for word in words):
            raise lines.damaged(number, "it is no row of an index")
        rows.append(row)
    return rows


def _merged(
    folder: CollectionFolder,
    before: list[dict[str, Any]],
    outcomes: list[tuple[Outcome, Sequence[Path]]],
) -> Iterable[dict[str, Any]]:
    looked_at = {p for outcome, copies in outcomes for p in (outcome.path, *map(str, copies))}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in before:
        paths = [path for path in row["paths"] if path not in looked_at]
        there = row["folder"] is not None and folder.result_of(row["folder"]).is_dir()
        if there or (row["folder"] is None and paths):
            rows[key_of(row)] = {**row, "paths": paths}
    for outcome, copies in outcomes:
        done = outcome.id is not None and outcome.status is not Status.failed
        found = folder.row(str(outcome.id)) if done else failed_row(outcome)
        if found is None:
            _log.warning("%s: its result has been removed meanwhile", outcome.path)
            continue
        others = rows.get(key_of(found), {"paths": []})["paths"]
        paths = sorted({*others, outcome.path, *map(str, copies)})
        rows[key_of(found)] = {**found, "path": paths[0], "paths": paths}
    return rows.values()


def _printable(row: dict[str, Any]) -> dict[str, Any]:
    """Names that are no UTF-8, which Parquet cannot hold, with their odd bytes written out."""
    from coprop.utils.brief import one_line

    paths = [one_line(path) for path in row["paths"]]
    error = None if row["error"] is None else one_line(row["error"])
    return {**row, "path": one_line(row["path"]), "paths": paths, "error": error}
