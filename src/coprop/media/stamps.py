"""Time stamps in order: one clock for joined parts, and a time for every frame.

`in_order` works on packets, before anything is decoded; `timed` on decoded pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

import av
from av.container import InputContainer
from av.packet import Packet

from coprop.errors import MediaError

Stamp = Callable[[Any], int | None]
"""What is taken for a decoded frame's time, in units of its stream's time base."""

BACKWARDS_S = 0.1
"""Decoding times increase; one that is earlier than the last by more is no rounding."""

BACKWARDS_IN_BROADCAST_S = 0.03
"""Formats of broadcasting keep times to 11 microseconds, and parts may overlap by little."""

GAP_S = 0.5
"""After a longer gap, a packet that goes on from before the gap shows that its time was a stray."""

LATE_STREAM_S = 5
"""Where parts were joined, a stream may have ended this much after the one that was first to
begin anew."""

LONGEST_GAP_S = 24 * 3600
LONGEST_GAP_IN_BROADCAST_S = 10
"""Longer gaps are taken for the seam between two parts. Formats of broadcasting and chaining (TS,
VOB, Ogg) are known for seams, and nothing else makes them wait for so long."""


@dataclass
class _Stream:
    """How far a stream has come.

    Args:
        part: the newest part that it has packets of.
        first_s: time of its first packet.
        last_s: time of its last packet on the common clock, None before the first.
        end_s: when that packet ends.
        before: ``last_s`` and ``end_s`` as they were before that packet, if it came after a gap.
        held: a packet whose time does not fit, until the next one tells whether a new part begins.
    """

    part: int = 0
    first_s: Fraction = Fraction(0)
    last_s: Fraction | None = None
    end_s: Fraction = Fraction(0)
    before: tuple[Fraction, Fraction] | None = None
    held: Packet[Any] | None = None


@dataclass
class _Clock:
    """Shifts the times of joined parts so that each continues after the one before."""

    backwards_s: float
    longest_gap_s: int
    pictures: int | None  # the index of their stream
    shifts_s: list[Fraction] = field(default_factory=lambda: [Fraction(0)])
    streams: dict[int, _Stream] = field(default_factory=dict)

    def take(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Takes a packet, and gives back those whose place is clear now."""
        stream = self.streams.setdefault(packet.stream.index, _Stream())
        if stream.held is not None:
            yield self._released(stream, stream.held, packet)
        part = stream.part if packet.dts is None else self._part_of(packet, stream)
        if part is None:
            stream.held = packet
        else:
            yield self._placed(packet, stream, part)

    def _released(self, stream: _Stream, held: Packet[Any], following: Packet[Any]) -> Packet[Any]:
        """The packet that was held: the first of a new part, or one with a stray time if the next
        goes on as before."""
        stream.held = None
        if following.dts is None or self._part_of(following, stream) is not None:
            held.pts = held.dts = None
            stream.end_s += _duration(held)
            return held
        self.shifts_s.append(self._seam_s(stream) - _seconds(held))
        return self._placed(held, stream, len(self.shifts_s) - 1)

    def _seam_s(self, stream: _Stream) -> Fraction:
        """Where a stream begins anew: as long after the pictures' end as it first began after
        them, if that is about where it ended."""
        pictures = self.streams.get(-1 if self.pictures is None else self.pictures, stream)
        seam_s = pictures.end_s + stream.first_s - pictures.first_s
        return seam_s if abs(seam_s - stream.end_s) < 1 else stream.end_s

    def _part_of(self, packet: Packet[Any], stream: _Stream) -> int | None:
        """The part that the packet's time fits into, None if there is none."""
        if stream.last_s is None:
            return len(self.shifts_s) - 1
        front_s = max(other.end_s for other in self.streams.values())
        for part in range(stream.part, len(self.shifts_s)):
            time_s = _seconds(packet) + self.shifts_s[part]
            if stream.before is not None and stream.before[0] < time_s < stream.last_s:
                stream.last_s, stream.end_s = stream.before  # the last packet was a stray
            early_s = self.backwards_s if part == stream.part else LATE_STREAM_S
            if stream.last_s - early_s <= time_s <= front_s + self.longest_gap_s:
                return part
        return None

    def _placed(self, packet: Packet[Any], stream: _Stream, part: int) -> Packet[Any]:
        shift_s = self.shifts_s[part]
        if packet.dts is not None:
            time_s = _seconds(packet) + shift_s
            stream.before = None
            if stream.last_s is None:
                stream.first_s = time_s
            if stream.last_s is not None and time_s > stream.end_s + GAP_S:
                stream.before = stream.last_s, stream.end_s
            stream.part, stream.last_s = part, time_s
            stream.end_s = time_s + _duration(packet)
        if part and packet.time_base:
            shift = round(shift_s / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift
        return packet


def in_order(container: InputContainer, streams: Sequence[Any]) -> Iterator[Packet[Any]]:
    """The packets of some streams, on one clock also where parts of a file were joined.

    A part whose times begin anew (files joined with ``cat``, chained Ogg) continues after the one
    before, all its streams by the same shift. A single time that leaps and does not come back to
    stay is taken away.

    Args:
        container: an open file.
        streams: those wanted; the last packets are empty, as FFmpeg's decoders
            need them.
    """
    broadcast = bool(container.format.flags & cast(int, av.format.Flags.ts_discont.value))
    pictures = next((stream.index for stream in streams if stream.type == "video"), None)
    if broadcast:
        clock = _Clock(BACKWARDS_IN_BROADCAST_S, LONGEST_GAP_IN_BROADCAST_S, pictures)
    else:
        clock = _Clock(BACKWARDS_S, LONGEST_GAP_S, pictures)
    for packet in container.demux(*streams):
        yield from clock.take(packet)


def _seconds(packet: Packet[Any]) -> Fraction:
    return (packet.dts or 0) * Fraction(packet.time_base)


def _duration(packet: Packet[Any]) -> Fraction:
    return (packet.duration or 0) * Fraction(packet.time_base or 0)


def stamp_of(container: InputContainer) -> Stamp:
    """Which of a decoded frame's stamps tells when it is shown.

    AVI knows decoding times only. FFmpeg gives them in the order of decoding to the packets and,
    as ``dts``, in the order shown to the frames.
    """
    if container.format.name == "avi":
        return lambda frame: frame.pts if frame.dts is None else frame.dts
    return lambda frame: frame.pts


def timed(
    frames: Iterable[av.VideoFrame], start: int, step: int, stamp: Stamp
) -> Iterator[tuple[av.VideoFrame, int, bool]]:
    """Pictures with times that increase, whatever their stamps say, and whether each is the last.

    A stamp is kept if it is later than the last and not later than the next. Another one, or none,
    is replaced: by the decoding time, which goes on evenly, or else by one duration after the last.

    Args:
        frames: decoded, in the order shown.
        start: the first one's time.
        step: how long a picture lasts that does not say so, in the stamps' units.
        stamp: see `stamp_of`.
    """
    last = start
    delay = 0  # from showing to decoding, as the last good frame has it
    before: av.VideoFrame | None = None
    for frame, following in _looking_ahead(frames):
        upcoming = None if following is None else stamp(following)
        time = stamp(frame)
        if before is None:
            time = start
        elif time is None or time <= last or _leaps(time, last, upcoming):
            limit = upcoming if upcoming is not None and upcoming > last + 1 else None
            time = _guess(frame, last, delay, before.duration or step, limit)
        delay = delay if frame.dts is None else frame.dts - time
        yield frame, time, following is None
        last, before = time, frame


def _looking_ahead(
    frames: Iterable[av.VideoFrame],
) -> Iterator[tuple[av.VideoFrame, av.VideoFrame | None]]:
    """Each frame with the one after it; an error comes after the frames before it."""
    source = iter(frames)
    frame = next(source, None)
    while frame is not None:
        failure: MediaError | None = None
        following: av.VideoFrame | None = None
        try:
            following = next(source, None)
        except MediaError as error:
            failure = error
        yield frame, following
        if failure is not None:
            raise failure
        frame = following


def first_time(frames: Sequence[Any], stamp: Stamp) -> int | None:
    """When the first of a stream's frames begins, told from the first two; None if they have no
    stamps."""
    times = [stamp(frame) for frame in frames[:2]]
    if len(times) < 2 or times[1] is None:
        return times[0] if times else None
    if times[0] is None or times[0] > times[1]:
        return times[1] - int(frames[0].duration or 0)
    return times[0]


def _leaps(pts: int, last: int, upcoming: int | None) -> bool:
    """Whether a stamp is a stray one: the next goes on from the last as if it were not there."""
    return upcoming is not None and last < upcoming < pts


def _guess(frame: av.VideoFrame, last: int, delay: int, step: int, limit: int | None) -> int:
    decoded = None if frame.dts is None else frame.dts - delay
    if decoded is not None and last < decoded and (limit is None or decoded < limit):
        return decoded
    if limit is not None and last + step >= limit:
        return (last + limit) // 2
    return last + step
