"""The exports by name, and the one function that writes any of them.

What a name stands for is loaded when it is written: the list alone needs nothing but this module.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coprop.errors import CoPropError, OutputError
from coprop.storage.files import output_errors

if TYPE_CHECKING:
    from coprop.result import Result
    from coprop.types import Progress
    from coprop.utils.paths import AnyPath

FOLDER = "exports"
"""Where the command line puts them, in a result folder."""


@dataclass(frozen=True)
class Target:
    """One form of export.

    Args:
        file: the file's name, or the folder's, where the command line writes it.
        about: what it is, in a few words.
        writer: the function, as ``module:function`` of coprop.export.
        needs_video: whether the frames or the sound are needed, and not the masks alone.
        is_folder: whether it is a folder.
    """

    file: str
    about: str
    writer: str
    needs_video: bool = False
    is_folder: bool = False

    @property
    def suffix(self) -> str:
        """That of its file; "" for a folder."""
        return "" if self.is_folder else Path(self.file).suffix


TARGETS: Mapping[str, Target] = {
    "coco": Target("coco.json", "COCO JSON with RLE masks", "annotations:write_coco"),
    "youtube-vos": Target(
        *("youtube-vos", "YouTube-VOS folder", "datasets:write_youtube_vos", True, True)
    ),
    "davis": Target("davis", "DAVIS 2017 folder", "datasets:write_davis", True, True),
    "cvat": Target("cvat.xml", "CVAT 1.1 XML", "annotators:write_cvat"),
    "label-studio": Target(
        "label-studio",
        "Label Studio video task",
        "annotators:write_label_studio",
        is_folder=True,
    ),
    "label-studio-masks": Target(
        "label-studio-masks",
        "Label Studio task with masks for each frame",
        "annotators:write_label_studio_masks",
        needs_video=True,
        is_folder=True,
    ),
    "supervision": Target(
        "supervision.npz", "arguments of supervision's Detections", "supervision:write_detections"
    ),
    "fiftyone": Target("fiftyone.json", "FiftyOne labels", "annotations:write_fiftyone"),
    "csv": Target("segments.csv", "table of segments", "tables:write_csv"),
    "audacity": Target("segments.txt", "Audacity label track", "tables:write_audacity"),
    "elan": Target("segments.eaf", "ELAN annotations", "tables:write_elan"),
    "labels": Target("labels.mkv", "lossless label video, FFV1", "videos:write_labels"),
    "cutout-webm": Target(
        *("cutout.webm", "what sounds, with alpha, VP9", "videos:write_cutout_webm", True)
    ),
    "cutout-prores": Target(
        *("cutout.mov", "what sounds, with alpha, ProRes 4444", "videos:write_cutout_prores", True)
    ),
    "cutout-green": Target("green.mp4", "what sounds, on green", "videos:write_green", True),
    "muted": Target(
        *("muted.mp4", "the video, silent where nothing visible sounds", "videos:write_muted", True)
    ),
}
"""All exports."""


def checked_target(name: object) -> Target:
    """The export of that name.

    Raises:
        CoPropError: there is none.
    """
    if not isinstance(name, str) or name not in TARGETS:
        shown = name if isinstance(name, str) else type(name).__name__
        raise CoPropError(f"there is no export {shown!r:.60}; there are {', '.join(TARGETS)}.")
    return TARGETS[name]


def checked_names(names: object) -> dict[int, str]:
    """Names of labels, as given.

    Raises:
        CoPropError: anything but words by labels from 1 to 255.
    """
    from coprop.values.categories import as_label_names

    return {} if names is None else dict(as_label_names(names))


def write_export(
    result: Result,
    name: str,
    path: AnyPath,
    *,
    names: Mapping[int, str] | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> None:
    """Writes a result in another program's form; see `coprop.Result.export`."""
    from coprop.export.recording import Recording
    from coprop.storage.files import remove_left
    from coprop.storage.locks import WriterLock
    from coprop.utils.checks import check_progress
    from coprop.utils.paths import as_path

    target = checked_target(name)
    check_progress(progress)
    file = as_path("path", path, error=OutputError)
    recording = Recording(result, name, checked_names(names), progress)
    if not len(result.masks):
        raise CoPropError("the result has no frame; there is nothing to export.")
    if target.needs_video:
        result.check_video(f"the export {name}")
    _check_place(result, name, target, file, force)
    module, _, function = target.writer.partition(":")
    write = getattr(importlib.import_module(f"coprop.export.{module}"), function)
    with WriterLock.of_file(file):
        if not target.is_folder:
            remove_left(file.parent, file.name)
        write(recording, file)


def _check_place(result: Result, name: str, target: Target, file: Path, force: bool) -> None:
    from coprop.export.folders import check_folder
    from coprop.utils.paths import is_path

    if target.is_folder:
        if file.name in ("", ".."):
            raise OutputError(
                f"{file} cannot be replaced by an export; give a folder in it, such as "
                f"{file / target.file}."
            )
        check_folder(file, force=force)
        return
    if file.suffix.lower() != target.suffix:
        raise OutputError(
            f"the export {name} writes a file that ends in {target.suffix}, got {file}; give for "
            f"instance {file.with_suffix(target.suffix) if file.name else target.file}."
        )
    with output_errors(file):
        if file.is_dir():
            raise OutputError(f"{file} is a folder; give a file's name, such as {target.file}.")
        for source in filter(is_path, (result.frames, result.audio)):
            if file.exists() and Path(source).exists() and file.samefile(source):
                raise OutputError(f"{file} is what the result was made of; choose another name.")
        if file.exists() and not force:
            raise OutputError(
                f"{file} is there already. Choose another name, or replace it with force=True (on "
                "the command line, --force)."
            )


def remove_exports(folder: Path) -> None:
    """Removes the exports that the command line has put into a result folder.

    Args:
        folder: the result folder; other files in it, and in its folder of exports, stay.

    Raises:
        OutputError: one cannot be removed.
    """
    import shutil

    from coprop.export.folders import MARK

    place = folder / FOLDER
    with output_errors(place):
        for target in TARGETS.values():
            path = place / target.file
            if not target.is_folder:
                path.unlink(missing_ok=True)
            elif (path / MARK).is_file():
                shutil.rmtree(path)
        with suppress(OSError):  # there is none, or something else is in it
            place.rmdir()
