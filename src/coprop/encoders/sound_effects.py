"""The audio encoder of the default detector: a convolutional network that names sound effects.

The network, its front end and its weights are those of aiSFX (Ma et al., "Representation learning
for the automatic indexing of sound effects libraries", ISMIR 2022; weights CC BY 4.0).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.encoders.audio import fit_window
from coprop.encoders.log_mel import check_samples, mel_filters

_FFT, _HOP, _BANDS, _FRAMES = 2048, 1024, 96, 100
_LARGEST_LOG_MEL = 9.457798957824707  # over the network's own training set
_STEPS_PER_TOKEN = 4  # the last stage has a token for four steps of `steps`
_QUIETEST_PEAK = 1e-3  # louder windows are scaled to full range; quieter ones are left as noise


class SoundEffectsEncoder(nn.Module):
    """Mono sound at 44.1 kHz -> a 512-d embedding, or a map of 144 tokens of 512.

    Takes ``(B, n)`` samples of any length n >= 1: longer windows are centre-cropped to `window_s`
    (2.35 s), shorter ones padded with zeros at the end. Each window is scaled to a peak of one, so
    the embedding says what sounds and not how loud it is.
    """

    sample_rate = 44_100
    window_s = (_FFT + (_FRAMES - 1) * _HOP) / sample_rate
    token_dim = 512
    embedding_dim = 512
    step_dim = 2 * _BANDS + 2 * 128 + 256 + 512
    samples_per_step = 2 * _HOP
    step_s = samples_per_step / sample_rate

    mel_bands: Tensor
    hann: Tensor

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 64, 128, 256, 512)
        for i, (before, after) in enumerate(pairwise(widths), start=1):
            self.add_module(f"conv_block{i}", _ConvBlock(before, after))
        self.register_buffer("mel_bands", _mel_bands(), persistent=False)
        self.register_buffer("hann", torch.hann_window(_FFT, dtype=torch.float32), persistent=False)

    def embedding(self, samples: Tensor) -> Tensor:
        """(B, n) -> (B, 512): the mean over frequency, then the strongest moment in time."""
        return self._map(self.log_mel(samples)).mean(dim=3).amax(dim=2)

    def tokens(self, samples: Tensor) -> Tensor:
        """(B, n) -> (B, 144, 512): 12 steps in time by 12 in frequency, time first."""
        return self._map(self.log_mel(samples)).flatten(2).transpose(1, 2)

    def steps(self, samples: Tensor, peak: float | None = None) -> Tensor:
        """(B, n), n >= 1 -> (B, S, 1216): what each stage makes of each 46 ms of the sound.

        Step k is centred on sample 2048 k + 512, and S is n / 2048, rounded up. The whole is scaled
        to a peak of one. In this order: log-mel bands, the second stage's mean and maximum over
        frequency, the means of the third and of the fourth.

        Args:
            samples: the sound.
            peak: of the sound that the samples are a part of; None for their own.

        Raises:
            ShapeError: samples of another shape or dtype, or none.
        """
        check_samples(samples, least=1)
        count = -(-samples.shape[1] // self.samples_per_step)
        padded = -(-count // _STEPS_PER_TOKEN) * _STEPS_PER_TOKEN * self.samples_per_step
        log_mel = self._spectrogram(F.pad(samples, (_HOP, padded - samples.shape[1])), peak)
        maps, x = [], log_mel.unsqueeze(1)
        for i in range(1, 5):
            x = self.get_submodule(f"conv_block{i}")(x if i == 1 else F.max_pool2d(x, 2))
            maps.append(x)
        _, second, third, fourth = maps
        parts = [
            log_mel.reshape(len(log_mel), -1, 2 * _BANDS),
            second.mean(dim=3).transpose(1, 2),
            second.amax(dim=3).transpose(1, 2),
            third.mean(dim=3).transpose(1, 2).repeat_interleave(2, dim=1),
            fourth.mean(dim=3).transpose(1, 2).repeat_interleave(4, dim=1),
        ]
        return torch.cat(parts, dim=2)[:, :count]

    def log_mel(self, samples: Tensor) -> Tensor:
        """(B, n) -> (B, 100, 96), mostly in [0, 1]."""
        return self._spectrogram(fit_window(samples, _FFT + (_FRAMES - 1) * _HOP))

    def _spectrogram(self, samples: Tensor, peak: float | None = None) -> Tensor:
        own = samples.abs().amax(dim=1, keepdim=True)
        loudest = (own if peak is None else torch.full_like(own, peak)).clamp_min(_QUIETEST_PEAK)
        spectrum = torch.stft(
            samples / loudest, _FFT, _HOP, window=self.hann, center=False, return_complex=True
        )
        mel = spectrum.abs().square().transpose(1, 2) @ self.mel_bands
        return torch.log10(10_000 * mel + 1) / _LARGEST_LOG_MEL

    def _map(self, log_mel: Tensor) -> Tensor:
        x = log_mel.unsqueeze(1)
        for i in range(1, 5):
            x = self.get_submodule(f"conv_block{i}")(x)
            if i < 4:
                x = F.max_pool2d(x, 2)
        return x


class _ConvBlock(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.bn2 = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)))


def _mel_bands() -> Tensor:
    """(1025, 96) filters on the HTK mel scale from 0 Hz to Nyquist, each summing to one."""
    rate = SoundEffectsEncoder.sample_rate
    filters = mel_filters(rate, _FFT, _BANDS, 0, rate / 2, straight_in="hertz")
    return (filters / filters.sum(dim=0)).float()
