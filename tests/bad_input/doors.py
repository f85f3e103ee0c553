"""All doors by name, and the inputs that a seed gives."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from bad_input import (
    api_values,
    checkpoints,
    commands,
    folders,
    given,
    media,
    metrics,
    pipelines,
    predictions,
    servers,
)
from bad_input.case import Case, Door

DOORS: dict[str, Door] = {
    f"{name}.{door}": entry
    for name, module in {
        "values": api_values,
        "pipeline": pipelines,
        "metrics": metrics,
        "checkpoints": checkpoints,
        "media": media,
        "folders": folders,
        "given": given,
        "prediction": predictions,
        "server": servers,
        "command": commands,
    }.items()
    for door, entry in module.DOORS.items()
}


def inputs(seed: int, count: int, only: str = "") -> Iterator[str]:
    """The names of so many inputs, ``door/seed/number``, of the doors that begin with ``only``."""
    names = [name for name in DOORS if name.startswith(only)]
    weights = [DOORS[name].weight for name in names]
    rng = Random(seed)
    yield from (f"{rng.choices(names, weights)[0]}/{seed}/{number}" for number in range(count))


def case_named(name: str) -> Case:
    """An input again, by its name."""
    return DOORS[name.partition("/")[0]].case(Random(name))
