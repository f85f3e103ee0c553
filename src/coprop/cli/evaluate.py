"""``coprop eval``: a model with and without coprop on a labelled dataset."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coprop.cli.common import (
    DebugOption,
    DeviceOption,
    JsonOption,
    QuietOption,
    checked_device,
    max_segment_option,
    out_option,
    reported,
    say,
)
from coprop.cli.dataset_options import (
    ControlPointsOption,
    DatasetOption,
    LimitOption,
    RootOption,
    SeenClasses,
    SeenClassesOption,
    SplitOption,
    SubsetName,
    SubsetOption,
    chosen_dataset,
)
from coprop.cli.progress import ProgressBars

if TYPE_CHECKING:
    from coprop.data.labelled import LabelledDataset
    from coprop.evaluation.runner import Processes
    from coprop.pipeline import CoProp


class SoundName(str, Enum):
    """What is heard: of `coprop.evaluation.disturbances.HeardSound`."""

    own = "own"
    muted = "muted"
    noise = "noise"
    other = "other"


@dataclass(frozen=True)
class EvalOptions:
    """The options of ``coprop eval``."""

    dataset: DatasetOption
    root: RootOption
    out: Annotated[
        Path,
        out_option(
            "DIR", "Folder for rows and results; what an earlier run left there is not done again."
        ),
    ]
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="default; a folder with keyframe_segmenter/ and propagator/; or module:factory, a "
            "function that returns a model, an adapter or a CoProp.",
        ),
    ] = "default"
    methods: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="What is compared, out of: nothing, everything, alone (the model on every frame), "
            "coprop (with the pipeline's own detector), cosine, novelty, true (control points), "
            "text (keyframes guided by words).",
        ),
    ] = "alone,cosine,novelty,true"
    split: SplitOption = "test"
    subset: SubsetOption = SubsetName.all
    classes: SeenClassesOption = SeenClasses.all
    control_points: ControlPointsOption = None
    limit: LimitOption = None
    sound: Annotated[
        list[SoundName] | None,
        typer.Option(
            "--sound",
            show_default="own",
            help="Hear this too, in place of the clips' own sound: silence, white noise as loud as "
            "they are, or another clip's sound. May be given several times; everything is run "
            "once more for each.",
        ),
    ] = None
    mute: Annotated[bool, typer.Option("--mute", help="Short for --sound muted.")] = False
    max_segment: Annotated[float | None, max_segment_option("the model's")] = None
    tolerance: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="Of control points.")
    ] = 0.25
    near: Annotated[
        int, typer.Option(min=1, metavar="FRAMES", help="What counts as near a change.")
    ] = 1
    frames_per_batch: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Frames over which F's threshold is chosen, in the avsbench protocol. Published "
            "figures used 5 to 20; F rises with it.",
        ),
    ] = 1
    device: DeviceOption = ""
    force: Annotated[bool, typer.Option("--force", help="Forget an earlier run in DIR.")] = False
    quiet: QuietOption = False
    as_json: JsonOption = False
    debug: DebugOption = False


def evaluate(options: EvalOptions) -> None:
    """How well sounding objects are masked, and how well in time, beside the model alone.

    Writes results.json, results.md and timings.json into DIR, and a row for each clip as it is
    done. A run that was stopped goes on where it ended. Several processes or machines share the
    clips when started with accelerate, and give the same results:

    \b
      coprop eval --dataset ms3 --root AVSBench --model mine:build --out results
      accelerate launch --num_processes 2 -m coprop eval --dataset s4 ... --device cuda

    docs/metrics.md defines the figures.
    """
    stopped = f"interrupted; to go on, repeat it ({options.out})."
    with reported(debug=options.debug, interrupted=lambda: stopped):
        from accelerate import PartialState

        device = options.device or checked_device("").type
        processes = PartialState(cpu=device == "cpu")
        dataset = chosen_dataset(
            options.dataset,
            options.root,
            options.split,
            limit=options.limit,
            control_points=options.control_points,
            subset=options.subset,
            classes=options.classes,
        )
        several = processes.num_processes > 1 and device == "cuda"
        pipeline = _pipeline(options, str(processes.device) if several else device)
        content = _evaluated(options, dataset, pipeline, processes)
    if content is None:
        return
    if options.as_json:
        typer.echo(json.dumps({**content, "clips": len(content["clips"])}, indent=2))
    else:
        _print_table(content, options.out)


def _pipeline(options: EvalOptions, device: str) -> CoProp:
    from coprop.evaluation.methods import load_model

    pipeline = load_model(options.model, checked_device(device))
    if options.max_segment is not None:
        pipeline.max_segment_s = options.max_segment or None
    return pipeline


def _evaluated(
    options: EvalOptions, dataset: LabelledDataset, pipeline: CoProp, processes: Processes
) -> dict[str, Any] | None:
    from coprop.evaluation.methods import methods_named
    from coprop.evaluation.runner import evaluate
    from coprop.evaluation.scores import ScoreOptions
    from coprop.evaluation.store import EvaluationFolder

    settings = {
        "dataset": dataset.name,
        "num_clips": len(dataset),
        "model": options.model,
        "max_segment_s": pipeline.max_segment_s,
    }
    scores = ScoreOptions(
        tolerance_s=options.tolerance,
        near_frames=options.near,
        frames_per_batch=options.frames_per_batch,
    )
    methods = [name.strip() for name in options.methods.split(",") if name.strip()]
    sounds = [each.value for each in options.sound or ()] + ["muted"] * options.mute
    with ProgressBars(shown=not options.quiet and processes.process_index == 0) as bars:
        return evaluate(
            dataset,
            methods_named(methods, pipeline),
            EvaluationFolder(options.out),
            settings=settings,
            options=scores,
            sounds=sounds,
            force=options.force,
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
