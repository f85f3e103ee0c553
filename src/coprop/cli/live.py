"""``coprop live``: masks while a camera, or a file as if it were one, is playing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coprop.checkpoints.hub import offline
from coprop.cli import common
from coprop.cli.common import (
    max_segment_option,
    out_option,
    path_option,
    reported,
    say,
)
from coprop.cli.model_option import ModelOption
from coprop.cli.part_options import (
    DetectorOption,
    OfflineOption,
    PropagatorOption,
    SegmenterOption,
    WordsOption,
    pipeline_for,
)
from coprop.cli.run import check_folder
from coprop.live.latency import LOOK_AHEAD_S
from coprop.utils.brief import counted, text_of

if TYPE_CHECKING:
    from coprop.live.session import LiveSession
    from coprop.live.sources import Moment
    from coprop.types import FrameMask

_TOLD_S = 1.0  # seconds between two lines about the latency
_FRAME_RATE = 30.0  # of a camera, where nothing is said
_SIZE = re.compile(r"[1-9]\d*x[1-9]\d*")


@dataclass(frozen=True)
class LiveOptions:
    """The options of ``coprop live``."""

    out: Annotated[Path, out_option("DIR", "Folder to write; made if needed.")]
    file: Annotated[
        Path | None,
        path_option(
            "--file", metavar="VIDEO", help="Play this video as if it were live.", default="none"
        ),
    ] = None
    speed: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1000.0,
            metavar="TIMES",
            help="How fast --file plays: 1 for real time, 0 for as fast as masks are made.",
        ),
    ] = 1.0
    camera: Annotated[
        str,
        typer.Option(
            metavar="NAME", show_default="the usual one", help="The camera, such as /dev/video0."
        ),
    ] = ""
    microphone: Annotated[
        str,
        typer.Option(
            metavar="NAME", show_default="the usual one", help="The microphone, such as hw:1."
        ),
    ] = ""
    size: Annotated[
        str,
        typer.Option(
            metavar="WxH", show_default="the camera's own", help="Size of the camera's pictures."
        ),
    ] = ""
    frame_rate: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=1000.0,
            metavar="RATE",
            show_default="30, or the file's",
            help="Frames a second, asked of the camera.",
        ),
    ] = None
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="SECONDS",
            show_default="Ctrl-C or the file's end",
            help="End after so many.",
        ),
    ] = None
    look_ahead: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=5.0,
            metavar="SECONDS",
            help="How much sound after a frame is waited for before its mask is made.",
        ),
    ] = LOOK_AHEAD_S
    force: common.ForceOption = False
    device: common.DeviceOption = ""
    precision: common.PrecisionOption = common.PrecisionName.float32
    model: ModelOption = None
    method: DetectorOption = None
    segmenter: SegmenterOption = None
    propagator: PropagatorOption = None
    words: WordsOption = None
    threshold: common.ThresholdOption = None
    min_gap: common.MinGapOption = None
    max_segment: Annotated[float | None, max_segment_option()] = None
    offline: OfflineOption = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No line about the latency and no summary.")
    ] = False
    as_json: common.JsonOption = False
    debug: common.DebugOption = False

    segments_at_once = None  # no option: what comes later is not known yet


def live(options: LiveOptions) -> None:
    """Masks of what sounds while it sounds, from a camera and a microphone or from a file.

    Writes what coprop run writes, frame by frame, and prints how long after a frame its mask comes.
    A camera is stopped with Ctrl-C; what has been seen is then written to its end. Frames that come
    while the machine is still at work on others are dropped, and counted.

    --json prints what result.json holds, without the rows of single frames, and the folder.

    \b
    Examples:
      coprop live --out result
      coprop live --file clip.mp4 --out result
      coprop live --file clip.mp4 --speed 0 --look-ahead 0 --out result --json
    """
    with reported(debug=options.debug, as_json=options.as_json), offline(options.offline):
        check_options(options)
        inputs = () if options.file is None else (options.file,)
        check_folder(options.out, inputs, force=options.force)
        if options.file is None:
            content = _recorded_devices(options)
        else:
            content = _recorded_file(options, options.file)
    if options.as_json:
        from coprop.storage.files import one_a_line

        brief = {key: value for key, value in content.items() if key != "frames"}
        typer.echo(one_a_line({**brief, "out": str(options.out)}))
    elif not options.quiet:
        typer.echo(summary(content, options.out))


def check_options(options: LiveOptions) -> None:
    """Refuses what goes with a camera where a file is played, and the other way round.

    Raises:
        typer.BadParameter: options that do not go together.
    """
    if options.file is not None:
        given = [n for n in ("camera", "microphone", "size") if getattr(options, n)]
        if given:
            raise typer.BadParameter(f"--{given[0]} is of a camera, but --file is played.")
        if options.frame_rate is not None:
            raise typer.BadParameter("--frame-rate is of a camera; a file has its own.")
    elif options.speed != 1.0:
        raise typer.BadParameter("--speed is for --file; a camera has its own.")
    if options.size and not _SIZE.fullmatch(options.size):
        raise typer.BadParameter(
            f"{options.size!r} is no WIDTHxHEIGHT, such as 640x480.", param_hint="--size"
        )


def _recorded_devices(options: LiveOptions) -> dict[str, Any]:
    from coprop.live.recording import record
    from coprop.live.sources import Devices

    rate = options.frame_rate or _FRAME_RATE
    with Devices(options.camera, options.microphone, options.size, rate) as devices:
        session = pipeline_for(options, None).live(
            rate, devices.sample_rate, look_ahead_s=options.look_ahead
        )
        return record(
            session,
            _until(devices, options.seconds),
            options.out,
            sound=session.sound,
            name=options.camera or "camera",
            force=options.force,
            told=_teller(options),
        )


def _recorded_file(options: LiveOptions, file: Path) -> dict[str, Any]:
    from coprop.live.recording import record
    from coprop.live.sources import played
    from coprop.media.clip import Clip
    from coprop.media.reader import VideoFile

    with Clip(file) as clip:
        known = clip.frames.frame_rate if isinstance(clip.frames, VideoFile) else None
        session = pipeline_for(options, None).live(
            float(known or _FRAME_RATE), clip.audio.sample_rate, look_ahead_s=options.look_ahead
        )
        return record(
            session,
            _until(played(clip, options.speed), options.seconds),
            options.out,
            sound=clip.sound if options.seconds is None else session.sound,
            name=clip.name,
            audio=clip.audio if options.seconds is None else None,
            force=options.force,
            told=_teller(options),
        )


def _until(moments: Iterable[Moment], seconds: float | None) -> Iterator[Moment]:
    if seconds is None:
        return iter(moments)
    return takewhile(lambda moment: moment.picture is None or moment.time_s < seconds, moments)


def _teller(options: LiveOptions) -> Any:
    """Prints the latency to stderr, once a second."""
    last = time.monotonic()

    def told(mask: FrameMask, session: LiveSession) -> None:
        nonlocal last
        if options.quiet or time.monotonic() - last < _TOLD_S:
            return
        last, latency = time.monotonic(), session.latency
        if latency is not None:
            say(
                f"{mask.time_s:9.2f} s  {mask.area:6.1%} masked  latency {latency.median_s:.2f} s "
                f"(95 %: {latency.percentile_95_s:.2f} s)  {session.dropped} dropped",
                err=True,
            )

    return told


def summary(content: dict[str, Any], out: Path) -> str:
    """What the command prints at the end.

    Args:
        content: what result.json holds.
        out: the folder.
    """
    latency = content["latency"]
    told = [
        counted(content["num_frames"], "frame"),
        f"{content['dropped']} dropped",
        counted(len(content["control_points"]) - 1, "change"),
        counted(len(content["segments"]), "segment"),
    ]
    return text_of(
        [
            f"{content['video']}: {', '.join(told)}",
            f"From sample to mask: {latency['median_s']:.2f} s in the median, "
            f"{latency['percentile_95_s']:.2f} s in 95 % of frames; of that "
            f"{latency['computing_median_s']:.2f} and {latency['computing_95_s']:.2f} s computing",
            f"Written to {out}: masks/, overlay.mp4, timeline.png, result.json",
        ]
    )
