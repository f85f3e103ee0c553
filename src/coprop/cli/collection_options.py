"""The options of ``coprop run`` that are for many videos."""

from __future__ import annotations

import re
from typing import Annotated

import typer


def _shard(text: str | None) -> str | None:
    """Refuses what is no shard.

    Raises:
        typer.BadParameter: it is none.
    """
    if text is not None:
        shard_of(text)
    return text


def shard_of(text: str) -> tuple[int, int]:
    """The numbers of "i/N".

    Raises:
        typer.BadParameter: it is of another form, or i is not from 1 to N.
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise typer.BadParameter(
            f"{text!r} is no shard; give i/N with i from 1 to N, such as 1/4 (in a Slurm array, "
            '--array=1-4 and "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT").'
        )
    return number, count


WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        show_default="1",
        help="Of many videos: processes that share them. With --ray: actors; by default as many as "
        "there is room for.",
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        metavar="i/N",
        show_default="all",
        callback=_shard,
        help="Of many videos: every N-th, beginning with the i-th, from 1. Shards may share DIR.",
    ),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        show_default="no cluster",
        help='Of many videos: the Ray cluster that does them; "auto" for that of this machine, '
        '"local" to start one here.',
    ),
]
GpusOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        metavar="SHARE",
        show_default="0",
        help="With --ray: of the cluster's GPUs, for each actor; 0.25 for four on one.",
    ),
]
