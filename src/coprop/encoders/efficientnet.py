"""EfficientNet-Lite0, an ImageNet classifier, and convolutions with their normalisation folded in.

Tan and Le, "EfficientNet", ICML 2019, without squeeze-and-excitation and with ReLU6, as Google
released it for small devices. Parameter names are those of timm's tf_efficientnet_lite0, which it
equals; timm itself takes seconds to load.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Expansion, channels, blocks, kernel and first stride of each stage: the table of the paper.
_STAGES = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
_STEM, _FINAL = 32, 1280  # channels
_CLASSES = 1000
_EPS = 1e-3  # TensorFlow's
Norm = Callable[[int, float], nn.Module]
TAPS = (1, 2, 4)
"""The last stages at strides 4, 8 and 16, with 24, 40 and 112 channels."""


def convolve(conv: nn.Conv2d, norm: Any, x: Tensor, padding: Any = None) -> Tensor:
    """A convolution without bias and the batch normalisation after it, in one.

    Its running statistics are used, never the batch's. Neither ``state_dict`` nor training knows of
    the scaled weights: they are kept from call to call only where no gradients are.

    Args:
        conv: its weights, stride, dilation and groups are used.
        norm: with weight, bias, running_mean, running_var and eps.
        x: (B, C, H, W).
        padding: in place of the convolution's own.

    >>> import torch
    >>> conv, norm = nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8).eval()
    >>> x = torch.rand(1, 3, 4, 4)
    >>> torch.allclose(convolve(conv, norm, x), norm(conv(x)), atol=1e-5)
    True
    """
    own = (conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    changing = torch.is_grad_enabled() or torch.compiler.is_compiling()
    if changing or any(tensor.is_inference() for tensor in own):  # which tell no changes
        weight, bias = _folded(own, norm.eps)
    else:
        kept = _KEPT.get(conv)
        if kept is None or not kept.is_of(own):
            _KEPT[conv] = kept = _Kept.of(own, norm.eps)
        weight, bias = kept.weight, kept.bias
    padding = conv.padding if padding is None else padding
    return F.conv2d(x, weight, bias, conv.stride, padding, conv.dilation, conv.groups)


def _folded(tensors: tuple[Tensor, ...], eps: float) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that normalises as well."""
    weight, factor, added, mean, variance = tensors
    scale = factor * (variance + eps).rsqrt()
    return weight * scale[:, None, None, None], added - mean * scale


@dataclass(frozen=True, eq=False)
class _Kept:
    """Scaled weights, and what they were made of.

    Args:
        made_of: the tensors; as long as their memory is held here, no others can lie there.
        versions: how often each had been written to.
        weight, bias: of `_folded`.
    """

    made_of: tuple[Tensor, ...]
    versions: tuple[int, ...]
    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, tensors: tuple[Tensor, ...], eps: float) -> _Kept:
        weight, bias = _folded(tensors, eps)
        versions = tuple(tensor._version for tensor in tensors)
        # As convolutions of maps whose channels come last read it.
        weight = weight.contiguous(memory_format=torch.channels_last)
        return cls(tuple(tensor.detach() for tensor in tensors), versions, weight, bias)

    def is_of(self, tensors: tuple[Tensor, ...]) -> bool:
        """Whether the tensors are what they were."""
        return all(
            new.data_ptr() == old.data_ptr() and new._version == version
            for new, old, version in zip(tensors, self.made_of, self.versions, strict=True)
        )


_KEPT: WeakKeyDictionary[nn.Conv2d, _Kept] = WeakKeyDictionary()


class EfficientNetLite0(nn.Module):
    """(B, 3, H, W) RGB in [-1, 1] of any size -> maps and logits of ImageNet's 1000 classes.

    Weights are random; those inside the package are read where it is used.

    Args:
        stages: how many of the seven there are; with fewer than seven there is no classifier, and
            only `stage_maps` can be called.
        norm: what holds the batch normalisation of so many channels, and its epsilon.
    """

    def __init__(self, stages: int = len(_STAGES), norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, _STEM, 3, 2, 1, bias=False)
        self.bn1 = norm(_STEM, _EPS)
        self.blocks = nn.Sequential()
        before = _STEM
        for expansion, after, count, kernel, stride in _STAGES[:stages]:
            blocks = [_Block(before, after, expansion, kernel, stride, norm)]
            blocks += [_Block(after, after, expansion, kernel, 1, norm) for _ in range(count - 1)]
            self.blocks.append(nn.Sequential(*blocks))
            before = after
        if stages == len(_STAGES):
            self.conv_head = nn.Conv2d(before, _FINAL, 1, bias=False)
            self.bn2 = norm(_FINAL, _EPS)
            self.classifier = nn.Linear(_FINAL, _CLASSES)

    def stage_maps(self, frames: Tensor) -> list[Tensor]:
        """The last map of each stage, finest first."""
        x = F.relu6(_same(self.conv_stem, self.bn1, frames), inplace=True)
        maps = []
        for stage in self.blocks:
            x = stage(x)
            maps.append(x)
        return maps

    def features(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 1280, ceil(H / 32), ceil(W / 32)), and the maps of the stages."""
        maps = self.stage_maps(frames)
        return F.relu6(convolve(self.conv_head, self.bn2, maps[-1]), inplace=True), maps

    def classify(self, features: Tensor) -> Tensor:
        """(B, 1280, h, w) -> (B, 1000, h, w), logits at each place."""
        head = self.classifier
        return F.conv2d(features, head.weight[:, :, None, None], head.bias)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1000) logits."""
        logits: Tensor = self.classifier(self.features(frames)[0].mean(dim=(2, 3)))
        return logits


class _Block(nn.Module):
    """Wider, filtered depthwise, narrower; without the first where nothing is widened."""

    def __init__(
        self, before: int, after: int, expansion: int, kernel: int, stride: int, norm: Norm
    ) -> None:
        super().__init__()
        wide = before * expansion
        filters = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
        if expansion > 1:
            self.conv_pw = nn.Conv2d(before, wide, 1, bias=False)
            self.bn1 = norm(wide, _EPS)
            self.conv_dw, self.bn2 = filters, norm(wide, _EPS)
            self.conv_pwl = nn.Conv2d(wide, after, 1, bias=False)
            self.bn3 = norm(after, _EPS)
        else:
            self.conv_dw, self.bn1 = filters, norm(wide, _EPS)
            self.conv_pw = nn.Conv2d(wide, after, 1, bias=False)
            self.bn2 = norm(after, _EPS)
        self.adds = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        layers: list[Any] = [*self.children()]
        *wider, narrow, norm = layers
        y = x
        for conv, its_norm in zip(wider[::2], wider[1::2], strict=True):
            y = F.relu6(_same(conv, its_norm, y), inplace=True)
        y = convolve(narrow, norm, y)
        return y.add_(x) if self.adds else y


def _same(conv: nn.Conv2d, norm: Any, x: Tensor) -> Tensor:
    """`convolve` with TensorFlow's padding: at stride 2, even sizes get less at the start."""
    even = [size % 2 == 0 and conv.stride[0] == 2 for size in x.shape[-2:]]
    if not any(even):
        return convolve(conv, norm, x)
    half = conv.kernel_size[0] // 2
    x = F.pad(x, (half - even[1], half, half - even[0], half))
    return convolve(conv, norm, x, padding=0)
