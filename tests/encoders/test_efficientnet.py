"""EfficientNet-Lite0 against timm's, and what the package reads it from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coprop.checkpoints.weights import load_state_dict, read_state_dict
from coprop.encoders.efficientnet import TAPS, EfficientNetLite0
from coprop.encoders.released import FILE, WEIGHTS, dequantise
from coprop.propagation.backbones import build_backbone


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    import timm

    network = timm.create_model("tf_efficientnet_lite0").eval().double()
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return network


@pytest.fixture(scope="module")
def ours(theirs: nn.Module) -> EfficientNetLite0:
    network = EfficientNetLite0().double()
    network.load_state_dict(theirs.state_dict())
    return network.eval()


@pytest.mark.parametrize("size", [(64, 96), (65, 81), (63, 70), (33, 32), (1, 1)])
def test_it_equals_timm(ours: EfficientNetLite0, theirs: nn.Module, size: tuple[int, int]) -> None:
    frames = torch.rand(2, 3, *size, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        expected, pyramid = theirs.forward_intermediates(frames, indices=(1, 2, 3))
        features, maps = ours.features(frames)
        torch.testing.assert_close(features, expected)
        for tap, level in zip(TAPS, pyramid, strict=True):
            torch.testing.assert_close(maps[tap], level)
        torch.testing.assert_close(ours(frames), theirs(frames))
        places = ours.classify(features)
    torch.testing.assert_close(places.mean(dim=(2, 3)), theirs(frames))


def test_the_propagators_is_its_beginning(ours: EfficientNetLite0) -> None:
    backbone = build_backbone("efficientnet_lite0").double()
    whole = {f"net.{name}": tensor for name, tensor in ours.state_dict().items()}
    backbone.load_state_dict({name: whole[name] for name in backbone.state_dict()})
    frames = torch.rand(1, 3, 65, 81, dtype=torch.float64)
    with torch.no_grad():
        maps = ours.stage_maps(frames * 2 - 1)
        for level, tap in zip(backbone(frames), (*TAPS, TAPS[-1]), strict=True):
            torch.testing.assert_close(level, maps[tap])


def test_it_reads_the_packages_weights() -> None:
    state = dequantise(read_state_dict(WEIGHTS / "imagenet" / FILE))
    load_state_dict(EfficientNetLite0(), state, "imagenet")
