"""A convolution, its normalisation and its activation in one call, against the layers in turn."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from coprop.encoders.convolution import PACKED, Activation, ConvReLU, _packs, convolve

PACKS = hasattr(torch.ops.mkldnn, PACKED) and torch.backends.mkldnn.is_available()
packs = pytest.mark.skipif(not PACKS, reason="this build of torch packs no weights")


class Called(TorchDispatchMode):
    """The names of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func.overloadpacket))
        return func(*args, **(kwargs or {}))


def in_turn(conv: nn.Conv2d, x: Tensor, activation: Activation) -> Tensor:
    """In float64, by definition."""
    y = copy.deepcopy(conv).double()(x.double())
    return {"none": y, "relu": y.clamp_min(0), "relu6": y.clamp(0, 6)}[activation]


@given(
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 3),
    depthwise=st.booleans(),
    bias=st.booleans(),
    activation=st.sampled_from(["none", "relu", "relu6"]),
    last=st.booleans(),
    batch=st.integers(0, 3),
    half=st.booleans(),
    seed=st.integers(0, 100),
)
def test_it_is_the_layers_in_turn(
    kernel: int,
    stride: int,
    dilation: int,
    depthwise: bool,
    bias: bool,
    activation: Activation,
    last: bool,
    batch: int,
    half: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    dtype = torch.bfloat16 if half else torch.float32
    padding, groups = kernel // 2 * dilation, 8 if depthwise else 1
    conv = nn.Conv2d(8, 16, kernel, stride, padding, dilation, groups, bias).to(dtype)
    x = (4 * torch.randn(batch, 8, 9, 12)).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last) if last else x
    expected = in_turn(conv, x, activation)
    tolerance = 2**-7 if half else 1e-5  # a step of bfloat16
    for gradients in (False, True):
        with torch.set_grad_enabled(gradients):
            found = convolve(conv, x, activation=activation)
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


@packs
@pytest.mark.parametrize("batch", [1, 2])
def test_weights_are_packed_once_for_maps_of_one_size(batch: int) -> None:
    conv, x = nn.Conv2d(3, 8, 3), torch.rand(batch, 3, 6, 7)
    assert _packs(torch.float32)
    with torch.no_grad(), Called() as called:
        for _ in range(3):
            convolve(conv, x, activation="relu")
    assert called.names.count(f"mkldnn.{PACKED}") == 3
    assert called.names.count("aten.mkldnn_reorder_conv2d_weight") == 1
    assert not {"aten.convolution", "aten.relu", "aten.relu_"} & set(called.names)


def test_what_is_packed_is_of_the_present_weights_padding_and_size() -> None:
    conv, x = nn.Conv2d(3, 8, 3), torch.rand(1, 3, 6, 7)
    with torch.no_grad():
        convolve(conv, x)
        conv.weight.mul_(2)
        torch.testing.assert_close(convolve(conv, x), F.conv2d(x, conv.weight, conv.bias))
        padded = F.conv2d(x, conv.weight, conv.bias, padding=1)
        torch.testing.assert_close(convolve(conv, x, padding=(1, 1)), padded)
        larger = torch.rand(2, 3, 33, 20)
        torch.testing.assert_close(convolve(conv, larger), conv(larger))


@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
def test_under_autocast_it_computes_as_the_layers_do(activation: Activation) -> None:
    conv, x = nn.Conv2d(3, 8, 3), 4 * torch.randn(1, 3, 6, 7)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found, alone = convolve(conv, x, activation=activation), conv(x)
    assert found.dtype == alone.dtype == torch.bfloat16
    expected = in_turn(conv, x, activation)
    torch.testing.assert_close(found.double(), expected, rtol=0.02, atol=0.05)


def test_without_packed_weights_the_layers_are_called() -> None:
    conv, x = nn.Conv2d(3, 8, 3), torch.randn(1, 3, 6, 7)
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), Called() as called:
        found = convolve(conv, x, activation="relu6")
    assert f"mkldnn.{PACKED}" not in called.names
    torch.testing.assert_close(found.double(), in_turn(conv, x, "relu6"), rtol=1e-5, atol=1e-5)


@packs
@pytest.mark.parametrize("fault", [TypeError, RuntimeError, None])
def test_where_torch_packs_otherwise_the_layers_are_called(
    fault: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pack(weight: Tensor, *_: object) -> Tensor:
        if fault is not None:
            raise fault("other arguments")
        return 2 * weight

    monkeypatch.setattr("coprop.encoders.convolution._packed", pack)
    _packs.cache_clear()
    conv, x = nn.Conv2d(3, 8, 3), torch.randn(1, 3, 6, 7)
    with torch.no_grad():
        found = convolve(conv, x, activation="relu")
    assert not _packs(torch.float32)
    _packs.cache_clear()
    torch.testing.assert_close(found.double(), in_turn(conv, x, "relu"), rtol=1e-5, atol=1e-5)


def test_other_precision_than_the_weights_is_refused_as_torch_does() -> None:
    with torch.no_grad(), pytest.raises(RuntimeError):
        convolve(nn.Conv2d(3, 8, 3), torch.rand(1, 3, 6, 7).double())


def test_a_layer_has_the_names_of_a_sequence() -> None:
    layer = ConvReLU(3, 8, 1)
    assert [*layer.state_dict()] == ["0.weight", "0.bias"]
    x = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(layer(x), layer[0](x).relu())
