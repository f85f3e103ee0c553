"""A pipeline that takes next to nothing, for the tests of collections and their processes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch

from coprop import ControlPointDetector, CoProp
from coprop.errors import CheckpointError


class Copying:
    """A propagator that repeats the keyframe's mask."""

    sample_rate, window_s = 16_000, 0.1

    def start(self, frame: torch.Tensor, audio: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return mask

    def step(
        self, frame: torch.Tensor, audio: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return state.clamp(1e-6).log(), state


def red(frames: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    """Logits that are high where a frame is red."""
    return 20 * (frames[:, :1] - frames[:, 1:2] - 0.3)


def pipeline() -> CoProp:
    """Made anew in each process."""
    detector = ControlPointDetector.cosine()
    return CoProp.wrap(red, propagator=Copying(), detector=detector, namer=None)


def without_drawing() -> CoProp:
    """Timelines take most of the time of a short clip: here they are empty files."""
    import coprop.media.writer as writer

    writer.plot_timeline = _nothing  # type: ignore[assignment]  # in a worker's process, or put back
    return pipeline()


def printing() -> CoProp:
    """As models say what they load."""
    sys.stdout.write("weights loaded\n")
    return without_drawing()


def deadly() -> CoProp:
    """As where memory is short: the process is killed at the first video called "deadly"."""
    import os
    import signal

    def look(video: Path) -> None:
        if video.stem == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)

    return _looking_first(look)


def holding() -> CoProp:
    """A video is not begun for as long as there is a file of its name that ends in ".hold"."""
    import time

    def look(video: Path) -> None:
        while video.with_suffix(".hold").exists():
            time.sleep(0.01)

    return _looking_first(look)


def unloadable() -> CoProp:
    """As where a checkpoint is missing."""
    raise CheckpointError("no weights here")


def _looking_first(look: Callable[[Path], None]) -> CoProp:
    """The pipeline; each video is looked at before it is begun, until `Clip` is put back."""
    from coprop.media.clip import Clip

    made = without_drawing()
    begin = Clip.__init__

    def begin_later(self: Clip, frames: Path, *args: object, **given: object) -> None:
        look(Path(frames))
        begin(self, frames, *args, **given)  # type: ignore[arg-type]

    Clip.__init__ = begin_later  # type: ignore[assignment,method-assign]
    return made


def _nothing(path: Path, **_: object) -> None:
    path.write_bytes(b"")
