"""Masks one by one, and their result folder, written while they come."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from types import TracebackType
from typing import TYPE_CHECKING

from coprop.errors import CoPropError
from coprop.results.writing import ClipWriter
from coprop.types import ControlPoints, FrameMask, Segment
from coprop.utils.paths import AnyPath

if TYPE_CHECKING:
    from coprop.media.clip import Clip
    from coprop.media.reader import Frame
    from coprop.tracking import Tracking


class MaskStream(Iterator[FrameMask]):
    """Yields the mask of one frame after another; what `coprop.CoProp.stream` returns.

    Args:
        clip: the clip.
        points: its control points.
        tracking: its frames with their masks.
        opened: closes the clip.

    Attributes:
        clip: the clip.
        control_points: where the sounding objects change, in the whole clip.
        frame: the frame that the last mask is of; None before the first.
        is_complete: whether the last mask has been yielded and another one was asked for.
    """

    def __init__(
        self, clip: Clip, points: ControlPoints, tracking: Tracking, opened: ExitStack
    ) -> None:
        self.clip = clip
        self.control_points = points
        self.frame: Frame | None = None
        self.is_complete = False
        self._tracking = tracking
        self._opened = opened
        self._has_writer = False
        self._unwritten: list[int] = []  # numbers of frames whose masks its writer has not had
        self._masks = self._go()

    def __next__(self) -> FrameMask:
        return next(self._masks)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Those in which a frame has been shown so far; the last one's end may still change."""
        return tuple(self._tracking.segments)

    def close(self) -> None:
        """Ends it before the last mask, and closes the clip; safe to call again."""
        self._masks.close()
        self._tracking.close()
        self._opened.close()

    def writer(self, directory: AnyPath, *, force: bool = False) -> StreamWriter:
        """Writes what `coprop.Result.save` does, while the masks come, at bounded memory. ::

            masks = pipeline.stream("clip.mp4")
            with masks.writer("out") as writer:
                for mask in masks:
                    writer.write(mask)

        Each mask is a file once it is written, and the overlay grows. The rest comes when the block
        is left after the last mask, result.json at the very end. A stream that was not gone through
        to its end leaves no result.json.

        Args:
            directory: where to write; made if it is not there.
            force: replace an earlier result there.

        Raises:
            CoPropError: the stream has begun, or has a writer already.
            OutputError: the directory is not empty, or cannot be written.
        """
        if self.frame is not None or self._has_writer:
            why = "has one already" if self._has_writer else "has begun"
            raise CoPropError(
                f"a writer takes every mask of a stream, this stream {why}; call "
                "pipeline.stream() anew and make one writer before the first mask is asked for."
            )
        writer = ClipWriter(directory, self.clip, force=force)
        self._has_writer = True
        return StreamWriter(self, writer, self._opened.pop_all(), self._unwritten)

    def _go(self) -> Generator[FrameMask, None, None]:
        with self._opened, closing(self._tracking):
            for frame, mask in self._tracking:
                self.frame = frame
                if self._has_writer:
                    self._unwritten.append(frame.index)
                yield mask
            self.is_complete = True


class StreamWriter:
    """Writes the masks of a stream as they come; a context manager, see `MaskStream.writer`.

    Leaving the block ends the stream.

    Args:
        stream: the stream.
        writer: of its result folder.
        opened: closes the stream's clip, whose sound the timeline shows.
        unwritten: numbers of the frames whose masks the stream has given, taken out as they are
            written.
    """

    def __init__(
        self, stream: MaskStream, writer: ClipWriter, opened: ExitStack, unwritten: list[int]
    ) -> None:
        self._stream = stream
        self._writer = writer
        self._opened = opened
        self._unwritten = unwritten
        self._is_open: bool | None = None  # before its block; then whether it is in it

    def __enter__(self) -> StreamWriter:
        if self._is_open is not None:
            raise CoPropError("a writer is for one block; call pipeline.stream() anew for another.")
        self._is_open = True
        self._opened.enter_context(self._writer)
        self._opened.callback(self._stream.close)
        return self

    def write(self, mask: FrameMask) -> None:
        """Writes the mask that the stream has just given, or another one of the same frame.

        A thread writes it while the next one is made.

        Args:
            mask: of the stream's last frame; it may have been changed, with
                ``dataclasses.replace(mask, labels=...)``.

        Raises:
            CoPropError: a mask of another frame, not every mask was written, or the writer's block
                has not begun or has ended.
            ShapeError: an earlier mask had another size or type than its frame.
            OutputError: an earlier one cannot be written.
        """
        if not isinstance(mask, FrameMask):
            raise CoPropError(f"write takes a FrameMask, got {type(mask).__name__}.")
        if not self._is_open:
            raise CoPropError(
                "a writer writes in its block alone: with masks.writer(directory) as writer: "
                "writer.write(mask) for each mask of the stream."
            )
        frame = self._stream.frame
        if frame is None or mask.index != frame.index:
            last = "none yet" if frame is None else f"that of frame {frame.index}"
            raise CoPropError(
                f"the mask is of frame {mask.index}, the stream's last mask is {last}; write each "
                "mask as it comes, before the next one is asked for."
            )
        if not self._unwritten:
            raise CoPropError(
                f"the mask of frame {frame.index} has been written; write each one once."
            )
        self._check_written(self._unwritten[:-1])
        self._writer.write(frame, mask)
        self._unwritten.clear()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        if error is not None:
            self._opened.__exit__(kind, error, traceback)
            return
        with self._opened:
            if self._stream.is_complete:
                self._check_written(self._unwritten)
                self._writer.finish(self._stream.control_points, self._stream.segments)

    def _check_written(self, left: list[int]) -> None:
        if left:
            raise CoPropError(
                f"the mask of frame {left[0]} was not written; write each one as it comes, since "
                "result.json tells of every frame."
            )
