"""Reading the recipes of trainings: files of JSON, by path or by name, and changes to them."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import resources
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from coprop.checks import number
from coprop.errors import CoPropError
from coprop.files import parse_json
from coprop.paths import AnyPath, as_path
from coprop.training.recipes import Recipe, Stage

_CONFIGS = "configs"
_Recipe = TypeVar("_Recipe", bound=Recipe)


def config_names() -> tuple[str, ...]:
    """The recipes that come with the package."""
    folder = resources.files(__package__).joinpath(_CONFIGS)
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".json")))


def read_recipe(
    kind: type[_Recipe], stage: Stage, config: AnyPath, changes: Sequence[str] = ()
) -> _Recipe:
    """The recipe of a file or of a name, with changes put over it.

    Args:
        kind: the stage's class.
        stage: its name; the file must be for it.
        config: path of a JSON file, or one of `config_names`.
        changes: each ``key=value``, with JSON for the value (bare words are strings), and dots
            into ``model``: "batch_size=2", "model.working_edge=320", "start=runs/a/final".

    Raises:
        CoPropError: no such file, no JSON in it, a key that is not known, a value of another
            type or out of range.
    """
    values = _content(config)
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            raise CoPropError(f"--set takes key=value, got {change!r}.")
        _put(values, key.split("."), _value(text))
    if values.get("stage") != stage:
        raise CoPropError(
            f"{config} is for the stage {values.get('stage')!r}, not {stage!r}; those that come "
            f"with coprop are {', '.join(config_names())}."
        )
    return recipe_from(kind, values)


def recipe_from(kind: type[_Recipe], values: Mapping[str, Any]) -> _Recipe:
    """The recipe of a dict.

    Raises:
        CoPropError: as for `read_recipe`.
    """
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise CoPropError(f"unknown settings {', '.join(unknown)}; known are {sorted(known)}.")
    hints = get_type_hints(kind)
    return kind(**{name: _typed(name, value, hints[name]) for name, value in values.items()})


def _content(config: AnyPath) -> dict[str, Any]:
    path = as_path("config", config)
    shipped = resources.files(__package__).joinpath(_CONFIGS).joinpath(f"{config}.json")
    try:
        if str(config) in config_names():
            text = shipped.read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
        values = parse_json(text)
    except (OSError, UnicodeDecodeError) as error:
        raise CoPropError(
            f"there is no config {config}; give a JSON file, or one of those that come with "
            f"coprop: {', '.join(config_names())}."
        ) from error
    except ValueError as error:
        raise CoPropError(f"{config} is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise CoPropError(f"{config} must hold one JSON object with settings.")
    return values


def _put(values: dict[str, Any], keys: list[str], value: Any) -> None:
    *outer, last = keys
    for key in outer:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise CoPropError(f"--set {'.'.join(keys)}: {key} holds no settings of its own.")
    values[last] = value


def _value(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text


def _typed(name: str, value: Any, hint: Any) -> Any:
    """The value as the field holds it; JSON has no tuples, and 1 is a float too."""
    choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for choice in choices:
        origin = get_origin(choice)
        if origin is Literal and value in get_args(choice):
            return value
        if origin is tuple and isinstance(value, list | tuple):
            return tuple(_typed(f"each of {name}", item, get_args(choice)[0]) for item in value)
        if origin is dict and isinstance(value, dict):
            return value
        if choice is float and isinstance(value, int | float) and not isinstance(value, bool):
            return value if isinstance(value, float) else number(name, value, "a number")
        if origin is None and isinstance(choice, type) and type(value) is choice:
            return value
    wanted = " or ".join(_described(choice) for choice in choices)
    raise CoPropError(f"{name} must be {wanted}, got {value!r}.")


def _described(choice: Any) -> str:
    if get_origin(choice) is Literal:
        return f"one of {get_args(choice)}"
    if choice is type(None):
        return "null"
    names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
    return names.get(choice, "a list" if get_origin(choice) is tuple else "an object")
