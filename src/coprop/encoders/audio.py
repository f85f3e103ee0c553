"""What every audio encoder offers, the fitting of sound to its window, and a small encoder."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from coprop.encoders.log_mel import EXAMPLE_SAMPLES, SAMPLE_RATE, LogMel, check_samples


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
    """(B, n) -> (B, length): the middle of longer sound, or shorter sound and zeros after it.

    Raises:
        ShapeError: samples of another shape or dtype.
    """
    check_samples(samples)
    start = max((samples.shape[-1] - length) // 2, 0)
    samples = samples[..., start : start + length]
    return F.pad(samples, (0, length - samples.shape[-1]))


class SmallAudioEncoder(nn.Module):
    """About a second of sound as 24 tokens; 0.25 M parameters.

    The log-mel spectrogram (96 frames x 64 bands) becomes a map of 6 x 4 places in time and
    frequency, each a token of width 128.
    """

    sample_rate = SAMPLE_RATE
    window_s = EXAMPLE_SAMPLES / SAMPLE_RATE
    token_dim = 128
    embedding_dim = 128

    def __init__(self) -> None:
        super().__init__()
        self.log_mel = LogMel()
        widths = (1, 32, 64, 128, self.token_dim)
        layers: list[nn.Module] = []
        for in_channels, out_channels in pairwise(widths):
            layers.append(nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False))
            layers.append(nn.GroupNorm(8, out_channels))
            layers.append(nn.GELU())
        self.convs = nn.Sequential(*layers)

    def tokens(self, samples: Tensor) -> Tensor:
        """(B, n) mono samples at 16 kHz in [-1, 1] to (B, 24, 128).

        Of longer sound the middle is heard; shorter sound is followed by silence.
        """
        spectrogram = self.log_mel(fit_window(samples, EXAMPLE_SAMPLES))
        first = self.convs[0].weight
        features: Tensor = self.convs(spectrogram[:, None].to(first.dtype))
        return features.flatten(2).transpose(1, 2)

    def embedding(self, samples: Tensor) -> Tensor:
        """(B, n) samples to one vector each, (B, 128): the mean of the tokens."""
        return self.tokens(samples).mean(1)

    def forward(self, samples: Tensor) -> Tensor:
        return self.tokens(samples)
