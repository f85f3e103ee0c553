"""``coprop eval``: a model with and without coprop on a labelled dataset."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coprop.cli.common import (
    DebugOption,
    DeviceOption,
    JsonOption,
    checked_device,
    reported,
    say,
)
from coprop.cli.dataset_options import (
    Classes,
    ClassesOption,
    ControlPointsOption,
    DatasetOption,
    LimitOption,
    RootOption,
    Subset,
    SubsetOption,
    chosen_dataset,
)
from coprop.cli.progress import ProgressBars

if TYPE_CHECKING:
    from accelerate import PartialState

    from coprop.data.labelled import LabelledDataset


class Sound(str, Enum):
    """What is heard: of `coprop.evaluation.disturbances.Sound`."""

    own = "own"
    muted = "muted"
    noise = "noise"
    other = "other"


_METHODS = "alone,cosine,novelty,true"


def evaluate(
    dataset: DatasetOption,
    root: RootOption,
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
    subset: SubsetOption = Subset.all,
    classes: ClassesOption = Classes.all,
    control_points: ControlPointsOption = None,
    limit: LimitOption = None,
    sound: Annotated[
        list[Sound] | None,
        typer.Option(
            "--sound",
            show_default="own",
            help="Hear this too, in place of the clips' own sound: silence, white noise as loud as "
            "they are, or another clip's sound. May be given several times; everything is run "
            "once more for each.",
        ),
    ] = None,
    mute: Annotated[bool, typer.Option("--mute", help="Short for --sound muted.")] = False,
    max_segment: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="SECONDS",
            show_default="the model's",
            help="Longest time between keyframes; 0 for keyframes at control points alone, as in "
            "the paper.",
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
    device: DeviceOption = "",
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
        device = device or checked_device("").type
        processes = _processes(device)
        content = _evaluate(
            dataset=chosen_dataset(
                dataset,
                root,
                split,
                limit=limit,
                control_points=control_points,
                subset=subset,
                classes=classes,
            ),
            folder=out,
            model=model,
            methods=[name.strip() for name in methods.split(",") if name.strip()],
            max_segment_s=max_segment,
            scores={
                "tolerance_s": tolerance,
                "near_frames": near,
                "frames_per_batch": frames_per_batch,
            },
            sounds=[each.value for each in (*(sound or ()), *((Sound.muted,) if mute else ()))],
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


def _evaluate(
    *,
    dataset: LabelledDataset,
    folder: Path,
    model: str,
    methods: list[str],
    max_segment_s: float | None,
    scores: dict[str, Any],
    sounds: list[str],
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
            EvaluationFolder(folder),
            settings=settings,
            options=ScoreOptions(**scores),
            sounds=sounds,
            force=force,
            processes=processes,
            progress=bars,
        )


def _print_table(content: dict[str, Any], out: Path) -> None:
    from coprop.evaluation.store import RESULTS, TABLE, TIMINGS
    from coprop.evaluation.table import IN_ASCII, text
    from coprop.files import read_json

    timings = read_json(out / TIMINGS)
    table = text(content, timings)
    try:
        table.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        table = table.translate(IN_ASCII)
    typer.echo(table)
    say("", f"Written to {out}: {RESULTS}, {TABLE}, {TIMINGS}, rows/")
