"""Opening media files, and what their containers say of time."""

from __future__ import annotations

import stat
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from coprop.errors import MediaError
from coprop.utils.brief import first_line
from coprop.utils.paths import no_such_file

STREAMED_WAV = 0x7FFF_F000
"""Sizes from here on are what programs write that do not know how long a WAV will become."""


def open_media(path: Path) -> InputContainer:
    """Opens a local file for reading; close it (it is a context manager).

    Raises:
        MediaError: no such file, a directory, a pipe or device, or a file that FFmpeg cannot open.
    """
    _check_kind(path)
    try:
        # "file:" keeps a colon in a name from being read as a protocol, the whitelist keeps a
        # playlist from reaching for the network.
        return av.open(
            f"file:{path}", options={"protocol_whitelist": "file"}, metadata_errors="replace"
        )
    except (av.FFmpegError, OSError) as error:
        raise MediaError(
            f"{path} cannot be opened as video or audio ({error.strerror}). It is no media file, "
            "or it is damaged: an MP4 whose recording or download broke off lacks the index that "
            "is written last, and has to be recorded, downloaded or repaired again."
        ) from error


def _check_kind(path: Path) -> None:
    """Refuses what is no file before it is opened, which for a pipe could take for ever."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        if str(path) == "-":
            raise MediaError(
                "standard input cannot be read: a file is gone through several times, and a pipe "
                "has its content only once. Save it to a file, and give that file's path."
            ) from error
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise MediaError(no_such_file(path)) from error
        raise MediaError(
            f"{str(path)!r} cannot be opened as video or audio ({first_line(error)})."
        ) from error
    if stat.S_ISDIR(found.st_mode):
        raise MediaError(f"{path} is a directory; give the path of a video or audio file.")
    if not stat.S_ISREG(found.st_mode):
        raise MediaError(
            f"{path} is a pipe or a device. A file is gone through several times, and a pipe has "
            "its content only once: save it to a file, and give that file's path."
        )
    if not found.st_size:
        raise MediaError(
            f"{path} cannot be opened as video or audio, it is empty; record, copy or download it "
            "again."
        )


def stated_duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Seconds of video that the file says it holds, None where it says nothing."""
    if stream.duration is not None and stream.time_base is not None:
        return stream.duration * stream.time_base
    tagged = _tagged_end(stream)
    if tagged is None and container.duration is not None:
        return Fraction(container.duration, av.time_base)
    return tagged


def stated_end(container: InputContainer, stream: VideoStream | AudioStream) -> Fraction | None:
    """When a stream ends on the container's clock, None where the file does not say.

    MP4 and QuickTime count a stream's samples (and their edit lists what is left of them),
    Matroska states when each stream ends. What other containers state is often an estimate.
    """
    if stream.duration and stream.time_base is not None and "mp4" in container.format.name:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    return _tagged_end(stream) if "matroska" in container.format.name else None


def _tagged_end(stream: VideoStream | AudioStream) -> Fraction | None:
    tag = stream.metadata.get("DURATION")  # Matroska keeps it here, as 00:00:04.000000000
    if tag is None or tag.count(":") != 2:
        return None
    try:
        hours, minutes, seconds = (Fraction(part) for part in tag.split(":"))
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds


def is_cut_short(container: InputContainer, stream: VideoStream, end_s: Fraction) -> bool:
    """Whether the file breaks off before what it announces.

    FFmpeg ends such a file without an error. Where there is an index (MP4, MOV, AVI), it points
    past the end of the file; a Matroska file states the duration of each of its streams.

    Args:
        container: the open file.
        stream: its video, read to the end.
        end_s: where the last packet read ends, in seconds on the container's clock.
    """
    if index_end(stream) > container.size:
        return True
    if stream.duration is None and "DURATION" in stream.metadata:
        return (stated_duration(container, stream) or 0) - end_s > 1
    return False


def index_end(stream: VideoStream | AudioStream) -> int:
    """Up to which byte of the file its index points, 0 where it has none."""
    return max((entry.pos + entry.size for entry in stream.index_entries), default=0)


def announced_sound(container: InputContainer, stream: AudioStream, path: Path) -> Fraction | None:
    """Seconds of sound that a file's header counts, None where it counts none.

    Only of formats whose headers count samples; compressed streams without are estimated.
    """
    rate = stream.codec_context.sample_rate
    name = container.format.name
    if name == "wav":
        size = _wav_data_size(path)
        bytes_a_second = stream.bit_rate // 8 if stream.bit_rate else 0
        return Fraction(size, bytes_a_second) if size and bytes_a_second else None
    if name in ("aiff", "caf") and stream.frames and rate:
        return Fraction(stream.frames, rate)
    if name in ("au", "flac", "tta", "wv", "ape") and stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return None


def _wav_data_size(path: Path) -> int | None:
    """Bytes of samples that a WAV file's header announces; FFmpeg tells only what is there."""
    with path.open("rb") as file:
        form = file.read(12)[:4]
        order: Literal["big", "little"] = "big" if form == b"RIFX" else "little"
        if form not in (b"RIFF", b"RIFX"):  # RF64 and its like are measured by what is there
            return None
        while len(head := file.read(8)) == 8:
            size = int.from_bytes(head[4:], order)
            if head[:4] == b"data":
                return size if size < STREAMED_WAV else None
            file.seek(size + size % 2, 1)
    return None
