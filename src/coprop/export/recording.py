"""A result on its way into a file: what all exports ask of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from coprop.export.objects import Objects
from coprop.media.frames import end_of
from coprop.results.saved_result import Head, heads_of
from coprop.types import FrameMask, Progress, Segment
from coprop.utils.paths import is_path

if TYPE_CHECKING:
    from coprop.media.clip import Clip
    from coprop.media.reader import Frame
    from coprop.result import Result

_NO_NAME = "video"


@dataclass(frozen=True, eq=False)
class Recording:
    """A result that is being exported.

    Args:
        result: what the pipeline gave, or a folder read back.
        target: name of the export, for progress.
        names: names of labels that were given.
        progress: called with each frame.
    """

    result: Result
    target: str = ""
    names: Mapping[int, str] = field(default_factory=dict)
    progress: Progress | None = None

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """What is known of the masks without their pictures."""
        return heads_of(self.result.masks)

    @cached_property
    def objects(self) -> Objects:
        """Names and numbers of what is in the masks."""
        return Objects(self.heads, self.segments, self.names)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The result's; one without an end stops with the video."""
        return tuple(
            replace(each, end_s=max(each.start_s, self.end_s)) if np.isinf(each.end_s) else each
            for each in self.result.segments
        )

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the masks, in pixels."""
        height, width = self.result.masks[0].labels.shape
        return height, width

    @property
    def end_s(self) -> float:
        """When the last frame ends: see `coprop.media.frames.end_of`."""
        return end_of([head.time_s for head in self.heads])

    @property
    def frame_rate(self) -> float:
        """Average frames per second."""
        return len(self.heads) / (self.end_s - self.heads[0].time_s)

    @property
    def video(self) -> Path | None:
        """The video's file; None where the frames came otherwise, or only their masks are here."""
        frames = self.result.frames
        return Path(frames) if is_path(frames) else None

    @property
    def video_name(self) -> str:
        """The video's file name; "video" where there is none."""
        return self.result.name or (self.video.name if self.video else "") or _NO_NAME

    @property
    def sequence(self) -> str:
        """The video's name as that of a folder or of a line in a list: letters, digits, -, _, ."""
        stem = re.sub(r"[^\w.-]", "_", Path(self.video_name).stem).strip(".")
        return stem or _NO_NAME

    def frame_name(self, index: int) -> str:
        """A frame's number as the name of its picture, so that names sort like numbers."""
        digits = max(5, len(str(self.heads[-1].index)))  # 5 is what DAVIS and YouTube-VOS have
        return f"{index:0{digits}d}"

    def masks(self) -> Iterator[FrameMask]:
        """One mask after another, with progress."""
        for count, mask in enumerate(self.result.masks):
            self._tell(count)
            yield mask
        self._tell(len(self.heads))

    def pairs(self, clip: Clip) -> Iterator[tuple[Frame, FrameMask]]:
        """One frame after another with its mask, with progress."""
        for count, pair in enumerate(self.result.pairs(clip)):
            self._tell(count)
            yield pair
        self._tell(len(self.heads))

    def _tell(self, count: int) -> None:
        if self.progress is not None:
            self.progress(f"export {self.target}", count, len(self.heads))


def exact_time(frame: Frame) -> Fraction:
    """When a frame is shown, in seconds, without rounding where its file says it exactly."""
    if frame.pts is not None and frame.time_base is not None:
        return frame.pts * frame.time_base
    return Fraction(frame.time_s)


def plain_number(value: float) -> str:
    """A number with all of its digits, and without an exponent."""
    return np.format_float_positional(value, trim="0")
