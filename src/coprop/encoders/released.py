"""Other people's networks whose weights come inside the package.

A folder in the package's weights/ holds a model.safetensors. A weight in it that is an 8-bit
integer, as it was released, or float16, has a float ``name.scale`` beside it, and a
``name.zero_point`` where that is not 0; ``(name - zero_point) * scale`` is meant. Scales are one
number or one a channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

from coprop.checkpoints.undrawn import to_be_filled
from coprop.checkpoints.weights import load_state_dict, read_state_dict
from coprop.encoders.convolution import convolve
from coprop.errors import CheckpointError, ShapeError
from coprop.utils.checks import shown
from coprop.utils.paths import AnyPath, as_path

WEIGHTS = Path(__file__).parents[1] / "weights"
FILE = "model.safetensors"
_SCALE, _ZERO_POINT = ".scale", ".zero_point"
_Network = TypeVar("_Network", bound="ReleasedNetwork")


class ReleasedNetwork(nn.Module):
    """A network that `from_pretrained()` makes with the weights inside the package."""

    folder: ClassVar[str]
    """Of the weights, inside the package's weights/."""

    @classmethod
    def from_pretrained(cls: type[_Network], folder: AnyPath | None = None) -> _Network:
        """The network with its released weights, in float32, on the CPU; no network access.

        Args:
            folder: with another model.safetensors, with scales or without; by default the one
                inside the package.

        Raises:
            CheckpointError: a folder without that file, or with the file of another network.
        """
        path = (
            WEIGHTS / cls.folder
            if folder is None
            else as_path("folder", folder, error=CheckpointError)
        ) / FILE
        state = dequantise(read_state_dict(path))
        with to_be_filled():
            network = cls()
        load_state_dict(network, state, str(path))
        return network.float().eval()


class ConvReLU6(nn.Sequential):
    """A 1x1, or a 3x3 convolution with bias, and ReLU6; zeros are added as TensorFlow's SAME does.

    Args:
        before: channels that come in.
        after: channels that go out.
        kernel: 1 or 3.
        stride: 1 or 2. At 2, even sizes get a row and a column of zeros at the end only, odd ones
            one on each side; the input's size is halved, rounded up.
        dilation: of a 3x3 kernel, at stride 1.
        depthwise: one filter for each channel.
    """

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        depthwise: bool = False,
    ) -> None:
        padding = 0 if kernel == 1 or stride == 2 else dilation
        groups = before if depthwise else 1
        convolution = nn.Conv2d(
            before, after, kernel, stride, padding, dilation=dilation, groups=groups
        )
        super().__init__(convolution, nn.ReLU6(inplace=True))
        self.pads = stride == 2 and kernel == 3

    def forward(self, x: Tensor) -> Tensor:
        if self.pads:
            odd_rows, odd_columns = (size % 2 for size in x.shape[-2:])
            x = F.pad(x, (odd_columns, 1, odd_rows, 1))
        layers: list[Any] = [*self]
        return convolve(layers[0], x, activation="relu6")


def dequantise(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that have scales beside them, in float32; others stay as they are."""
    parts = {
        name + ending
        for name in state
        for ending in (_SCALE, _ZERO_POINT)
        if name + _SCALE in state and name + ending in state
    }
    weights = {name: tensor for name, tensor in state.items() if name not in parts}
    for name in weights:
        if name + _SCALE in state:
            stored = weights[name].float()
            if name + _ZERO_POINT in state:
                stored = stored - state[name + _ZERO_POINT].float()
            weights[name] = stored * state[name + _SCALE].float()
    return weights


def check_frames(frames: Tensor) -> None:
    """Raises ShapeError for what is not (B, 3, H, W) floating-point frames, none of them empty."""
    fits = isinstance(frames, Tensor) and frames.ndim == 4 and frames.shape[1] == 3
    if not fits or 0 in frames.shape[2:]:
        given = tuple(frames.shape) if isinstance(frames, Tensor) else shown(frames)
        raise ShapeError(
            f"frames must be (B, 3, H, W), got {given}; give a tensor, add a batch axis with "
            "frames[None], and move the channels of (H, W, 3) to the front."
        )
    if not frames.is_floating_point():
        raise ShapeError(
            f"frames must be floating-point RGB in [0, 1], got {frames.dtype}; divide uint8 "
            "frames by 255."
        )
