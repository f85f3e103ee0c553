"""Convolutions with their batch normalisation folded in, and their activation in the same call.

Where nothing is learnt, scaled weights are kept from call to call; on CPUs as oneDNN, which
convolves there, packs them. Of plain weights it does so anew in each call, which takes longer than
all else where maps are small; and an activation by itself reads and writes the map once more. The
functions for both are those that torch's compiler calls. Where a build of torch lacks them, on
other devices and with gradients the same comes of one layer after the other.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["none", "relu", "relu6"]
_FUSED: dict[Activation, tuple[str, list[float]]] = {
    "none": ("none", []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
}
PACKED = "_convolution_pointwise"
"""The name, among those of ``torch.ops.mkldnn``, of what convolves with packed weights."""

_Packing = tuple[Any, ...]


class ConvReLU(nn.Sequential):
    """A convolution, numbered 0, and ReLU; arguments are those of `torch.nn.Conv2d`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(nn.Conv2d(*args, **options), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        layers: list[Any] = [*self]
        return convolve(layers[0], x, activation="relu")


def convolve(
    conv: nn.Conv2d,
    x: Tensor,
    norm: Any = None,
    activation: Activation = "none",
    padding: tuple[int, ...] | None = None,
) -> Tensor:
    """A convolution, the batch normalisation after it, and an activation, in one.

    The running statistics are used, never the batch's. Neither ``state_dict`` nor training knows of
    the weights that are kept: they are kept only where no gradients are.

    Args:
        conv: its weights, stride, dilation and groups are used; zeros are added at the edges.
        x: (B, C, H, W).
        norm: with weight, bias, running_mean, running_var and eps, after a convolution without
            bias; None for none.
        activation: what comes last.
        padding: in place of the convolution's own.

    >>> import torch
    >>> conv, norm = nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8).eval()
    >>> x = torch.rand(1, 3, 4, 4)
    >>> torch.allclose(convolve(conv, x, norm, "relu"), norm(conv(x)).relu(), atol=1e-5)
    True
    """
    own = _tensors(conv, norm)
    places = (conv.padding if padding is None else padding, conv.stride, conv.dilation, conv.groups)
    changing = torch.is_grad_enabled() or torch.compiler.is_compiling()
    if changing or any(tensor.is_inference() for tensor in own):  # which tell no changes
        weight, bias = _folded(own, norm)
        return _one_by_one(x, weight, bias, places, activation)
    dtype = _packed_as(x, conv.weight)
    packing = None if dtype is None else (*places, x.shape[1:], dtype)
    kept = _KEPT.get(conv)
    if kept is None or not kept.is_of(own, packing):
        _KEPT[conv] = kept = _Kept.of(own, norm, packing, x.shape)
    if packing is None:
        return _one_by_one(x, kept.weight, kept.bias, places, activation)
    return _with_packed(x.to(packing[-1]), kept.weight, kept.bias, places, activation)


def _one_by_one(
    x: Tensor, weight: Tensor, bias: Tensor | None, places: _Packing, activation: Activation
) -> Tensor:
    padding, stride, dilation, groups = places
    x = F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    if activation == "relu":
        return F.relu(x, inplace=True)
    return F.relu6(x, inplace=True) if activation == "relu6" else x


def _packed_as(x: Tensor, weight: Tensor) -> torch.dtype | None:
    """The precision in which oneDNN convolves with weights that it has packed; None if not at all.

    Under autocast that is autocast's.
    """
    on_cpu = x.device.type == "cpu" and type(x) is Tensor  # a fake one computes nothing
    if not on_cpu or not torch.backends.mkldnn.enabled:
        return None
    dtype = weight.dtype
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
    elif x.dtype != dtype:  # which torch refuses
        return None
    return dtype if _packs(dtype) else None


@functools.cache
def _packs(dtype: torch.dtype) -> bool:
    mkldnn = torch.ops.mkldnn
    # On ARM it is Arm's library that convolves, without an activation: the compiler leaves it out.
    if not hasattr(mkldnn, PACKED) or mkldnn._is_mkldnn_acl_supported():
        return False
    if dtype == torch.bfloat16:
        return bool(mkldnn._is_mkldnn_bf16_supported()) and _agrees(dtype)
    return dtype == torch.float32 and _agrees(dtype)


def _agrees(dtype: torch.dtype) -> bool:
    """Whether torch's functions, which it does not document, still do what they did; by a trial."""
    one = torch.ones(1, 1, 1, 1, dtype=dtype, device="cpu")
    places = ((0, 0), (1, 1), (1, 1), 1)
    try:
        out = _with_packed(one, _packed(one, places, one.shape), None, places, "relu6")
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.equal(out, one)


def _packed(weight: Tensor, places: _Packing, shape: torch.Size) -> Tensor:
    """The weight as oneDNN wants it, for maps of a shape."""
    pack = torch.ops.aten.mkldnn_reorder_conv2d_weight
    packed: Tensor = pack(weight.to_mkldnn(), *places, shape)
    return packed


def _with_packed(
    x: Tensor, weight: Tensor, bias: Tensor | None, places: _Packing, activation: Activation
) -> Tensor:
    name, bounds = _FUSED[activation]
    out: Tensor = getattr(torch.ops.mkldnn, PACKED)(x, weight, bias, *places, name, bounds, "")
    return out


def _tensors(conv: nn.Conv2d, norm: Any) -> tuple[Tensor, ...]:
    if norm is None:
        return (conv.weight,) if conv.bias is None else (conv.weight, conv.bias)
    return conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var


def _folded(tensors: tuple[Tensor, ...], norm: Any) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a convolution that normalises as well, where there is a norm."""
    if norm is None:
        return tensors[0], tensors[1] if len(tensors) > 1 else None
    weight, factor, added, mean, variance = tensors
    scale = factor * (variance + norm.eps).rsqrt()
    return weight * scale[:, None, None, None], added - mean * scale


@dataclass(frozen=True, eq=False)
class _Kept:
    """Weights as they are used, and what they were made of.

    Args:
        made_of: the tensors; as long as their memory is held here, no others can lie there.
        versions: how often each had been written to.
        packing: for which convolution of which maps they are packed; None where they are plain.
        weight, bias: of `_folded`.
    """

    made_of: tuple[Tensor, ...]
    versions: tuple[int, ...]
    packing: _Packing | None
    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(
        cls, tensors: tuple[Tensor, ...], norm: Any, packing: _Packing | None, shape: torch.Size
    ) -> _Kept:
        weight, bias = _folded(tensors, norm)
        versions = tuple(tensor._version for tensor in tensors)
        if packing is None:
            # As convolutions of maps whose channels come last read it.
            weight = weight.contiguous(memory_format=torch.channels_last)
        else:
            *places, _, dtype = packing
            weight = _packed(weight.detach().to(dtype), tuple(places), shape)
            bias = None if bias is None else bias.detach().to(dtype)
        made_of = tuple(tensor.detach() for tensor in tensors)
        return cls(made_of, versions, packing, weight, bias)

    def is_of(self, tensors: tuple[Tensor, ...], packing: _Packing | None) -> bool:
        """Whether the tensors are what they were, and used as they were."""
        return packing == self.packing and all(
            new.data_ptr() == old.data_ptr() and new._version == version
            for new, old, version in zip(tensors, self.made_of, self.versions, strict=True)
        )


_KEPT: WeakKeyDictionary[nn.Conv2d, _Kept] = WeakKeyDictionary()
