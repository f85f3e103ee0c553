"""The model that is evaluated, from what the command line says of it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from coprop.callables import function_named
from coprop.errors import CoPropError
from coprop.pipeline import CoProp

DEFAULT = "default"


def load_model(name: str, device: torch.device) -> CoProp:
    """The pipeline that a name stands for, on a device.

    Args:
        name: "default"; a folder with ``keyframe_segmenter`` and ``propagator``; or
            ``module:factory``, a function without arguments that returns a `CoProp`, or a model or
            adapter for `CoProp.wrap`. Modules are looked for in the current folder too.
        device: where it runs. A `CoProp` that a factory made stays where it is.

    Raises:
        CoPropError: no such folder, module or function, or it returns something else.
    """
    if name == DEFAULT:
        return CoProp.from_pretrained(device=device)
    if ":" not in name or Path(name).is_dir():
        return CoProp.from_pretrained(name, device=device)
    made = function_named(name, "--model")()
    if isinstance(made, CoProp):
        return made
    if isinstance(made, nn.Module):
        made = made.eval().to(device)
    if not callable(made):
        raise CoPropError(
            f"{name}() returned {type(made).__name__}; it must return a CoProp, or a model or "
            "adapter that CoProp.wrap() takes."
        )
    return CoProp.wrap(made, device=device)
