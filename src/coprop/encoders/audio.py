"""What every audio encoder offers, and the fitting of sound to its window."""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor


class AudioEncoder(Protocol):
    """Turns the sound around a frame into features. Implemented by modules, on any device."""

    sample_rate: int
    """Of the samples it takes, in Hz."""
    window_s: float
    """How much sound it sees, in seconds."""
    token_dim: int
    embedding_dim: int

    def tokens(self, samples: Tensor) -> Tensor:
        """(B, n) samples, n >= 1 -> (B, N, token_dim); N does not depend on n."""
        ...

    def embedding(self, samples: Tensor) -> Tensor:
        """(B, n) samples, n >= 1 -> (B, embedding_dim)."""
        ...


def fit_window(samples: Tensor, length: int) -> Tensor:
    """(B, n) -> (B, length): the middle of longer sound, or shorter sound and zeros after it."""
    start = max((samples.shape[-1] - length) // 2, 0)
    samples = samples[..., start : start + length]
    return F.pad(samples, (0, length - samples.shape[-1]))
