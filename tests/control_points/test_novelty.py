from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from coprop.control_points import novelty
from coprop.control_points.novelty import _default_weights, context_features, network_logits


def bands(frames: int) -> NDArray[np.float32]:
    return np.random.default_rng(frames).random((frames, 64)).astype(np.float32)


def torch_logits(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The network with torch's own convolutions, from the shipped weights."""
    weights = {name: torch.tensor(array) for name, array in _default_weights().items()}

    def convolve(x: torch.Tensor, name: str, taps: int, dilation: int, stride: int) -> torch.Tensor:
        kernel = weights[f"{name}.weight"].reshape(taps, x.shape[0], -1).permute(2, 1, 0)
        padding = taps // 2 * dilation
        return F.conv1d(x[None], kernel, weights[f"{name}.bias"], stride, padding, dilation)[0]

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, weights[f"{name}.weight"].T, weights[f"{name}.bias"])

    steps = F.relu(convolve(torch.tensor(x).T, "stem", 5, 1, 2))
    for index, dilation in enumerate(novelty.DILATIONS):
        inner = F.relu(convolve(steps, f"blocks.{index}.conv", 3, dilation, 1))
        steps = steps + linear(inner.T, f"blocks.{index}.mix").T
    described = linear(F.relu(steps).T, "describe")
    context = torch.tensor(context_features(described.numpy()))
    return linear(F.relu(linear(context, "hidden")), "out")[:, 0].numpy()


@pytest.mark.parametrize("frames", [2, 4, 30, 400])
def test_the_network_equals_torch(frames: int) -> None:
    x = bands(frames)
    np.testing.assert_allclose(network_logits(x, _default_weights()), torch_logits(x), atol=2e-3)


def test_contexts_before_and_after_a_step() -> None:
    steps = np.random.default_rng(0).normal(size=(130, 3)).astype(np.float32)
    at, parts = 60, [steps[60]]
    for radius in novelty.MEAN_RADII:
        parts.append(steps[at : at + radius].mean(0) - steps[at - radius : at].mean(0))
    for radius in novelty.MAX_RADII:
        parts.append(steps[at : at + radius].max(0) - steps[at - radius : at].max(0))
    expected = [parts[0]] + [p for d in parts[1:] for p in (np.abs(d), d)]
    features = context_features(steps)
    assert features.shape == (130, 3 * novelty.NUM_CONTEXT_FEATURES)
    np.testing.assert_allclose(features[at], np.concatenate(expected), atol=1e-5)


def test_blocks_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    x = bands(1500)
    whole = network_logits(x, _default_weights())
    monkeypatch.setattr(novelty, "_BLOCK_STEPS", 170)
    np.testing.assert_allclose(network_logits(x, _default_weights()), whole, atol=1e-3)
