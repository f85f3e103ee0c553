"""Files from which a training goes on: whole or not there at all, and read as tensors only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from coprop.errors import CheckpointError, OutputError
from coprop.files import replacing


def write_checkpoint(path: Path, step: int, parts: Mapping[str, Any]) -> None:
    """Writes the state of every part and the number of steps done; replaces a file that is there.

    Args:
        path: of the file.
        step: steps done.
        parts: names -> what has ``state_dict``.

    Raises:
        OutputError: the file cannot be written.
    """
    write_tensors(path, {"step": step, **{name: x.state_dict() for name, x in parts.items()}})


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Writes tensors, numbers and text by name, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing(path) as part:
        try:
            with part.open("wb") as file:
                torch.save(dict(content), file)
                file.flush()
                os.fsync(file.fileno())
        except RuntimeError as error:  # how PyTorch tells that its writer failed
            raise OutputError(
                f"cannot write {path}: {_reason(error)}. A file that was there before stays; make "
                "room on the disk, and go on from there."
            ) from error


def read_checkpoint(path: Path, parts: Mapping[str, Any]) -> int:
    """Restores every part and returns the number of steps done.

    Raises:
        CheckpointError: a damaged file, or one of other models.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        step = content["step"]
        if type(step) is not int or step < 0:
            raise ValueError("it tells no number of steps")
        for name, part in parts.items():
            part.load_state_dict(content[name])
    except Exception as error:  # a damaged file makes PyTorch raise errors of every kind
        raise CheckpointError(
            f"{path} is not a checkpoint of this training, or it is damaged: {_reason(error)} "
            "Remove it to go on from the one before."
        ) from error
    return step


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
