"""``coprop examples``: annotated examples for a language model, out of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coprop.cli.common import DebugOption, reported, say
from coprop.cli.dataset_options import (
    ControlPointsOption,
    DatasetOption,
    RootOption,
    opened_dataset,
)
from coprop.cli.progress import ProgressBars


def examples(
    dataset: DatasetOption,
    root: RootOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            readable=False,
            show_default=False,
            help="The JSON-lines file to write; sounds go into a folder beside it.",
        ),
    ],
    split: Annotated[str, typer.Option(help="Part of the dataset.")] = "train",
    control_points: ControlPointsOption = None,
    debug: DebugOption = False,
) -> None:
    """Annotated examples to show a language model, for coprop detect --examples.

    Each line of the file holds a sound, its categories and its list of control points, read off
    the masks. Categories that the dataset does not name can be added by hand.

    \b
    Example:
      coprop examples --dataset avss --root AVSBench --split train --out train.jsonl
    """
    with reported(debug=debug), ProgressBars(shown=True) as bars:
        from coprop.control_points.rcpg.example_building import build_examples

        clips = opened_dataset(dataset, root, split, control_points)
        store = build_examples(clips, out, progress=bars)
    say(f"Written to {out}: {len(store)} examples of {len(clips)} clips of {clips.name}.")
