"""Batches of rows as engines hand them over, read and added to without importing any of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

import numpy as np

from coprop.errors import CoPropError
from coprop.utils.checks import shown

Batch = TypeVar("Batch")


def column_of(batch: object, name: str) -> list[Any]:
    """The values of a column.

    Args:
        batch: a mapping of arrays or lists (Ray Data, Hugging Face datasets), a pandas DataFrame
            or a pyarrow Table.
        name: of the column.

    Raises:
        CoPropError: something else, without that column, or with one value in its place.
    """
    names = _names(batch)
    if name not in names:
        raise CoPropError(
            f"the batch has no column {name!r} but {', '.join(map(str, names)) or 'none'}; say "
            "which one has the paths: Segment(out, column=...)."
        )
    values: Any = batch[name]  # type: ignore[index]
    if hasattr(values, "to_pylist"):
        return list(values.to_pylist())
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise CoPropError(
            f"the column {name!r} must be a list of paths, got {shown(values)}; one file goes to "
            "Segment.one(path)."
        )
    return list(values)


def with_columns(batch: Batch, columns: Mapping[str, list[Any]]) -> Batch:
    """The batch, as what it came, with more columns; it is not changed itself."""
    given: Any = batch
    if hasattr(given, "append_column"):
        for name, values in columns.items():
            if name in given.column_names:
                given = given.drop_columns([name])
            given = given.append_column(name, [values])
        return cast(Batch, given)
    if hasattr(given, "assign"):
        return cast(Batch, given.assign(**columns))
    arrays = any(isinstance(values, np.ndarray) for values in given.values())
    made = {k: _array(values) if arrays else values for k, values in columns.items()}
    return cast(Batch, {**given, **made})


def _array(values: list[Any]) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array if any(v is None or isinstance(v, str) for v in values) else np.array(values)


def _names(batch: Any) -> list[str]:
    if hasattr(batch, "column_names"):
        return list(batch.column_names)
    if hasattr(batch, "assign"):
        return list(batch.columns)
    if isinstance(batch, Mapping):
        return list(batch)
    raise CoPropError(
        "a batch is a dict of columns, a pandas DataFrame or a pyarrow Table, got "
        f"{shown(batch)}; one file goes to Segment.one(path)."
    )
