"""``python -m tools.benchmark``: composes the open benchmark, and checks its sources."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coprop.cli.app import exit_code
from coprop.cli.common import (
    FAILED,
    DebugOption,
    JsonOption,
    QuietOption,
    out_option,
    path_option,
    reported,
)
from coprop.cli.data import print_some
from coprop.cli.dataset_options import SubsetName
from coprop.cli.progress import ProgressBars
from coprop.utils.signals import SIGNALS

if TYPE_CHECKING:
    from tools.benchmark.disjoint import DisjointReport

_SIZE = re.compile(r"(\d{1,5})[xX](\d{1,5})")

app = typer.Typer(
    help="The open benchmark: compose it, check its sources.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Split(str, Enum):
    """Parts of the sources."""

    train = "train"
    validation = "validation"
    test = "test"


SourcesOption = Annotated[
    Path, path_option(metavar="DIR", help="The sources folder that python -m tools.sources built.")
]
OutOption = Annotated[
    Path,
    out_option("DIR", "Folder for the clips; those that an earlier run left there are kept."),
]
SubsetOption = Annotated[
    SubsetName,
    typer.Option(
        help="s4: one object sounds; m3: several, also at once; moc: what sounds changes in "
        "every clip."
    ),
]
ClipsOption = Annotated[int, typer.Option(min=1, metavar="N", help="Of each subset.")]
SeedOption = Annotated[int, typer.Option(min=0, metavar="N", help="Of all randomness.")]
SplitOption = Annotated[Split, typer.Option(help="Which pictures and recordings.")]
FpsOption = Annotated[
    float, typer.Option(min=0.0, metavar="RATE", help="Frames per second; above 0.")
]
SizeOption = Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Of the frames, in pixels.")]
UnseenOption = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        show_default="the scarcest quarter",
        help="Groups that training clips keep out, with commas between them.",
    ),
]


@app.command()
def compose(
    sources: SourcesOption,
    out: OutOption,
    subset: SubsetOption = SubsetName.all,
    clips: ClipsOption = 40,
    seed: SeedOption = 2024,
    split: SplitOption = Split.test,
    fps: FpsOption = 5.0,
    size: SizeOption = "384x288",
    unseen: UnseenOption = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Clips composed of pictures and recordings, everything about them known.

    The same sources, seed and options give the same files. A run that was stopped goes on where it
    ended when it is repeated; a run with another subset, split or more clips adds to the folder.
    docs/datasets.md describes the files.

    \b
    Example:
      python -m tools.benchmark check --sources SOURCES
      python -m tools.benchmark compose --sources SOURCES --out BENCHMARK
      coprop eval --dataset benchmark --root BENCHMARK --out results
    """
    height_width = _height_width(size)

    def interrupted() -> str:
        return f"interrupted; to go on, repeat it ({out})."

    with reported(debug=debug, interrupted=interrupted), ProgressBars(shown=not quiet) as bars:
        from tools.benchmark.config import ClipConfig
        from tools.benchmark.folder import compose_folder

        result = compose_folder(
            sources,
            out,
            subset=subset.value,
            clips=clips,
            seed=seed,
            split=split.value,
            config=ClipConfig(fps=fps, size=height_width),
            unseen=None if unseen is None else _names(unseen),
            progress=bars,
        )
    counts = "; ".join(
        f"{name} " + ", ".join(f"{number} {kind}" for kind, number in own.items())
        for name, own in result.counts.items()
    )
    typer.echo(f"Written to {out}: {result.composed} new clips. It holds {counts}.")
    if result.left_out:
        typer.echo(f"{len(result.left_out)} test files are left out: training has copies of them.")


@app.command()
def check(
    sources: SourcesOption,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Whether train and test share a picture or a recording; exit code 1 if they do.

    Files are compared by content, and by fingerprints that find copies which were encoded anew,
    made louder, resampled, resized or mirrored. Files that are not the manifest's count as well.
    """
    with reported(debug=debug), ProgressBars(shown=not quiet) as bars:
        from tools.benchmark.disjoint import check_disjoint

        report = check_disjoint(sources, progress=bars)
    if as_json:
        content = {
            "disjoint": report.is_disjoint,
            "counts": {f"{split} {kind}s": n for (split, kind), n in report.counts.items()},
            "compared": report.compared,
            "changed": report.changed,
            "shared": [asdict(pair) for pair in report.shared],
        }
        typer.echo(json.dumps(content, indent=2))
    else:
        _print_report(report)
    if not report.is_disjoint:
        raise typer.Exit(FAILED)


def _print_report(report: DisjointReport) -> None:
    for medium in ("picture", "sound"):
        train, test = (report.counts.get((split, medium), 0) for split in ("train", "test"))
        own = [pair for pair in report.shared if pair.medium == medium]
        typer.echo(
            f"{medium}s: {train} for training, {test} for testing, "
            f"{report.compared.get(medium, 0)} pairs compared, {len(own)} shared"
        )
        print_some([f"  {p.similarity:.3f}  {p.how:11}  {p.train}  {p.test}" for p in own])
    print_some([f"not the manifest's: {path}" for path in report.changed])
    if report.is_disjoint:
        typer.echo("Train and test share no picture and no recording.")
        return
    typer.echo(
        f"coprop: {len(report.shared)} pairs are shared and {len(report.changed)} files are not "
        "the manifest's. Put both of a pair into one split, or leave one out; build changed files "
        "anew.",
        err=True,
    )


def _height_width(size: str) -> tuple[int, int]:
    match = _SIZE.fullmatch(size)
    if match is None:
        raise typer.BadParameter(
            f"{size!r} is not WIDTHxHEIGHT, such as 384x288", param_hint="size"
        )
    return int(match[2]), int(match[1])


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


if __name__ == "__main__":
    SIGNALS.take()
    sys.exit(exit_code(app, name="python -m tools.benchmark"))
