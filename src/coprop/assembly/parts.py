"""From a name to a part: one by itself, one of a whole pipeline, or two that are one model."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from coprop.assembly.families import is_pipeline, read_config
from coprop.assembly.loading import PartOptions, described, load_folder, load_model, whole
from coprop.assembly.names import Slot, part_name
from coprop.assembly.saved import SavedPipeline
from coprop.utils.paths import AnyPath, is_path

_DEFAULT_OPTIONS = PartOptions()
_MASKING: tuple[Slot, ...] = ("segmenter", "propagator")
_BOTH = "sam3_video"  # the model type of what fits both


def load_part(slot: Slot, name: AnyPath, options: PartOptions = _DEFAULT_OPTIONS) -> Any:
    """The part of a pipeline that a name stands for.

    Args:
        slot: which part.
        name: see `coprop.assembly.names`.
        options: what goes with it.

    Raises:
        CheckpointError: nothing has that name, it cannot be fetched, or it is another part.
        CoPropError: words or numbers that it does not take.
        MissingPackageError: it needs a package that is not installed.
    """
    named = part_name(slot, name)
    if named.kind != "model":
        return load_model(slot, name, options)
    place = named.places[0]
    folder = described(place, options)
    config = read_config(folder, place)
    if is_pipeline(folder, config):
        return SavedPipeline(place, folder, config or {}).part(slot, options)
    return load_folder(slot, folder, options, place)


def load_masking(
    segmenter: Any, propagator: Any, options: PartOptions = _DEFAULT_OPTIONS
) -> tuple[Any, Any]:
    """What masks keyframes and what carries masks on, each given or named; None stays None.

    One SAM 3 that is named for both is read once.
    """
    named = {"segmenter": segmenter, "propagator": propagator}
    names = [part_name(slot, given) for slot in _MASKING if is_path(given := named[slot])]
    if len(names) == len(_MASKING) and names[0].places == names[1].places and names[0].places:
        place = names[0].places[0]
        config = read_config(described(place, options), place) or {}
        if config.get("model_type") == _BOTH:
            pair: Any = import_module("coprop.sam3_pair").sam3_pair
            masks, carries = pair(whole(place, options), device=options.device)
            return masks, carries
    made = {
        slot: load_part(slot, given, options) if is_path(given := named[slot]) else given
        for slot in _MASKING
    }
    return made["segmenter"], made["propagator"]
