"""Files from which a training goes on: whole or not there at all, and read as tensors only."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from coprop.errors import CheckpointError
from coprop.media.atomic import replacing


def write_checkpoint(path: Path, step: int, parts: Mapping[str, Any]) -> None:
    """Writes the state of every part and the number of steps done; replaces a file that is there.

    Args:
        path: of the file.
        step: steps done.
        parts: names -> what has ``state_dict``.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing(path) as part:
        torch.save({"step": step, **{name: x.state_dict() for name, x in parts.items()}}, part)


def read_checkpoint(path: Path, parts: Mapping[str, Any]) -> int:
    """Restores every part and returns the number of steps done.

    Raises:
        CheckpointError: a damaged file, or one of other models.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(content[name])
        return int(content["step"])
    except (RuntimeError, ValueError, KeyError, EOFError, OSError, pickle.UnpicklingError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(
            f"{path} is not a checkpoint of this training, or it is damaged: {reason} Remove it to "
            "go on from the one before."
        ) from error
