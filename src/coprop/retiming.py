"""A run of predictions put in time: the same files again, with masks that follow the sound."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from coprop.errors import CoPropError, MediaError, OutputError
from coprop.keyframes.predictions import PredictionRun, Predictions
from coprop.keyframes.predictions.writing import PictureForm
from coprop.media.clip import Clip
from coprop.pipeline import CoProp
from coprop.storage.files import (
    is_empty,
    one_a_line,
    output_errors,
    remove,
    remove_left,
    replacing,
    write_text,
)
from coprop.storage.json_lines import refuse_other_settings, settings_in
from coprop.storage.locks import WriterLock
from coprop.types import FrameMask, Progress
from coprop.utils.paths import AnyPath, as_path, real_path

SETTINGS = "retime.json"
"""What the masks in a folder depend on; the only file in it that the run does not have."""

_PICTURE = 15 / 16  # of a second: of which frame AVSBench's scripts make its picture
_SAME = 1e-3  # frames; times that are rounded differ by less
_FPS = 25  # where a file does not tell its rate


@dataclass
class Retimed:
    """What has become of the clips of a run.

    Args:
        written: names of those whose masks were written.
        there: names of those whose masks were there already.
        failed: what was wrong with the others, by name.
    """

    written: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def retime(
    run: PredictionRun,
    videos: AnyPath,
    out: AnyPath,
    pipeline: CoProp,
    *,
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
    progress: Progress | None = None,
    failed: Callable[[str, CoPropError], None] | None = None,
) -> Retimed:
    """Writes every prediction of a run anew, as it is after its clip went through a pipeline.

    The new files have the names, the sizes and the form of those of the run, below the same
    folders. Prediction n is the mask of the frame that AVSBench's preparation takes for second n:
    number ``int((n + 15/16) * round(fps))``, or the last one. What is predicted for seconds that
    begin after the video's end, which scripts pad, is copied. A clip whose files are all there is
    not done again.

    Args:
        run: the predictions.
        videos: a folder with a video for each clip, in it or below, called like the clip.
        out: where to write; made if it is not there.
        pipeline: whose parts are used, but the keyframe model.
        settings: what else the masks depend on; a folder takes no masks of other settings.
        force: do all clips anew, whatever the folder holds.
        progress: called as ``("clips", done, total)``.
        failed: called with the name of a clip that cannot be done, and why; the others are.

    Raises:
        MediaError: no clip has a video, or one has two.
        OutputError: the folder holds something else or masks of other settings, is that of the
            predictions, or cannot be written.
    """
    out = as_path("out", out, error=OutputError)
    folder = as_path("videos", videos, error=MediaError)
    found = videos_of(run, folder)
    _spare_input(run, out)
    result = Retimed()
    places = {"predictions": str(real_path(run.folder)), "videos": str(real_path(folder))}
    files = {clip: [out / path.relative_to(run.folder) for path in run.paths(clip)] for clip in run}
    with WriterLock.of_folder(out):
        replaced = chain(*files.values()) if force else None
        _begin(out, {**places, **run.settings, **(settings or {})}, replaced)
        for place in {out, *(target.parent for target in chain(*files.values()))}:
            remove_left(place)
        for number, (clip, targets) in enumerate(files.items(), 1):
            try:
                done = all(target.is_file() for target in targets)
                if not done:
                    _retime_clip(run, clip, found.get(clip), targets, pipeline)
                (result.there if done else result.written).append(clip)
            except OutputError:
                raise
            except CoPropError as error:
                result.failed[clip] = str(error)
                if failed is not None:
                    failed(clip, error)
            if progress is not None:
                progress("clips", number, len(run))
    return result


def videos_of(run: PredictionRun, folder: Path) -> dict[str, Path]:
    """The video of each clip that has one, by the clip's name.

    Raises:
        MediaError: no such folder, no clip has one, or one has two.
    """
    from coprop.media.folders import VIDEO, media_in

    if not folder.is_dir():
        raise MediaError(f"{folder} is no folder; the videos of the predicted clips lie in one.")
    found: dict[str, Path] = {}
    for path in media_in(folder):
        if path.stem not in run or path.suffix.lower() not in VIDEO:
            continue
        if path.stem in found:
            raise MediaError(
                f"the clip {path.stem!r} has two videos, {found[path.stem]} and {path}; leave one."
            )
        found[path.stem] = path
    if not found:
        raise MediaError(
            f"{folder} has no video of any of the {len(run)} clips of the run; it should be called "
            f"{next(iter(run))}.mp4, for instance."
        )
    return found


def _retime_clip(
    run: PredictionRun, clip: str, video: Path | None, targets: list[Path], pipeline: CoProp
) -> None:
    if video is None:
        raise MediaError(f"the clip {clip!r} has no video; it should be called {clip}.mp4.")
    predictions, sources = run[clip], run.paths(clip)
    white = _white(predictions) if run.values == "mask" else 255
    forms = [PictureForm.of(path, run.values, white) for path in sources]
    own = copy.copy(pipeline)
    own.segmenter = predictions
    with Clip(video) as opened, closing(_masks(own, opened)) as masks:
        for index, mask in _at_pictures(masks, opened, predictions.slots.tolist()):
            with output_errors(targets[index]):
                targets[index].parent.mkdir(parents=True, exist_ok=True)
            if mask is not None:
                forms[index].write(targets[index], mask)
                continue
            with replacing(targets[index]) as part:
                part.write_bytes(sources[index].read_bytes())


def _masks(pipeline: CoProp, clip: Clip) -> Generator[FrameMask, None, None]:
    for _, mask in pipeline.track(clip, pipeline.detect(clip.audio)):
        yield mask


def _at_pictures(
    masks: Iterator[FrameMask], clip: Clip, seconds: list[int]
) -> Iterator[tuple[int, FrameMask | None]]:
    """The mask of the frame that stands for each of the seconds, which increase.

    Yields:
        the place in ``seconds`` and its mask; None for a second beyond the clip's end.
    """
    fps = float(getattr(clip.frames, "frame_rate", None) or _FPS)
    shown_s = [int((second + _PICTURE) * max(round(fps), 1)) / fps for second in seconds]
    place = 0
    last: FrameMask | None = None
    for mask in masks:
        while last and place < len(seconds) and mask.time_s > shown_s[place] + _SAME / fps:
            yield place, last
            place += 1
        last = mask
    end_s = last.time_s + 0.5 / fps if last else -math.inf  # half a frame less: times are rounded
    for left in range(place, len(seconds)):
        yield left, last if seconds[left] < end_s else None


def _white(predictions: Predictions) -> int:
    """What masks of a clip have where something sounds: 1 or 255."""
    highest = max(int(np.max(raw.values)) for raw in predictions.raw())
    return highest or 255


def _spare_input(run: PredictionRun, out: Path) -> None:
    given, target = real_path(run.folder), real_path(out)
    if target == given or given in target.parents or target in given.parents:
        raise OutputError(
            f"{out} and the predictions in {run.folder} lie in one another; choose another folder, "
            "so that they stay as they are."
        )


def _begin(out: Path, settings: dict[str, Any], replaced: Iterable[Path] | None) -> None:
    """Notes the settings in a folder that is new or has the same; in any, where files of it are
    replaced, which are removed first.

    Raises:
        OutputError: it has others, or is none of this kind.
    """
    noted = out / SETTINGS
    remedy = "Choose another folder, or begin anew with --force."
    remove(*(replaced or ()))
    if replaced is None and noted.is_file():
        before = settings_in(noted, remedy)
        refuse_other_settings(before, settings, held=f"{out} holds masks of", remedy=remedy)
        return
    with output_errors(out):
        if replaced is None and not is_empty(out):
            raise OutputError(f"{out} is not empty, and no run that was put in time. {remedy}")
    write_text(noted, one_a_line(settings) + "\n")
