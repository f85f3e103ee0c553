"""``coprop run``: a video in, a folder of masks out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coprop.brief import counted, text_of
from coprop.cli.common import (
    AudioTrackOption,
    DebugOption,
    DeviceOption,
    JsonOption,
    Method,
    MethodOption,
    MinGapOption,
    ThresholdOption,
    VideoTrackOption,
    checked_device,
    detector_for,
    reported,
)
from coprop.cli.progress import ProgressBars
from coprop.cli.segment_lines import segment_lines
from coprop.errors import CheckpointError, MissingAudioError, OutputError

if TYPE_CHECKING:
    from coprop.pipeline import CoProp, Detector


@dataclass(frozen=True)
class Job:
    """What is to be read and where the result goes."""

    video: Path
    audio: Path | None
    out: Path
    force: bool
    video_track: int | None = None
    audio_track: int | None = None


def run(
    video: Annotated[
        Path,
        typer.Argument(metavar="VIDEO", show_default=False, readable=False, help="The video file."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            readable=False,
            show_default=False,
            help="Folder to write; made if needed.",
        ),
    ],
    audio: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            show_default="the video's own",
            help="File with the sound.",
        ),
    ] = None,
    video_track: VideoTrackOption = None,
    audio_track: AudioTrackOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier result in DIR; other files stay.")
    ] = False,
    device: DeviceOption = "",
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            readable=False,
            show_default="the package's own",
            help="Folder with keyframe_segmenter/ and propagator/, as save_pretrained writes them.",
        ),
    ] = None,
    method: MethodOption = Method.novelty,
    threshold: ThresholdOption = None,
    min_gap: MinGapOption = None,
    max_segment: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="SECONDS",
            show_default="2",
            help="Longest time between keyframes; 0 for keyframes at control points alone, as in "
            "the paper.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")
    ] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Masks of what sounds in a video, frame by frame.

    Writes masks/000000.png and on (palette PNGs, 0 = background), overlay.mp4 with the video's
    sound, timeline.png and result.json. Frames are read one at a time, so memory does not grow
    with the video's length. After Ctrl-C the masks written so far stay.

    --json prints what result.json holds, without the rows of single frames, and the folder.

    \b
    Examples:
      coprop run clip.mp4 --out result
      coprop run silent.mp4 --audio sound.wav --out result --force
      coprop run long.mp4 --out result --device cuda --json > summary.json
    """
    job = Job(video, audio, out, force, video_track, audio_track)
    bars = ProgressBars(shown=not quiet)
    with reported(debug=debug, interrupted=lambda: _what_stays(job, bars.completed("frames"))):
        check_output(job)
        check_input(job)
        detector = detector_for(method, threshold, min_gap)
        pipeline = _pipeline(model, device, max_segment, detector)
        with bars:
            content = _process(job, pipeline, bars)
    if as_json:
        from coprop.files import one_a_line

        brief = {key: value for key, value in content.items() if key != "frames"}
        typer.echo(one_a_line({**brief, "out": str(out)}))
    elif not quiet:
        typer.echo(summary(content, out))


def check_input(job: Job) -> None:
    """Refuses what is no video, or has no sound, before the weights are loaded.

    Raises:
        MediaError: the video cannot be read.
        MissingAudioError: there is no sound in it, nor from elsewhere.
    """
    from coprop.media.reader import VideoFile

    own = job.audio_track if job.audio is None else None
    video = VideoFile(job.video, track=job.video_track, audio_track=own)
    if not video.has_audio and job.audio is None:
        raise MissingAudioError(
            f"{job.video} has no audio track. Give the sound separately, with --audio FILE."
        )


def check_output(job: Job) -> None:
    """Refuses, before any work is done, what could not be written at its end.

    Raises:
        OutputError: the folder has something in it and is not to be replaced, cannot be written,
            or holds the input under a name that the result would take.
    """
    from coprop.files import is_empty, output_errors

    with output_errors(job.out):
        existing = next(path for path in (job.out, *job.out.absolute().parents) if path.exists())
        if not existing.is_dir():
            raise OutputError(f"cannot write {job.out}: {existing} is a file. Choose a folder.")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise OutputError(f"cannot write {job.out}: no permission to write in {existing}.")
        if existing != job.out or is_empty(job.out):
            return
    if not job.force:
        raise OutputError(
            f"{job.out} is not empty. Choose another folder, or replace the result in it with "
            "--force."
        )
    _spare_input(job)


def _spare_input(job: Job) -> None:
    from coprop.media.writer import MASKS, OVERLAY, RESULT, TIMELINE

    results = {(job.out / name).resolve() for name in (MASKS, OVERLAY, TIMELINE, RESULT)}
    for path in filter(None, (job.video, job.audio)):
        if {path.resolve(), path.resolve().parent} & results:
            raise OutputError(
                f"{path} is part of the result in {job.out}, which --force would remove. Choose "
                "another folder."
            )


def _pipeline(
    model: Path | None, device: str, max_segment_s: float | None, detector: Detector
) -> CoProp:
    from coprop.pipeline import DEFAULT_MAX_SEGMENT_S, CoProp
    from coprop.weights import has_file

    where = checked_device(device)
    for name in ("keyframe_segmenter", "propagator"):
        if model is not None and not has_file(model / name / "config.json"):
            raise CheckpointError(
                f"{model} has no folder {name}. --model takes a folder with keyframe_segmenter and "
                "propagator, each with model.safetensors and config.json."
            )
    longest_s = DEFAULT_MAX_SEGMENT_S if max_segment_s is None else max_segment_s or None
    return CoProp.from_pretrained(model, detector=detector, max_segment_s=longest_s, device=where)


def _process(job: Job, pipeline: CoProp, bars: ProgressBars) -> dict[str, Any]:
    from coprop.media.clip import Clip
    from coprop.result import save

    tracks = {"video_track": job.video_track, "audio_track": job.audio_track}
    with Clip(job.video, job.audio, **tracks, progress=bars) as clip:
        bars("control points", 0, None)
        points = pipeline.detect(clip.audio)
        tracked = pipeline.track(clip, points, progress=bars)
        return save(job.out, clip, tracked, points, tracked.segments, force=job.force)


def _what_stays(job: Job, frames: int) -> str:
    if not frames:
        return "interrupted before the first mask was written."
    return (
        f"interrupted after {frames} frames. Their masks are complete, in {job.out / 'masks'}; "
        "there is no overlay and no result.json. --force begins anew."
    )


def summary(content: dict[str, Any], out: Path) -> str:
    """What the command prints at the end.

    Args:
        content: what result.json holds.
        out: the folder.
    """
    frames, segments = content["frames"], content["segments"]
    size = f"{content['width']} x {content['height']}"
    told = [
        f"{counted(len(frames), 'frame')} of {size}",
        counted(len(content["control_points"]) - 1, "change"),
        counted(len(segments), "segment"),
    ]
    lines = [f"{content['video']}: {', '.join(told)}", ""]
    lines += segment_lines(segments, frames) if segments else ["Nothing is heard."]
    return text_of(
        [*lines, "", f"Written to {out}: masks/, overlay.mp4, timeline.png, result.json"]
    )
