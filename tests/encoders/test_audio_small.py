from __future__ import annotations

import pytest
import torch

from coprop.encoders.audio import AudioEncoder, SmallAudioEncoder


@pytest.fixture(scope="module")
def encoder() -> SmallAudioEncoder:
    return SmallAudioEncoder().eval()


@pytest.mark.parametrize("length", [1, 500, 15_600, 16_000, 40_000])
def test_tokens_of_any_length(length: int, encoder: SmallAudioEncoder) -> None:
    contract: AudioEncoder = encoder
    samples = 0.1 * torch.randn(2, length)
    tokens = contract.tokens(samples)
    assert tokens.shape == (2, 24, contract.token_dim)
    assert tokens.isfinite().all()
    torch.testing.assert_close(contract.embedding(samples), tokens.mean(1))
    if length >= 500:  # one sample lies on the edge of its window, where the weight is zero
        assert (tokens[0] - tokens[1]).abs().max() > 1e-3


def test_hears_the_middle_and_the_pitch(encoder: SmallAudioEncoder) -> None:
    time = torch.arange(16_000) / 16_000
    low, high = (torch.sin(2 * torch.pi * hz * time)[None] for hz in (300, 3000))
    assert (encoder.tokens(low) - encoder.tokens(high)).abs().max() > 0.1
    margins = torch.nn.functional.pad(low[:, 200:15_800], (500, 500), value=0.9)
    torch.testing.assert_close(encoder.tokens(margins), encoder.tokens(low))


def test_is_small(encoder: SmallAudioEncoder) -> None:
    assert 200_000 < sum(p.numel() for p in encoder.parameters()) < 300_000
