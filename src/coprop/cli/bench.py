"""``coprop bench``: how fast this machine is, part by part, and beside other propagators."""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from coprop.cli import common
from coprop.cli.common import checked_device, path_argument, path_option, reported

_SIZE, _PEER_SIZE = (720, 1280), (465, 465)  # the second is that of AOT's own evaluation
_LARGEST = 8192  # pixels along a side


def _checked_size(text: str | None) -> str | None:
    if text is not None:
        _size(text)
    return text


def _size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT as (height, width)."""
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    width, height = (int(side) for side in found.groups()) if found else (0, 0)
    if not all(32 <= side <= _LARGEST and side % 2 == 0 for side in (width, height)):
        raise typer.BadParameter(
            f"{text!r} is no WIDTHxHEIGHT of even numbers from 32 to {_LARGEST}, such as 1280x720."
        )
    return height, width


@dataclass(frozen=True)
class BenchOptions:
    """The options of ``coprop bench``."""

    video: Annotated[
        Path | None,
        path_argument(
            metavar="VIDEO",
            help="A video with sound. Without it, a clip is made: a disc that moves, and noise.",
        ),
    ] = None
    frames: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=100_000,
            metavar="N",
            show_default="100; with --peer 8",
            help="How many frames.",
        ),
    ] = None
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTHxHEIGHT",
            show_default="1280x720; with --peer 465x465",
            callback=_checked_size,
            help="Size of the frames that are made.",
        ),
    ] = None
    device: common.DeviceOption = ""
    precision: common.PrecisionOption = common.PrecisionName.float32
    segments_at_once: common.SegmentsAtOnceOption = None
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            metavar="N",
            show_default="torch's own; with --peer 1",
            help="Threads that compute on the CPU.",
        ),
    ] = None
    peer: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|edgetam|sam2",
            show_default=False,
            help="Compare the propagator, frame by frame in turns, with a checkout of the official "
            "AOT, or with EdgeTAM or SAM 2 of transformers.",
        ),
    ] = None
    checkpoint: Annotated[
        Path | None,
        path_option(
            metavar="FILE",
            help="With --peer PATH: an official AOT-L file, for both.",
            default="random weights",
        ),
    ] = None
    objects: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10,
            metavar="N",
            show_default="3",
            help="With --peer: how many objects are followed.",
        ),
    ] = None
    as_json: common.JsonOption = False
    debug: common.DebugOption = False


def bench(options: BenchOptions) -> None:
    """How fast the pipeline is here, end to end and part by part.

    Prints frames a second, peak memory, and for each part its time, its floating-point operations
    and the share it reaches of the rate at which this machine multiplies matrices, measured in the
    same run. On the CPU times of parts are processor seconds, which other programs change little.

    With --peer it prints processor seconds a frame of both propagators, their ratio, how far labels
    and logits differ, and each one's peak memory. --precision is that of coprop; peers compute in
    float32.

    \b
    Examples:
      coprop bench
      coprop bench clip.mp4 --frames 200 --segments-at-once 4
      coprop bench --device cuda --precision bfloat16 --json
      coprop bench --peer aot-benchmark/ --checkpoint R50_AOTL_PRE_YTB_DAV.pth
      coprop bench --peer edgetam --size 640x360
    """
    with reported(debug=options.debug):
        if options.peer is None:
            content, text = _pipeline(options)
        else:
            content, text = _beside(options, options.peer)
    if options.as_json:
        text = json.dumps(content, indent=1)
    typer.echo(text)


def _pipeline(options: BenchOptions) -> tuple[dict[str, Any], str]:
    for name in ("checkpoint", "objects"):
        if getattr(options, name) is not None:
            raise typer.BadParameter("goes with --peer.", param_hint=f"--{name}")
    if options.video is not None and options.size is not None:
        raise typer.BadParameter(
            "is for the clip that is made where no VIDEO is given.", param_hint="--size"
        )
    import torch

    from coprop.bench.parts import bench as measure
    from coprop.bench.parts import table
    from coprop.bench.scene import disc_found, write_scene
    from coprop.pipeline import CoProp

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    pipeline = CoProp.from_pretrained(
        device=checked_device(options.device),
        dtype=options.precision.value,
        segments_at_once=options.segments_at_once or "auto",
    )
    frames, video = options.frames or 100, options.video
    with ExitStack() as opened:
        if video is None:
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            height, width = _SIZE if options.size is None else _size(options.size)
            video = write_scene(folder / "scene.mp4", frames=frames, width=width, height=height)
            opened.enter_context(disc_found(pipeline))
        result = measure(pipeline, video, frames=frames)
    return result.to_dict(), table(result)


def _beside(options: BenchOptions, peer: str) -> tuple[dict[str, Any], str]:
    if options.video is not None:
        raise typer.BadParameter("frames are made for --peer; leave it out.", param_hint="VIDEO")
    if options.device not in ("", "cpu"):
        raise typer.BadParameter("both are compared on the CPU.", param_hint="--device")
    if options.segments_at_once is not None:
        raise typer.BadParameter("one segment is followed.", param_hint="--segments-at-once")
    from coprop.bench.peers import TRANSFORMERS, PeerOptions, measured, told
    from coprop.utils.precision import as_dtype

    if options.checkpoint is not None and peer in TRANSFORMERS:
        raise typer.BadParameter(
            f"it is for a checkout of AOT; the weights of {peer} are random.",
            param_hint="--checkpoint",
        )
    dtype = as_dtype(options.precision.value, checked_device("cpu"))
    result = measured(
        PeerOptions(
            peer,
            size=_PEER_SIZE if options.size is None else _size(options.size),
            frames=options.frames or 8,
            objects=options.objects or 3,
            checkpoint=options.checkpoint,
            threads=options.threads or 1,
            dtype=str(dtype).removeprefix("torch."),
        )
    )
    return result, told(result)
