"""How well masks fit on a few real videos, against polygons drawn by hand.

    python -m tools.bench.real_clips CLIPS_FOLDER [--split test] [--tracks] [--out DIR]

The annotations of all splits are in tools/bench/real_clips; its README says what was drawn and
how. The videos are not included: CLIPS_FOLDER holds those that one has, and others are skipped.
Printed are figures for each clip: of the pipeline, of its segmenter on every annotated frame alone,
and of two trivial answers; with --tracks, also of all that is seen, tracked, among which the sound
chooses. With --out, each annotated frame is drawn with its truth and the masks of both.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from coprop.data.checksums import digest_of
from coprop.errors import CoPropError, DatasetError
from coprop.evaluation.methods import DEFAULT_MODEL, load_model
from coprop.evaluation.scores import sounding_probability
from coprop.evaluation.summary import mean
from coprop.evaluation.table import figure, table_lines
from coprop.media.clip import Clip
from coprop.media.painting import paint
from coprop.media.reader import Frame
from coprop.metrics.functional import frame_f_measure, frame_jaccard, region_counts, silent_area
from coprop.pipeline import CoProp
from coprop.silence import SHORTEST_SILENCE_S
from coprop.storage.files import output_errors
from coprop.tracks_first import tracks_first
from coprop.types import FrameMask
from tools.bench.control_points import Spans, by_level, closed, read

_FOLDER = Path(__file__).parent / "real_clips"
ANNOTATIONS = {split: _FOLDER / f"{split}.json" for split in ("test", "validation", "fresh")}
"""By split: the default's rules were chosen on validation clips, among others."""
ELLIPSE_SHARE = 0.3  # of the frame
TRUTH_COLOUR, IGNORED_COLOUR = (255, 230, 0), (0, 200, 255)

Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y) in pixels of the video."""


@dataclass(frozen=True)
class AnnotatedObject:
    """Something that sounds: the area of its polygons without that of its holes."""

    label: str
    polygons: tuple[Polygon, ...]
    holes: tuple[Polygon, ...]


@dataclass(frozen=True)
class AnnotatedFrame:
    """What sounds at one time, in seconds from the first frame; without objects, nothing seen."""

    time_s: float
    objects: tuple[AnnotatedObject, ...]
    ignore: tuple[Polygon, ...]


@dataclass(frozen=True)
class AnnotatedClip:
    """A video file by its name and content, its size in pixels, and its annotated frames."""

    file: str
    sha256: str
    width: int
    height: int
    frames: tuple[AnnotatedFrame, ...]


@dataclass(frozen=True)
class Scores:
    """Of one method on one clip, in [0, 1]; None where no frame tells.

    Args:
        jaccard: mean over frames of intersection over union; a frame in which nothing sounds gives
            1 where nothing is masked, else 0.
        f_measure: mean over frames with an object of AVSBench's F.
        recall: share of the objects' pixels that is masked, over all frames with an object.
        precision: share of the masked pixels that are an object's, over the same frames.
        silent_area: mean share of the frame that is masked where nothing sounds.
        time: of all frames in which something sounds, by the level of the clip's sound, or is
            masked, the share in which both are so; of the pipeline alone.
    """

    jaccard: float | None
    f_measure: float | None
    recall: float | None
    precision: float | None
    silent_area: float | None
    time: float | None = None


COLUMNS = ("J", "F", "recall", "precision", "silent area", "time")


class Timed(Protocol):
    @property
    def time_s(self) -> float: ...


T = TypeVar("T", bound=Timed)


def read_annotations(path: Path) -> tuple[AnnotatedClip, ...]:
    """The annotated clips.

    Raises:
        DatasetError: a file that cannot be read, or of another form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            AnnotatedClip(
                clip["file"],
                clip["sha256"],
                clip["width"],
                clip["height"],
                tuple(
                    AnnotatedFrame(
                        frame["time_s"],
                        tuple(
                            AnnotatedObject(
                                thing["label"],
                                _polygons(thing["polygons"]),
                                _polygons(thing["holes"]),
                            )
                            for thing in frame["objects"]
                        ),
                        _polygons(frame["ignore"]),
                    )
                    for frame in clip["frames"]
                ),
            )
            for clip in content["clips"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} cannot be read as annotations of clips: {type(error).__name__}: {error}. Take "
            "the file from the repository again."
        ) from error


def _polygons(corners: Sequence[Sequence[Sequence[float]]]) -> tuple[Polygon, ...]:
    return tuple(tuple((float(x), float(y)) for x, y in polygon) for polygon in corners)


def find_clip(folder: Path, clip: AnnotatedClip) -> Path | None:
    """The clip's file in a folder, or None where there is none.

    Raises:
        DatasetError: a file of this name with another content.
    """
    path = folder / clip.file
    if not path.is_file():
        return None
    digest = digest_of(path)
    if digest != clip.sha256:
        raise DatasetError(
            f"{path} has the SHA-256 {digest}, but the polygons were drawn on a video with "
            f"{clip.sha256}. Give that file, or take this one out of the folder to skip the clip."
        )
    return path


def rasterise(
    frame: AnnotatedFrame, height: int, width: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What sounds, and what does not count; objects win over what is to be ignored.

    Returns:
        Two masks, (height, width) bool each.
    """
    sounding = np.zeros((height, width), dtype=bool)
    for thing in frame.objects:
        sounding |= _filled(thing.polygons, height, width) & ~_filled(thing.holes, height, width)
    return sounding, _filled(frame.ignore, height, width) & ~sounding


def _filled(polygons: Iterable[Polygon], height: int, width: int) -> NDArray[np.bool_]:
    image = Image.new("1", (width, height))
    draw = ImageDraw.Draw(image)
    for polygon in polygons:
        draw.polygon(polygon, fill=1)
    return np.array(image, dtype=bool)


def at_times(timed: Iterable[T], times_s: Sequence[float]) -> list[T]:
    """The one nearest to each time, out of values in order of time, read no further than needed.

    Raises:
        DatasetError: there are no values.
    """
    found: list[T] = []
    for value in timed:
        if not found:
            found = [value] * len(times_s)
        for i, time_s in enumerate(times_s):
            if abs(value.time_s - time_s) < abs(found[i].time_s - time_s):
                found[i] = value
        if value.time_s >= max(times_s):
            break
    if len(found) < len(times_s):
        raise DatasetError("the clip has no frames to compare with; give the whole video.")
    return found


def time_overlap(shown: Sequence[tuple[float, bool]], heard: Spans) -> float | None:
    """IoU of the frames with a mask and those in which something is heard; None without either.

    Args:
        shown: the time of each frame, in seconds, and whether anything is masked in it.
        heard: spans in seconds; pauses under 0.6 s belong to what sounds.
    """
    joined = closed(heard, SHORTEST_SILENCE_S)
    flags = [(masked, any(a <= time_s < b for a, b in joined)) for time_s, masked in shown]
    either = sum(masked or sounds for masked, sounds in flags)
    return sum(masked and sounds for masked, sounds in flags) / either if either else None


def ellipse(height: int, width: int, share: float = ELLIPSE_SHARE) -> NDArray[np.float32]:
    """1 in a centred ellipse of the frame's own proportions that covers a share of it, else 0.

    Returns:
        (height, width) float32.
    """
    x = (np.arange(width) + 0.5) / width - 0.5
    y = (np.arange(height) + 0.5) / height - 0.5
    inside = x[None] ** 2 + y[:, None] ** 2 <= share / math.pi
    return inside.astype(np.float32)


def score(probabilities: Tensor, sounding: Tensor, ignored: Tensor) -> Scores:
    """Scores of some frames; what is ignored counts as background that is not masked.

    Args:
        probabilities: (N, H, W) float in [0, 1], of sounding.
        sounding: (N, H, W) bool.
        ignored: (N, H, W) bool.
    """
    probabilities = probabilities.masked_fill(ignored, 0)
    counts = region_counts(probabilities, sounding)
    seen = counts.target > 0
    both, predicted, wanted = (
        int(count[seen].sum()) for count in (counts.intersection, counts.predicted, counts.target)
    )
    return Scores(
        jaccard=mean(frame_jaccard(probabilities, sounding, empty="strict").tolist()),
        f_measure=mean(frame_f_measure(probabilities, sounding)[seen].tolist()),
        recall=both / wanted if wanted else None,
        precision=both / predicted if predicted else None,
        silent_area=mean(silent_area(probabilities > 0.5, sounding).tolist()),
    )


def evaluate(
    pipeline: CoProp,
    path: Path,
    clip: AnnotatedClip,
    out: Path | None = None,
    *,
    tracks: bool = False,
) -> dict[str, Scores]:
    """Scores of the methods by name; with a folder, its frames are drawn into it.

    With ``tracks``, those of `tracks_first` too.

    Raises:
        CoPropError: what the pipeline raises, or pictures that cannot be written.
    """
    times_s = [frame.time_s for frame in clip.frames]
    shown: list[tuple[float, bool]] = []
    masks_in_time = _noting(pipeline.stream(path), shown)
    tracked = at_times(masks_in_time, times_s)
    deque(masks_in_time, maxlen=0)  # goes on to the end of the clip
    with Clip(path) as whole:
        frames = at_times(whole.frames, times_s)
    with Clip(path) as whole:
        asked = {frame.index for frame in frames}
        found = {m.index: m for m in pipeline.every_frame(whole, numbers=asked)}
        alone = [found[frame.index] for frame in frames]
    if out is not None:
        for frame, annotated, *masks in zip(frames, clip.frames, tracked, alone, strict=True):
            name = f"{path.stem}_{annotated.time_s:06.3f}.png"
            draw_truth_and_masks(out / name, frame, annotated, masks)
    shape = (clip.height, clip.width)
    constant = {"centred ellipse": ellipse(*shape), "everything": np.ones(shape, np.float32)}
    answers = {
        "coprop": [sounding_probability(mask) for mask in tracked],
        "every frame alone": [sounding_probability(mask) for mask in alone],
        **{name: [mask] * len(frames) for name, mask in constant.items()},
    }
    if tracks:
        with Clip(path) as whole:
            followed = tracks_first(pipeline, whole, pipeline.detect(whole.audio))
            chosen = at_times((mask for _, mask in followed), times_s)
        answers["tracks first"] = [sounding_probability(mask) for mask in chosen]
    truth = [rasterise(frame, *shape) for frame in clip.frames]
    sounding, ignored = (torch.from_numpy(np.stack(masks)) for masks in zip(*truth, strict=True))
    scores = {
        name: score(torch.from_numpy(np.stack(masks)), sounding, ignored)
        for name, masks in answers.items()
    }
    time = time_overlap(shown, by_level(read(path)))
    return {**scores, "coprop": replace(scores["coprop"], time=time)}


def _noting(masks: Iterable[FrameMask], into: list[tuple[float, bool]]) -> Iterator[FrameMask]:
    """The masks; of each that is taken, its time and whether anything is masked is noted."""
    for mask in masks:
        into.append((mask.time_s, bool(mask.labels.any())))
        yield mask


def draw_truth_and_masks(
    path: Path, frame: Frame, annotated: AnnotatedFrame, masks: Sequence[FrameMask]
) -> None:
    """Writes the masks side by side, with the outlines of the truth and of what is ignored.

    Raises:
        OutputError: the file cannot be written.
    """
    height, width = frame.image.shape[:2]
    picture = Image.new("RGB", (width * len(masks), height))
    for i, mask in enumerate(masks):
        painted = Image.fromarray(paint(frame.image, mask.labels))
        draw = ImageDraw.Draw(painted)
        for polygon in annotated.ignore:
            draw.polygon(polygon, outline=IGNORED_COLOUR)
        for thing in annotated.objects:
            for polygon in (*thing.polygons, *thing.holes):
                draw.polygon(polygon, outline=TRUTH_COLOUR, width=2)
        picture.paste(painted, (i * width, 0))
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)


def table(results: dict[str, dict[str, Scores]]) -> str:
    """A Markdown table of scores by clip and method, with the mean over clips at its end."""
    rows = [
        (clip, method, scores)
        for clip, methods in results.items()
        for method, scores in methods.items()
    ]
    for method in next(iter(results.values())):
        columns = zip(*(astuple(methods[method]) for methods in results.values()), strict=True)
        rows.append(("mean of clips", method, Scores(*map(mean, columns))))
    cells = [[clip, method, *map(figure, astuple(scores))] for clip, method, scores in rows]
    return "\n".join(table_lines(["", "", *COLUMNS], cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clips", type=Path, help="folder with the videos")
    parser.add_argument("--split", choices=ANNOTATIONS, default="test", help="which clips")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="as coprop eval takes it")
    parser.add_argument("--tracks", action="store_true", help="tracks first as well")
    parser.add_argument("--out", type=Path, help="folder for pictures of the annotated frames")
    options = parser.parse_args()
    try:
        annotated = read_annotations(ANNOTATIONS[options.split])
        found = [(find_clip(options.clips, clip), clip) for clip in annotated]
        for path, clip in found:
            if path is None:
                print(f"{clip.file} is not in {options.clips} and is skipped.")
        pipeline = load_model(options.model, torch.device("cpu"))
        results = {
            path.stem: evaluate(pipeline, path, clip, options.out, tracks=options.tracks)
            for path, clip in found
            if path is not None
        }
        if not results:
            names = ", ".join(clip.file for clip in annotated)
            raise DatasetError(f"{options.clips} holds none of the annotated clips: {names}.")
    except CoPropError as error:
        parser.exit(2, f"{error}\n")
    print(table(results))


if __name__ == "__main__":
    main()
