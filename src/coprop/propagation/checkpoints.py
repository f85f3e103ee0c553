"""Weights from files: the official AOT checkpoints, and coprop's own."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from coprop.errors import CheckpointError
from coprop.propagation.config import PropagatorConfig

# A parameter of later official code that no computation reads.
_UNUSED = "LSTT.mask_token"
_AUDIO = "audio_insert."


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, by parameter name.

    Takes a bare state dict or one under ``state_dict`` or ``model``, in PyTorch's format or in
    safetensors. ``module.`` prefixes, batch counters and the unused ``LSTT.mask_token`` are
    dropped, and so is all that stands beside the state dict, such as an optimizer. Nothing in the
    file is executed.

    Raises:
        CheckpointError: no such file, not a checkpoint, or one without tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint at {path}; give the path of a file.")
    content = _read(path)
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise CheckpointError(
            f"{path} holds no state dict: expected tensors by name, at the top or under "
            f"'state_dict' or 'model', got {_outline(content)}. Save model.state_dict() instead."
        )
    tensors = {key.removeprefix("module."): value for key, value in content.items()}
    return {
        key: value
        for key, value in tensors.items()
        if key != _UNUSED and not key.endswith("num_batches_tracked")
    }


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError,
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        AttributeError,
        IndexError,
        TypeError,
    ) as error:
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no detail'}). Accepted are files of "
            "torch.save() that hold only tensors and plain values, and .safetensors; the file may "
            "be truncated or of another kind."
        ) from error


def _outline(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a dict with {_names([str(key) for key in content])}"
    return f"a {type(content).__name__}"


def recognise(state: Mapping[str, Tensor]) -> PropagatorConfig:
    """Which AOT the tensors are of: encoder, number of blocks and widths.

    Raises:
        CheckpointError: the tensors are not an AOT network's.
    """
    layers = {key.split(".")[2] for key in state if key.startswith("LSTT.layers.")}
    bank = state.get("patch_wise_id_bank.weight")
    if not layers or bank is None or bank.ndim != 4:
        raise CheckpointError(
            "this is not an AOT checkpoint: expected tensors such as "
            "'LSTT.layers.0.linear_Q.weight' and 'patch_wise_id_bank.weight', found "
            f"{_names(list(state))}. Official files are named like R50_AOTL_PRE_YTB_DAV.pth."
        )
    shape: dict[str, Any] = {"num_layers": len(layers), "embedding_dim": bank.shape[0]}
    if "encoder.conv1.weight" in state:
        return PropagatorConfig.aot_l(**shape)
    if "encoder.features.0.0.weight" in state:
        return PropagatorConfig.aot_t(**shape)
    encoder_keys = [key for key in state if key.startswith("encoder.")]
    raise CheckpointError(
        "the checkpoint's image encoder is not known: expected ResNet-50 (encoder.conv1.weight) or "
        f"MobileNetV2 (encoder.features.0.0.weight), found {_names(encoder_keys)}. DeAOT and Swin "
        "variants are not supported."
    )


def load_exactly(module: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> None:
    """Copy tensors into a module of the very same names and shapes.

    A state without any audio module fits a module with them, which then keep their own weights.
    Half precision becomes the module's precision.

    Raises:
        CheckpointError: tensors that are missing, unknown or of another shape.
    """
    expected = module.state_dict()
    has_audio = any(key.startswith(_AUDIO) for key in state)
    required = [key for key in expected if has_audio or not key.startswith(_AUDIO)]
    missing = [key for key in required if key not in state]
    unknown = [key for key in state if key not in expected]
    reshaped = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    problems = {"missing": missing, "unknown": unknown, "wrong shape": reshaped}
    if any(problems.values()):
        found = "; ".join(f"{kind}: {_names(names)}" for kind, names in problems.items() if names)
        raise CheckpointError(
            f"{source} does not fit: expected {len(required)} tensors, found {len(state)}. {found}."
            " Take the file of this very network, and choose insert_levels and audio_encoder as "
            "they were when it was trained."
        )
    module.load_state_dict(dict(state), strict=has_audio)


def _names(names: Sequence[str], limit: int = 6) -> str:
    """The first few names, and how many more there are."""
    if not names:
        return "nothing"
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
