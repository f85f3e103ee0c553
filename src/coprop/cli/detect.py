"""``coprop detect``: where the sound of a file changes its sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from coprop.cli.common import (
    DebugOption,
    JsonOption,
    Method,
    MethodOption,
    MinGapOption,
    ThresholdOption,
    detector_for,
    reported,
)
from coprop.cli.progress import ProgressBars

if TYPE_CHECKING:
    from coprop.types import ControlPoints

_SAMPLE_RATE = 44_100


def detect(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", show_default=False, readable=False, help="A video or audio file."
        ),
    ],
    windows: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default="a grid of 50 ms",
            help="Divide the sound into N equal windows and give one flag for each, as AVSBench.",
        ),
    ] = None,
    method: MethodOption = Method.novelty,
    threshold: ThresholdOption = None,
    min_gap: MinGapOption = None,
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
    """
    with reported(debug=debug):
        detector = detector_for(method, threshold, min_gap)
        points, duration_s = _listen(file, windows, detector)
    content = {
        "file": file.name,
        "duration_s": round(duration_s, 3),
        "method": method.value,
        "threshold": detector.threshold,
        **_content(points, windows),
    }
    typer.echo(json.dumps(content, indent=2) if as_json else _table(content))


def _listen(file: Path, windows: int | None, detector: Any) -> tuple[ControlPoints, float]:
    from coprop.media.audio_file import AudioFile

    with ProgressBars(shown=True) as bars, AudioFile(file, _SAMPLE_RATE, progress=bars) as audio:
        bars("control points", 0, None)
        return detector(audio, windows=windows), audio.duration_s


def _content(points: ControlPoints, windows: int | None) -> dict[str, Any]:
    rows = [
        {"time_s": round(float(time), 3), "score": round(float(score), 4)}
        for time, score in zip(points.times_s, points.scores, strict=True)
    ]
    content = {"control_points": [rows[i] for i in np.flatnonzero(points.flags)]}
    if windows is None:
        return content
    flags = [int(flag) for flag in points.flags]
    return {**content, "windows": [{**row, "flag": f} for row, f in zip(rows, flags, strict=True)]}


def _table(content: dict[str, Any]) -> str:
    head = f"{content['file']}: {content['duration_s']:.2f} s, "
    head += f"{content['method']}, threshold {content['threshold']:g}"
    if "windows" in content:
        rows = [
            f"{i:>6} {row['time_s']:>10.2f} {row['score']:>8.3f} {row['flag']:>5}"
            for i, row in enumerate(content["windows"])
        ]
        return "\n".join([head, "", "window     time_s    score  flag", *rows])
    points = content["control_points"]
    rows = [f"{row['time_s']:>10.2f} {row['score']:>8.3f}" for row in points]
    return "\n".join([head, "", "    time_s    score", *rows])
