"""``coprop run``: a video in, a folder of masks out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coprop.checkpoints.hub import offline
from coprop.cli import common, part_options, prediction_options, prompt_options
from coprop.cli.collection_job import is_collection, run_collection
from coprop.cli.collection_options import GpusOption, RayOption, ShardOption, WorkersOption
from coprop.cli.common import (
    export_names,
    max_segment_option,
    out_option,
    path_argument,
    reported,
    say,
)
from coprop.cli.export import exports_stopped, exports_told, write_exports
from coprop.cli.model_option import ModelOption
from coprop.cli.part_options import pipeline_for
from coprop.cli.prediction_options import predictions_for, predictions_option
from coprop.cli.progress import ProgressBars
from coprop.cli.prompt_options import check_part, pictures_of, prompts_of
from coprop.cli.summary import summary
from coprop.errors import MissingAudioError, OutputError
from coprop.export.targets import FOLDER, TARGETS, remove_exports
from coprop.utils.paths import real_path
from coprop.utils.process import loading

if TYPE_CHECKING:
    from coprop.pipeline import CoProp


_NAMED_AFTER_VIDEO = "VIDEO-coprop"  # the folder where none is given


@dataclass(frozen=True)
class RunOptions:
    """The options of ``coprop run``."""

    paths: Annotated[
        list[Path],
        path_argument(
            metavar="VIDEO... | FOLDER | LIST",
            help="A video; or many: files, folders, or lists of them (.txt, .csv, .tsv, .jsonl).",
        ),
    ]
    out: Annotated[
        Path,
        out_option("DIR", "Folder to write; made if needed.", "VIDEO's name and -coprop, here"),
    ] = Path(_NAMED_AFTER_VIDEO)
    audio: common.AudioOption = None
    video_track: common.VideoTrackOption = None
    audio_track: common.AudioTrackOption = None
    start: prompt_options.StartOption = None
    end: prompt_options.EndOption = None
    prompt: prompt_options.PromptOption = None
    box: prompt_options.BoxOption = None
    force: common.ForceOption = False
    device: common.DeviceOption = ""
    precision: common.PrecisionOption = common.PrecisionName.float32
    segments_at_once: common.SegmentsAtOnceOption = None
    model: ModelOption = None
    predictions: Annotated[
        Path | None,
        predictions_option(
            "What a model has predicted for the video, in place of the package's own model: a "
            "folder of pictures, .npy, .npz, .safetensors, .json of COCO, or the folder of a test "
            "run."
        ),
    ] = None
    values: prediction_options.ValuesOption = None
    every: prediction_options.EveryOption = None
    per_second: prediction_options.PerSecondOption = None
    max_distance: prediction_options.MaxDistanceOption = None
    missing: prediction_options.MissingOption = None
    method: part_options.DetectorOption = None
    segmenter: part_options.SegmenterOption = None
    propagator: part_options.PropagatorOption = None
    words: part_options.WordsOption = None
    threshold: common.ThresholdOption = None
    min_gap: common.MinGapOption = None
    max_segment: Annotated[float | None, max_segment_option()] = None
    export: Annotated[
        list[str] | None,
        typer.Option(
            "--export",
            metavar="NAME",
            show_default=False,
            callback=export_names,
            help="Write the result for another program, too, into DIR/exports; may be given "
            f"several times. NAME is one of {', '.join(TARGETS)}.",
        ),
    ] = None
    offline: part_options.OfflineOption = False
    quiet: common.SilentOption = False
    workers: WorkersOption = None
    shard: ShardOption = None
    ray: RayOption = None
    gpus_per_worker: GpusOption = None
    as_json: common.JsonOption = False
    verbose: common.VerboseOption = 0
    debug: common.DebugOption = False

    def __post_init__(self) -> None:
        if self.out == Path(_NAMED_AFTER_VIDEO):
            named = _NAMED_AFTER_VIDEO.replace("VIDEO", real_path(self.video).stem)
            object.__setattr__(self, "out", Path(named))

    @property
    def video(self) -> Path:
        """The one that is given; of many, the first."""
        return self.paths[0]


def run(options: RunOptions) -> None:
    """Masks of what sounds in a video, frame by frame.

    Writes masks/000000.png and on (palette PNGs, 0 = background), overlay.mp4 with the video's
    sound, timeline.png and result.json. Frames are read one at a time, so memory does not grow
    with the video's length. After Ctrl-C the masks written so far stay.

    Of many videos (files, a folder, a list, or --workers, --shard, --ray) each gets a folder of its
    own in DIR, named by its content, and a line in index.jsonl. What is complete there is not done
    again; what fails is told at the end.

    --json prints what result.json holds, without the rows of single frames, and the folder; of many
    videos the line of each in the index, as it is done.

    \b
    Examples:
      coprop run clip.mp4
      coprop run clip.mp4 --out result
      coprop run silent.mp4 --audio sound.wav --out result --force
      coprop run long.mp4 --out result --device cuda --json > summary.json
      coprop run clip.mp4 --model my_module:build --out result
      coprop run clip.mp4 --predictions masks/clip --out result
      coprop run long.mp4 --start 60 --end 90 --out result
      coprop run clip.mp4 --prompt 2.0=mask.png --out result
      coprop run clip.mp4 --words dog,violin --out result
      coprop run clip.mp4 --propagator facebook/sam2.1-hiera-tiny --out result
      coprop run clip.mp4 --out result --export coco --export cutout-webm
      coprop run videos/ --out results --workers 4
      coprop run list.txt --out results --shard 3/10
    """
    if is_collection(options):
        run_collection(options, _pipeline)
        return
    bars = ProgressBars(shown=not options.quiet)

    def interrupted() -> str:
        frames = bars.completed("frames")
        if frames and (options.out / "result.json").exists():  # an earlier one has been removed
            return exports_stopped(options.out)
        return _what_stays(options, frames)

    with (
        reported(debug=options.debug, as_json=options.as_json, interrupted=interrupted),
        offline(options.offline),
    ):
        with loading():
            check_output(options)
            check_input(options)
            pipeline = _pipeline(options)
        with bars:
            content = _process(options, pipeline, bars)
            written = _exported(options, bars)
    if options.as_json:
        from coprop.storage.files import one_a_line

        brief = {key: value for key, value in content.items() if key != "frames"}
        exports = {"exports": written} if written else {}
        typer.echo(one_a_line({**brief, "out": str(options.out), **exports}))
    elif not options.quiet:
        typer.echo(summary(content, options.out))
        if written:
            say(exports_told(written))


def check_input(options: RunOptions) -> None:
    """Refuses what is no video, or has no sound, before the weights are loaded.

    Raises:
        typer.BadParameter: its part ends before it begins.
        MediaError: the video cannot be read.
        MissingAudioError: there is no sound in it, nor from elsewhere.
    """
    from coprop.media.reader import VideoFile

    check_part(options.start, options.end)
    own = options.audio_track if options.audio is None else None
    video = VideoFile(options.video, track=options.video_track, audio_track=own)
    if not video.has_audio and options.audio is None:
        raise MissingAudioError(
            f"{options.video} has no audio track. Give the sound separately, with --audio FILE."
        )


def check_output(options: RunOptions) -> None:
    """Refuses, before any work is done, what could not be written at its end.

    Raises:
        OutputError: see `check_folder`.
    """
    given = filter(None, (options.video, options.audio, options.predictions))
    inputs = (*given, *pictures_of(options.prompt))
    check_folder(options.out, inputs, force=options.force)


def check_folder(out: Path, inputs: Sequence[Path], *, force: bool) -> None:
    """Refuses a folder that a result could not be written into.

    Args:
        out: the folder.
        inputs: what is read, and must not be overwritten.
        force: whether an earlier result is to be replaced.

    Raises:
        OutputError: the folder has something in it and is not to be replaced, cannot be written,
            or holds the input under a name that the result would take.
    """
    from coprop.storage.files import is_empty, output_errors

    with output_errors(out):
        existing = next(path for path in (out, *out.absolute().parents) if path.exists())
        if not existing.is_dir():
            raise OutputError(f"cannot write {out}: {existing} is a file. Choose a folder.")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise OutputError(f"cannot write {out}: no permission to write in {existing}.")
        if existing != out or is_empty(out):
            return
    if not force:
        raise OutputError(
            f"{out} is not empty. Choose another folder, or replace the result in it with --force."
        )
    _spare_inputs(out, inputs)


def _spare_inputs(out: Path, inputs: Sequence[Path]) -> None:
    from coprop.media.writer import spare_inputs

    spare_inputs(out, inputs)
    exports = real_path(out / FOLDER)
    for path in inputs:
        if exports in real_path(path).parents:
            raise OutputError(
                f"{path} is among the exports of the result in {out}, which --force would remove. "
                "Choose another folder."
            )


def _pipeline(options: RunOptions) -> CoProp:
    return pipeline_for(options, predictions_for(options))


def _process(options: RunOptions, pipeline: CoProp, bars: ProgressBars) -> dict[str, Any]:
    from coprop.media.clip import Clip
    from coprop.prompts import Prompts
    from coprop.results.writing import save

    tracks = _tracks(options)
    prompts = Prompts(prompts_of(options.prompt, options.box))
    with Clip(options.video, options.audio, **tracks, progress=bars) as clip:
        bars("control points", 0, None)
        points = pipeline.detect(clip.audio)
        if options.force:
            remove_exports(options.out)
        with closing(pipeline.track(clip, points, prompts=prompts, progress=bars)) as tracked:
            return save(options.out, clip, tracked, points, tracked.segments, force=options.force)


def _tracks(options: RunOptions) -> dict[str, Any]:
    """Which of the video is used."""
    return {
        "video_track": options.video_track,
        "audio_track": options.audio_track,
        "start_s": options.start,
        "end_s": options.end,
    }


def _exported(options: RunOptions, bars: ProgressBars) -> dict[str, str]:
    """Writes the exports that were asked for, from the masks in the folder."""
    if not options.export:
        return {}
    from coprop.result import Result

    tracks = _tracks(options)
    result = Result.load(options.out, options.video, options.audio, **tracks)
    return write_exports(result, options.export, options.out / FOLDER, force=False, bars=bars)


def _what_stays(options: RunOptions, frames: int) -> str:
    if not frames:
        return "interrupted before the first mask was written."
    return (
        f"interrupted after {frames} frames. Their masks are complete, in {options.out / 'masks'}; "
        "there is no overlay and no result.json. --force begins anew."
    )
