"""``coprop detect``: where the sound of files changes its sources."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coprop.assembly.names import BUILT_IN
from coprop.checkpoints.hub import offline
from coprop.cli import common, llm_options, part_options
from coprop.cli.common import (
    FAILED,
    checked_device,
    out_option,
    path_argument,
    path_option,
    reported,
)
from coprop.cli.detection_job import DetectionJob
from coprop.cli.llm_options import opened_model, refuse_given
from coprop.cli.part_options import detector_for, words_of

if TYPE_CHECKING:
    from coprop.control_points.detector import ControlPointDetector
    from coprop.control_points.events.detector import EventDetector
    from coprop.control_points.rcpg import RCPGDetector

_OF_DETECTORS = ("method", "threshold", "min_gap", "words")
_OF_MODELS = ("llm_model", "steps", "examples", "cache", "on_failure", "device", "trace")


def _windows(count: int | None) -> int | None:
    """Refuses more windows than detectors take.

    Raises:
        typer.BadParameter: they are more.
    """
    if count is None:
        return None
    from coprop.control_points.features import MOST_WINDOWS

    if count > MOST_WINDOWS:
        raise typer.BadParameter(f"{count} is more than {MOST_WINDOWS}.")
    return count


@dataclass(frozen=True)
class DetectOptions:
    """The options of ``coprop detect``."""

    files: Annotated[
        list[Path],
        path_argument(
            metavar="FILE... | FOLDER",
            help="Video or audio files, or folders of them.",
        ),
    ]
    windows: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default="a grid of 50 ms; with --llm, of 1 s",
            callback=_windows,
            help="Divide the sound into N equal windows and give one flag for each, as AVSBench.",
        ),
    ] = None
    audio_track: common.AudioTrackOption = None
    method: part_options.DetectorOption = None
    threshold: common.ThresholdOption = None
    min_gap: common.MinGapOption = None
    words: part_options.WordsOption = None
    llm: llm_options.LlmOption = None
    llm_model: llm_options.LlmModelOption = None
    steps: Annotated[
        llm_options.Steps | None,
        typer.Option(show_default="3", help="How many prompts the language model gets."),
    ] = None
    examples: llm_options.ExamplesOption = None
    cache: llm_options.CacheOption = None
    on_failure: Annotated[
        llm_options.OnFailure | None,
        typer.Option(
            show_default="novelty",
            help="When no answer of the language model can be used: take those windows from the "
            "novelty detector, or stop.",
        ),
    ] = None
    device: llm_options.LlmDeviceOption = None
    trace: Annotated[
        Path | None,
        path_option(
            metavar="FILE|DIR",
            help="Write all that was asked and answered, as JSON: to a file, or for several "
            "inputs to a folder.",
        ),
    ] = None
    out: Annotated[
        Path | None,
        out_option(
            "FILE",
            "Add a JSON line for each input to this file; inputs that have one there are not "
            "done again.",
        ),
    ] = None
    offline: part_options.OfflineOption = False
    as_json: common.JsonOption = False
    verbose: common.VerboseOption = 0
    debug: common.DebugOption = False


def detect(options: DetectOptions) -> None:
    """Control points: the times at which other things begin to sound.

    Times are seconds from the first video frame, or from the first sample of an audio file. The
    first control point is always the beginning, with a score of 1.

    \b
    Examples:
      coprop detect clip.mp4
      coprop detect sound.wav --threshold 0.3 --min-gap 1
      coprop detect clip.mp4 --windows 5 --json
      coprop detect clip.mp4 --words dog,violin,hammer
      coprop detect clip.mp4 --llm Qwen/Qwen2-Audio-7B-Instruct --trace asked.json
      coprop detect clips/ --llm http://localhost:8000/v1 --cache answers --out points.jsonl
    """
    if options.llm is None:
        # A detector that is a model computes somewhere too.
        free = () if options.method in (None, *BUILT_IN["detector"]) else ("device",)
        refuse_given(options, set(_OF_MODELS) - set(free), "goes with --llm.")
    else:
        refuse_given(options, _OF_DETECTORS, "is of the detectors that ask no language model.")
    out = options.out
    stopped = "interrupted." if out is None else f"interrupted; to go on, repeat it ({out})."
    with reported(debug=options.debug, interrupted=lambda: stopped), offline(options.offline):
        detector, about = _detector(options)
        failures = DetectionJob(options, detector, about).run()
    if failures:
        raise typer.Exit(FAILED)


def _detector(
    options: DetectOptions,
) -> tuple[ControlPointDetector | EventDetector | RCPGDetector, dict[str, Any]]:
    """The detector, and what each result tells of it."""
    from coprop.control_points.detector import ControlPointDetector

    model = opened_model(options)
    if model is None:
        return _named_detector(options)
    steps = int(options.steps or llm_options.Steps.three)
    about: dict[str, Any] = {"method": "rcpg", "llm": model.name, "steps": steps}
    if options.examples is not None:
        about["examples"] = str(options.examples)
    rcpg = ControlPointDetector.rcpg(
        model,
        steps=1 if steps == 1 else 3,
        examples=options.examples,
        on_failure="raise" if options.on_failure is llm_options.OnFailure.error else "novelty",
    )
    return rcpg, about


def _named_detector(options: DetectOptions) -> tuple[Any, dict[str, Any]]:
    """The detector of the options that ask no language model by --llm."""
    words = words_of(options.words)
    detector = detector_for(
        options.method,
        options.threshold,
        options.min_gap,
        options.words,
        device=None if options.device is None else checked_device(options.device),
        offline=options.offline,
    )
    name = options.method or ("novelty" if words is None else "events")
    if not hasattr(detector, "threshold"):  # a language model's
        return detector, {"method": "rcpg", "llm": name.removeprefix("rcpg:"), "steps": 3}
    about: dict[str, Any] = {"method": name, "threshold": detector.threshold}
    return detector, about if words is None else {**about, "words": words}
