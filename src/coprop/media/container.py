"""Opening media files, and what their containers say of time."""

from __future__ import annotations

import stat
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from coprop.errors import MediaError


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
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        if str(path) == "-":
            raise MediaError(
                "standard input cannot be read: a file is gone through several times, and a pipe "
                "has its content only once. Save it to a file, and give that file's path."
            ) from error
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise MediaError(
                f"no such file: {path}. Check the path and the working directory."
            ) from error
        raise MediaError(f"{str(path)!r} cannot be opened as video or audio ({error}).") from error
    if stat.S_ISDIR(mode):
        raise MediaError(f"{path} is a directory; give the path of a video or audio file.")
    if not stat.S_ISREG(mode):
        raise MediaError(
            f"{path} is a pipe or a device. A file is gone through several times, and a pipe has "
            "its content only once: save it to a file, and give that file's path."
        )


def find_video(container: InputContainer) -> VideoStream | None:
    """The first stream of moving pictures; cover art is none."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


def stated_duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Seconds of video that the file says it holds, None where it says nothing."""
    if stream.duration is not None and stream.time_base is not None:
        return stream.duration * stream.time_base
    tag = stream.metadata.get("DURATION")  # Matroska keeps it here, as 00:00:04.000000000
    if tag is not None and tag.count(":") == 2:
        hours, minutes, seconds = tag.split(":")
        return Fraction(hours) * 3600 + Fraction(minutes) * 60 + Fraction(seconds)
    if container.duration is not None:
        return Fraction(container.duration, av.time_base)
    return None


def is_cut_short(container: InputContainer, stream: VideoStream, end_s: Fraction) -> bool:
    """Whether the file breaks off before what it announces.

    FFmpeg ends such a file without an error. Where there is an index (MP4, MOV, AVI), it points
    past the end of the file; a Matroska file states the duration of each of its streams.

    Args:
        container: the open file.
        stream: its video, read to the end.
        end_s: where the last packet read ends, in seconds on the container's clock.
    """
    last = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if last > container.size:
        return True
    if stream.duration is None and "DURATION" in stream.metadata:
        return (stated_duration(container, stream) or 0) - end_s > 1
    return False
