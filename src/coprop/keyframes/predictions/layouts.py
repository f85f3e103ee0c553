"""The folders that test scripts of published models write, and which of a run's files is what."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from coprop.errors import PredictionError
from coprop.keyframes.predictions.pictures import SUFFIXES
from coprop.storage.files import visible
from coprop.utils.checks import check_choice

LayoutName = Literal["tpavi", "avsegformer", "catr", "cavp", "combo"]
"""Whose test script has written the predictions."""

_NUMBERED = r"(?:[^/]+/)?(?P<clip>[^/]+)/(?P=clip)_(?P<number>\d+)\.png"
_MIRRORED = (
    r"(?:.+/)?visual_frames/(?:[^/]+/){0,2}(?P<clip>[^/]+)/(?P=clip)(?:\.mp4)?_(?P<number>\d+)\.png"
    r"|(?:.+/)?(?:v1s|v1m|v2)/(?P<clip2>[^/]+)/(?:processed_)?frames/(?P<number2>\d+)\.(?:jpg|png)"
)


@dataclass(frozen=True)
class Layout:
    """How a script lays out a run.

    Args:
        folder: the one that it makes for predictions, inside that of the run.
        file: a regular expression of the path of a prediction below that folder.
        first: the number of a clip's first prediction; None for 0, or 1 where that is the lowest.
    """

    folder: str
    file: re.Pattern[str]
    first: int | None = None

    def clip_of(self, path: str) -> str | None:
        """The name of the clip that a file belongs to, None where it is no prediction."""
        found = self.file.fullmatch(path)
        if found is None:
            return None
        names = found.groupdict()
        return names["clip"] or names.get("clip2")


# TPAVI, AVSegFormer and CATR write S4 below a folder for each category, and all of them number
# predictions from 0. COMBO's script mirrors the data set's frames with their names.
_PRED_MASKS = Layout("pred_masks", re.compile(_NUMBERED), first=0)
LAYOUTS: Mapping[LayoutName, Layout] = MappingProxyType(
    {
        "tpavi": _PRED_MASKS,
        "avsegformer": _PRED_MASKS,
        "catr": _PRED_MASKS,
        "cavp": _PRED_MASKS,
        "combo": Layout("vis", re.compile(_MIRRORED)),
    }
)


@dataclass(frozen=True)
class RunFiles:
    """The files of a run.

    Args:
        root: the folder below which they lie.
        layout: by whose script.
        clips: the files of each clip, by its name.
    """

    root: Path
    layout: LayoutName
    clips: Mapping[str, tuple[Path, ...]]


def find_run(folder: Path, name: LayoutName | None) -> RunFiles:
    """The predictions of a run by clip.

    Args:
        folder: that of the run, or the one for predictions inside it.
        name: whose script has written it; None to find out. Scripts that write alike are then
            called by the first of them.

    Raises:
        PredictionError: no such folder, another layout, or two clips of one name.
    """
    if name is not None:
        check_choice("layout", name, get_args(LayoutName), error=PredictionError)
    if not folder.is_dir():
        raise PredictionError(f"there are no predictions at {folder}: no such folder.")
    for each in [name] if name is not None else get_args(LayoutName):
        inner = folder / LAYOUTS[each].folder
        root = inner if inner.is_dir() else folder
        clips = _clips(root, LAYOUTS[each])
        if clips:
            return RunFiles(root, each, clips)
    pictures = [path for path in visible(folder) if path.suffix.lower() in SUFFIXES]
    first = f"{pictures[0].relative_to(folder)}" if pictures else "no picture"
    wanted = "<clip>/<clip>_<number>.png" if name != "combo" else "<frames of AVSBench>/<frame>.png"
    raise PredictionError(
        f"{folder} is not laid out as by the test script of {name or ', '.join(LAYOUTS)}: it holds "
        f"{first}, where {wanted} is looked for. Give the folder that the script wrote, with its "
        "layout."
    )


def _clips(root: Path, layout: Layout) -> dict[str, tuple[Path, ...]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in visible(root):
        clip = layout.clip_of(path.relative_to(root).as_posix())
        if clip is not None:
            found[clip].append(path)
    for clip, paths in found.items():
        folders = sorted({path.parent for path in paths})
        if len(folders) > 1:
            raise PredictionError(
                f"the clip {clip!r} has predictions in {folders[0]} and in {folders[1]}; a run has "
                "one folder for each clip."
            )
    return {clip: tuple(found[clip]) for clip in sorted(found)}
