"""Functions that a command line names as ``module:function``."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from pathlib import Path
from typing import Any

from coprop.errors import CoPropError
from coprop.utils.brief import first_line
from coprop.utils.checks import takes

_NAMED: set[Path] = set()  # folders of the modules that were named
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")  # a path of Windows, which has a colon, too


def names_function(name: str) -> bool:
    """Whether a name means ``module:function``, and not a folder or something else.

    Example:
        >>> names_function("mine:build"), names_function("C:\\\\weights"), names_function("weights")
        (True, False, False)
    """
    return ":" in name and not _DRIVE.match(name) and not Path(name).is_dir()


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
        if not all(map(str.isidentifier, module_name.split("."))):
            raise ModuleNotFoundError(f"No module can be named {module_name!r}")
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise CoPropError(
            f"cannot import {module_name!r} for {option} {name}: {error}. Give module:function, "
            "with the module in the current folder or installed."
        ) from error
    except (Exception, SystemExit) as error:  # a script ends as soon as it is imported
        raise CoPropError(
            f"{module_name!r} cannot be imported for {option} {name}, it raises "
            f"{type(error).__name__}: {first_line(error)}. Mend the module."
        ) from error
    file = getattr(module, "__file__", None)
    if file and not module_name.startswith("coprop."):
        _NAMED.add(Path(file).parent)
    function = getattr(module, attribute, None)
    if not callable(function):
        raise CoPropError(
            f"{module_name} has no function {attribute!r}; {option} takes module:function."
        )
    if not takes(function, len(arguments)):
        wanted = f"with ({', '.join(arguments)})" if arguments else "without arguments"
        raise CoPropError(f"{name} cannot be called {wanted}; {option} takes a function that can.")
    return function


def place_in_named_code(error: BaseException) -> str | None:
    """Where an error passed last through modules that were named, or others beside them.

    Returns:
        Such as "mine.py, line 3,"; None of an error that none of their code took part in.
    """
    frames = traceback.extract_tb(error.__traceback__)
    named = [frame for frame in frames if Path(frame.filename).parent in _NAMED]
    return f"{Path(named[-1].filename).name}, line {named[-1].lineno}," if named else None
