"""A video with its sound, wherever the two come from."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sized
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from numpy.typing import ArrayLike

from coprop.errors import AudioError, MediaError, MissingAudioError
from coprop.media.overlap import ahead
from coprop.media.part import FramesPart, TrackPart, checked_part
from coprop.types import AudioTrack, Progress
from coprop.utils.brief import brief, counted
from coprop.utils.checks import check_progress
from coprop.utils.paths import AnyPath, as_path, is_path
from coprop.values.given_sound import GivenSound, as_track

if TYPE_CHECKING:  # PyAV is loaded when a clip is opened, not when coprop is imported
    from coprop.media.audio_file import AudioFile
    from coprop.media.reader import Frame
    from coprop.media.streams import Contents

ClipSource = AnyPath | ArrayLike | torch.Tensor | Iterable["ArrayLike | torch.Tensor | Frame"]
"""A video file, an array (T, H, W, 3), a tensor (T, 3, H, W), or an iterable of pictures, or of
frames that have times of their own."""

AudioSource = AnyPath | GivenSound
"""A file with sound, or sound in memory."""


class Clip:
    """Frames and their sound, on one clock; a context manager, since sound lies in a file.

    Args:
        frames: the pictures.
        audio: the sound; by default the video file's own.
        fps: frames per second, for pictures that are not a file; a `Frame` has its own time.
        video_track: number of the video file's track of pictures, from 0; by default the film.
        audio_track: number of the track with the sound, from 0, in the video or in the audio file;
            by default the one marked as default, or else the first.
        start_s, end_s: of the part that is wanted, in seconds of the clip; by default all of it.
            Frames of the part keep their numbers and times, and outside it nothing is heard.
        progress: called while sound is decoded.

    Raises:
        MissingAudioError: no sound is given, and the video has none.
        MediaError, ShapeError, AudioError: files or arrays that cannot be used.

    Attributes:
        frames: iterable of `Frame`; one that was given as an iterator can be gone through once.
        audio: the sound; a file's at its own sample rate.
        is_recorded: whether all frames are there already: a file's, an array's or a list's.
        num_frames: how many frames there are, or None where only iterating tells.
        frame_size: height and width of a video file's frames, in pixels; None of others.
        duration_s: of the frames, in seconds, or None where only iterating tells.
        sound: what an overlay sounds like: the streams of a file, or the track.
        name: of the file, or "" where there is none.
        origin_s: when the part begins; 0 where it is all.
        files: those that frames and sound are read from.
    """

    def __init__(
        self,
        frames: ClipSource,
        audio: AudioSource | None = None,
        *,
        fps: float | Fraction | None = None,
        video_track: int | None = None,
        audio_track: int | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        check_progress(progress)
        self.origin_s, part_end_s = checked_part(start_s, end_s)
        self.name = ""
        self.files = _files(frames, audio)
        self.is_recorded = True
        self.num_frames: int | None = None
        self.frame_size: tuple[int, int] | None = None
        self.duration_s: float | None = None
        self.frames: Iterable[Frame]
        self.audio: AudioTrack
        self.sound: Contents | AudioTrack
        self._file: AudioFile | None = None
        sound: Contents | AudioSource | None = audio
        if isinstance(frames, (str, os.PathLike)):
            own_track = audio_track if audio is None else None
            contents = self._show_file(frames, fps, video_track, own_track)
            sound = contents if audio is None else audio
        else:
            self._show_pictures(frames, fps, video_track)
        if sound is None:
            raise MissingAudioError(
                "frames came without sound; give it as audio=, an Audio or an audio file's path."
            )
        self._hear(sound, audio_track, progress)
        if start_s is not None or end_s is not None:
            self._keep(part_end_s)

    def _show_file(
        self,
        path: AnyPath,
        fps: float | Fraction | None,
        video_track: int | None,
        audio_track: int | None,
    ) -> Contents:
        """The frames of a video file; what else is in it."""
        from coprop.media.reader import VideoFile

        if fps is not None:
            raise MediaError("a video file has frame times of its own; leave fps= out.")
        video = VideoFile(path, track=video_track, audio_track=audio_track)
        self.frames, self.num_frames, self.name = video, video.num_frames, video.path.name
        self.duration_s, self.frame_size = video.duration_s, (video.height, video.width)
        return video.contents

    def _show_pictures(
        self,
        pictures: ArrayLike | torch.Tensor | Iterable[ArrayLike | torch.Tensor | Frame],
        fps: float | Fraction | None,
        video_track: int | None,
    ) -> None:
        """Frames that are in memory, or come one by one."""
        from coprop.media.frames import frames_from

        if video_track is not None:
            raise MediaError(
                "video_track= is for a video file, these frames are none; leave it out."
            )
        self.frames = frames_from(pictures, fps=fps)
        self.is_recorded = isinstance(pictures, Sized)
        self.num_frames = len(pictures) if isinstance(pictures, Sized) else None
        if self.num_frames is not None and fps is not None:
            self.duration_s = self.num_frames / float(fps)

    def _hear(
        self, sound: Contents | AudioSource, audio_track: int | None, progress: Progress | None
    ) -> None:
        """The sound of a file, or in memory."""
        from coprop.media.audio_file import AudioFile
        from coprop.media.streams import Contents, look_into

        if is_path(sound):
            sound = look_into(as_path("audio", sound, error=MediaError), audio_track=audio_track)
        if isinstance(sound, Contents):
            self.audio = self._file = AudioFile(sound, progress=progress)
            self.sound = sound
        else:
            self.audio = self.sound = as_track(sound)
            if audio_track is not None:
                raise AudioError("audio_track= is for files, the sound is in memory; leave it out.")

    def _keep(self, end_s: float) -> None:
        """Nothing but the part."""
        part = TrackPart(self.audio, self.origin_s, end_s)
        self.frames, self.num_frames = FramesPart(self.frames, self.origin_s, end_s), None
        self.audio, self.sound = part, part.alone
        if self.duration_s is not None:
            self.duration_s = min(self.duration_s, end_s)

    def __repr__(self) -> str:
        told = [brief(self.name)] if self.name else []
        if self.num_frames is not None:
            told.append(counted(self.num_frames, "frame"))
        if self.duration_s is not None:
            told.append(f"{self.duration_s:.2f} s")
        rate = f"{self.audio.sample_rate} Hz"
        return f"Clip({', '.join([*told, f'sound of {self.audio.duration_s:.2f} s at {rate}'])})"

    def frames_ahead(self) -> Generator[Frame, None, None]:
        """The frames, one after another; a file's are decoded by a thread, a few ahead.

        Frames that were given are asked for one by one: they may come from a camera, or from code
        that must not run in another thread.
        """
        from coprop.media.reader import VideoFile

        if isinstance(getattr(self.frames, "source", self.frames), VideoFile):
            yield from ahead(self.frames)
        else:
            yield from self.frames

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _files(*given: object) -> tuple[Path, ...]:
    """Paths among what was given, and those of readers that say what they read."""
    paths = (getattr(each, "path", each) for each in given)
    return tuple(Path(path) for path in paths if is_path(path))
