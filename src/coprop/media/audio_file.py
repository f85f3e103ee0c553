"""Reading sound: decoded once, in step with the video, at bounded memory."""

from __future__ import annotations

import logging
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from numpy.typing import NDArray

from coprop.errors import AudioError, MediaError, MissingAudioError, OutputError
from coprop.media.container import open_media
from coprop.media.reader import VideoFile, first_video_time
from coprop.media.resample import BLOCK, Resampler
from coprop.mixdown import Mixdown
from coprop.types import Progress

logger = logging.getLogger(__name__)

JITTER_S = 0.02
"""Containers round their time stamps; only gaps and overlaps longer than this are mended."""

LONGEST_GAP_S = 24 * 3600


class SoundBlocks:
    """The sound of a file as blocks at its own sample rate, aligned with the video's first frame.

    Iterating yields (channels, n) float32 blocks that follow one another without a gap, from time
    zero plus ``start_s`` on. Time zero is the first video frame; in a file without video it is the
    first sample. Gaps in the sound are filled with silence, overlaps are cut off, and packets that
    cannot be decoded are silence too (logged as a warning).

    Args:
        path: a file with an audio track.
        start_s: where to begin, in seconds from time zero.

    Raises:
        MissingAudioError: no audio track.
        MediaError: not a media file, or no sound in it can be decoded. While iterating: the sound
            changes its number of channels or its sample rate.
        AudioError: while iterating, samples that are NaN or infinite.

    Attributes:
        sample_rate: samples per second, in Hz.
        channels: number of channels.
        codec: FFmpeg's name of the codec.
        offset_s: when the sound begins, in seconds from time zero plus ``start_s``.
        origin_s: time zero plus ``start_s`` on the file's own clock.
    """

    def __init__(self, path: str | Path, *, start_s: float = 0.0) -> None:
        self.path = Path(path)
        with open_media(self.path) as container:
            video_s = first_video_time(container, self.path)
        with open_media(self.path) as container:
            first = next(self._frames(container), None)
            if first is None:
                raise MediaError(f"{self.path} has an audio track, but no sound can be decoded.")
            self.codec = container.streams.audio[0].codec_context.name
        self.sample_rate = first.sample_rate
        self.channels = first.layout.nb_channels
        first_s = _time(first) or Fraction(0)
        self.origin_s = (first_s if video_s is None else video_s) + Fraction(start_s)
        self.offset_s = float(first_s - self.origin_s)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        position = 0  # the next sample's number, counted from the origin
        with open_media(self.path) as container:
            for frame in self._frames(container):
                samples = self._samples(frame, position)
                ahead = self._ahead(frame, position)
                if ahead > 0:
                    yield from self._silence(ahead)
                    position += ahead
                samples = samples[:, max(-ahead, 0) :]
                position += samples.shape[1]
                if samples.shape[1]:
                    yield samples

    def _ahead(self, frame: AudioFrame, position: int) -> int:
        """By how many samples the frame is later (negative: earlier) than it should be."""
        time = _time(frame)
        if time is None:
            return 0
        ahead = round((time - self.origin_s) * self.sample_rate) - position
        if ahead > LONGEST_GAP_S * self.sample_rate:
            raise MediaError(
                f"{self.path}: the sound's time stamps leap from {position / self.sample_rate:.3f} "
                f"s by {ahead / self.sample_rate:.0f} s; the file needs rewriting."
            )
        return ahead if position == 0 or abs(ahead) > JITTER_S * self.sample_rate else 0

    def _silence(self, length: int) -> Iterator[NDArray[np.float32]]:
        for start in range(0, length, BLOCK):
            yield np.zeros((self.channels, min(BLOCK, length - start)), dtype=np.float32)

    def _samples(self, frame: AudioFrame, position: int) -> NDArray[np.float32]:
        where = f"{self.path} at {position / self.sample_rate:.3f} s"
        if (frame.layout.nb_channels, frame.sample_rate) != (self.channels, self.sample_rate):
            raise MediaError(
                f"{where}: the sound changes from {self.channels} channels at {self.sample_rate} "
                f"Hz to {frame.layout.nb_channels} at {frame.sample_rate} Hz; convert it first, "
                "for instance to a WAV file."
            )
        samples = _planar(frame)
        if not np.all(np.isfinite(samples)):
            raise AudioError(
                f"{where}: the sound has samples that are NaN or infinite; convert it with a tool "
                "that replaces them."
            )
        return samples

    def _frames(self, container: InputContainer) -> Iterator[AudioFrame]:
        if not container.streams.audio:
            raise MissingAudioError(
                f"{self.path} has no audio track. Give the sound separately: `audio=` in Python, "
                "--audio FILE on the command line."
            )
        time_s = 0.0
        try:
            for packet in container.demux(container.streams.audio[0]):
                try:
                    frames = packet.decode()
                except av.FFmpegError as error:
                    logger.warning("%s: no sound after %.3f s: %s", self.path, time_s, error)
                    continue
                for frame in frames:
                    time_s = frame.time or 0.0
                    yield frame
        except av.FFmpegError as error:
            logger.warning("%s: the sound breaks off after %.3f s: %s", self.path, time_s, error)


class AudioFile:
    """An `AudioTrack` of a file's sound, mono (see `coprop.mixdown`), aligned with its video.

    The sound is decoded once, block by block, into an anonymous temporary file (4 bytes a
    sample) that vanishes with this object; it can be closed earlier, and is a context manager.
    Position 0 is the first video frame, or the first sample of a file without video; sound that
    starts later is preceded by zeros, what comes earlier is left out.

    Args:
        path: a video or audio file.
        sample_rate: the wanted samples per second, in Hz.
        start_s: where to begin, in seconds from time zero.
        progress: called as ``progress("audio", samples so far, None)``.

    Raises:
        MissingAudioError: no audio track.
        MediaError: not a media file, or no sound in it can be decoded.
        AudioError: samples that are NaN or infinite, or a sample rate that is not positive.
        OutputError: the folder for temporary files is full.
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: int,
        *,
        start_s: float = 0.0,
        progress: Progress | None = None,
    ) -> None:
        self.path = Path(path)
        source = SoundBlocks(path, start_s=start_s)
        self._fill(_mono(source), source.sample_rate, sample_rate, progress)

    @classmethod
    def from_video(
        cls, video: VideoFile, sample_rate: int, *, progress: Progress | None = None
    ) -> AudioFile:
        """The video's own sound; position 0 is its frame 0."""
        return cls(video.path, sample_rate, progress=progress)

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
        """The same sound at another sample rate (itself, where the rate is equal)."""
        if sample_rate == self._sample_rate:
            return self
        other = object.__new__(type(self))
        other.path = self.path
        starts = range(0, self._num_samples, BLOCK)
        blocks = (self.read(s, min(s + BLOCK, self._num_samples)) for s in starts)
        other._fill(blocks, self._sample_rate, sample_rate, None)
        return other

    def close(self) -> None:
        """Gives the temporary file back to the system."""
        self._file.close()

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
        self._lock = threading.Lock()
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
            f"({error.strerror or error}); free some space there, or name a larger folder in the "
            "environment variable TMPDIR."
        ) from error


def _discard(file: IO[bytes]) -> None:
    """Closes a temporary file; what could not be written to a full disk is lost anyway."""
    with suppress(OSError):
        file.close()


def _time(frame: AudioFrame) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base


def _planar(frame: AudioFrame) -> NDArray[np.float32]:
    """(channels, n) float32 in [-1, 1] from any of FFmpeg's sample formats."""
    samples: NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif np.issubdtype(samples.dtype, np.signedinteger):
        samples = samples / -float(np.iinfo(samples.dtype).min)
    return np.asarray(samples, dtype=np.float32)
