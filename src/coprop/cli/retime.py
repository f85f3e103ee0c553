"""``coprop retime``: a test run's predictions written again, with masks in time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from coprop.checkpoints.hub import offline
from coprop.cli import common, part_options, prediction_options
from coprop.cli.common import (
    FAILED,
    checked_device,
    max_segment_option,
    out_option,
    path_argument,
    path_option,
    reported,
    say,
    say_error,
)
from coprop.cli.part_options import detector_for, words_of
from coprop.cli.prediction_options import run_of
from coprop.cli.progress import ProgressBars
from coprop.errors import CoPropError

if TYPE_CHECKING:
    from coprop.keyframes.predictions import PredictionRun
    from coprop.retiming import Retimed


@dataclass(frozen=True)
class RetimeOptions:
    """The options of ``coprop retime``."""

    predictions: Annotated[
        Path,
        path_argument(
            metavar="DIR",
            help="The folder that a model's test script wrote.",
        ),
    ]
    videos: Annotated[
        Path,
        path_option(metavar="DIR", help="Folder with a video for each clip, called like the clip."),
    ]
    out: Annotated[
        Path, out_option("DIR", "Folder to write; clips whose masks are there are not done again.")
    ]
    layout: prediction_options.LayoutOption = None
    values: prediction_options.ValuesOption = None
    max_distance: prediction_options.MaxDistanceOption = None
    missing: prediction_options.MissingOption = None
    method: part_options.DetectorOption = None
    threshold: common.ThresholdOption = None
    min_gap: common.MinGapOption = None
    words: part_options.WordsOption = None
    max_segment: Annotated[float | None, max_segment_option("0")] = None
    device: common.DeviceOption = ""
    force: Annotated[bool, typer.Option("--force", help="Do all clips anew.")] = False
    offline: part_options.OfflineOption = False
    quiet: common.QuietOption = False
    as_json: common.JsonOption = False
    verbose: common.VerboseOption = 0
    debug: common.DebugOption = False


def retime(options: RetimeOptions) -> None:
    """Predictions of a whole test run, put in time.

    Writes the same folders and files again, of the same names, sizes and kind, so that the scripts
    that read the predictions read these as well. A run that was stopped goes on where it ended.

    \b
      coprop retime work_dir/pred_masks --videos ms3_data/raw_videos --out in_time
    """
    stopped = f"interrupted; to go on, repeat it ({options.out})."
    with reported(debug=options.debug, interrupted=lambda: stopped), offline(options.offline):
        result = _retimed(options)
    if options.as_json:
        counts = {"written": len(result.written), "there": len(result.there)}
        typer.echo(json.dumps({"out": str(options.out), **counts, "failed": result.failed}))
    else:
        there = f", {len(result.there)} were there" if result.there else ""
        failed = f", {len(result.failed)} could not be done" if result.failed else ""
        say(f"Written to {options.out}: {len(result.written)} clips{there}{failed}.")
    if result.failed:
        raise typer.Exit(FAILED)


def _retimed(options: RetimeOptions) -> Retimed:
    from coprop.pipeline import CoProp
    from coprop.retiming import retime

    run = cast("PredictionRun", run_of(options))
    device = checked_device(options.device)
    pipeline = CoProp.wrap(
        run[next(iter(run))],
        detector=detector_for(
            options.method,
            options.threshold,
            options.min_gap,
            options.words,
            device=device,
            offline=options.offline,
        ),
        max_segment_s=options.max_segment or None,
        device=device,
    )
    with ProgressBars(shown=not options.quiet) as bars:
        return retime(
            run,
            options.videos,
            options.out,
            pipeline,
            settings=_settings(options),
            force=options.force,
            progress=bars,
            failed=_say_failed,
        )


def _say_failed(clip: str, error: CoPropError) -> None:
    say_error(error, f"{clip}: ")


def _settings(options: RetimeOptions) -> dict[str, Any]:
    """What masks depend on beside the predictions."""
    words = words_of(options.words)
    return {
        "method": options.method or ("novelty" if words is None else "events"),
        **({} if words is None else {"words": words}),
        "threshold": options.threshold,
        "min_gap": options.min_gap,
        "max_segment": options.max_segment or None,
    }
