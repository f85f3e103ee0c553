"""``coprop eval``: a model with and without coprop on a labelled dataset."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coprop.checkpoints.hub import offline
from coprop.cli import common, dataset_options, prediction_options
from coprop.cli.common import checked_device, max_segment_option, out_option, reported, say
from coprop.cli.dataset_options import chosen_dataset
from coprop.cli.part_options import OfflineOption
from coprop.cli.prediction_options import predictions_option, run_of
from coprop.cli.progress import ProgressBars

if TYPE_CHECKING:
    from coprop.data.labelled import LabelledDataset
    from coprop.evaluation.methods import Method
    from coprop.evaluation.runner import Processes
    from coprop.keyframes.predictions import PredictionRun
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

    dataset: dataset_options.DatasetOption
    root: dataset_options.RootOption
    out: Annotated[
        Path,
        out_option(
            "DIR", "Folder for rows and results; what an earlier run left there is not done again."
        ),
    ]
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default="default",
            help="default; a pipeline in a folder or on the hub; or module:factory, a function "
            "that returns a model, an adapter or a CoProp.",
        ),
    ] = None
    predictions: Annotated[
        Path | None,
        predictions_option(
            "In place of a model: the folder with predictions for the dataset that a model's test "
            "script wrote. They are scored as they are (alone), and in time."
        ),
    ] = None
    layout: prediction_options.LayoutOption = None
    values: prediction_options.ValuesOption = None
    max_distance: prediction_options.MaxDistanceOption = None
    missing: prediction_options.MissingOption = None
    methods: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="What is compared, out of: nothing, everything, alone (the model on every frame), "
            "coprop (with the pipeline's own detector), cosine, novelty, true (control points), "
            "text (keyframes guided by words); at the control points of events(), the pipeline's "
            "own or YAMNet's: events (guided by sound), events-text, events-both; "
            "tracks (all that is seen is tracked, and the sound chooses among the tracks).",
        ),
    ] = "alone,cosine,novelty,true"
    split: dataset_options.SplitOption = "test"
    subset: dataset_options.SubsetOption = dataset_options.SubsetName.all
    classes: dataset_options.SeenClassesOption = dataset_options.SeenClasses.all
    control_points: dataset_options.ControlPointsOption = None
    limit: dataset_options.LimitOption = None
    sound: Annotated[
        list[SoundName] | None,
        typer.Option(
            "--sound",
            metavar="|".join(each.value for each in SoundName),
            show_default="own",
            help="Hear this too, in place of the clips' own sound: silence, white noise as loud as "
            "they are, or another clip's sound. May be given several times; everything is run "
            "once more for each.",
        ),
    ] = None
    mute: Annotated[bool, typer.Option("--mute", help="Short for --sound muted.")] = False
    max_segment: Annotated[float | None, max_segment_option("the model's")] = None
    tolerance: Annotated[
        float,
        typer.Option(
            min=0.0, metavar="SECONDS", help="How far a control point may be from the true one."
        ),
    ] = 0.25
    near: Annotated[
        int,
        typer.Option(
            min=1, metavar="FRAMES", help="Frames on either side of a change that count as near it."
        ),
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
    device: common.DeviceOption = ""
    offline: OfflineOption = False
    force: Annotated[bool, typer.Option("--force", help="Forget an earlier run in DIR.")] = False
    quiet: common.QuietOption = False
    as_json: common.JsonOption = False
    verbose: common.VerboseOption = 0
    debug: common.DebugOption = False


def evaluate(options: EvalOptions) -> None:
    """How well sounding objects are masked, and how well in time, beside the model alone.

    A model's predictions stand for it with --predictions.

    Writes results.json, results.md and timings.json into DIR, and a row for each clip as it is
    done. A run that was stopped goes on where it ended. Several processes or machines share the
    clips when started with accelerate, and give the same results:

    \b
      coprop eval --dataset ms3 --root AVSBench --model mine:build --out results
      coprop eval --dataset ms3 --root AVSBench --predictions work_dir --out results
      accelerate launch --num_processes 2 -m coprop eval --dataset s4 ... --device cuda

    docs/metrics.md defines the figures.
    """
    stopped = f"interrupted; to go on, repeat it ({options.out})."
    with (
        reported(debug=options.debug, as_json=options.as_json, interrupted=lambda: stopped),
        offline(options.offline),
    ):
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
        run = _run(options)
        pipeline = _pipeline(options, run, str(processes.device) if several else device)
        content = _evaluated(options, dataset, pipeline, run, processes)
    if content is None:
        return
    if options.as_json:
        typer.echo(json.dumps({**content, "clips": len(content["clips"])}, indent=2))
    else:
        _print_table(content, options.out)


def _run(options: EvalOptions) -> PredictionRun | None:
    """The predictions that are given in place of a model, if they are."""
    if options.predictions is not None and options.model is not None:
        raise typer.BadParameter("it takes the place of --model.", param_hint="--predictions")
    return run_of(options)


def _pipeline(options: EvalOptions, run: PredictionRun | None, device: str) -> CoProp:
    from coprop.evaluation.methods import DEFAULT_MODEL, load_model
    from coprop.pipeline import CoProp

    if run is not None:
        pipeline = CoProp.wrap(run[next(iter(run))], device=checked_device(device))
    else:
        pipeline = load_model(options.model or DEFAULT_MODEL, checked_device(device))
    if options.max_segment is not None:
        pipeline.max_segment_s = options.max_segment or None
    return pipeline


def _evaluated(
    options: EvalOptions,
    dataset: LabelledDataset,
    pipeline: CoProp,
    run: PredictionRun | None,
    processes: Processes,
) -> dict[str, Any] | None:
    from coprop.evaluation.methods import DEFAULT_MODEL
    from coprop.evaluation.runner import evaluate
    from coprop.evaluation.scores import ScoreOptions
    from coprop.evaluation.store import EvaluationFolder

    settings = {
        "dataset": dataset.name,
        "num_clips": len(dataset),
        "model": options.model or DEFAULT_MODEL,
        "max_segment_s": pipeline.max_segment_s,
    }
    if run is not None:
        settings |= {"model": f"predictions in {run.root}", "predictions": run.settings}
    scores = ScoreOptions(
        tolerance_s=options.tolerance,
        near_frames=options.near,
        frames_per_batch=options.frames_per_batch,
    )
    sounds = [each.value for each in options.sound or ()] + ["muted"] * options.mute
    with ProgressBars(shown=not options.quiet and processes.process_index == 0) as bars:
        return evaluate(
            dataset,
            _methods(options, pipeline, run),
            EvaluationFolder(options.out),
            settings=settings,
            options=scores,
            sounds=sounds,
            force=options.force,
            processes=processes,
            progress=bars,
        )


def _methods(options: EvalOptions, pipeline: CoProp, run: PredictionRun | None) -> list[Method]:
    from coprop.evaluation.methods import methods_named, methods_of_run

    names = [name.strip() for name in options.methods.split(",") if name.strip()]
    if run is None:
        return methods_named(names, pipeline)
    return methods_of_run(names, run, pipeline)


def _print_table(content: dict[str, Any], out: Path) -> None:
    from coprop.evaluation.store import RESULTS, TABLE, TIMINGS
    from coprop.evaluation.table import IN_ASCII, text
    from coprop.storage.files import read_json

    timings = read_json(out / TIMINGS)
    table = text(content, timings)
    try:
        table.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        table = table.translate(IN_ASCII)
    typer.echo(table)
    say("", f"Written to {out}: {RESULTS}, {TABLE}, {TIMINGS}, rows/")
