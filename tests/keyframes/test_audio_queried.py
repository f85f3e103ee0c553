"""The paper's keyframe network: shapes, what depends on what, and that it can learn to listen."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from coprop.errors import CoPropError, ShapeError
from coprop.keyframes.audio_queried import AudioQueriedConfig, AudioQueriedNetwork

SMALL = AudioQueriedConfig(
    "tf_efficientnet_lite0", width=32, heads=4, encoder_layers=1, decoder_layers=1
)


class Loudness(nn.Module):
    """An audio encoder of one linear layer: three tokens, each from a third of the sound."""

    sample_rate = 8000
    window_s = 0.5
    token_dim = 8
    embedding_dim = 8

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, self.token_dim)

    def tokens(self, samples: Tensor) -> Tensor:
        level = F.adaptive_avg_pool1d(samples.abs(), 3)
        tokens: Tensor = self.linear(level.unsqueeze(2))
        return tokens

    def embedding(self, samples: Tensor) -> Tensor:
        return self.tokens(samples).mean(dim=1)


@pytest.fixture(scope="module")
def network() -> AudioQueriedNetwork:
    torch.manual_seed(0)
    return AudioQueriedNetwork(SMALL, audio=Loudness()).eval()


@settings(deadline=None, max_examples=10)
@given(
    batch=st.integers(1, 2),
    height=st.integers(32, 75),
    width=st.integers(32, 75),
    n=st.integers(1, 9000),
)
def test_any_size_gives_logits_at_stride_4(
    network: AudioQueriedNetwork, batch: int, height: int, width: int, n: int
) -> None:
    with torch.inference_mode():
        logits = network(torch.rand(batch, 3, height, width), torch.rand(batch, n))
    assert logits.shape == (batch, 1, math.ceil(height / 4), math.ceil(width / 4))
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("visual", "num_classes"), [("resnet50", 1), ("pvt_v2_b5", 71), ("tf_efficientnet_lite0", 71)]
)
def test_each_backbone_with_vggish_on_a_device_without_memory(
    visual: str, num_classes: int
) -> None:
    with torch.device("meta"):
        network = AudioQueriedNetwork(AudioQueriedConfig(visual, num_classes=num_classes))
        logits = network(torch.rand(2, 3, 97, 64), torch.rand(2, 16_000))
    assert logits.device.type == "meta"
    assert logits.shape == (2, num_classes, 25, 16)
    assert (network.sample_rate, network.window_s) == (16_000, 0.975)


def test_sample_rate_and_window_are_the_audio_encoders(network: AudioQueriedNetwork) -> None:
    assert (network.sample_rate, network.window_s) == (8000, 0.5)


def test_frames_of_a_batch_do_not_mix(network: AudioQueriedNetwork) -> None:
    frames, audio = torch.rand(3, 3, 64, 48), torch.rand(3, 4000)
    with torch.inference_mode():
        together = network(frames, audio)
        alone = torch.cat([network(frames[i : i + 1], audio[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_every_level_hears(network: AudioQueriedNetwork) -> None:
    level, sound = torch.randn(2, 32, 3, 5), torch.randn(2, 4, 32)
    for fusion in network.fusions:
        places = level.permute(0, 2, 3, 1).reshape(2, 15, 32)
        weight, bias = fusion.attention.in_proj_weight, fusion.attention.in_proj_bias
        inputs = (fusion.norm(places), sound, sound)
        q, k, v = (
            (x @ w.T + b).unflatten(2, (4, 8))
            for x, w, b in zip(inputs, weight.chunk(3), bias.chunk(3), strict=True)
        )
        heat = (torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(8)).softmax(dim=3)
        heard = fusion.attention.out_proj(torch.einsum("bhqk,bkhd->bqhd", heat, v).flatten(2))
        expected = (places + heard).reshape(2, 3, 5, 32).permute(0, 3, 1, 2)
        torch.testing.assert_close(fusion(level, sound), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_classes", [1, 3])
def test_gradients_reach_every_parameter(num_classes: int) -> None:
    torch.manual_seed(0)
    network = AudioQueriedNetwork(replace(SMALL, num_classes=num_classes), audio=Loudness())
    network(torch.rand(2, 3, 64, 64), torch.rand(2, 4000)).square().mean().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert not without
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_half_precision(network: AudioQueriedNetwork) -> None:
    frames, audio = torch.rand(1, 3, 64, 64), torch.rand(1, 4000)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = network(frames, audio)
    with torch.inference_mode():
        fine = network(frames, audio)
    assert (coarse - fine).abs().max() < 0.1 * fine.abs().max()


def test_it_learns_masks_that_only_the_sound_tells() -> None:
    """One picture, two tones: the low one means its left half, the high one its right half."""
    torch.manual_seed(0)
    network = AudioQueriedNetwork(SMALL)
    frames = torch.rand(1, 3, 64, 64).expand(2, -1, -1, -1)
    times = torch.arange(15_600) / 16_000
    audio = torch.stack([torch.sin(2 * torch.pi * hertz * times) for hertz in (300, 2500)]) / 2
    network.audio.requires_grad_(False)
    tokens = network.audio.tokens(audio)  # which stay as they are
    network.audio.tokens = lambda samples: tokens if samples is audio else tokens.flip(0)  # type: ignore[method-assign]
    masks = torch.zeros(2, 1, 16, 16)
    masks[0, :, :, :8] = masks[1, :, :, 8:] = 1
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = F.binary_cross_entropy_with_logits(network(frames, audio), masks)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 0.5
    assert losses[-1] < 0.05
    with torch.inference_mode():
        swapped = network.eval()(frames, audio.flip(0)) > 0
    assert (swapped == masks.flip(0).bool()).float().mean() > 0.95


@pytest.mark.parametrize(
    ("frames", "audio", "message"),
    [
        ((3, 64, 64), (1, 4000), r"frames must be .* got \(3, 64, 64\)"),
        ((1, 64, 64, 3), (1, 4000), r"frames must be .* got \(1, 64, 64, 3\)"),
        ((1, 3, 31, 64), (1, 4000), "at least 32 pixels"),
        ((2, 3, 64, 64), (1, 4000), r"each of the 2 frames, got \(1, 4000\)"),
        ((1, 3, 64, 64), (4000,), r"audio must be \(K, n\).* got \(4000,\)"),
        ((1, 3, 64, 64), (1, 0), r"audio must be \(K, n\).* got \(1, 0\)"),
    ],
)
def test_other_shapes_are_refused(
    network: AudioQueriedNetwork, frames: tuple[int, ...], audio: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        network(torch.zeros(frames), torch.zeros(audio))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 30}, "multiple of 4"),
        ({"width": 36, "heads": 8}, "multiple of 4 and of heads"),
        ({"num_classes": 0}, "at least 1"),
        ({"decoder_layers": 0}, "at least 1"),
    ],
)
def test_impossible_sizes_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(CoPropError, match=message):
        replace(SMALL, **change)
