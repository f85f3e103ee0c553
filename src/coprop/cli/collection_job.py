"""``coprop run`` with many videos: a collection in, a folder for each video and an index out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from coprop.cli.collection_options import shard_of
from coprop.cli.common import FAILED, checked_device, option_name, reported, say
from coprop.cli.part_options import words_of
from coprop.cli.progress import ProgressBars
from coprop.utils.brief import counted

if TYPE_CHECKING:
    from coprop.batch.rows import Outcome
    from coprop.batch.run import Collection, Runner
    from coprop.batch.segment import Segment
    from coprop.cli.run import RunOptions
    from coprop.pipeline import CoProp

_LISTED = 20  # failures that are told: what a terminal shows; all of them are in the index
_OF_MANY = ("workers", "shard", "ray", "gpus_per_worker")
_OF_ONE = ("audio", "predictions", "start", "end", "prompt", "box")
_NOT_SETTINGS = {
    # where and how the work is done, which does not change what comes out
    *("paths", "out", "force", "device", "quiet", "as_json", "debug", "verbose"),
    *("segments_at_once", "offline"),
    *(*_OF_MANY, *_OF_ONE),
    *("video_track", "audio_track", "export"),  # `Segment` has them itself
}
MakePipeline = Callable[["RunOptions"], "CoProp"]


def is_collection(options: RunOptions) -> bool:
    """Whether DIR is to hold a folder for each of many videos, and not one video's result."""
    from coprop.batch.lists import is_list

    given = options.paths
    many = len(given) > 1 or given[0].is_dir() or is_list(given[0])
    return many or any(getattr(options, name) is not None for name in _OF_MANY)


def run_collection(options: RunOptions, make: MakePipeline) -> None:
    """Does what the options say.

    Args:
        options: of the command.
        make: makes a pipeline of them.
    """
    _refuse_options(options)
    out = options.out
    bars, stdout = ProgressBars(shown=not options.quiet), sys.stdout
    stopped = f"interrupted. What is complete stays in {out}; to go on, repeat the command."
    with reported(debug=options.debug, as_json=options.as_json, interrupted=lambda: stopped):
        from coprop.batch.inputs import find_videos
        from coprop.batch.run import Collection

        found = find_videos(options.paths, out)
        shard = None if options.shard is None else shard_of(options.shard)
        segment = _segment(options, make)
        collection = Collection(segment, found, shard)
        with bars:
            collection.run(
                _runner(options, make, segment, bars),
                told=partial(_print_line, stdout) if options.as_json else None,
                progress=bars,
            )
    _tell(options, collection)
    if collection.failed:
        raise typer.Exit(FAILED)


def _refuse_options(options: RunOptions) -> None:
    for name in _OF_ONE:
        if getattr(options, name) is not None:
            hint = "; coprop retime does a whole run of them" if name == "predictions" else ""
            raise typer.BadParameter(
                f"it goes with a single video{hint}.", param_hint=option_name(name)
            )
    if options.gpus_per_worker is not None and options.ray is None:
        raise typer.BadParameter("it goes with --ray.", param_hint="--gpus-per-worker")


def _segment(options: RunOptions, make: MakePipeline, device: str | None = None) -> Segment:
    from coprop.batch.segment import Segment

    return Segment(**_arguments(options, make, device))


def _arguments(options: RunOptions, make: MakePipeline, device: str | None) -> dict[str, Any]:
    """Of `Segment`."""
    from dataclasses import replace

    chosen = options if device is None else replace(options, device=device)
    return {
        "out": options.out,
        "pipeline": partial(make, chosen),
        "exports": options.export or (),
        "settings": _settings(options),
        "video_track": options.video_track,
        "audio_track": options.audio_track,
        "force": options.force,
    }


def _settings(options: RunOptions) -> dict[str, Any]:
    """What results depend on."""
    from dataclasses import fields

    given = {f.name: getattr(options, f.name) for f in fields(options)}
    if given["words"] is not None:  # what a file says now, not its name
        given["words"] = words_of(given["words"])
    return {
        name: str(value.absolute()) if isinstance(value, Path) else getattr(value, "value", value)
        for name, value in given.items()
        if name not in _NOT_SETTINGS and value is not None
    }


def _runner(
    options: RunOptions, make: MakePipeline, segment: Segment, bars: ProgressBars
) -> Runner:
    if options.ray is not None:
        from coprop.batch.ray_pipeline import RayOptions, run_on_ray

        spread = RayOptions(options.ray, options.workers, options.gpus_per_worker or 0.0)
        return lambda paths: run_on_ray(paths, _arguments(options, make, None), spread)
    if (options.workers or 1) == 1:
        from coprop.batch.workers import one_after_another

        return lambda paths: one_after_another(segment, paths, bars)
    return lambda paths: _in_processes(options, make, paths)


def _in_processes(
    options: RunOptions, make: MakePipeline, paths: Sequence[Path]
) -> Iterator[Outcome]:
    from coprop.batch.workers import WorkerPool

    devices = _devices(options.device, min(options.workers or 1, len(paths)))
    segments = [_segment(options, make, device) for device in devices]
    with WorkerPool(segments) as pool:
        yield from pool.run(paths)


def _devices(name: str, count: int) -> list[str]:
    """One for each worker: the GPUs in turn, unless one of them is named."""
    import torch

    device = checked_device(name)
    gpus = torch.cuda.device_count()
    if device.type != "cuda" or (device.index is not None and name) or not gpus:
        return [str(device)] * count
    return [f"cuda:{number % gpus}" for number in range(count)]


def _print_line(stdout: TextIO, row: dict[str, Any], outcome: Outcome) -> None:
    from coprop.batch.rows import Status, as_line

    typer.echo(as_line({**row, "done_before": outcome.status is Status.before}), file=stdout)


def _with_its_file(outcome: Outcome) -> str:
    """Why a video failed; models do not know which one they were shown."""
    error = str(outcome.error)
    return error if Path(outcome.path).name in error else f"{outcome.path}: {error}"


def _tell(options: RunOptions, collection: Collection) -> None:
    from coprop.batch.rows import Status

    failed = collection.failed
    if failed:
        total = counted(collection.total, "video")
        say(f"coprop: {len(failed)} of {total} failed:", err=True)
        say(*(f"  {_with_its_file(outcome)}" for outcome in failed[:_LISTED]), err=True)
        if len(failed) > _LISTED:
            say(f"  and {len(failed) - _LISTED} more, in {options.out / 'index.jsonl'}", err=True)
    if options.quiet or options.as_json:
        return
    done, before = collection.counted(Status.done), collection.counted(Status.before)
    copies = [(source, copy) for source in collection.sources for copy in source.copies]
    told = [f"{counted(done, 'video')} done"]
    told += [f"{before} done before"] if before else []
    told += [f"{len(failed)} failed"] if failed else []
    lines = [f"{', '.join(told)}. Written to {options.out}: index.jsonl, and a folder for each."]
    lines += [f"  {copy} has the content of {source.path}" for source, copy in copies[:_LISTED]]
    if len(copies) > _LISTED:
        lines.append(f"  and {len(copies) - _LISTED} more copies, in index.jsonl")
    say(*lines, *(f"  {note}" for note in collection.notes))
