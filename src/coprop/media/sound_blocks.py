"""A file's sound as it is decoded: blocks at its own rate, in step with its video."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from coprop.errors import AudioError, MediaError
from coprop.media.container import announced_sound, index_end, open_media, stated_end
from coprop.media.resample import BLOCK
from coprop.media.stamps import in_order
from coprop.media.streams import Contents, look_into
from coprop.utils.brief import one_line
from coprop.utils.paths import AnyPath, as_path
from coprop.values.audio import LOUDEST, full_scale

logger = logging.getLogger(__name__)

JITTER_S = 0.02
"""Containers round their time stamps; only gaps and overlaps longer than this are mended."""

LONGEST_GAP_S = 24 * 3600

_AS_RECORDED = ("pcm_", "wavpack")  # codecs that give the samples that they were given

PADDING_S = 0.25
"""More than a codec's last packet and its delay; a stated end that is earlier is not believed."""

ROUNDING_S = 0.0015
"""Containers state the end in milliseconds."""

SHORT_S, SHORT = 0.1, 0.01
"""Seconds, and share, by which an announced length that is a rough one may be missed."""


class SoundBlocks:
    """The sound of a file as blocks at its own sample rate, aligned with the video's first frame.

    Iterating yields (channels, n) float32 blocks that follow one another without a gap, from time
    zero on: the first video frame, or in a file without video the first sample. Gaps in the sound
    are filled with silence, overlaps are cut off, and packets that cannot be decoded are silence
    too (logged as a warning). The sound ends where the file says that it does, without the padding
    of the codec's last packet. Sound that changes its sample rate or its channels on the way is
    converted to those of its beginning.

    Args:
        source: a file with an audio track, or what `look_into` chose in it.

    Raises:
        MissingAudioError: no audio track.
        MediaError: not a media file, or no sound in it can be decoded.
        AudioError: while iterating, samples that are NaN or infinite, or in a format that keeps
            them as they were, far outside [-1, 1], as `coprop.Audio` has it.

    Attributes:
        path: the file.
        contents: which of its streams are used.
        sample_rate: samples per second, in Hz.
        channels: number of channels.
        codec: FFmpeg's name of the codec.
        offset_s: when the sound begins, in seconds from time zero.
        origin_s: time zero on the file's own clock.
    """

    def __init__(self, source: AnyPath | Contents) -> None:
        self.contents = (
            source
            if isinstance(source, Contents)
            else look_into(as_path("source", source, error=MediaError))
        )
        self.path = self.contents.path
        self._first = self.contents.first_sound()
        self.codec = self.contents.codec
        self.sample_rate = self._first.sample_rate
        self.channels = self._first.layout.nb_channels
        start, first_s = self.contents.start_s, self.contents.sound_s
        self.origin_s = first_s if start is None else start
        self.offset_s = float(first_s - self.origin_s)
        self._end = 0  # of what the last iteration found, in samples from the origin

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        end_s = self._stated_end_s()
        if end_s is None:
            return self._blocks()
        end = round((end_s - self.origin_s) * self.sample_rate)
        return without_padding(self._blocks(), end, self.sample_rate)

    def warn_if_cut_short(self) -> None:
        """Logs a warning if the file's header announces more sound than was last found."""
        with open_media(self.path) as container:
            stream = self.contents.streams(container)[-1]
            announced_s = announced_sound(container, cast(AudioStream, stream), self.path)
            end = index_end(cast(AudioStream, stream))
            is_cut = self.contents.video is None and end > container.size
        lasts_s = self._end / self.sample_rate + self.origin_s - self.contents.sound_s
        missing_s = 0 if announced_s is None else announced_s - lasts_s
        if is_cut or missing_s > max(SHORT_S, SHORT * (announced_s or 0)):
            logger.warning(
                "%s breaks off after %.3f s of sound; its header announces more%s.",
                *(
                    one_line(str(self.path)),
                    float(lasts_s),
                    f" ({float(announced_s):.3f} s)" if announced_s else "",
                ),
            )

    def _stated_end_s(self) -> Fraction | None:
        with open_media(self.path) as container:
            stream = cast(AudioStream, self.contents.streams(container)[-1])
            end_s = stated_end(container, stream)
            if end_s is None or "matroska" not in container.format.name:
                return end_s
            return end_s + self.contents.sound_lead_s  # Matroska counts the codec's delay as well

    def _blocks(self) -> Iterator[NDArray[np.float32]]:
        position = 0  # the next sample's number, counted from the origin
        converter = _Converter(self._first)
        with open_media(self.path) as container:
            for frame in self._frames(container):
                if converter.changes(frame):
                    rest = converter.flush()
                    position += rest.shape[1]
                    yield from self._finite(rest, position)
                ahead = self._ahead(frame, position)
                samples = converter.feed(frame)
                if ahead > 0:
                    yield from self._silence(ahead)
                    position += ahead
                samples = samples[:, max(-ahead, 0) :]
                yield from self._finite(samples, position)
                position += samples.shape[1]
            rest = converter.flush()
            self._end = position + rest.shape[1]
            yield from self._finite(rest, position)

    def is_constant(self) -> bool:
        """Whether all of the sound has the sample rate and the channels of its beginning."""
        own = self.sample_rate, self.channels
        with open_media(self.path) as container:
            return all(
                (frame.sample_rate, frame.layout.nb_channels) == own
                for frame in self._frames(container)
            )

    def _ahead(self, frame: AudioFrame, position: int) -> int:
        """By how many samples the frame is later (negative: earlier) than it should be."""
        if frame.pts is None or frame.time_base is None:
            return 0
        time = frame.pts * frame.time_base
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

    def _finite(self, samples: NDArray[np.float32], position: int) -> Iterator[NDArray[np.float32]]:
        if not np.all(np.isfinite(samples)):
            raise AudioError(
                f"{self.path} at {position / self.sample_rate:.3f} s: the sound has samples that "
                "are NaN or infinite; convert it with a tool that replaces them."
            )
        peak = float(np.abs(samples).max(initial=0.0))
        if peak > LOUDEST and self.codec.startswith(_AS_RECORDED):
            raise AudioError(
                f"{self.path} at {position / self.sample_rate:.3f} s: float samples lie in "
                f"[-1, 1], got a peak of {peak:.6g}; scale the sound by 1/{full_scale(peak):g}, "
                "or give it as integers."
            )
        if peak > LOUDEST:  # damage to a lossy codec's packets
            samples = np.clip(samples, -LOUDEST, LOUDEST)
        if samples.shape[1]:
            yield samples

    def _frames(self, container: InputContainer) -> Iterator[AudioFrame]:
        time_s = 0.0
        try:
            for packet in in_order(container, self.contents.streams(container)):
                if packet.stream.index != self.contents.audio:
                    continue
                try:
                    frames = cast(list[AudioFrame], packet.decode())
                except av.FFmpegError as error:
                    name = one_line(str(self.path))
                    logger.warning("%s: no sound after %.3f s: %s", name, time_s, error)
                    continue
                for frame in frames:
                    time_s = frame.time or 0.0
                    yield frame
        except av.FFmpegError as error:
            name = one_line(str(self.path))
            logger.warning("%s: the sound breaks off after %.3f s: %s", name, time_s, error)


def without_padding(
    blocks: Iterator[NDArray[np.float32]], end: int, sample_rate: int
) -> Iterator[NDArray[np.float32]]:
    """Cuts what lies behind the stated end, if it is as short as a codec's padding.

    Args:
        blocks: (channels, n) each.
        end: number of the first sample that is not wanted.
        sample_rate: samples per second, in Hz.
    """
    position, beyond = 0, list[NDArray[np.float32]]()
    for block in blocks:
        inside = max(min(end - position, block.shape[1]), 0)
        position += block.shape[1]
        if inside:
            yield block[:, :inside]
        if inside < block.shape[1]:
            beyond.append(block[:, inside:])
        if position - end > PADDING_S * sample_rate:
            break
    if position - end <= ROUNDING_S * sample_rate or position - end > PADDING_S * sample_rate:
        yield from beyond
    yield from blocks


class _Converter:
    """Gives all frames the sample rate and the channels of the first.

    Args:
        first: the first frame.
    """

    def __init__(self, first: AudioFrame) -> None:
        self._rate, self._layout = first.sample_rate, first.layout
        self._kind = _kind(first)
        self._resampler: av.AudioResampler | None = None
        self._taken = 0

    def changes(self, frame: AudioFrame) -> bool:
        """Whether a frame is of another kind than the one before it."""
        return _kind(frame) != self._kind

    def feed(self, frame: AudioFrame) -> NDArray[np.float32]:
        """Takes a frame, and returns the samples that are ready, (channels, n)."""
        if self.changes(frame):
            self._kind, self._taken, self._resampler = _kind(frame), 0, None
            own = self._rate, self._layout.nb_channels
            if (frame.sample_rate, frame.layout.nb_channels) != own:
                self._resampler = av.AudioResampler("fltp", self._layout, self._rate)
        if self._resampler is None:
            return _planar(frame)
        frame.pts, frame.time_base = self._taken, Fraction(1, frame.sample_rate)
        self._taken += frame.samples
        return self._joined(self._resampler.resample(frame))

    def flush(self) -> NDArray[np.float32]:
        """The samples still inside, (channels, n)."""
        if self._resampler is None or not self._taken:
            return self._joined([])
        rest = self._joined(self._resampler.resample(None))
        self._resampler = None
        return rest

    def _joined(self, frames: list[AudioFrame]) -> NDArray[np.float32]:
        empty = np.zeros((self._layout.nb_channels, 0), dtype=np.float32)
        return np.concatenate([empty, *(_planar(frame) for frame in frames)], axis=1)


def _kind(frame: AudioFrame) -> tuple[int, int, str, str]:
    layout = frame.layout
    return frame.sample_rate, layout.nb_channels, layout.name, frame.format.name


def _planar(frame: AudioFrame) -> NDArray[np.float32]:
    """(channels, n) float32 in [-1, 1] from any of FFmpeg's sample formats."""
    try:
        samples: NDArray[Any] = frame.to_ndarray()
    except ValueError as error:  # a sample format that has no like in numpy
        raise MediaError(
            f"sound of the sample format {frame.format.name} cannot be read; convert it, for "
            "instance to 16 or 24 bits or float."
        ) from error
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif np.issubdtype(samples.dtype, np.signedinteger):
        samples = samples / -float(np.iinfo(samples.dtype).min)
    return np.asarray(samples, dtype=np.float32)
