"""Weights of the propagator from files: the official AOT checkpoints, and coprop's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from coprop.checkpoints import load_state_dict, read_state_dict
from coprop.errors import CheckpointError
from coprop.propagation.config import PropagatorConfig

_UNUSED = "LSTT.mask_token"  # a parameter of later official code that no computation reads
_AUDIO = "audio_insert."


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a propagator's file, without batch counters and ``LSTT.mask_token``.

    Raises:
        CheckpointError: no such file, damaged, or with something else inside than tensors.
    """
    return {
        name: tensor
        for name, tensor in read_state_dict(path).items()
        if name != _UNUSED and not name.endswith("num_batches_tracked")
    }


def recognise(state: Mapping[str, Tensor], source: str | Path) -> PropagatorConfig:
    """Which AOT the tensors are of: encoder, number of blocks and width.

    Raises:
        CheckpointError: the tensors are not an AOT network's.
    """
    layers = {name.split(".")[2] for name in state if name.startswith("LSTT.layers.")}
    bank = state.get("patch_wise_id_bank.weight")
    if not layers or bank is None or bank.ndim != 4:
        raise CheckpointError(
            f"{source} is not an AOT checkpoint: expected tensors named like "
            "'LSTT.layers.0.linear_Q.weight' and 'patch_wise_id_bank.weight', found "
            f"{_first_names(state)}. The official AOT-L file is R50_AOTL_PRE_YTB_DAV.pth."
        )
    shape: dict[str, Any] = {"num_layers": len(layers), "embedding_dim": bank.shape[0]}
    if "encoder.conv1.weight" in state:
        return PropagatorConfig.aot_l(**shape)
    if "encoder.features.0.0.weight" in state:
        return PropagatorConfig.aot_t(**shape)
    encoder = {name: x for name, x in state.items() if name.startswith("encoder.")}
    raise CheckpointError(
        f"{source} has an image encoder that is not known: expected 'encoder.conv1.weight' "
        "(ResNet-50) or 'encoder.features.0.0.weight' (MobileNetV2), found "
        f"{_first_names(encoder)}. Swin variants are not supported."
    )


def load_weights(module: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> None:
    """Copy tensors into a module of the very same names and shapes, at the module's precision.

    Where the state has no audio module at all, the module's own stay as they are.

    Raises:
        CheckpointError: tensors that are missing, unknown or of another shape.
    """
    if not any(name.startswith(_AUDIO) for name in state):
        own = module.state_dict()
        state = {**state, **{name: x for name, x in own.items() if name.startswith(_AUDIO)}}
    load_state_dict(module, state, str(source))


def load_audio_encoder(encoder: nn.Module, path: str | Path) -> None:
    """Copy a file's tensors into an audio encoder; VGGish's fully connected head is left out.

    Raises:
        CheckpointError: as for `load_weights`.
    """
    state = {
        name: tensor
        for name, tensor in read_weights(path).items()
        if not name.startswith("embeddings.")
    }
    load_state_dict(encoder, state, str(path))


def _first_names(state: Mapping[str, Tensor]) -> str:
    return ", ".join(list(state)[:5]) or "none"
