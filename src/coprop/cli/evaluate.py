"""``coprop eval``: a model with and without coprop on a labelled dataset."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coprop.cli.common import DebugOption, JsonOption, checked_device, reported
from coprop.cli.progress import ProgressBars

if TYPE_CHECKING:
    from accelerate import PartialState

    from coprop.data.labelled import LabelledDataset

_METHODS = "alone,cosine,novelty,true"


class Dataset(str, Enum):
    """The datasets that can be evaluated on."""

    s4 = "s4"
    ms3 = "ms3"
    avss = "avss"
    composed = "composed"
    benchmark = "benchmark"


class Subset(str, Enum):
    """Parts of a dataset."""

    all = "all"
    moc = "moc"


def evaluate(
    dataset: Annotated[
        Dataset, typer.Option(show_default=False, help="AVSBench's three, or composed clips.")
    ],
    root: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            readable=False,
            show_default=False,
            help="The dataset's folder; for composed clips, the sources they are composed from.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            readable=False,
            show_default=False,
            help="Folder for rows and results; what an earlier run left there is not done again.",
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="default; a folder with keyframe_segmenter/ and propagator/; or module:factory, a "
            "function that returns a model, an adapter or a CoProp.",
        ),
    ] = "default",
    methods: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="What is compared, out of: nothing, everything, alone (the model on every frame), "
            "coprop (with the pipeline's own detector), cosine, novelty, true (control points), "
            "text (keyframes guided by words).",
        ),
    ] = _METHODS,
    split: Annotated[str, typer.Option(help="Part of the dataset.")] = "test",
    subset: Annotated[
        Subset, typer.Option(help="moc: only clips in which the sounding objects change.")
    ] = Subset.all,
    control_points: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            show_default="from the masks",
            help="True control points of AVSBench clips, annotated by hand; see docs/datasets.md.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default="all; 40 composed ones",
            help="Only the first N clips.",
        ),
    ] = None,
    mute: Annotated[
        bool, typer.Option("--mute", help="Run everything without sound too; takes twice as long.")
    ] = False,
    max_segment: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="SECONDS",
            show_default="the model's",
            help="Longest time between keyframes; 0 for one a segment, as in the paper.",
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="Of control points.")
    ] = 0.25,
    near: Annotated[
        int, typer.Option(min=1, metavar="FRAMES", help="What counts as near a change.")
    ] = 1,
    frames_per_batch: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Frames over which F's threshold is chosen, in the avsbench protocol. Published "
            "figures used 5 to 20; F rises with it.",
        ),
    ] = 1,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="Where to compute: cpu, cuda, cuda:1, mps.")
    ] = "cpu",
    force: Annotated[bool, typer.Option("--force", help="Forget an earlier run in DIR.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """How well sounding objects are masked, and how well in time, beside the model alone.

    Writes results.json, results.md and timings.json into DIR, and a row for each clip as it is
    done. A run that was stopped goes on where it ended. Several processes or machines share the
    clips when started with accelerate, and give the same results:

    \b
      coprop eval --dataset ms3 --root AVSBench --model mine:build --out results
      accelerate launch --num_processes 2 -m coprop eval --dataset s4 ... --device cuda

    docs/metrics.md defines the figures.
    """
    with reported(debug=debug, interrupted=lambda: f"interrupted; to go on, repeat it ({out})."):
        processes = _processes(device)
        content = _evaluate(
            dataset=_dataset(dataset, root, split, control_points, subset, limit),
            folder=out,
            model=model,
            methods=[name.strip() for name in methods.split(",") if name.strip()],
            max_segment_s=max_segment,
            scores={
                "tolerance_s": tolerance,
                "near_frames": near,
                "frames_per_batch": frames_per_batch,
            },
            mute=mute,
            device=device,
            force=force,
            processes=processes,
            shown=not quiet,
        )
    if content is None:
        return
    if as_json:
        typer.echo(json.dumps({**content, "clips": len(content["clips"])}, indent=2))
    else:
        _print_table(content, out)


def _processes(device: str) -> PartialState:
    from accelerate import PartialState

    return PartialState(cpu=device == "cpu")


def _dataset(
    name: Dataset,
    root: Path,
    split: str,
    control_points: Path | None,
    which: Subset,
    limit: int | None,
) -> LabelledDataset:
    from coprop.data.composed_clips import ComposedClips
    from coprop.data.loading import load_dataset
    from coprop.data.subsets import moc, subset

    if name is Dataset.composed and limit is not None:
        dataset: LabelledDataset = ComposedClips(root, count=limit, split=split)
    else:
        dataset = load_dataset(name.value, root, split, control_points=control_points)
    if which is Subset.moc:
        dataset = moc(dataset)
    if limit is not None and limit < len(dataset):
        dataset = subset(dataset, range(limit), f"{dataset.name}, first {limit}")
    return dataset


def _evaluate(
    *,
    dataset: LabelledDataset,
    folder: Path,
    model: str,
    methods: list[str],
    max_segment_s: float | None,
    scores: dict[str, Any],
    mute: bool,
    device: str,
    force: bool,
    processes: PartialState,
    shown: bool,
) -> dict[str, Any] | None:
    from coprop.evaluation.methods import methods_named
    from coprop.evaluation.models import load_model
    from coprop.evaluation.runner import evaluate
    from coprop.evaluation.scores import ScoreOptions
    from coprop.evaluation.store import EvaluationFolder

    several = processes.num_processes > 1 and device == "cuda"
    pipeline = load_model(model, processes.device if several else checked_device(device))
    if max_segment_s is not None:
        pipeline.max_segment_s = max_segment_s or None
    store = EvaluationFolder(folder)
    if force and processes.process_index == 0:
        store.clear()
    processes.wait_for_everyone()
    settings = {
        "dataset": dataset.name,
        "num_clips": len(dataset),
        "model": model,
        "max_segment_s": pipeline.max_segment_s,
    }
    with ProgressBars(shown=shown and processes.process_index == 0) as bars:
        return evaluate(
            dataset,
            methods_named(methods, pipeline),
            store,
            settings=settings,
            options=ScoreOptions(**scores),
            mute=mute,
            processes=processes,
            progress=bars,
        )


def _print_table(content: dict[str, Any], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from coprop.evaluation.store import RESULTS, TABLE, TIMINGS
    from coprop.evaluation.table import SELECTIONS, cells

    timings = json.loads((out / TIMINGS).read_text(encoding="utf-8"))
    console = Console(width=None if Console().is_terminal else 200)
    for selection in SELECTIONS:
        head, rows = cells(content, timings, selection)
        table = Table(title=f"{content['dataset']['name']}, {selection}")
        for title in head:
            table.add_column(title, justify="left" if not title else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    typer.echo(f"Written to {out}: {RESULTS}, {TABLE}, {TIMINGS}, rows/")
