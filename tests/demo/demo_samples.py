"""A page with models that need no time, and clips for it."""

from __future__ import annotations

import torch

from coprop.demo.choices import Choices
from pipeline_samples import Shifter, changes_at


def red(frames: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    """Logits that are high where a frame is red."""
    return 20 * (frames[:, :1] - frames[:, 1:2] - 0.3)


def small_choices() -> Choices:
    """One change at half a second; what is red sounds."""
    return Choices(
        detectors={"half a second": lambda: changes_at(0.5)},
        segmenters={"red": lambda: red},
        propagators={"shifter": Shifter},
    )
