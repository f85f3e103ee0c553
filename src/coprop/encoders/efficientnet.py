"""EfficientNet-Lite0, an ImageNet classifier.

Tan and Le, "EfficientNet", ICML 2019, without squeeze-and-excitation and with ReLU6, as Google
released it for small devices. Parameter names are those of timm's tf_efficientnet_lite0, which it
equals; timm itself takes seconds to load.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from coprop.encoders.convolution import convolve

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
        x = _same(self.conv_stem, self.bn1, frames)
        maps = []
        for stage in self.blocks:
            x = stage(x)
            maps.append(x)
        return maps

    def features(self, frames: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 1280, ceil(H / 32), ceil(W / 32)), and the maps of the stages."""
        maps = self.stage_maps(frames)
        return convolve(self.conv_head, maps[-1], self.bn2, "relu6"), maps

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
            y = _same(conv, its_norm, y)
        y = convolve(narrow, y, norm)
        return y.add_(x) if self.adds else y


def _same(conv: nn.Conv2d, norm: Any, x: Tensor) -> Tensor:
    """`convolve` and ReLU6, padded as by TensorFlow: at stride 2 even sizes less at the start."""
    even = [size % 2 == 0 and conv.stride[0] == 2 for size in x.shape[-2:]]
    if not any(even):
        return convolve(conv, x, norm, "relu6")
    half = conv.kernel_size[0] // 2
    x = F.pad(x, (half - even[1], half, half - even[0], half))
    return convolve(conv, x, norm, "relu6", padding=(0, 0))
