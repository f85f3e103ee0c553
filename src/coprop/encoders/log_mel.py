"""VGGish's front end: log-mel spectrograms of 16 kHz sound, and triangular mel filters.

The figures are those of the AudioSet release of VGGish: 25 ms periodic Hann windows every 10 ms, a
512-point FFT's magnitude, 64 mel bands over 125-7500 Hz, ``ln(mel + 0.01)``. Nothing is padded.
"""

from __future__ import annotations

import contextlib
import math
from typing import Literal

import torch
from torch import Tensor, nn

from coprop.errors import CoPropError, ShapeError
from coprop.utils.checks import check_choice, shown

# As in VGGish's own code: its weights are of no use with others.
SAMPLE_RATE = 16_000
EXAMPLE_FRAMES = 96
EXAMPLE_SAMPLES = 15_600  # 96 frames: 95 hops and one window
_WINDOW, _HOP, _FFT = 400, 160, 512
_BANDS, _LOW_HZ, _HIGH_HZ = 64, 125.0, 7500.0
_OFFSET = 0.01  # the logarithm of silence is finite
_MEL_CORNER_HZ = 700.0  # HTK's mel scale is 1127 ln(1 + f / 700); equal distances need no factor


class LogMel(nn.Module):
    """Log-mel spectrogram as VGGish takes it.

    Args:
        dtype: of the filters, which are computed in float64 and then rounded to it; it is the
            precision of the result too. Half precision has too few digits and reads as float32.
    """

    filters: Tensor

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        filters = mel_filters(SAMPLE_RATE, _FFT, _BANDS, _LOW_HZ, _HIGH_HZ)
        self.register_buffer("filters", filters.to(dtype), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """(B, n) samples at 16 kHz in [-1, 1] -> (B, frames, 64), at least ln 0.01 = -4.605.

        There are ``1 + (n - 400) // 160`` frames, and none where n < 400.

        Raises:
            ShapeError: samples of another shape or dtype.
        """
        check_samples(samples)
        filters = self.filters if self.filters.dtype == torch.float64 else self.filters.float()
        if samples.shape[1] < _WINDOW:
            return filters.new_zeros(samples.shape[0], 0, _BANDS)
        with _autocast_off(samples.device.type):
            mel = _magnitudes(samples).to(filters.dtype) @ filters
            return torch.log(mel + _OFFSET)


def log_mel(samples: Tensor) -> Tensor:
    """(B, n) samples at 16 kHz -> (B, frames, 64), in float64 where they are float64.

    For single use; `LogMel` keeps the filters. What is raised is as there.
    """
    check_samples(samples)
    with torch.device("cpu"):  # Apple's GPU cannot make the filters
        front_end = LogMel(torch.float64 if samples.dtype == torch.float64 else torch.float32)
    return front_end.to(samples.device).forward(samples)


def vggish_examples(samples: Tensor) -> Tensor:
    """(B, n) samples at 16 kHz -> (B, examples, 96, 64): spectrograms of 0.96 s, end to end.

    What is left after the last whole example is dropped: below 15,600 samples there is none.
    """
    spectrogram = log_mel(samples)
    examples = spectrogram.shape[1] // EXAMPLE_FRAMES
    whole = spectrogram[:, : examples * EXAMPLE_FRAMES]
    return whole.reshape(len(samples), examples, EXAMPLE_FRAMES, _BANDS)


def mel_filters(
    sample_rate: int,
    fft_size: int,
    bands: int,
    low_hz: float,
    high_hz: float,
    *,
    straight_in: Literal["mel", "hertz"] = "mel",
) -> Tensor:
    """Triangular filters at equal distances on the HTK mel scale, each with peak 1.

    Args:
        sample_rate: of the sound, in Hz.
        fft_size: of the transform whose ``fft_size // 2 + 1`` bins are weighted.
        bands: how many filters.
        low_hz: where the first filter begins.
        high_hz: where the last filter ends.
        straight_in: the scale on which the triangles' sides are straight: "mel" as VGGish has
            them, or "hertz" as librosa has them.

    Raises:
        CoPropError: another scale, or no 0 <= ``low_hz`` < ``high_hz``.

    Returns:
        (fft_size // 2 + 1, bands) float64; ``spectrum @ filters`` applies them. Filters of equal
        weight, librosa's ``norm=1``, are ``filters / filters.sum(0)``.
    """
    check_choice("straight_in", straight_in, ("mel", "hertz"))
    if not 0 <= low_hz < high_hz:
        raise CoPropError(f"there is no band from {low_hz} to {high_hz} Hz; give 0 or more first.")
    low, high = (math.log1p(hertz / _MEL_CORNER_HZ) for hertz in (low_hz, high_hz))
    # Not torch.linspace: once transformers has loaded a model, it ignores the device in force.
    edges = low + torch.arange(bands + 2, dtype=torch.float64) * ((high - low) / (bands + 1))
    bins = torch.arange(fft_size // 2 + 1, dtype=torch.float64) * (sample_rate / fft_size)
    if straight_in == "mel":
        bins = torch.log1p(bins / _MEL_CORNER_HZ)
    else:
        edges = _MEL_CORNER_HZ * torch.expm1(edges)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - lower) / (centre - lower)
    falling = (upper - bins[:, None]) / (upper - centre)
    return torch.minimum(rising, falling).clamp_min(0)


def check_samples(samples: object, *, least: int = 0) -> None:
    """Raises ShapeError for what is not (B, n) floating-point samples, n at least ``least``."""
    if not isinstance(samples, Tensor) or samples.ndim != 2 or samples.shape[1] < least:
        given = tuple(samples.shape) if isinstance(samples, Tensor) else shown(samples)
        raise ShapeError(
            f"samples must be (B, n){f' with n at least {least}' if least else ''}, got {given}; "
            "give a tensor, add a batch axis with samples[None], and average the channels of "
            "stereo sound."
        )
    if not samples.is_floating_point():
        raise ShapeError(
            f"samples must be floating-point in [-1, 1], got {samples.dtype}; divide 16-bit "
            "integers by 32768."
        )


def _magnitudes(samples: Tensor) -> Tensor:
    """(B, n) -> (B, frames, 257)."""
    # A float32 FFT of a loud sound is off by as much as the offset's last digits in quiet bands.
    # Apple's GPU is the one device without float64.
    dtype = torch.float32 if samples.device.type == "mps" else torch.float64
    window = torch.hann_window(_WINDOW, periodic=True, dtype=dtype, device=samples.device)
    frames = samples.to(dtype).unfold(1, _WINDOW, _HOP) * window
    magnitudes: Tensor = torch.fft.rfft(frames, _FFT).abs()
    return magnitudes


def _autocast_off(device_type: str) -> contextlib.AbstractContextManager[object]:
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return contextlib.nullcontext()
