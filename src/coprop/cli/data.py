"""``coprop data``: whether a composed benchmark is as it was composed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coprop.cli.common import FAILED, DebugOption, QuietOption, path_argument, reported, say
from coprop.cli.progress import ProgressBars
from coprop.errors import DatasetError

_MOST_LINES = 20  # of one kind
_ANYTHING = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

data = typer.Typer(
    help="The open benchmark: verify its files.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@data.callback()
def _group() -> None:
    """Keeps ``verify`` a command by name, though it is the only one that is shown."""


@data.command()
def verify(
    folder: Annotated[
        Path,
        path_argument(metavar="DIR", help="A composed benchmark."),
    ],
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Whether a benchmark's files are as they were composed; exit code 1 if not.

    The list in DIR, SHA256SUMS, is in the form of sha256sum: sha256sum -c reads it too.
    """
    with reported(debug=debug), ProgressBars(shown=not quiet) as bars:
        from coprop.data.checksums import verify as verified

        found = verified(folder, progress=bars)
    for title, paths in (
        ("missing", found.missing),
        ("changed", found.changed),
        ("not listed", found.unlisted),
    ):
        print_some([f"{title}: {path}" for path in paths])
    if not found.is_whole:
        say(
            f"coprop: {len(found.missing)} of {found.checked} files are missing, "
            f"{len(found.changed)} changed, and {len(found.unlisted)} are not listed. Remove the "
            "clips that are damaged, and compose them anew: repeat python -m tools.benchmark "
            "compose with the same arguments.",
            err=True,
        )
        raise typer.Exit(FAILED)
    say(f"{folder}: {found.checked} files are as they were composed.")


def _moved(context: typer.Context) -> None:
    with reported(debug=False):
        raise DatasetError(
            f"the benchmark's composer is no part of the package: in a checkout of the project, "
            f"run python -m tools.benchmark {context.info_name} with the same options."
        )


for _name in ("compose", "check"):
    data.command(_name, hidden=True, context_settings=_ANYTHING)(_moved)


def print_some(lines: list[str]) -> None:
    """The first lines, and how many more there are."""
    for line in lines[:_MOST_LINES]:
        say(line)
    if len(lines) > _MOST_LINES:
        say(f"  and {len(lines) - _MOST_LINES} more")
