"""Weights of the propagator from files: the official AOT checkpoints, and coprop's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from coprop.checkpoints.weights import load_state_dict, read_state_dict
from coprop.errors import CheckpointError
from coprop.propagation.backbones import EncoderName, ResNet50
from coprop.propagation.config import AudioEncoderName, PropagatorConfig
from coprop.utils.paths import AnyPath

_UNUSED = "LSTT.mask_token"  # a parameter of later official code that no computation reads
_AUDIO = "audio_insert."
_AUDIO_ENCODER = "audio_insert.encoder."
_SOUND_GATE = "audio_insert.sound_gate."
_POSITION, _FORMER_POSITION = "audio_insert.position", "audio_insert.encoder.position"
_GATE = ".gate"
_DEAOT = re.compile(r"LSTT\.layers\.\d+\.(linear_QV|linear_U|linear_ID|\w+\.dw_conv)")
_MOBILENETV2_STEM = 32  # channels of its first convolution; MobileNetV3's, of like names, has 16
_NAMES_SHOWN = 5  # in a message: enough to see whose names they are


def read_weights(path: AnyPath) -> dict[str, Tensor]:
    """The tensors of a propagator's file, without batch counters and ``LSTT.mask_token``.

    Raises:
        CheckpointError: no such file, damaged, or with something else inside than tensors.
    """
    return {
        name: tensor
        for name, tensor in read_state_dict(path).items()
        if name != _UNUSED and not name.endswith("num_batches_tracked")
    }


def upgraded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of any version of coprop under today's names, with the very same meaning.

    Audio modules had a gate after their projection, and of the audio encoders only the small one
    told its tokens their position.

    >>> upgraded({"a.gate": Tensor([2.0]), "a.projection.weight": Tensor([[3.0]])})
    {'a.projection.weight': tensor([[6.]])}
    """
    new = dict(state)
    for name in [name for name in state if name.endswith(_GATE)]:
        gate = new.pop(name)
        for part in ("weight", "bias"):
            projection = name.removesuffix(_GATE) + f".projection.{part}"
            if projection in new:
                tensor = new[projection]
                rows = gate.float().view(-1, *[1] * (tensor.ndim - 1))
                new[projection] = (rows * tensor.float()).to(tensor.dtype)
    if _FORMER_POSITION in new:
        new[_POSITION] = new.pop(_FORMER_POSITION)
    return new


def completed(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], audio_encoder: AudioEncoderName
) -> dict[str, Tensor]:
    """Tensors of any version of coprop, with those that a module has without their being stored.

    Args:
        state: as read.
        own: a fresh module's.
        audio_encoder: its audio encoder; the package has YAMNet's weights already.
    """
    known = (_POSITION, _AUDIO_ENCODER) if audio_encoder == "yamnet" else (_POSITION,)
    return {n: x for n, x in own.items() if n.startswith(known)} | upgraded(state)


def infer_config(state: Mapping[str, Tensor], source: AnyPath) -> PropagatorConfig:
    """Which AOT the tensors are of: encoder, number of blocks and width, and whether it has a gate.

    Args:
        state: names -> tensors, under the official names.
        source: what they come from, for the message.

    Raises:
        CheckpointError: the tensors are not an AOT network's.

    >>> infer_config({"conv.weight": Tensor()}, "some.pth")
    Traceback (most recent call last):
    coprop.errors.CheckpointError: some.pth is not an AOT checkpoint: expected tensors named ...
    """
    layers = {name.split(".")[2] for name in state if name.startswith("LSTT.layers.")}
    bank = state.get("patch_wise_id_bank.weight")
    if not layers or bank is None or bank.ndim != 4:
        raise CheckpointError(
            f"{source} is not an AOT checkpoint: expected tensors named like "
            "'LSTT.layers.0.linear_Q.weight' and 'patch_wise_id_bank.weight', found "
            f"{_first_names(state)}. The official AOT-L file is R50_AOTL_PRE_YTB_DAV.pth."
        )
    encoder = _encoder_of(state, source)
    shape: dict[str, Any] = {"num_layers": len(layers), "embedding_dim": bank.shape[0]}
    shape["sound_gate"] = any(name.startswith(_SOUND_GATE) for name in state)
    if encoder == "mobilenetv2":
        return PropagatorConfig.aot_t(**shape)
    return PropagatorConfig.aot_l(**shape, encoder=encoder)


def _encoder_of(state: Mapping[str, Tensor], source: AnyPath) -> EncoderName:
    """The image encoder that the tensors are of.

    Raises:
        CheckpointError: another one, or a transformer that is not AOT's.
    """
    if any(_DEAOT.match(name) for name in state):
        raise _unsupported(source, "a DeAOT, whose transformer is another one")
    if any(name.startswith(("encoder.patch_embed.", "encoder.layers.")) for name in state):
        raise _unsupported(source, "an AOT with a Swin transformer as image encoder")
    if "encoder.conv1.0.weight" in state:
        raise _unsupported(source, "an AOT with a ResNeSt as image encoder")
    if "encoder.conv1.weight" in state:
        deeper = f"encoder.layer3.{ResNet50.DEPTH}.conv1.weight" in state
        return "resnet101" if deeper else "resnet50"
    first = state.get("encoder.features.0.0.weight")
    if first is not None and first.shape[0] == _MOBILENETV2_STEM:
        return "mobilenetv2"
    if first is not None:
        raise _unsupported(
            source, "an AOT with a MobileNet as image encoder that is not MobileNetV2"
        )
    found = {name: x for name, x in state.items() if name.startswith("encoder.")}
    raise _unsupported(
        source, f"an AOT with an image encoder that is not known (tensors {_first_names(found)})"
    )


def _unsupported(source: AnyPath, what: str) -> CheckpointError:
    return CheckpointError(
        f"{source} is {what}; read are AOT-T, AOT-S, AOT-B and AOT-L with MobileNetV2, and AOT-L "
        "with ResNet-50 or ResNet-101, such as R50_AOTL_PRE_YTB_DAV.pth."
    )


def load_weights(
    module: nn.Module, state: Mapping[str, Tensor], config: PropagatorConfig, source: AnyPath
) -> None:
    """Copy tensors into a module of the very same names and shapes, at the module's precision.

    Where the state has no audio module at all, the module's own stay as they are.

    Raises:
        CheckpointError: tensors that are missing, unknown or of another shape.
    """
    own = module.state_dict()
    if any(name.startswith(_AUDIO) for name in state):
        state = completed(state, own, config.audio_encoder)
    else:
        state = {**state, **{name: x for name, x in own.items() if name.startswith(_AUDIO)}}
    load_state_dict(module, state, str(source))


def load_audio_encoder(encoder: nn.Module, path: AnyPath) -> None:
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
    return ", ".join(list(state)[:_NAMES_SHOWN]) or "none"
