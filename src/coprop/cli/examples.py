"""``coprop examples``: annotated examples for a language model, out of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from coprop.cli import dataset_options
from coprop.cli.common import DebugOption, VerboseOption, out_option, reported, say
from coprop.cli.dataset_options import chosen_dataset
from coprop.cli.progress import ProgressBars
from coprop.errors import OutputError


@dataclass(frozen=True)
class ExamplesOptions:
    """The options of ``coprop examples``."""

    dataset: dataset_options.DatasetOption
    root: dataset_options.RootOption
    out: Annotated[
        Path, out_option("FILE", "The JSON-lines file to write; sounds go into a folder beside it.")
    ]
    split: dataset_options.SplitOption = "train"
    control_points: dataset_options.ControlPointsOption = None
    force: Annotated[bool, typer.Option("--force", help="Replace a FILE that is there.")] = False
    verbose: VerboseOption = 0
    debug: DebugOption = False


def examples(options: ExamplesOptions) -> None:
    """Annotated examples to show a language model, for coprop detect --examples.

    Each line of the file holds a sound, its categories and its list of control points, read off
    the masks. Categories that the dataset does not name can be added by hand.

    \b
    Example:
      coprop examples --dataset avss --root AVSBench --split train --out train.jsonl
    """
    with reported(debug=options.debug), ProgressBars(shown=True) as bars:
        from coprop.control_points.rcpg.example_building import build_examples

        if options.out.exists() and not options.force:  # categories may have been added by hand
            raise OutputError(
                f"{options.out} is there already. Choose another name, or replace it with --force."
            )
        clips = chosen_dataset(
            options.dataset, options.root, options.split, control_points=options.control_points
        )
        store = build_examples(clips, options.out, progress=bars)
    say(f"Written to {options.out}: {len(store)} examples of {len(clips)} clips of {clips.name}.")
