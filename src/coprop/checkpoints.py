"""Reading other people's weight files, without running anything that is in them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from coprop.errors import CheckpointError
from coprop.paths import AnyPath, as_path

_WRAPPERS = ("state_dict", "model")
_PARALLEL = "module."  # what DataParallel puts before every name
_NAMES_SHOWN = 5


def read_state_dict(path: AnyPath) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file or of a file written by ``torch.save``, on the CPU.

    A dictionary with the tensors under "state_dict" or "model" is unwrapped, and "module." before
    all names is taken away.

    Raises:
        CheckpointError: no such file, damaged, or with something else inside than tensors.
    """
    path = as_path("path", path, error=CheckpointError)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint file at {path}; give the path of a file.")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for name in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not content or not _holds_tensors(content):
        raise CheckpointError(
            f"{path} holds {_description(content)}; expected a state dict (names -> tensors), "
            'alone or under "state_dict" or "model".'
        )
    prefix = _PARALLEL if all(name.startswith(_PARALLEL) for name in content) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in content.items()}


def load_state_dict(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copies tensors into a module, all of them or none.

    BatchNorm's ``num_batches_tracked`` may be absent, as it is from files of other frameworks.

    Args:
        module: receives the tensors.
        state: names -> tensors.
        source: what the tensors come from, for the message.

    Raises:
        CheckpointError: names missing or unknown, or shapes that differ.
    """
    own = module.state_dict()
    needed = {name for name in own if not name.endswith("num_batches_tracked")}
    missing = [name for name in own if name in needed and name not in state]
    unknown = [name for name in state if name not in own]
    shapes = [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in state and state[name].shape != tensor.shape
    ]
    problems = [
        f"{len(names)} {what}: {', '.join(names[:_NAMES_SHOWN])}"
        + (", ..." if len(names) > _NAMES_SHOWN else "")
        for what, names in (("missing", missing), ("unknown", unknown), ("other shapes", shapes))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{source} is not a checkpoint of {type(module).__name__} as built here "
            f"({len(needed)} tensors): {'; '.join(problems)}."
        )
    module.load_state_dict(state, strict=False)


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is not a file of tensors only, and nothing else is loaded, because a pickle "
            "can run code. Load it yourself where you trust it, save its state_dict() with "
            f"safetensors, and give that file. PyTorch says: {_first_line(error)}"
        ) from error
    except Exception as error:  # the reader of pickles fails on damaged files in any way
        raise CheckpointError(
            f"{path} cannot be read, it may be damaged or incomplete: {_first_line(error)}"
        ) from error


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read, it may be damaged or incomplete: {_first_line(error)}"
        ) from error


def _holds_tensors(content: Mapping[Any, Any]) -> bool:
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())


def _description(content: Any) -> str:
    if isinstance(content, Mapping):
        return (
            f"a dictionary with {', '.join(map(repr, list(content)[:_NAMES_SHOWN])) or 'nothing'}"
        )
    return f"an object of type {type(content).__name__}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
