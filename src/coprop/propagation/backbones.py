"""Image encoders of the propagator: four feature maps of a frame, fine to coarse.

The numbers in the networks below (widths, kernels, strides, blocks) are those of their papers, and
parameter names of ResNet and MobileNetV2 are torchvision's, which the official AOT files keep;
batch normalisation is frozen into buffers there as here, and folded into the convolution before it
frame by frame. Activations and sums are written over the map they are of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coprop.encoders.convolution import convolve
from coprop.encoders.efficientnet import TAPS, EfficientNetLite0
from coprop.encoders.visual import IMAGENET_MEAN, IMAGENET_STD

_HALF = (0.5, 0.5, 0.5)  # mean and spread of colours in [0, 1], as EfficientNet-Lite was trained

EncoderName = Literal["resnet50", "resnet101", "mobilenetv2", "efficientnet_lite0"]


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation whose statistics and affine terms are buffers, never updated.

    It holds them; `coprop.encoders.convolution.convolve` applies them.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            self.register_buffer(name, torch.full((channels,), value))
        for name, value in (("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))


class Backbone(nn.Module):
    """An encoder: (B, 3, H, W) RGB in [0, 1] to maps (B, C_l, h_l, w_l) at strides 4, 8, 16 and 16.

    The fourth map is the deepest one, which the transformer sees after projection; it may be the
    third one itself. ``channels`` holds the four widths.

    Args:
        mean: of each colour, which is taken away.
        std: spread of each colour, by which the rest is divided.
    """

    channels: tuple[int, int, int, int]
    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def normalise(self, frame: Tensor) -> Tensor:
        """The frame as the convolutions take it: at their precision, and channels last.

        Their maps are faster so, and the tokens of these need no copies.
        """
        normalised = (frame - self.mean) / self.std
        return normalised.to(self.mean.dtype, memory_format=torch.channels_last)


class ConvNorm(nn.Sequential):
    """A convolution, numbered 0, and its normalisation, numbered 1; then nothing or ReLU6."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int,
        *more: nn.Module,
        groups: int = 1,
        dilation: int = 1,
    ) -> None:
        padding = (kernel - 1) // 2 * dilation
        conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False
        )
        super().__init__(conv, FrozenBatchNorm2d(out_channels), *more)

    def forward(self, x: Tensor) -> Tensor:
        layers: list[Any] = [*self]
        conv, norm, *relu6 = layers
        return convolve(conv, x, norm, "relu6" if relu6 else "none")


class Bottleneck(nn.Module):
    """ResNet's block of 1x1, 3x3 and 1x1 convolutions; the 3x3 has the stride, as torchvision's."""

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = 4 * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = FrozenBatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = FrozenBatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = FrozenBatchNorm2d(out_channels)
        self.downsample = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.downsample = ConvNorm(in_channels, out_channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = convolve(self.conv1, x, self.bn1, "relu")
        y = convolve(self.conv2, y, self.bn2, "relu")
        y = convolve(self.conv3, y, self.bn3)
        return F.relu(y.add_(self.downsample(x)), inplace=True)


def _bottlenecks(in_channels: int, width: int, count: int, stride: int) -> nn.Sequential:
    blocks = [Bottleneck(in_channels, width, stride)]
    blocks += [Bottleneck(4 * width, width, 1) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


class ResNet50(Backbone):
    """ResNet-50 up to stride 16; its stem and first stage do not train, as in AOT."""

    channels = (256, 512, 1024, 1024)
    DEPTH = 6
    """Blocks at stride 16. The stage after them, at stride 32, is left out."""

    def __init__(self) -> None:
        super().__init__(IMAGENET_MEAN, IMAGENET_STD)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = FrozenBatchNorm2d(64)
        self.layer1 = _bottlenecks(64, 64, 3, stride=1)
        self.layer2 = _bottlenecks(256, 128, 4, stride=2)
        self.layer3 = _bottlenecks(512, 256, self.DEPTH, stride=2)
        for stage in (self.conv1, self.layer1):
            stage.requires_grad_(False)

    def forward(self, frame: Tensor) -> list[Tensor]:
        x = convolve(self.conv1, self.normalise(frame), self.bn1, "relu")
        x = self.layer1(F.max_pool2d(x, 3, 2, padding=1))
        y = self.layer2(x)
        z = self.layer3(y)
        return [x, y, z, z]


class ResNet101(ResNet50):
    """ResNet-101, which is deeper at stride 16."""

    DEPTH = 23


def _relu6(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int,
    groups: int = 1,
    dilation: int = 1,
) -> ConvNorm:
    activation = nn.ReLU6(inplace=True)
    return ConvNorm(
        in_channels, out_channels, kernel, stride, activation, groups=groups, dilation=dilation
    )


class InvertedResidual(nn.Module):
    """MobileNetV2's block: widened, filtered depthwise, narrowed without activation."""

    def __init__(
        self, in_channels: int, out_channels: int, expansion: int, stride: int, dilation: int
    ) -> None:
        super().__init__()
        width = in_channels * expansion
        expand = [_relu6(in_channels, width, 1, 1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *expand,
            _relu6(width, width, 3, stride, groups=width, dilation=dilation),
            nn.Conv2d(width, out_channels, 1, bias=False),
            FrozenBatchNorm2d(out_channels),
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        modules: list[Any] = [*self.conv]
        *layers, narrow, norm = modules
        y = x
        for layer in layers:
            y = layer(y)
        y = convolve(narrow, y, norm)
        return y.add_(x) if self.residual else y


class MobileNetV2(Backbone):
    """MobileNetV2 held at stride 16: its last stages are dilated instead of strided."""

    channels = (24, 32, 96, 1280)
    # expansion, channels, blocks, stride, dilation of the first block, dilation of the others
    STAGES = (
        (1, 16, 1, 1, 1, 1),
        (6, 24, 2, 2, 1, 1),
        (6, 32, 3, 2, 1, 1),
        (6, 64, 4, 2, 1, 1),
        (6, 96, 3, 1, 1, 1),
        (6, 160, 3, 1, 1, 2),
        (6, 320, 1, 1, 2, 2),
    )
    TAPS = (3, 6, 13, 18)  # the last layers at strides 4 and 8, before dilation, and of all

    def __init__(self) -> None:
        super().__init__(IMAGENET_MEAN, IMAGENET_STD)
        layers: list[nn.Module] = [_relu6(3, 32, 3, 2)]
        width = 32
        for expansion, channels, blocks, stride, first_dilation, dilation in self.STAGES:
            for i in range(blocks):
                rate = dilation if i else first_dilation
                step = 1 if i else stride
                layers.append(InvertedResidual(width, channels, expansion, step, rate))
                width = channels
        layers.append(_relu6(width, self.channels[-1], 1, 1))
        self.features = nn.Sequential(*layers)

    def forward(self, frame: Tensor) -> list[Tensor]:
        x = self.normalise(frame)
        maps = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.TAPS:
                maps.append(x)
        return maps


class Lite0(Backbone):
    """EfficientNet-Lite0 cut after stride 16, and frozen.

    It is the default's: 0.7 M parameters that need no training, and quick on a CPU.
    """

    channels = (24, 40, 112, 112)

    def __init__(self) -> None:
        super().__init__(_HALF, _HALF)
        net = EfficientNetLite0(stages=TAPS[-1] + 1, norm=FrozenBatchNorm2d)
        self.net = net.requires_grad_(False)

    def forward(self, frame: Tensor) -> list[Tensor]:
        maps = self.net.stage_maps(self.normalise(frame))
        return [*(maps[i] for i in TAPS), maps[-1]]


def build_backbone(name: EncoderName) -> Backbone:
    """The encoder of that name, with random weights.

    >>> maps = build_backbone("mobilenetv2")(torch.rand(1, 3, 65, 81))
    >>> [tuple(x.shape) for x in maps]
    [(1, 24, 17, 21), (1, 32, 9, 11), (1, 96, 5, 6), (1, 1280, 5, 6)]
    """
    return {
        "resnet50": ResNet50,
        "resnet101": ResNet101,
        "mobilenetv2": MobileNetV2,
        "efficientnet_lite0": Lite0,
    }[name]()
