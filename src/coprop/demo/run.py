"""One video on the page: checked, marked and saved, with word of how far it is."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from coprop.demo.visits import Visit
from coprop.errors import CoPropError, MediaError, MissingAudioError
from coprop.media.reader import VideoFile
from coprop.media.timeline import envelope
from coprop.pipeline import CoProp

_TOLD_EVERY_S = 0.4  # often enough to be seen moving, seldom enough to cost nothing
_SURE_AFTER_S = 2.0  # of frames: models warm up over the first ones
_COLUMNS = 600  # of the waveform, about a pixel or two each
_SLACK_S = 1.0  # a recording of just the longest time is a little longer


@dataclass(frozen=True)
class Told:
    """How far a video is.

    Args:
        step: what is done, in words.
        share: how much of it is done, in [0, 1]; None where that is not known.
        remaining_s: how long it will still take, in seconds; None where that is not known.
    """

    step: str
    share: float | None = None
    remaining_s: float | None = None


@dataclass(frozen=True, eq=False)
class Marked:
    """What the timeline shows and the result folder does not hold.

    Args:
        areas: share of each frame that is masked, in [0, 1].
        waveform: (2, columns) lowest and highest samples.
        sound_s: how long they last, in seconds.
    """

    areas: Sequence[float]
    waveform: NDArray[np.float32]
    sound_s: float


def check_video(video: Path, longest_s: float) -> None:
    """Refuses what the page cannot show a result of.

    Args:
        video: the file.
        longest_s: seconds that it may last.

    Raises:
        CoPropError: it is no video, has no sound, or is too long.
    """
    film = VideoFile(video)
    if not film.has_audio:
        raise MissingAudioError(
            "This video has no sound. What is marked is what makes the sound, so please bring a "
            "video that has some."
        )
    if film.duration_s is not None and film.duration_s > longest_s + _SLACK_S:
        raise _too_long(longest_s, f"this video lasts {_time(film.duration_s)}")


def mark(
    pipeline: CoProp, video: Path, folder: Path, longest_s: float
) -> Generator[Told, None, Marked]:
    """Writes a video's result folder, and tells how far it is in between.

    Closed before its end, it leaves no result.json.

    Args:
        pipeline: what marks it.
        video: the file.
        folder: the result folder to write.
        longest_s: seconds that the video may last.

    Returns:
        what the timeline shows beside the result.

    Raises:
        CoPropError: the video cannot be used, see `check_video`, or is damaged.
    """
    yield Told("Looking at the video")
    check_video(video, longest_s)
    yield Told("Listening to the sound")
    masks = pipeline.stream(video)
    sound = masks.clip.audio
    length_s = masks.clip.duration_s or sound.duration_s
    waveform, areas = envelope(sound, _COLUMNS), list[float]()
    pace = _Pace(length_s)
    with masks.writer(folder) as writer:
        for mask in masks:
            if mask.time_s > longest_s + _SLACK_S:  # of a file that does not say how long it is
                raise _too_long(longest_s, "this video lasts longer")
            writer.write(mask)
            areas.append(mask.area)
            yield from pace.told(mask.time_s)
        yield Told("Putting the film together", 1.0)
    return Marked(areas, waveform, sound.duration_s)


def sentence(error: CoPropError, visit: Visit | None) -> str:
    """What was wrong, in one line, without the place where the video happens to lie."""
    text = str(error)
    if visit is not None:
        text = text.replace(str(visit.video), visit.video.name)
    return " ".join(text.split())


class _Pace:
    """Says at times how far the frames are, and how long the rest will take."""

    def __init__(self, length_s: float) -> None:
        self._length_s = max(length_s, 1e-6)
        self._began = self._last = monotonic()

    def told(self, time_s: float) -> Iterator[Told]:
        now = monotonic()
        if now - self._last < _TOLD_EVERY_S:
            return
        self._last = now
        share, taken_s = min(time_s / self._length_s, 1.0), now - self._began
        known = taken_s >= _SURE_AFTER_S and share > 0
        remaining_s = taken_s * (1 - share) / share if known else None
        yield Told("Marking what sounds", share, remaining_s)


def _too_long(longest_s: float, what: str) -> MediaError:
    return MediaError(
        f"This page takes videos of up to {_time(longest_s)}, {what}. Please cut it, or use the "
        "command coprop run, which takes videos of any length."
    )


def _time(seconds: float) -> str:
    """Such as "90 s" or "5 min"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f}".removesuffix(".0") + " min"
