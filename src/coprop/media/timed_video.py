"""What all videos that are written share: true frame times on the packets, sound between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

_COUNTED = Fraction(1, 25)  # seconds: the encoder counts frames, whatever their times are


class TimedVideo:
    """Base of a video that is written picture by picture.

    The encoder counts frames; true times are put on its packets, which spares it odd time bases.
    Without B-frames one packet leaves for each frame, in order.

    Args:
        time_base: of the video, in seconds.

    Subclasses set ``_container``, ``_video``, and ``_sound`` with its first packet.
    """

    _container: OutputContainer
    _video: VideoStream
    _sound: Iterator[Packet[Any]]
    _next_sound: Packet[Any] | None

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._count = 0
        self._times: deque[int] = deque()
        # A packet is written when the next frame's time is known: that is when it ends.
        self._packets: deque[Packet[Any]] = deque()

    def abort(self) -> None:
        """Closes the file as it is."""
        with suppress(av.FFmpegError, OSError):
            self._container.close()

    def _encode(self, picture: av.VideoFrame, pts: int, *, sound_until: Fraction) -> None:
        """Encodes a picture shown at ``pts`` time bases, and writes the sound up to it."""
        self._times.append(pts)
        picture.pts, picture.time_base = self._count, _COUNTED
        self._count += 1
        self._packets.extend(self._video.encode(picture))
        self._mux()
        self._mux_sound(until=sound_until)

    def _finish(self, end: int) -> None:
        """Writes what is still held back, up to a time after the last frame's, and the index."""
        try:
            self._times.append(end)
            self._packets.extend(self._video.encode(None))
            self._mux()
            self._mux_sound(until=None)
            self._container.close()
        except BaseException:
            self.abort()
            raise

    def _mux(self) -> None:
        while self._packets and len(self._times) > 1:
            packet = self._packets.popleft()
            packet.time_base = self._time_base
            packet.pts = packet.dts = self._times.popleft()
            packet.duration = self._times[0] - packet.pts
            self._container.mux(packet)

    def _mux_sound(self, until: Fraction | None) -> None:
        while True:
            if self._next_sound is None:  # of sound that is coming in, there may be more by now
                self._next_sound = next(self._sound, None)
            packet = self._next_sound
            if packet is None or (
                until is not None and (packet.pts or 0) * packet.time_base > until
            ):
                return
            # Asked for first: muxing may rescale the packet, and the next one may need it whole.
            self._next_sound = next(self._sound, None)
            self._container.mux(packet)
