"""Reading sound: decoded once, in step with the video, at bounded memory."""

from __future__ import annotations

import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, ClassVar

import numpy as np
from numpy.typing import NDArray

from coprop.errors import MediaError, OutputError
from coprop.media.resample import BLOCK, Resampler
from coprop.media.sound_blocks import SoundBlocks
from coprop.media.streams import Contents
from coprop.types import Progress
from coprop.utils.brief import brief, counted, first_line
from coprop.utils.checks import check_progress
from coprop.utils.paths import AnyPath
from coprop.values.audio import as_rate
from coprop.values.mixdown import Mixdown


class AudioFile:
    """An `AudioTrack` of a file's sound, mono (`coprop.values.mixdown`), aligned with its video.

    The sound is decoded once, block by block, into an anonymous temporary file (4 bytes a
    sample) that vanishes with this object; it can be closed earlier, and is a context manager.
    Position 0 is the first video frame, or the first sample of a file without video; sound that
    starts later is preceded by zeros, what comes earlier is left out.

    Args:
        source: a video or audio file, or what `coprop.media.streams.look_into` chose in it.
        sample_rate: the wanted samples per second, in Hz; None for the file's own, at which the
            samples are those of the file.
        progress: called as ``progress("audio", samples so far, None)``.

    Raises:
        MissingAudioError: no audio track.
        MediaError: not a media file, or no sound in it can be decoded.
        AudioError: samples that are NaN or infinite, or a sample rate that is no whole
            number from 1 to 10,000,000.
        OutputError: the folder for temporary files is full.
    """

    never_changes: ClassVar[bool] = True  # so that what is made of it may be kept

    def __init__(
        self,
        source: AnyPath | Contents,
        sample_rate: int | None = None,
        *,
        progress: Progress | None = None,
    ) -> None:
        check_progress(progress)
        rate = None if sample_rate is None else as_rate(sample_rate)
        blocks = SoundBlocks(source)
        self.path = blocks.path
        own = blocks.sample_rate
        self._fill(_mono(blocks), own, own if rate is None else rate, progress)
        blocks.warn_if_cut_short()

    def __repr__(self) -> str:
        samples = counted(self.num_samples, "sample")
        name = brief(self.path.name)
        return f"AudioFile({name}, {samples} at {self.sample_rate} Hz, {self.duration_s:.3f} s)"

    @property
    def sample_rate(self) -> int:
        return self._sample_rate

    @property
    def num_samples(self) -> int:
        return self._num_samples

    @property
    def duration_s(self) -> float:
        return self._num_samples / self._sample_rate

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Samples ``start`` to ``stop`` (exclusive) as (stop - start,) float32; zeros outside.

        Raises:
            MediaError: the track has been closed.
        """
        if self._file.closed:
            raise MediaError(f"the sound of {self.path} has been closed; open it again.")
        window = np.zeros(max(stop - start, 0), dtype=np.float32)
        first, last = max(start, 0), min(stop, self._num_samples)
        if last > first:
            with self._lock:  # the position in the file is shared by all threads
                self._file.seek(4 * first)
                content = self._file.read(4 * (last - first))
            window[first - start : last - start] = np.frombuffer(content, dtype=np.float32)
        return window

    def resampled(self, sample_rate: int) -> AudioFile:
        """The same sound at another sample rate (itself, where the rate is equal).

        Each rate is converted once, and kept until this track is closed.

        Raises:
            MediaError: the track has been closed.
            AudioError: no such rate.
        """
        sample_rate = as_rate(sample_rate)
        if sample_rate == self._sample_rate:
            return self
        with self._converting:
            copy = self._copies.get(sample_rate)
            if copy is None or copy._file.closed:
                self._copies[sample_rate] = copy = self._converted(sample_rate)
        return copy

    def _converted(self, sample_rate: int) -> AudioFile:
        other = object.__new__(type(self))
        other.path = self.path
        starts = range(0, self._num_samples, BLOCK)
        blocks = (self.read(s, min(s + BLOCK, self._num_samples)) for s in starts)
        other._fill(blocks, self._sample_rate, sample_rate, None)
        return other

    def close(self) -> None:
        """Gives the temporary file back to the system, and those of other sample rates."""
        for copy in self._copies.values():
            copy.close()
        self._file.close()

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fill(
        self,
        blocks: Iterator[NDArray[np.float32]],
        from_rate: int,
        to_rate: int,
        progress: Progress | None,
    ) -> None:
        resampler = Resampler(from_rate, to_rate)
        self._sample_rate, self._num_samples = to_rate, 0
        self._lock, self._converting = threading.Lock(), threading.Lock()
        self._copies: dict[int, AudioFile] = {}
        with _space_for(self.path):
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        weakref.finalize(self, _discard, self._file)  # or with the track
        try:
            for block in blocks:
                self._append(resampler.feed(block))
                if progress is not None:
                    progress("audio", self._num_samples, None)
            self._append(resampler.flush())
            with _space_for(self.path):
                self._file.flush()
        except BaseException:
            _discard(self._file)
            raise

    def _append(self, samples: NDArray[np.float32]) -> None:
        with _space_for(self.path):
            self._file.write(np.ascontiguousarray(samples, dtype=np.float32).data)
        self._num_samples += len(samples)


def _mono(blocks: SoundBlocks) -> Iterator[NDArray[np.float32]]:
    mixdown = Mixdown(blocks.sample_rate)
    for block in blocks:
        yield mixdown.feed(block)
    yield mixdown.flush()


@contextmanager
def _space_for(path: Path) -> Iterator[None]:
    """Turns the system's errors about the temporary file into one that tells what to do."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the sound of {path} does not fit into the folder for temporary files "
            f"({first_line(error)}); free some space there, or name a larger folder in the "
            "environment variable TMPDIR."
        ) from error


def _discard(file: IO[bytes]) -> None:
    """Closes a temporary file; what could not be written to a full disk is lost anyway."""
    with suppress(OSError):
        file.close()
