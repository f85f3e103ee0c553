"""Which of a file's streams are used, and how they begin: told by one look into the file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from coprop.errors import MediaError, MissingAudioError
from coprop.media.container import open_media
from coprop.media.stamps import first_time, stamp_of
from coprop.utils.brief import Brief, one_line

logger = logging.getLogger(__name__)

Stream = VideoStream | AudioStream

PATIENCE = 300
"""Packets after which a track from which nothing has come is given up for another one: more than
lie between two pictures that a decoder can begin with."""

NO_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails
SECOND_CHOICE = (
    Disposition.comment
    | Disposition.hearing_impaired
    | Disposition.visual_impaired
    | Disposition.descriptions
    | Disposition.karaoke
    | Disposition.clean_effects
    | Disposition.non_diegetic
    | Disposition.dependent
    | Disposition.still_image
)
"""What is beside the film: commentary, descriptions, music alone, single pictures."""


@dataclass(frozen=True, eq=False, repr=False)
class Contents(Brief):
    """What was found in a file.

    Attributes:
        path: the file.
        video: index of the stream of moving pictures, None if there is none.
        picture: its first picture, None if none can be decoded.
        start: when that begins, in units of the stream's time base.
        start_s: when it begins on the container's clock, in seconds.
        has_audio: whether there is an audio track.
        audio: index of the audio stream, None if no sound can be decoded.
        sound: its first frame, None likewise.
        sound_s: when that begins on the container's clock, in seconds.
        sound_lead_s: how much its first packet lies before the container's zero (not positive), as
            the delay of a codec does.
        codec: FFmpeg's name of the sound's codec, "" where there is none.
    """

    path: Path
    video: int | None
    picture: av.VideoFrame | None
    start: int
    start_s: Fraction | None
    has_audio: bool
    audio: int | None
    sound: AudioFrame | None
    sound_s: Fraction
    sound_lead_s: Fraction
    codec: str

    def first_picture(self) -> av.VideoFrame:
        """The first of its moving pictures.

        Raises:
            MediaError: there is none, or nothing of it can be decoded.
        """
        if self.video is None:
            kind = "an audio file" if self.has_audio else "a file without video or audio"
            raise MediaError(
                f"{self.path} has no video track, it is {kind}; give a video. Sound from a "
                "separate file goes into `audio=` (on the command line, --audio FILE)."
            )
        if self.picture is None:
            raise MediaError(
                f"no frame of {self.path} can be decoded: its video is empty or damaged."
            )
        return self.picture

    def video_stream(self, container: InputContainer) -> VideoStream:
        """Its stream of moving pictures in an opened file.

        A picture is decoded by several threads at once only where it comes in slices, as PyAV has
        it by default. Threads with a picture each would be told of damage a few pictures late, or
        not at all, as their number and the file's length have it.
        """
        return cast(VideoStream, container.streams[self.video or 0])

    def first_sound(self) -> AudioFrame:
        """The first frame of its sound.

        Raises:
            MissingAudioError: there is no audio track.
            MediaError: none can be decoded.
        """
        if not self.has_audio:
            raise MissingAudioError(
                f"{self.path} has no audio track. Give the sound separately: `audio=` in Python, "
                "coprop run VIDEO --audio FILE on the command line."
            )
        if self.sound is None:
            raise MediaError(f"{self.path} has an audio track, but no sound can be decoded.")
        return self.sound

    def streams(self, container: InputContainer) -> list[Stream]:
        """The chosen streams in an opened file, the pictures first."""
        chosen = (self.video, self.audio)
        return [cast(Stream, container.streams[i]) for i in chosen if i is not None]


@dataclass
class _Candidate:
    """A stream, and how it begins.

    Args:
        stream: the stream.
        number: among those of its kind, from 0.
        wanted: packets and frames after which its beginning is known.
        packets: how many have been seen.
        first: its first packet's decoding time.
        frames: the first ones decoded.
    """

    stream: Stream
    number: int
    wanted: int = 2
    packets: int = 0
    first: int | None = None
    frames: list[Any] = field(default_factory=list)

    @property
    def known(self) -> bool:
        return len(self.frames) >= self.wanted and self.packets >= self.wanted

    def take(self, packet: Packet[Any]) -> None:
        if packet.size:
            self.packets += 1
            self.first = packet.dts if self.first is None else self.first
        if len(self.frames) >= self.wanted:
            return
        with suppress(av.FFmpegError):  # not the first to be decoded, or by no decoder
            self.frames.extend(packet.decode())


def look_into(
    path: Path, *, video_track: int | None = None, audio_track: int | None = None
) -> Contents:
    """Chooses a file's stream of moving pictures and its sound, and decodes how they begin.

    Among several, those marked as default come first, then those that are not marked as something
    beside the film (commentary, descriptions for the blind); attached pictures are none, and a
    single picture comes last. A track that cannot be decoded is left for the next, with a warning.

    Args:
        path: the file.
        video_track: number of the video track that is to be used, from 0.
        audio_track: number of the audio track that is to be used, from 0.

    Raises:
        MediaError: not a media file, or it has no track of that number.
    """
    with open_media(path) as container:
        videos = _candidates(path, container.streams.video, "video", video_track)
        audios = _candidates(path, container.streams.audio, "audio", audio_track)
        _read_beginnings(container, videos, audios)
        video = _chosen(path, videos, "video", len(container.streams.video))
        audio = _chosen(path, audios, "audio", len(container.streams.audio))
        stamp = stamp_of(container)
        start = 0 if video is None else first_time(video.frames, stamp) or 0
        return Contents(
            path,
            None if video is None else video.stream.index,
            None if video is None else next(iter(video.frames), None),
            start,
            None if video is None else _start_s(container, video, start),
            bool(container.streams.audio),
            None if audio is None or not audio.frames else audio.stream.index,
            None if audio is None else next(iter(audio.frames), None),
            Fraction(0)
            if audio is None
            else _seconds(audio, first_time(audio.frames, lambda frame: frame.pts) or 0),
            Fraction(0) if audio is None else _seconds(audio, min(audio.first or 0, 0)),
            "" if audio is None or not audio.frames else _codec_name(audio.stream),
        )


def _candidates(
    path: Path, streams: Sequence[Stream], kind: Literal["video", "audio"], track: int | None
) -> list[_Candidate]:
    """The tracks of a kind that come into question, the best first."""
    if track is not None:
        if isinstance(track, bool) or not isinstance(track, int) or not 0 <= track < len(streams):
            have = f"{len(streams)} {kind} track{'' if len(streams) == 1 else 's'}"
            listed = ", ".join(f"{i}: {_described(stream)}" for i, stream in enumerate(streams))
            raise MediaError(
                f"{path} has no {kind} track {track!r}; it has {have}, counted from 0"
                f"{f' ({listed})' if listed else ''}."
            )
        return [_Candidate(streams[track], track)]
    found = [
        _Candidate(stream, number)
        for number, stream in enumerate(streams)
        if not stream.disposition & NO_PICTURES
    ]
    return sorted(found, key=lambda c: _rank(c.stream))


def _rank(stream: Stream) -> tuple[bool, bool]:
    return (
        not stream.disposition & Disposition.default,
        bool(stream.disposition & SECOND_CHOICE),
    )


def _read_beginnings(
    container: InputContainer, videos: list[_Candidate], audios: list[_Candidate]
) -> None:
    by_index = {candidate.stream.index: candidate for candidate in (*videos, *audios)}
    if not by_index:
        return
    with suppress(av.FFmpegError):  # the beginning is known as far as it can be read
        for packet in container.demux(*(candidate.stream for candidate in by_index.values())):
            by_index[packet.stream.index].take(packet)
            if _settled(videos) and _settled(audios):
                return


def _settled(candidates: list[_Candidate]) -> bool:
    """Whether it is clear which one is to be used."""
    if not candidates or candidates[0].known:
        return True
    if len(candidates) == 1:
        return False
    return any(c.known and c.packets >= PATIENCE for c in candidates[1:])


def _chosen(path: Path, candidates: list[_Candidate], kind: str, tracks: int) -> _Candidate | None:
    if not candidates:
        return None
    moving = [candidate for candidate in candidates if candidate.known]
    begun = [candidate for candidate in candidates if candidate.frames]
    chosen = next(iter((*moving, *begun, *candidates)))
    unread = [
        candidate
        for candidate in candidates[: candidates.index(chosen)]
        if candidate.packets and not candidate.frames
    ]
    if unread and chosen.frames:
        logger.warning(
            "%s: %s track %d (%s) cannot be decoded; track %d of its %d is taken instead.",
            *(one_line(str(path)), kind, unread[0].number, one_line(_described(unread[0].stream))),
            *(chosen.number, tracks),
        )
    return chosen


def _start_s(container: InputContainer, video: _Candidate, start: int) -> Fraction | None:
    """When the pictures begin on the container's clock.

    AVI knows decoding times only, in which the first picture is also the first one shown.
    """
    if not video.frames:
        return None
    if container.format.name == "avi" and video.first is not None:
        return _seconds(video, video.first)
    return _seconds(video, start)


def _seconds(candidate: _Candidate, time: int) -> Fraction:
    return time * Fraction(candidate.stream.time_base or Fraction(1, av.time_base))


def _codec_name(stream: Stream) -> str:
    context = stream.codec_context
    return "no known codec" if context is None else context.codec.canonical_name


def _described(stream: Stream) -> str:
    words = (_codec_name(stream), stream.metadata.get("language"), stream.metadata.get("title"))
    return " ".join(word for word in words if word and word != "und")
