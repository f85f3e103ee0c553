"""Control points of many files, one after another, whatever finds them."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coprop.control_points.language_models.base import LLM_SAMPLE_RATE
from coprop.errors import CoPropError, MediaError
from coprop.media.folders import media_in

if TYPE_CHECKING:
    from coprop.control_points.detector import ControlPointDetector
    from coprop.control_points.events.detector import EventDetector
    from coprop.control_points.rcpg import RCPGDetector
    from coprop.control_points.rcpg.trace import Trace
    from coprop.media.audio_file import AudioFile
    from coprop.types import ControlPoints, Progress


@dataclass(frozen=True, eq=False)
class Listened:
    """What was found in a file.

    Args:
        path: the file.
        duration_s: length of its sound, in seconds.
        points: the control points.
        trace: how they came about; None from detectors that ask nobody.
    """

    path: Path
    duration_s: float
    points: ControlPoints
    trace: Trace | None


def media_files(paths: Sequence[Path]) -> list[Path]:
    """The files among the paths, and the videos and sounds in the folders (`media_in`).

    Raises:
        MediaError: a folder without any.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            found[path] = None
            continue
        inside = media_in(path)
        if not inside:
            raise MediaError(
                f"{path} is a directory without video or audio files; a file of another suffix "
                "can be given by its name."
            )
        found.update(dict.fromkeys(inside))
    return list(found)


def listen(
    files: Sequence[Path],
    detector: ControlPointDetector | EventDetector | RCPGDetector,
    windows: int | None,
    failed: Callable[[Path, CoPropError], None],
    progress: Progress,
    *,
    audio_track: int | None = None,
) -> Iterator[Listened]:
    """The control points of each file, in order, as they are known.

    Args:
        files: videos or sounds.
        detector: what finds them.
        windows: N for N equal windows of each file.
        failed: called with a file that cannot be read, and why; it is then left out.
        progress: of reading, where the file is the only one, and of finding.
        audio_track: number of the track of sound, from 0.

    Raises:
        CoPropError: what the detector raises.
    """
    from coprop.control_points.rcpg import RCPGDetector

    if isinstance(detector, RCPGDetector):
        tracks = _opened(files, LLM_SAMPLE_RATE, audio_track, failed, progress)
        yield from _with_model(tracks, detector, windows)
        return
    for track in _opened(files, None, audio_track, failed, progress):
        with track:
            progress("control points", 0, None)
            points = detector(track, windows=windows)
            yield Listened(track.path, track.duration_s, points, None)


def _with_model(
    opened: Iterator[AudioFile], detector: RCPGDetector, windows: int | None
) -> Iterator[Listened]:
    waiting: deque[AudioFile] = deque()

    def tracks() -> Iterator[AudioFile]:
        for track in opened:
            waiting.append(track)
            yield track

    results = detector.explain_all(tracks(), windows=windows)
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the trace's notes say the same
            result = next(results, None)
        if result is None:
            return
        with waiting.popleft() as track:
            yield Listened(track.path, track.duration_s, *result)


def _opened(
    files: Sequence[Path],
    sample_rate: int | None,
    audio_track: int | None,
    failed: Callable[[Path, CoPropError], None],
    progress: Progress,
) -> Iterator[AudioFile]:
    from coprop.media.audio_file import AudioFile
    from coprop.media.streams import look_into

    for file in files:
        try:
            contents = look_into(file, audio_track=audio_track)
            told = progress if len(files) == 1 else None
            track = AudioFile(contents, sample_rate, progress=told)
        except CoPropError as error:
            failed(file, error)
            continue
        yield track
