"""``coprop names``: what the default can mask, and what it can call what it hears."""

from __future__ import annotations

import json
import textwrap
from typing import Annotated

import typer

from coprop.cli.common import JsonOption
from coprop.utils.brief import text_of

_WIDTH = 80  # of a terminal that nobody has widened


def names(
    sounds: Annotated[
        bool,
        typer.Option("--sounds", help="The 521 names of sounds in place of the groups of things."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """The groups of things that the default model knows, and the names it has for sounds.

    A thing of one of the groups is masked where it is seen and heard. Segments are named in
    AudioSet's 521 names of sounds, which --sounds lists; those beside a group here are of that
    group. Anything else is masked where it stands out or moves, or not at all. A wrapped model
    knows what it has been trained on.

    \b
    Examples:
      coprop names
      coprop names --sounds
      coprop names --json
    """
    groups, heard = known_groups(), known_sounds()
    if as_json:
        typer.echo(json.dumps({"groups": groups, "sounds": heard}, indent=2))
    elif sounds:
        typer.echo(text_of(heard))
    else:
        typer.echo(text_of(_table(groups)))


def known_groups() -> dict[str, list[str]]:
    """The groups of things by name, in the model's order, with the sounds that are theirs."""
    from coprop.keyframes.groups import sounding_groups

    return {name: list(group.audioset) for name, group in sounding_groups().items()}


def known_sounds() -> list[str]:
    """The names that a segment can get, in AudioSet's order."""
    from coprop.encoders.yamnet import class_names

    return list(class_names())


def _table(groups: dict[str, list[str]]) -> list[str]:
    width = max(map(len, groups)) + 2
    lines = []
    for name, sounds in groups.items():
        told = textwrap.wrap("; ".join(sounds), _WIDTH - width)
        lines += [f"{name if row == 0 else '':<{width}}{text}" for row, text in enumerate(told)]
    return lines
