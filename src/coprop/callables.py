"""Functions that a command line names as ``module:function``."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from coprop.errors import CoPropError


def function_named(name: str, option: str, *, arguments: tuple[str, ...] = ()) -> Any:
    """The function that a name stands for.

    Args:
        name: ``module:function``. Modules are looked for in the current folder too.
        option: of the command line that took the name, for errors.
        arguments: names of what it will be called with.

    Raises:
        CoPropError: no such module or function, or it takes other arguments.
    """
    module_name, _, attribute = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise CoPropError(
            f"cannot import {module_name!r} for {option} {name}: {error}. Give module:function, "
            "with the module in the current folder or installed."
        ) from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise CoPropError(
            f"{module_name} has no function {attribute!r}; {option} takes module:function."
        )
    if not _takes(function, len(arguments)):
        wanted = f"with ({', '.join(arguments)})" if arguments else "without arguments"
        raise CoPropError(f"{name} cannot be called {wanted}; {option} takes a function that can.")
    return function


def _takes(function: Any, count: int) -> bool:
    """Whether a function can be called with so many arguments, as far as it tells."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # some built-in ones do not tell
        return True
    return True
