"""``coprop detect``: where the sound of files changes its sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coprop.cli.common import (
    FAILED,
    AudioTrackOption,
    DebugOption,
    JsonOption,
    Method,
    MethodOption,
    MinGapOption,
    ThresholdOption,
    detector_for,
    reported,
)
from coprop.cli.detection_job import DetectionJob
from coprop.cli.llm_options import (
    CacheOption,
    DeviceOption,
    ExamplesOption,
    LlmModelOption,
    LlmOption,
    OnFailure,
    Steps,
    opened_model,
)

if TYPE_CHECKING:
    from coprop.control_points.detector import ControlPointDetector
    from coprop.control_points.rcpg import RCPGDetector


def detect(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE... | FOLDER",
            show_default=False,
            readable=False,
            help="Video or audio files, or folders of them.",
        ),
    ],
    windows: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default="a grid of 50 ms; with --llm, of 1 s",
            help="Divide the sound into N equal windows and give one flag for each, as AVSBench.",
        ),
    ] = None,
    audio_track: AudioTrackOption = None,
    method: MethodOption = Method.novelty,
    threshold: ThresholdOption = None,
    min_gap: MinGapOption = None,
    llm: LlmOption = None,
    llm_model: LlmModelOption = None,
    steps: Annotated[
        Steps | None,
        typer.Option(show_default="3", help="Prompts to the language model."),
    ] = None,
    examples: ExamplesOption = None,
    cache: CacheOption = None,
    on_failure: Annotated[
        OnFailure | None,
        typer.Option(
            show_default="novelty",
            help="When no answer of the language model can be used: take those windows from the "
            "novelty detector, or stop.",
        ),
    ] = None,
    device: DeviceOption = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            readable=False,
            show_default=False,
            help="Write all that was asked and answered, as JSON: to a file, or for several "
            "inputs to a folder.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            readable=False,
            show_default=False,
            help="Add a JSON line for each input to this file; inputs that have one there are not "
            "done again.",
        ),
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Control points: the times at which other things begin to sound.

    Times are seconds from the first video frame, or from the first sample of an audio file. The
    first control point is always the beginning, with a score of 1.

    \b
    Examples:
      coprop detect clip.mp4
      coprop detect sound.wav --threshold 0.3 --min-gap 1
      coprop detect clip.mp4 --windows 5 --json
      coprop detect clip.mp4 --llm Qwen/Qwen2-Audio-7B-Instruct --trace asked.json
      coprop detect clips/ --llm http://localhost:8000/v1 --cache answers --out points.jsonl
    """
    fixed = {"--method": method != Method.novelty, "--threshold": threshold, "--min-gap": min_gap}
    asking = {
        **{"--llm-model": llm_model, "--steps": steps, "--examples": examples, "--cache": cache},
        **{"--on-failure": on_failure, "--device": device, "--trace": trace},
    }
    _refuse(fixed if llm is not None else asking, with_llm=llm is not None)
    stopped = "interrupted." if out is None else f"interrupted; to go on, repeat it ({out})."
    with reported(debug=debug, interrupted=lambda: stopped):
        detector: ControlPointDetector | RCPGDetector
        if llm is None:
            detector = detector_for(method, threshold, min_gap)
            about: dict[str, Any] = {"method": method.value, "threshold": detector.threshold}
        else:
            detector, about = _asking(
                opened_model(llm, served_name=llm_model, device=device, cache=cache),
                steps or Steps.three, examples, on_failure or OnFailure.novelty,
            )  # fmt: skip
        settings = {"windows": windows, "min_gap": min_gap, "on_failure": on_failure}
        if audio_track is not None:
            settings["audio_track"] = audio_track
        job = DetectionJob(files, windows, detector, about, settings, trace, out, as_json)
        failures = job.run()
    if failures:
        raise typer.Exit(FAILED)


def _refuse(options: dict[str, Any], *, with_llm: bool) -> None:
    given = [name for name, value in options.items() if value not in (None, False)]
    if given:
        why = "is of the detectors that ask no language model" if with_llm else "goes with --llm"
        raise typer.BadParameter(f"{why}.", param_hint=given[0])


def _asking(
    model: Any, steps: Steps, examples: Path | None, on_failure: OnFailure
) -> tuple[RCPGDetector, dict[str, Any]]:
    from coprop.control_points.detector import ControlPointDetector

    detector = ControlPointDetector.rcpg(
        model,
        steps=1 if steps is Steps.one else 3,
        examples=examples,
        on_failure="raise" if on_failure is OnFailure.error else "novelty",
    )
    about = {"method": "rcpg", "llm": model.name, "steps": int(steps.value)}
    return detector, about if examples is None else {**about, "examples": str(examples)}
