"""The overlay's sound: the source's own packets where MP4 takes them, AAC otherwise."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from numpy.typing import NDArray

from coprop.media.container import open_media
from coprop.media.resample import BLOCK
from coprop.media.sound_blocks import SoundBlocks
from coprop.media.stamps import in_order
from coprop.media.streams import Contents
from coprop.types import AudioTrack
from coprop.utils.brief import one_line
from coprop.utils.paths import AnyPath

logger = logging.getLogger(__name__)

Sound = AnyPath | Contents | AudioTrack
"""A media file, what `look_into` chose in one, or a track in memory."""

COPIED_CODECS = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})
"""What MP4 files hold and players play."""

CONSTANT_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""Their headers say what the sound is like, from beginning to end; elsewhere it may change."""

ROUNDING_S = 0.002
"""MP4 keeps a stream's start in milliseconds; sound this much too early needs no cutting."""

AAC_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000})


def sound_packets(output: OutputContainer, sound: Sound) -> Iterator[Packet[Any]]:
    """Adds an audio stream to a file that is about to be written, and makes its packets.

    A file's sound keeps its time to the file's first video frame, which becomes time zero. Its
    packets are copied as they are, where MP4 takes their codec and none would have to be cut;
    otherwise it is encoded anew, more than two channels as their mean.

    Args:
        output: an MP4 of which nothing has been written yet.
        sound: a file with an audio track, or a track in memory.

    Returns:
        The packets in order of time, made while one iterates.

    Raises:
        MissingAudioError: the file has no audio track.
        MediaError: the file cannot be read.
    """
    if not isinstance(sound, Contents) and not isinstance(sound, (str, os.PathLike)):
        if getattr(sound, "is_growing", None) is not None:
            return _GrowingPackets(output, sound)
        return _encoded(output, *blocks_of(sound))
    blocks = SoundBlocks(sound)
    if blocks.codec in COPIED_CODECS and blocks.offset_s > -ROUNDING_S and _is_constant(blocks):
        return _copied(output, blocks)
    return _encoded(output, *blocks_of(blocks))


def blocks_of(
    sound: SoundBlocks | AudioTrack,
) -> tuple[Iterable[NDArray[np.float32]], int, Literal["mono", "stereo"]]:
    """A sound's blocks (channels, n) from time zero on, its rate in Hz, and their layout.

    More than two channels become their mean.
    """
    if not isinstance(sound, SoundBlocks):
        return _track_blocks(sound), sound.sample_rate, "mono"
    if sound.channels == 2:
        return sound, sound.sample_rate, "stereo"
    mono = (block.mean(axis=0, keepdims=True) for block in sound)
    return mono, sound.sample_rate, "mono"


class _GrowingPackets:
    """Packets of sound that is still coming in: each `next` gives one, or none as yet."""

    def __init__(self, output: OutputContainer, sound: Any) -> None:
        self._sound, self._given = sound, 0
        rate = sound.sample_rate
        self._stream = output.add_stream("aac", rate=rate if rate in AAC_RATES else 48_000)
        self._stream.layout = "mono"
        self._ready: deque[Packet[Any]] = deque()
        self._flushed = False

    def __iter__(self) -> Iterator[Packet[Any]]:
        return self

    def __next__(self) -> Packet[Any]:
        while not self._ready:
            stop = min(self._sound.num_samples, self._given + BLOCK)
            if stop > self._given:
                block = self._sound.read(self._given, stop)[None]
                frame = av.AudioFrame.from_ndarray(np.clip(block, -1, 1), "fltp", "mono")
                frame.sample_rate, frame.pts = self._sound.sample_rate, self._given
                frame.time_base = Fraction(1, self._sound.sample_rate)
                self._given = stop
                self._ready.extend(self._stream.encode(frame))
            elif self._given and not self._sound.is_growing and not self._flushed:
                self._flushed = True
                self._ready.extend(self._stream.encode(None))
            else:
                raise StopIteration
        return self._ready.popleft()


def _is_constant(source: SoundBlocks) -> bool:
    """Whether the sound keeps its sample rate and channels, as an MP4's packets have to."""
    with open_media(source.path) as container:
        if container.format.name in CONSTANT_FORMATS:
            return True
    return source.is_constant()


def _track_blocks(track: AudioTrack) -> Iterator[NDArray[np.float32]]:
    for start in range(0, track.num_samples, BLOCK):
        yield track.read(start, min(start + BLOCK, track.num_samples))[None]


def _copied(output: OutputContainer, source: SoundBlocks) -> Iterator[Packet[Any]]:
    container = open_media(source.path)
    streams = source.contents.streams(container)
    copy = output.add_stream_from_template(streams[-1])

    def packets() -> Iterator[Packet[Any]]:
        with container:
            last = None
            for packet in _whole(in_order(container, streams), source.path):
                if packet.stream.index != source.contents.audio or not packet.size:
                    continue
                if packet.pts is None or packet.dts is None:
                    continue
                shift = round(source.origin_s / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                if last is None or packet.dts > last:  # MP4 takes increasing times only
                    last = packet.dts
                    packet.stream = copy
                    yield packet

    return packets()


def _whole(packets: Iterator[Packet[Any]], path: Path) -> Iterator[Packet[Any]]:
    try:
        yield from packets
    except av.FFmpegError as error:
        logger.warning("%s: the sound breaks off: %s", one_line(str(path)), error)


def _encoded(
    output: OutputContainer, blocks: Iterable[NDArray[np.float32]], rate: int, layout: str
) -> Iterator[Packet[Any]]:
    aac_rate = rate if rate in AAC_RATES else 48_000
    stream = output.add_stream("aac", rate=aac_rate)
    stream.layout = layout
    stream.codec_context.bit_rate = 96_000 * stream.layout.nb_channels

    def packets() -> Iterator[Packet[Any]]:
        position = 0
        for block in blocks:
            clipped = np.ascontiguousarray(np.clip(block, -1, 1), dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(clipped, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
            position += clipped.shape[1]
            yield from stream.encode(frame)
        if position:
            yield from stream.encode(None)

    return packets()
