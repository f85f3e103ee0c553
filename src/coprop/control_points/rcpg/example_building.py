"""Makes an example store of a labelled dataset (paper appendix A.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.language_models.base import LLM_SAMPLE_RATE
from coprop.control_points.rcpg.chunks import windows_of
from coprop.control_points.rcpg.examples import Example, ExampleStore, mean_bands
from coprop.errors import CoPropError, DatasetError, OutputError
from coprop.media.wav_file import write_wav
from coprop.storage.files import output_errors, replacing
from coprop.storage.locks import WriterLock
from coprop.types import Audio, Progress
from coprop.utils.paths import AnyPath, as_path

if TYPE_CHECKING:
    from coprop.data.labelled import LabelledClip, LabelledDataset


def build_examples(
    dataset: LabelledDataset,
    out: AnyPath,
    *,
    sounds: Mapping[str, AnyPath] | None = None,
    progress: Progress | None = None,
) -> ExampleStore:
    """Writes a JSON-lines file of a dataset's clips, and their sounds beside it.

    Sounds go into a folder named after the file, "train_sounds" for "train.jsonl", as mono 16-bit
    WAV files at 16 kHz. Clips whose changes the annotation does not tell are left out. Categories
    are those of the dataset; where it names none (MS3), they can be added to the file by hand, and
    until then examples are chosen by how they sound.

    Args:
        dataset: the clips.
        out: the JSON-lines file; one that is there is replaced.
        sounds: files that are there already, by clip; no copies of them are made.
        progress: called as ``progress("clips", clips so far, clips in all)``.

    Returns:
        What was written.

    Raises:
        DatasetError: no clip tells its changes, or a clip cannot be read.
        OutputError: a file cannot be written, or another process is writing it.
    """
    out = as_path("out", out, error=OutputError)
    with WriterLock.of_file(out):
        return _build(dataset, out, sounds or {}, progress)


def _build(
    dataset: LabelledDataset,
    out: Path,
    sounds: Mapping[str, AnyPath],
    progress: Progress | None,
) -> ExampleStore:
    folder = out.with_name(f"{out.stem}_sounds")
    examples = []
    for index in range(len(dataset)):
        clip = dataset[index]
        flags = true_flags(clip)
        if flags is not None:
            own = sounds.get(clip.name)
            sound = clip.audio.resampled(LLM_SAMPLE_RATE)
            path = folder / _file_name(index, clip.name) if own is None else as_path("sounds", own)
            if own is None:
                _write_wav(path, sound)
            examples.append(
                Example(
                    audio=path,
                    categories=clip.categories,
                    flags=tuple(int(flag) for flag in flags),
                    name=clip.name,
                    duration_s=round(sound.duration_s, 6),
                    bands=tuple(float(band) for band in mean_bands(sound)),
                )
            )
        if progress is not None:
            progress("clips", index + 1, len(dataset))
    if not examples:
        raise DatasetError(
            f"no clip of {dataset.name} tells where its sounding objects change, so it gives no "
            "examples. Give the dataset its control points, or take another split."
        )
    store = ExampleStore(examples)
    store.save(out)
    return store


def true_flags(clip: LabelledClip) -> NDArray[np.bool_] | None:
    """(N,) the clip's annotated flags; None where the annotation does not tell.

    N is the dataset's number of windows, of one second each; for dense video the track is divided
    into windows of about a second.
    """
    if clip.change_times_s is None:
        return None
    if clip.windows is not None:
        return window_flags(clip.change_times_s, clip.windows, float(clip.windows))
    duration_s = clip.audio.duration_s or 1.0
    return window_flags(clip.change_times_s, windows_of(duration_s, 1.0), duration_s)


def window_flags(
    change_times_s: Sequence[float], windows: int, duration_s: float
) -> NDArray[np.bool_]:
    """(N,) True for the windows that begin with a change, and the first.

    A change belongs to the nearest edge between two windows; one nearest to the end to none.

    Args:
        change_times_s: seconds.
        windows: N >= 1.
        duration_s: of all windows together, positive.

    Raises:
        CoPropError: windows or a duration out of range.
    """
    if windows < 1 or not duration_s > 0:
        raise CoPropError(
            f"there must be a window and a positive duration, got {windows} and {duration_s} s."
        )
    flags = np.zeros(windows, dtype=np.bool_)
    times = np.asarray(change_times_s, dtype=np.float64)
    edges = np.floor(times * windows / duration_s + 0.5).astype(int)
    flags[edges[(edges >= 0) & (edges < windows)]] = True
    flags[0] = True
    return flags


def _file_name(index: int, name: str) -> str:
    return f"{index:05d}_{re.sub(r'[^A-Za-z0-9._-]+', '_', name)[:80]}.wav"


def _write_wav(path: Path, sound: Audio) -> None:
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        write_wav(part, np.clip(sound.samples, -1.0, 1.0), LLM_SAMPLE_RATE)
