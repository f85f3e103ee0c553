"""The model that is evaluated, from what the command line says of it."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

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
    made = _factory(name)()
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


def _factory(name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise CoPropError(
            f"cannot import {module_name!r} for --model {name}: {error}. Give module:function, "
            "with the module in the current folder or installed."
        ) from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise CoPropError(
            f"{module_name} has no function {attribute!r}; --model takes module:function."
        )
    if _takes_arguments(factory):
        raise CoPropError(
            f"{name} cannot be called without arguments; --model takes a function that makes the "
            "model by itself."
        )
    return factory


def _takes_arguments(factory: Any) -> bool:
    """Whether a function cannot be called without arguments, as far as it tells."""
    try:
        inspect.signature(factory).bind()
    except TypeError:
        return True
    except ValueError:  # some built-in ones do not tell
        return False
    return False
