"""Visual encoders: image classification networks from timm, cut into feature maps."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from coprop.checkpoints.weights import load_state_dict, read_state_dict
from coprop.encoders.released import check_frames
from coprop.errors import CoPropError
from coprop.utils.paths import AnyPath

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The colours of ImageNet, by which most image encoders were trained to be normalised."""

_LEVELS = 4  # the deepest of a network's maps, those at strides of 4 to 32

# The stages that the PVTv2 release numbers from 1 are nested modules in timm, numbered from 0.
_RELEASED_NAMES = re.compile(r"^(patch_embed|block|norm)([1-4])\.")
_STAGE_PARTS = {"patch_embed": "downsample", "block": "blocks", "norm": "norm"}


class VisualEncoder(nn.Module):
    """The last four feature maps of a timm network, usually at strides 4, 8, 16 and 32.

    Weights are random until they are loaded; nothing is ever downloaded.

    Args:
        name: of the network in timm: "resnet50" and "pvt_v2_b5" are the paper's.

    Attributes:
        channels: of each feature map, fine to coarse.
        strides: of each feature map, in pixels.

    Raises:
        CoPropError: a name that timm does not know, or a network without four feature maps.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        import timm

        known = isinstance(name, str) and timm.is_model(name)
        config = timm.get_pretrained_cfg(name) if known else None
        if config is None:
            raise CoPropError(
                f"timm has no network named {name!r}; 'resnet50', 'pvt_v2_b5' and "
                "'tf_efficientnet_lite0' are common choices, timm.list_models() names them all."
            )
        self.network = timm.create_model(name, pretrained=False, features_only=True)
        levels = self.network.feature_info.get_dicts()[-_LEVELS:]
        if len(levels) < _LEVELS:
            raise CoPropError(
                f"{name} has {len(levels)} feature maps, {_LEVELS} are needed; choose a network "
                "with strides 4, 8, 16 and 32, such as 'resnet50'."
            )
        self.channels = tuple(level["num_chs"] for level in levels)
        self.strides = tuple(level["reduction"] for level in levels)
        self.register_buffer("mean", torch.tensor(config.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(3, 1, 1), persistent=False)

    def load_checkpoint(self, path: AnyPath) -> None:
        """Reads a classification checkpoint: timm's, torchvision's ResNet or the PVTv2 release's.

        The classifier and whatever else is not part of the feature maps is left out.

        Raises:
            CheckpointError: a file that is not there, not readable, or of another network.
        """
        own = self.network.state_dict().keys()
        renamed = {
            name if name in own else feature_name(name): tensor
            for name, tensor in read_state_dict(path).items()
        }
        state = {name: tensor for name, tensor in renamed.items() if name in own}
        load_state_dict(self.network, state, str(path))

    def forward(self, frames: Tensor) -> list[Tensor]:
        """(B, 3, H, W) RGB in [0, 1] -> four maps (B, channels[i], ~H / s, ~W / s), fine first.

        Raises:
            ShapeError: frames of another shape, or not floats.
        """
        check_frames(frames)
        features: list[Tensor] = self.network((frames - self.mean) / self.std)
        return features[-_LEVELS:]


def feature_name(name: str) -> str:
    """The name, in timm's feature extractor, of a parameter of a whole classifier.

    PVTv2's released names ("block1.0.norm1.weight") and timm's ("stages.0.blocks.0.norm1.weight")
    become "stages_0.blocks.0.norm1.weight"; a name that is neither stays as it is.
    """
    name = _RELEASED_NAMES.sub(_stage_name, name).replace(".dwconv.dwconv.", ".dwconv.")
    return re.sub(r"^stages\.(\d)\.", r"stages_\1.", name)


def _stage_name(match: re.Match[str]) -> str:
    part, stage = match[1], int(match[2]) - 1
    if part == "patch_embed" and stage == 0:
        return "patch_embed."
    return f"stages_{stage}.{_STAGE_PARTS[part]}."


def normalised(frames: Tensor) -> Tensor:
    """(..., 3, H, W) RGB in [0, 1] -> the same with ImageNet's mean 0 and deviation 1."""
    mean, std = (frames.new_tensor(x).view(3, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_STD))
    return (frames - mean) / std
