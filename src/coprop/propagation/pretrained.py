"""The propagator's network with weights: from official files, a folder or the hub, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from coprop.paths import AnyPath
from coprop.propagation.checkpoints import (
    load_audio_encoder,
    load_weights,
    read_weights,
    recognise,
)
from coprop.propagation.config import AudioEncoderName, PropagatorConfig
from coprop.propagation.network import PropagationNetwork
from coprop.weights import PretrainedModel

_Network = TypeVar("_Network", bound="PretrainedNetwork")


class PretrainedNetwork(PropagationNetwork, PretrainedModel):
    """A `PropagationNetwork` that can be loaded and saved, and read from official files."""

    config_type = PropagatorConfig
    tags = ("video-object-segmentation", "audio-visual-segmentation")

    def __init__(self, config: PropagatorConfig | None = None) -> None:
        super().__init__(config or PropagatorConfig())

    @classmethod
    def from_checkpoint(
        cls: type[_Network],
        path: AnyPath,
        *,
        insert_levels: Sequence[int] = (1, 2, 3, 4),
        long_term_gap: int = 5,
        max_memory_frames: int | None = 8,
        max_long_edge: int = 1040,
        audio_encoder: AudioEncoderName = "vggish",
        audio_checkpoint: AnyPath | None = None,
    ) -> _Network:
        """The propagator of an official AOT file, or of one trained from it.

        A file without audio modules leaves these at their start: the gates are shut, and the
        propagator is AOT until it is trained. Encoder, depth and widths come from the file.

        Args:
            path: the file, such as R50_AOTL_PRE_YTB_DAV.pth or a .safetensors.
            insert_levels: (1, 2, 3, 4), (4,) and () are the paper's 4-layer, 1-layer and AOT.
            long_term_gap: frames between two that long-term memory keeps; AOT-T's own is 9999.
            max_memory_frames: bound of long-term memory; None lets it grow, as in the paper.
            max_long_edge: longer frames are scaled down to this many pixels.
            audio_encoder: what the audio modules hear through.
            audio_checkpoint: its weights, for VGGish the file of the PyTorch port; by default those
                in ``path``, or random ones where that has none.

        Raises:
            CheckpointError: no checkpoint, or one that lacks tensors, has others or other shapes.
        """
        state = read_weights(path)
        config = replace(
            recognise(state, path),
            insert_levels=tuple(insert_levels),
            long_term_gap=long_term_gap,
            max_memory_frames=max_memory_frames,
            max_long_edge=max_long_edge,
            audio_encoder=audio_encoder,
        )
        model = cls(config)
        load_weights(model, state, path)
        if audio_checkpoint is not None and model.audio_insert is not None:
            load_audio_encoder(model.audio_insert.get_submodule("encoder"), audio_checkpoint)
        return model.float().eval()
