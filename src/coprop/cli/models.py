"""``coprop models``: what the parts of a pipeline can be named."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from coprop.cli.common import DebugOption, JsonOption, reported
from coprop.cli.part_options import OfflineOption
from coprop.utils.brief import text_of

if TYPE_CHECKING:
    from coprop.assembly.known import ListedModel

_SEE = "see its card"
_MEGABYTE = 1e6


@dataclass(frozen=True)
class ModelsOptions:
    """The options of ``coprop models``."""

    offline: OfflineOption = False
    as_json: JsonOption = False
    debug: DebugOption = False


def models(options: ModelsOptions) -> None:
    """What --detector, --segmenter and --propagator can be named: size, licence, access, on disk.

    Nothing is asked of the hub. With --offline, only what can be used without a network is listed.
    Other models of these families can be named too, by a folder or their id on the hub, and so can
    whole pipelines that save_pretrained wrote.
    """
    with reported(debug=options.debug):
        from coprop.assembly.known import listed_models

        listed = [each for each in listed_models() if each.is_on_disk or not options.offline]
    if options.as_json:
        typer.echo(json.dumps([each.to_dict() for each in listed], indent=2))
    else:
        typer.echo(_table(listed))


def _table(listed: list[ListedModel]) -> str:
    rows = [("slot", "name", "size", "licence", "access", "on disk")]
    rows += [
        (
            each.slot,
            each.name,
            _size(each),
            each.licence or _SEE,
            "gated" if each.is_gated else "open",
            "yes" if each.is_on_disk else "no",
        )
        for each in listed
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows]
    return text_of([line.rstrip() for line in lines])


def _size(model: ListedModel) -> str:
    if model.bytes_on_disk is not None:
        megabytes = model.bytes_on_disk / _MEGABYTE
        return f"{megabytes:,.1f} MB" if megabytes < 10 else f"{megabytes:,.0f} MB"
    return _SEE if model.parameters_m is None else f"{model.parameters_m:,g} M parameters"
