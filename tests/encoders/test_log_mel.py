"""VGGish's front end against the output of the official code on a synthetic sound."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from coprop.encoders.log_mel import LogMel, log_mel, mel_filters, vggish_examples
from coprop.errors import CoPropError, ShapeError

GOLDEN = Path(__file__).parents[1] / "golden" / "vggish_logmel_golden.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[Any]]:
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def waveform(golden: dict[str, NDArray[Any]]) -> torch.Tensor:
    return torch.from_numpy(golden["waveform_int16"] / 32768.0).unsqueeze(0)


def test_equals_the_official_front_end_in_float64(golden, waveform):
    spectrogram = log_mel(waveform)
    assert spectrogram.dtype == torch.float64
    np.testing.assert_allclose(spectrogram[0], golden["logmel_full"], rtol=0, atol=1e-9)


def test_equals_the_official_front_end_in_float32(golden, waveform):
    spectrogram = LogMel()(waveform.float())
    assert spectrogram.dtype == torch.float32
    np.testing.assert_allclose(spectrogram[0], golden["logmel_full"], rtol=0, atol=1e-4)


def test_examples_equal_the_official_ones(golden, waveform):
    examples = vggish_examples(waveform)
    np.testing.assert_allclose(examples[0], golden["logmel_examples"], rtol=0, atol=1e-9)


def test_filters_equal_the_official_ones(golden):
    filters = mel_filters(16_000, 512, 64, 125, 7500)
    np.testing.assert_allclose(filters, golden["mel_matrix"], rtol=0, atol=1e-12)


def test_number_of_examples_equals_the_official_one(golden):
    for n, expected in zip(golden["n_samples"], golden["n_examples"], strict=True):
        assert vggish_examples(torch.zeros(2, int(n))).shape == (2, int(expected), 96, 64)


@settings(deadline=None, max_examples=30)
@given(batch=st.integers(1, 3), n=st.integers(0, 4000))
def test_number_of_frames(batch: int, n: int) -> None:
    frames = max(1 + (n - 400) // 160, 0)
    assert log_mel(torch.zeros(batch, n)).shape == (batch, frames, 64)


def test_silence_is_the_logarithm_of_the_offset():
    np.testing.assert_allclose(log_mel(torch.zeros(1, 1000)), math.log(0.01), rtol=1e-6)


def test_sounds_of_a_batch_do_not_mix(waveform):
    two = torch.cat([waveform[:, :8000], waveform[:, 32000:40000]])
    np.testing.assert_allclose(log_mel(two)[1:], log_mel(two[1:]), rtol=0, atol=1e-12)


def test_autocast_does_not_coarsen_it(waveform):
    samples = waveform.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = LogMel()(samples)
    torch.testing.assert_close(coarse, LogMel()(samples), rtol=0, atol=0)


def test_half_precision_samples_are_computed_in_float32(waveform):
    assert LogMel().to(torch.bfloat16)(waveform.bfloat16()).dtype == torch.float32


def test_it_is_differentiable(waveform):
    samples = waveform[:, :800].clone().requires_grad_()
    log_mel(samples).sum().backward()
    assert samples.grad is not None
    assert samples.grad.abs().sum() > 0


def test_filters_straight_in_hertz_equal_a_direct_computation():
    filters = mel_filters(44_100, 2048, 96, 0, 22_050, straight_in="hertz").numpy()
    top = 2595 * math.log10(1 + 22_050 / 700)
    edges = [700 * (10 ** (top * i / 97 / 2595) - 1) for i in range(98)]
    bins = np.arange(1025) * 44_100 / 2048
    for band in (0, 1, 40, 95):
        expected = np.interp(bins, edges[band : band + 3], [0, 1, 0])
        np.testing.assert_allclose(filters[:, band], expected, atol=1e-9)


@pytest.mark.parametrize("shape", [(16_000,), (1, 2, 16_000)])
def test_samples_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"must be \(B, n\)"):
        log_mel(torch.zeros(shape))


def test_filters_that_cannot_be_are_refused() -> None:
    for low, high in ((7500, 125), (-1, 7500), (float("nan"), 7500)):
        with pytest.raises(CoPropError, match="there is no band from"):
            mel_filters(16_000, 512, 64, low, high)
    with pytest.raises(CoPropError, match="straight_in must be one of"):
        mel_filters(16_000, 512, 64, 125, 7500, straight_in="bark")  # type: ignore[arg-type]
