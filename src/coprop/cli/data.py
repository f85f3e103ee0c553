"""``coprop data``: the open benchmark, composed, checked and verified."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coprop.cli.common import FAILED, DebugOption, JsonOption, reported, say
from coprop.cli.dataset_options import Subset
from coprop.cli.progress import ProgressBars

if TYPE_CHECKING:
    from coprop.data.disjoint import DisjointReport

_MOST_LINES = 20  # of one kind, where there is no --json
_SIZE = re.compile(r"(\d{1,5})[xX](\d{1,5})")

data = typer.Typer(
    help="The open benchmark: compose it, check its sources, verify its files.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Split(str, Enum):
    """Parts of the sources."""

    train = "train"
    validation = "validation"
    test = "test"


SourcesOption = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        readable=False,
        show_default=False,
        help="The sources folder that scripts/build_sources.py built.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]


@data.command()
def compose(
    sources: SourcesOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            readable=False,
            show_default=False,
            help="Folder for the clips; those that an earlier run left there are kept.",
        ),
    ],
    subset: Annotated[
        Subset,
        typer.Option(
            help="s4: one object sounds; m3: several, also at once; moc: what sounds changes in "
            "every clip."
        ),
    ] = Subset.all,
    clips: Annotated[int, typer.Option(min=1, metavar="N", help="Of each subset.")] = 40,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of all randomness.")] = 2024,
    split: Annotated[Split, typer.Option(help="Which pictures and recordings.")] = Split.test,
    fps: Annotated[
        float, typer.Option(min=0.0, metavar="RATE", help="Frames per second; above 0.")
    ] = 5.0,
    size: Annotated[
        str, typer.Option(metavar="WIDTHxHEIGHT", help="Of the frames, in pixels.")
    ] = "384x288",
    unseen: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default="the scarcest quarter",
            help="Groups that training clips keep out, with commas between them.",
        ),
    ] = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Clips composed of pictures and recordings, everything about them known.

    The same sources, seed and options give the same files. A run that was stopped goes on where it
    ended when it is repeated; a run with another subset, split or more clips adds to the folder.
    docs/datasets.md describes the files.

    \b
    Example:
      coprop data check --sources SOURCES
      coprop data compose --sources SOURCES --out BENCHMARK
      coprop eval --dataset benchmark --root BENCHMARK --out results
    """
    match = _SIZE.fullmatch(size)
    if match is None:
        raise typer.BadParameter(
            f"{size!r} is not WIDTHxHEIGHT, such as 384x288", param_hint="size"
        )

    def interrupted() -> str:
        return f"interrupted; to go on, repeat it ({out})."

    with reported(debug=debug, interrupted=interrupted), ProgressBars(shown=not quiet) as bars:
        from coprop.data.benchmark_folder import compose_folder
        from coprop.data.benchmark_recipes import Recipe

        result = compose_folder(
            sources,
            out,
            subset=subset.value,
            clips=clips,
            seed=seed,
            split=split.value,
            recipe=Recipe(fps=fps, size=(int(match[2]), int(match[1]))),
            unseen=None if unseen is None else _names(unseen),
            progress=bars,
        )
    counts = "; ".join(
        f"{name} " + ", ".join(f"{number} {kind}" for kind, number in own.items())
        for name, own in result.counts.items()
    )
    say(f"Written to {out}: {result.composed} new clips. It holds {counts}.")
    if result.left_out:
        say(f"{len(result.left_out)} test files are left out: training has copies of them.")


@data.command()
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
        from coprop.data.disjoint import check_disjoint

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


@data.command()
def verify(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", readable=False, show_default=False, help="A composed benchmark."
        ),
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
        _print_some([f"{title}: {path}" for path in paths])
    if not found.is_whole:
        say(
            f"coprop: {len(found.missing)} of {found.checked} files are missing, "
            f"{len(found.changed)} changed, and {len(found.unlisted)} are not listed. Remove the "
            "clips that are damaged, and repeat coprop data compose with the same arguments.",
            err=True,
        )
        raise typer.Exit(FAILED)
    say(f"{folder}: {found.checked} files are as they were composed.")


def _print_report(report: DisjointReport) -> None:
    for medium in ("picture", "sound"):
        train, test = (report.counts.get((split, medium), 0) for split in ("train", "test"))
        own = [pair for pair in report.shared if pair.medium == medium]
        say(
            f"{medium}s: {train} for training, {test} for testing, "
            f"{report.compared.get(medium, 0)} pairs compared, {len(own)} shared"
        )
        _print_some([f"  {p.similarity:.3f}  {p.how:11}  {p.train}  {p.test}" for p in own])
    _print_some([f"not the manifest's: {path}" for path in report.changed])
    if report.is_disjoint:
        say("Train and test share no picture and no recording.")
        return
    say(
        f"coprop: {len(report.shared)} pairs are shared and {len(report.changed)} files are not "
        "the manifest's. Put both of a pair into one split, or leave one out; build changed files "
        "anew.",
        err=True,
    )


def _print_some(lines: list[str]) -> None:
    for line in lines[:_MOST_LINES]:
        say(line)
    if len(lines) > _MOST_LINES:
        say(f"  and {len(lines) - _MOST_LINES} more")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
