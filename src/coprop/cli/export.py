"""``coprop export``: a result folder in the forms of other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coprop.cli import common
from coprop.cli.common import export_names, path_argument, path_option, reported, say
from coprop.cli.progress import ProgressBars
from coprop.cli.prompt_options import EndOption, StartOption, check_part
from coprop.export.targets import FOLDER, TARGETS
from coprop.utils.brief import text_of

if TYPE_CHECKING:
    from coprop.result import Result


@dataclass(frozen=True)
class ExportOptions:
    """The options of ``coprop export``."""

    directory: Annotated[
        Path,
        path_argument(
            metavar="DIR",
            help="A folder that coprop run has written.",
        ),
    ]
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            show_default=False,
            callback=export_names,
            help=f"What to write: {', '.join(TARGETS)}.",
        ),
    ]
    video: Annotated[
        Path | None,
        path_option(
            metavar="FILE", help="The video, for exports that show it.", default="masks alone"
        ),
    ] = None
    audio: common.AudioOption = None
    video_track: common.VideoTrackOption = None
    audio_track: common.AudioTrackOption = None
    start: StartOption = None
    end: EndOption = None
    out: Annotated[
        Path | None,
        path_option(
            *("--out", "-o"), metavar="FOLDER", help="Where to write.", default="DIR/exports"
        ),
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Replace earlier exports.")] = False
    quiet: common.SilentOption = False
    as_json: common.JsonOption = False
    verbose: common.VerboseOption = 0
    debug: common.DebugOption = False


def export(options: ExportOptions) -> None:
    """Write a result for other programs: COCO, DAVIS, CVAT, ELAN, cut-outs and others.

    The folder is one that coprop run has written; docs/export.md tells of each form. Those that
    show the video, or let it be heard, need --video.

    \b
    Examples:
      coprop export result coco audacity
      coprop export result cutout-webm muted --video clip.mp4 --out cuts
    """
    bars = ProgressBars(shown=not options.quiet)
    place = options.directory / FOLDER if options.out is None else options.out
    stopped = exports_stopped(options.directory, place)
    with reported(debug=options.debug, interrupted=lambda: stopped), bars:
        from coprop.result import Result

        check_part(options.start, options.end)
        tracks: dict[str, Any] = {
            "video_track": options.video_track,
            "audio_track": options.audio_track,
            "start_s": options.start,
            "end_s": options.end,
        }
        result = Result.load(options.directory, options.video, options.audio, **tracks)
        written = write_exports(result, options.names, place, force=options.force, bars=bars)
    if options.as_json:
        from coprop.storage.files import one_a_line

        typer.echo(one_a_line({"exports": written}))
    elif not options.quiet:
        say(exports_told(written))


def write_exports(
    result: Result, names: Sequence[str], folder: Path, *, force: bool, bars: ProgressBars
) -> dict[str, str]:
    """Writes exports, each under its own name.

    Args:
        result: what is exported.
        names: of the exports.
        folder: where to.
        force: replace earlier ones.
        bars: told of each frame.

    Returns:
        the path of each, by its name.

    Raises:
        CoPropError: one cannot be written; those before it have been.
    """
    for name in names:
        if TARGETS[name].needs_video:  # told before the first is written
            result.check_video(f"the export {name}")
    paths = {name: folder / TARGETS[name].file for name in names}
    for name, path in paths.items():
        result.export(name, path, force=force, progress=bars)
    return {name: str(path) for name, path in paths.items()}


def exports_told(written: Mapping[str, str]) -> str:
    """A line that says what has been exported where."""
    folder = Path(next(iter(written.values()))).parent
    return text_of([f"Exported to {folder}: {', '.join(Path(p).name for p in written.values())}"])


def exports_stopped(directory: Path, place: Path | None = None) -> str:
    """What is said of exports that were interrupted."""
    place = directory / FOLDER if place is None else place
    return (
        f"interrupted while exporting. The result in {directory} is complete, and so is what is in "
        f"{place}; coprop export {directory} writes the rest."
    )
