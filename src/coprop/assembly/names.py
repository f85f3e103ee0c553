"""What parts of a pipeline are called: built in, ``kind:place``, a folder, or an id on the hub."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from coprop.checkpoints.hub import is_hub_id
from coprop.errors import CheckpointError, CoPropError
from coprop.utils.checks import check_choice, shown
from coprop.utils.paths import AnyPath, as_path, is_path

Slot = Literal["detector", "segmenter", "propagator"]
"""Of a pipeline."""

SLOTS: tuple[Slot, ...] = get_args(Slot)

BUILT_IN: Mapping[Slot, tuple[str, ...]] = {
    "detector": ("novelty", "cosine", "events"),
    "segmenter": ("default", "text"),
    "propagator": ("default",),
}
"""Names of what comes inside the package; the first is the default."""

_KINDS: Mapping[Slot, tuple[str, ...]] = {
    "detector": ("events", "rcpg"),
    "segmenter": ("text",),
    "propagator": ("aot",),
}
_FORMS: Mapping[Slot, str] = {
    "detector": "events:MODEL for a PE-A-Frame, rcpg:MODEL for a language model that hears",
    "segmenter": "text:FINDER+MASKER for models that are told words",
    "propagator": "aot:FILE for an official checkpoint of AOT",
}
_SERVERS = ("http://", "https://")


@dataclass(frozen=True)
class PartName:
    """What a name stands for, as far as the name alone says.

    Args:
        slot: of the pipeline.
        kind: a built-in's name, a word before a colon, or "model": its config.json says what it is.
        places: folders, files, ids on the hub, or for "rcpg" a server's URL; none where built in.
    """

    slot: Slot
    kind: str
    places: tuple[str, ...] = ()


def part_name(slot: Slot, name: AnyPath) -> PartName:
    """What a name stands for; nothing is read or asked but whether folders are there.

    Args:
        slot: which part it is to be.
        name: as the module says.

    Raises:
        CheckpointError: nothing can have this name.
        CoPropError: no such slot.
    """
    check_choice("slot", slot, SLOTS)
    if not is_path(name):
        raise CoPropError(
            f"the {slot} must be a part of a pipeline or its name, got {shown(name)}."
        )
    path = as_path(f"the {slot}'s name", name, error=CheckpointError)
    if not isinstance(name, str):
        return PartName(slot, "model", (_folder(slot, str(path)),))
    if name in BUILT_IN[slot]:
        return PartName(slot, name)
    kind, colon, rest = name.partition(":")
    if colon and kind in _KINDS[slot] and not _is_there(name):
        return PartName(slot, kind, _places(slot, kind, rest))
    if is_hub_id(name) or _is_there(name):
        return PartName(slot, "model", (name,))
    raise _unknown(slot, name)


def _places(slot: Slot, kind: str, rest: str) -> tuple[str, ...]:
    if kind == "rcpg" and rest.startswith(_SERVERS):
        return (rest,)
    if kind == "aot":
        if not Path(rest).is_file():
            raise CheckpointError(
                f"there is no file {shown(rest)}; aot:FILE takes an official checkpoint of AOT, "
                "such as aot:R50_AOTL_PRE_YTB_DAV.pth."
            )
        return (rest,)
    places = _split(rest) if kind == "text" else (rest,)
    return tuple(_folder(slot, place) for place in places)


def _split(pair: str) -> tuple[str, ...]:
    """The two around a plus sign, or the one; folders may have such a sign in their names."""
    if is_hub_id(pair) or _is_there(pair):
        return (pair,)
    cuts = [number for number, letter in enumerate(pair) if letter == "+"]
    halves = [(pair[:cut], pair[cut + 1 :]) for cut in cuts]
    fitting = [both for both in halves if all(is_hub_id(p) or _is_there(p) for p in both)]
    return fitting[0] if fitting else tuple(pair.split("+"))


def _folder(slot: Slot, place: str) -> str:
    if is_hub_id(place) or _is_there(place):
        return place
    raise _unknown(slot, place)


def _is_there(place: str) -> bool:
    try:
        return bool(place) and Path(place).exists()
    except (OSError, ValueError):
        return False


def _unknown(slot: Slot, name: str) -> CheckpointError:
    near = difflib.get_close_matches(name, BUILT_IN[slot], 1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return CheckpointError(
        f"there is no {slot} {shown(name)}: a {slot} is {', '.join(BUILT_IN[slot])}, "
        f"{_FORMS[slot]}, a folder, or a model's id on the hub (owner/name); coprop models lists "
        f"what is known.{meant}"
    )
