"""The default's audio encoder: its front end against numpy, and what it makes of any sound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from coprop.encoders.sound_effects import SoundEffectsEncoder

RATE, FFT, HOP, BANDS, FRAMES = 44_100, 2048, 1024, 96, 100
WINDOW = FFT + (FRAMES - 1) * HOP


@pytest.fixture(scope="module")
def encoder() -> SoundEffectsEncoder:
    torch.manual_seed(0)
    return SoundEffectsEncoder().eval()


def sound(length: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(length) / RATE
    sweep = torch.sin(2 * torch.pi * (200 + 1500 * time) * time)
    return (0.3 * sweep + 0.05 * torch.randn(length, generator=generator))[None]


def mel_filters() -> NDArray[np.float64]:
    """(96, 1025) triangles that are equally wide in mel, each of sum one, band by band."""
    edges_mel = np.linspace(0, 2595 * np.log10(1 + 22_050 / 700), BANDS + 2)
    edges = 700 * (np.power(10, edges_mel / 2595) - 1)
    frequencies = np.arange(FFT // 2 + 1) * RATE / FFT
    filters = np.zeros((BANDS, FFT // 2 + 1))
    for band in range(BANDS):
        left, peak, right = edges[band : band + 3]
        filters[band] = np.interp(frequencies, [left, peak, right], [0, 1, 0], left=0, right=0)
        filters[band] /= max(filters[band].sum(), 1e-12)
    return filters


def reference_log_mel(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """(100, 96) by an FFT of each windowed frame."""
    samples = samples / np.abs(samples).max()
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
    rows = []
    for start in range(0, WINDOW - FFT + 1, HOP):
        power = np.abs(np.fft.rfft(samples[start : start + FFT] * hann)) ** 2
        rows.append(np.log10(10_000 * (mel_filters() @ power) + 1) / 9.457798957824707)
    return np.array(rows)


def test_log_mel_is_what_numpy_computes(encoder: SoundEffectsEncoder) -> None:
    samples = sound(WINDOW)
    found = encoder.log_mel(samples)[0].numpy()
    expected = reference_log_mel(samples[0].double().numpy())
    assert found.shape == (FRAMES, BANDS)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert expected.std() > 0.05


def test_the_window_lasts_two_seconds_and_a_third(encoder: SoundEffectsEncoder) -> None:
    assert encoder.window_s == pytest.approx(2.345, abs=1e-3)
    assert round(encoder.window_s * RATE) == WINDOW


def test_longer_windows_are_cropped_to_their_middle(encoder: SoundEffectsEncoder) -> None:
    samples = sound(WINDOW + 2000)
    torch.testing.assert_close(
        encoder.log_mel(samples), encoder.log_mel(samples[:, 1000:-1000]), rtol=0, atol=0
    )


@pytest.mark.parametrize("length", [1, 2, FFT - 1, FFT, 22_050, WINDOW - 1])
def test_shorter_windows_get_zeros_behind(encoder: SoundEffectsEncoder, length: int) -> None:
    samples = sound(length)
    samples[0, 0] = 0.5  # at length 1 too there is something to hear
    padded = torch.cat([samples, torch.zeros(1, WINDOW - length)], dim=1)
    log_mel = encoder.log_mel(samples)
    torch.testing.assert_close(log_mel, encoder.log_mel(padded), rtol=0, atol=0)
    assert torch.isfinite(log_mel).all()
    assert encoder.embedding(samples).shape == (1, 512)


@pytest.mark.parametrize("gain", [0.01, 0.5, 3.0])
def test_loudness_does_not_matter(encoder: SoundEffectsEncoder, gain: float) -> None:
    samples = sound(WINDOW)
    torch.testing.assert_close(
        encoder.log_mel(gain * samples), encoder.log_mel(samples), rtol=1e-4, atol=1e-4
    )


def test_faint_noise_is_not_blown_up(encoder: SoundEffectsEncoder) -> None:
    assert not encoder.log_mel(torch.zeros(1, WINDOW)).any()
    faint, loud = encoder.log_mel(1e-6 * sound(WINDOW)), encoder.log_mel(sound(WINDOW))
    assert float(faint.mean()) < 0.5 * float(loud.mean())


def test_an_embedding_is_the_strongest_moment_of_the_mean_over_frequency(
    encoder: SoundEffectsEncoder,
) -> None:
    samples = torch.cat([sound(WINDOW), sound(WINDOW, seed=1).flip(1)])
    with torch.no_grad():
        tokens, embedding = encoder.tokens(samples), encoder.embedding(samples)
    assert tokens.shape == (2, 144, encoder.token_dim)
    assert embedding.shape == (2, encoder.embedding_dim)
    in_time_and_frequency = tokens.unflatten(1, (12, 12))
    expected = in_time_and_frequency.mean(dim=2).amax(dim=1)
    torch.testing.assert_close(embedding, expected, rtol=1e-5, atol=1e-6)


def test_time_comes_first_in_the_tokens(encoder: SoundEffectsEncoder) -> None:
    samples = torch.zeros(1, WINDOW)
    samples[:, WINDOW // 2 :] = sound(WINDOW)[:, WINDOW // 2 :]  # sounds in the second half
    with torch.no_grad():
        grid = encoder.tokens(samples)[0].unflatten(0, (12, 12))
        silence = encoder.tokens(torch.zeros(1, WINDOW))[0].unflatten(0, (12, 12))
    change = (grid - silence).abs().mean(dim=(1, 2))
    assert float(change[:3].max()) < 0.2 * float(change[8:].min())


def test_windows_of_a_batch_do_not_hear_each_other(encoder: SoundEffectsEncoder) -> None:
    pair = torch.cat([sound(WINDOW), 0.1 * sound(WINDOW, seed=2)])
    with torch.no_grad():
        together = encoder.embedding(pair)
        alone = torch.cat([encoder.embedding(one[None]) for one in pair])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
