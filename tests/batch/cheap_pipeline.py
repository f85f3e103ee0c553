"""A pipeline that takes next to nothing, for the tests of collections and their processes."""

from __future__ import annotations

from pathlib import Path

import torch

from coprop import ControlPointDetector, CoProp


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


def deadly() -> CoProp:
    """As where memory is short: the process is killed at the first video called "deadly"."""
    import os
    import signal

    from coprop.media.clip import Clip

    made = without_drawing()
    begin = Clip.__init__

    def look(self: Clip, frames: Path, *args: object, **given: object) -> None:
        if Path(frames).stem == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        begin(self, frames, *args, **given)  # type: ignore[arg-type]

    Clip.__init__ = look  # type: ignore[assignment,method-assign]
    return made


def _nothing(path: Path, **_: object) -> None:
    path.write_bytes(b"")
