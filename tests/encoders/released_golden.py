"""What the released networks make of the example clip, in the runtimes they were released for.

`tools/train_default/record_encoder_outputs.py` recorded it; examples/README.md credits
pictures and sounds.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_FILE = Path(__file__).parents[1] / "golden" / "released_encoders.npz"


@functools.cache
def golden(name: str) -> NDArray[Any]:
    with np.load(_FILE) as arrays:
        return np.asarray(arrays[name])


def frames(name: str) -> torch.Tensor:
    """(1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(golden(name)).permute(2, 0, 1)[None] / 255


def samples() -> torch.Tensor:
    """(5, 15600): drums, drums, nothing, a macaw, a macaw."""
    return torch.from_numpy(golden("yamnet_samples") / np.float32(32_768))
