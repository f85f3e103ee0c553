"""How other people's networks are stored and loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from coprop.encoders.deeplab import DeepLab
from coprop.encoders.released import WEIGHTS, ConvReLU6, ReleasedNetwork, dequantise
from coprop.encoders.u2net import U2Net
from coprop.encoders.yamnet import YAMNet
from coprop.errors import CheckpointError

NETWORKS = [YAMNet, DeepLab, U2Net]


@pytest.mark.parametrize("network", NETWORKS)
def test_loading_draws_no_numbers_and_ends_in_evaluation(network: type[ReleasedNetwork]) -> None:
    before = torch.random.get_rng_state()
    loaded = network.from_pretrained()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not loaded.training
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


@pytest.mark.parametrize("network", NETWORKS)
def test_floats_can_be_stored_and_loaded_too(
    network: type[ReleasedNetwork], tmp_path: Path
) -> None:
    first = network.from_pretrained()
    save_file(first.state_dict(), tmp_path / "model.safetensors")
    second = network.from_pretrained(tmp_path)
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


@pytest.mark.parametrize("network", NETWORKS)
def test_weights_of_another_network_are_refused(
    network: type[ReleasedNetwork], tmp_path: Path
) -> None:
    other = NETWORKS[NETWORKS.index(network) - 1]
    with pytest.raises(CheckpointError, match=f"not a checkpoint of {network.__name__}"):
        network.from_pretrained(WEIGHTS / other.folder)
    with pytest.raises(CheckpointError, match="there is no checkpoint file at"):
        network.from_pretrained(tmp_path)


def test_eight_bits_stay_eight_bits() -> None:
    for network, dtype in ((YAMNet, torch.int8), (DeepLab, torch.uint8), (U2Net, torch.float16)):
        state = load_file(WEIGHTS / network.folder / "model.safetensors")
        weights = [tensor for name, tensor in state.items() if name.endswith(".weight")]
        assert {weight.dtype for weight in weights} == {dtype}


def test_all_of_them_take_less_than_nine_megabytes() -> None:
    files = [WEIGHTS / network.folder / "model.safetensors" for network in NETWORKS]
    assert sum(file.stat().st_size for file in files) < 9e6


def test_dequantising() -> None:
    state = {
        "a.weight": torch.tensor([[0, 255], [10, 20]], dtype=torch.uint8),
        "a.weight.scale": torch.tensor(0.5),
        "a.weight.zero_point": torch.tensor(10, dtype=torch.int32),
        "b.weight": torch.tensor([[-128], [127]], dtype=torch.int8),
        "b.weight.scale": torch.tensor([[1.0], [2.0]]),
        "norm.scale": torch.tensor([3.0]),  # a parameter of that name
    }
    weights = dequantise(state)
    assert set(weights) == {"a.weight", "b.weight", "norm.scale"}
    assert weights["a.weight"].tolist() == [[-5.0, 122.5], [0.0, 5.0]]
    assert weights["b.weight"].tolist() == [[-128.0], [254.0]]
    assert weights["norm.scale"].tolist() == [3.0]


@pytest.mark.parametrize(("size", "before"), [(8, 0), (9, 1)])
def test_zeros_are_added_as_tensorflow_does(size: int, before: int) -> None:
    layer = ConvReLU6(1, 1, 3, stride=2)
    x = torch.rand(1, 1, size, size)
    padded = F.pad(x, (before, 1, before, 1))
    expected = F.conv2d(padded, layer[0].weight, layer[0].bias, stride=2).clamp(0, 6)
    torch.testing.assert_close(layer(x), expected)
    assert layer(x).shape[-1] == -(-size // 2)
