"""What takes long to make, kept in a file that says what it was made of."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coprop.errors import CheckpointError
from coprop.training.run_folder import write_tensors
from coprop.utils.brief import one_line
from tools.benchmark.library import Library, Source

_log = logging.getLogger(__name__)


def cached(
    path: Path,
    weights: Mapping[str, Tensor],
    library: Library,
    rng: np.random.Generator,
    count: int,
    make: Callable[[], Mapping[str, Any]],
) -> dict[str, Any]:
    """What ``make`` gives, from the file where that was made of the same, and else made anew.

    Args:
        path: the file; written whole or not at all.
        weights: of the network that took part.
        library: the recordings.
        rng: as it is before making.
        count: how many were made.
        make: makes tensors and numbers by name.

    Raises:
        CheckpointError: the file is damaged.
        OutputError: it cannot be written.
    """
    made_of = _fingerprint(weights, library, rng, count)
    if path.exists():
        content = _read(path)
        if isinstance(content, dict) and content.get("made_of") == made_of:
            return dict(content["content"])
        _log.info("%s was made of something else; it is made anew", one_line(str(path)))
    found = dict(make())
    write_tensors(path, {"made_of": made_of, "content": found})
    return found


def _fingerprint(
    weights: Mapping[str, Tensor], library: Library, rng: np.random.Generator, count: int
) -> str:
    digest = hashlib.sha256(f"{count} {rng.bit_generator.state}".encode())
    for name, tensor in sorted(weights.items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    parts = {
        **{f"sounds {group}": sources for group, sources in library.sounds.items()},
        "music": library.music,
    }
    listed = {name: [_described(source) for source in own] for name, own in parts.items()}
    digest.update(json.dumps(listed, sort_keys=True).encode())
    return digest.hexdigest()


def _described(source: Source) -> list[Any]:
    size = source.path.stat().st_size if source.path.is_file() else None
    return [source.path.name, source.group, source.origin, size]


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes PyTorch raise errors of every kind
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(
            f"{path} is damaged: {reason} Remove it, and it is made anew."
        ) from error
