"""What is played live: a file in real time, or a camera and a microphone."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from coprop.errors import MediaError, MissingAudioError
from coprop.media.clip import Clip
from coprop.utils.brief import first_line, one_line

_DEVICES = {
    "linux": ("v4l2", "/dev/video0", "alsa", "default"),
    "darwin": ("avfoundation", "0:none", "avfoundation", "none:0"),
    "win32": ("dshow", "", "dshow", ""),
}
"""Of each platform: the input of cameras, the usual one, and the same of microphones."""

_WAITING_BLOCKS = 500  # of sound, some ten seconds
_WAITING_FRAMES = 2  # of a camera: those that come while two wait take their places
_REST_S = 0.005  # between two looks at what has come in
_FIRST_S = 10.0  # a device that gives nothing for so long gives nothing


@dataclass(frozen=True, eq=False)
class Moment:
    """What has come in since the last one.

    Args:
        picture: (H, W, 3) uint8 RGB, or None.
        time_s: when the picture is shown, on the clock of the sound.
        samples: (n,) or (n, channels), or None.
    """

    picture: NDArray[np.uint8] | None
    time_s: float
    samples: NDArray[Any] | None


def played(clip: Clip, speed: float) -> Iterator[Moment]:
    """A clip as if it were live: each frame when its time has come, with the sound up to it.

    As of a camera, frames whose time has passed while others were worked on are left out.

    Args:
        clip: the clip.
        speed: 1 for real time, 2 for twice as fast, 0 for as fast as it goes.
    """
    track, given = clip.audio, 0
    with closing(clip.frames_ahead()) as frames:
        begun, last_s = None, 0.0
        for frame in frames:
            lasts_s, last_s = frame.time_s - last_s, frame.time_s
            begun = time.monotonic() - frame.time_s / (speed or 1) if begun is None else begun
            if speed > 0:
                early_s = begun + frame.time_s / speed - time.monotonic()
                if early_s < -_WAITING_FRAMES * lasts_s / speed and lasts_s > 0:
                    continue
                time.sleep(max(early_s, 0))
            stop = min(max(round(frame.time_s * track.sample_rate), given), track.num_samples)
            yield Moment(frame.image, frame.time_s, track.read(given, stop))
            given = stop
    block = max(track.sample_rate // 10, 1)
    for start in range(given, track.num_samples, block):
        yield Moment(None, 0.0, track.read(start, min(start + block, track.num_samples)))


class Devices:
    """A camera and a microphone, read by a thread each; a context manager.

    Args:
        camera, microphone: their names as FFmpeg's inputs take them; empty for the usual ones.
        size: such as "640x480"; empty for the camera's own.
        frame_rate: asked of the camera.

    Attributes:
        sample_rate: of the microphone, in Hz.

    Raises:
        MediaError: there is no such device, or it cannot be opened.
    """

    def __init__(self, camera: str, microphone: str, size: str, frame_rate: float) -> None:
        kinds = _DEVICES.get(sys.platform)
        if kinds is None:
            raise MediaError(
                f"cameras are not known on {sys.platform}; play a file with --file VIDEO."
            )
        video, usual, audio, usual_sound = kinds
        options = {"framerate": f"{frame_rate:g}", **({"video_size": size} if size else {})}
        self._camera = _opened(video, _named(video, "video", camera or usual), "camera", options)
        try:
            name = _named(audio, "audio", microphone or usual_sound)
            self._microphone = _opened(audio, name, "microphone", {})
        except BaseException:
            self._camera.close()
            raise
        self.sample_rate = int(self._microphone.streams.audio[0].rate or 48_000)
        self._pictures: deque[tuple[float, NDArray[np.uint8]]] = deque(maxlen=_WAITING_FRAMES)
        self._blocks: deque[NDArray[Any]] = deque(maxlen=_WAITING_BLOCKS)
        self._begun: float | None = None  # when the first sample was heard
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"coprop {name}", daemon=True)
            for name, work in (("looks", self._look), ("listens", self._listen))
        ]

    def __enter__(self) -> Devices:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread, container in zip(self._threads, (self._camera, self._microphone), strict=True):
            thread.join(timeout=2)
            if thread.is_alive():  # FFmpeg waits for the device: what it waits in must stay
                continue
            with suppress(av.FFmpegError, OSError):
                container.close()

    def __iter__(self) -> Iterator[Moment]:
        latest = time.monotonic()
        while True:
            if self._failure is not None:
                raise self._failure
            blocks = [self._blocks.popleft() for _ in range(len(self._blocks))]
            samples = np.concatenate(blocks) if blocks else None
            picture, time_s = None, 0.0
            if self._pictures and self._begun is not None:
                arrived, picture = self._pictures.popleft()
                time_s = arrived - self._begun
                if time_s < 0:  # it was there before any sound, and so before the stream
                    picture = None
            if picture is not None or samples is not None:
                latest = time.monotonic()
                yield Moment(picture, time_s, samples)
            elif self._ended.is_set():
                return
            elif time.monotonic() - latest > _FIRST_S:
                raise MediaError(
                    f"the camera or the microphone has given nothing for {_FIRST_S:g} s."
                )
            else:
                time.sleep(_REST_S)

    def _run(self, work: Any) -> None:
        try:
            work()
        except (av.FFmpegError, OSError) as error:
            self._failure = MediaError(
                f"a device cannot be read any more: {one_line(first_line(error))}."
            )
        finally:
            self._ended.set()

    def _look(self) -> None:
        converter = VideoReformatter()  # one for all: making it costs more than a small frame
        for frame in self._camera.decode(video=0):
            if self._ended.is_set():
                return
            picture = converter.reformat(frame, format="rgb24", threads=1).to_ndarray()
            self._pictures.append((time.monotonic(), np.asarray(picture, dtype=np.uint8)))

    def _listen(self) -> None:
        mono = av.AudioResampler(format="flt", layout="mono", rate=self.sample_rate)
        for frame in self._microphone.decode(audio=0):
            if self._ended.is_set():
                return
            blocks = [part.to_ndarray()[0] for part in mono.resample(frame)]
            if self._begun is None and blocks:
                self._begun = time.monotonic() - len(blocks[0]) / self.sample_rate
            self._blocks.extend(blocks)


def _named(kind: str, of: str, name: str) -> str:
    if kind != "dshow":
        return name
    if not name:
        raise MediaError(
            f"on Windows {of} devices have no usual name; give --camera and --microphone, by the "
            "names that ffmpeg -list_devices true -f dshow -i dummy prints."
        )
    return f"{of}={name}"


def _opened(kind: str, name: str, what: str, options: dict[str, str]) -> Any:
    try:
        container = av.open(name, format=kind, options=options, timeout=(_FIRST_S, _FIRST_S))
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = one_line(first_line(error))
        raise MediaError(
            f"there is no {what} {name!r} that can be opened ({kind}: {reason}); "
            f"name another one with --{what}, or play a file with --file VIDEO."
        ) from error
    streams = container.streams.video if what == "camera" else container.streams.audio
    if not streams:
        container.close()
        error_kind = MediaError if what == "camera" else MissingAudioError
        raise error_kind(f"the {what} {name!r} gives nothing that can be used.")
    return container
