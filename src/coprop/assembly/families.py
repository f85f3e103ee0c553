"""What a model is, by its config.json, and of which slots it can be a part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coprop.assembly.names import Slot
from coprop.checkpoints.weights import has_file
from coprop.errors import CheckpointError
from coprop.storage.files import parse_json
from coprop.utils.brief import first_line

CONFIG = "config.json"
PIPELINE = "coprop"
"""The ``model_type`` of a whole pipeline's config.json."""

PARTS: Mapping[Slot, str] = {
    "detector": "detector",
    "segmenter": "keyframe_segmenter",
    "propagator": "propagator",
}
"""The folders of a pipeline's parts inside its own."""


@dataclass(frozen=True)
class Family:
    """Models of one kind.

    Args:
        title: what one of them is, such as "a SAM 2".
        slots: of which it can be a part.
        loader: what loads it, by a name of `coprop.assembly.loading`.
        joined: where it takes another model beside it, how the two are named.
    """

    title: str
    slots: tuple[Slot, ...]
    loader: str = ""
    joined: str = ""


_FINDS = "text:{}+facebook/sam2.1-hiera-tiny, since it finds boxes and something must mask them"
_MASKS = "text:IDEA-Research/grounding-dino-tiny+{}, since it must be told where to mask"
_HEARING = ("qwen2_audio", "qwen2_5_omni", "qwen3_omni_moe", "voxtral", "audioflamingo3", "gemma3n")

FAMILIES: Mapping[str, Family] = {
    "pe_audio": Family("a PE-A-Frame", ("detector",), "events"),
    **{kind: Family("a language model that hears", ("detector",), "rcpg") for kind in _HEARING},
    "sam2_video": Family("a SAM 2", ("propagator",), "sam2", _MASKS),
    "edgetam_video": Family("an EdgeTAM", ("propagator",), "sam2", _MASKS),
    "sam3_tracker_video": Family("a SAM 3 tracker", ("propagator",), "sam2", _MASKS),
    "sam3_video": Family("a SAM 3", ("segmenter", "propagator"), "sam3"),
    "sam3": Family("a SAM 3 for images", ("segmenter",), "sam3"),
    "clipseg": Family("a CLIPSeg", ("segmenter",), "text"),
    "sam2": Family("a SAM 2 for images", (), "", _MASKS),
    "edgetam": Family("an EdgeTAM for images", (), "", _MASKS),
    "grounding-dino": Family("a Grounding DINO", (), "", _FINDS),
    "mm-grounding-dino": Family("an MM-Grounding-DINO", (), "", _FINDS),
    "owlv2": Family("an OWLv2", (), "", _FINDS),
}
"""Models of transformers, by the ``model_type`` in their config.json."""

_OWN: Mapping[str, Family] = {
    "segmenter": Family("a keyframe segmenter of coprop", ("segmenter",), "own"),
    "propagator": Family("a propagator of coprop", ("propagator",), "own"),
}
_OWN_KEYS = {"architecture": "segmenter", "embedding_dim": "propagator"}  # of config.json


def read_config(folder: Path, name: str) -> dict[str, Any] | None:
    """What config.json in a folder holds; None where there is none.

    Raises:
        CheckpointError: it is damaged.
    """
    path = folder / CONFIG
    if not has_file(path):
        return None
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"the config.json of {name} cannot be read ({first_line(error)}); fetch or "
            "save the model again."
        ) from error
    if not isinstance(config, dict):
        raise CheckpointError(f"the config.json of {name} holds no object; save the model again.")
    return config


def is_pipeline(folder: Path, config: dict[str, Any] | None) -> bool:
    """Whether a folder holds a whole pipeline."""
    if config is not None:
        return config.get("model_type") == PIPELINE
    return any(has_file(folder / part / CONFIG) for part in PARTS.values())


def family_for(slot: Slot, folder: Path, config: dict[str, Any] | None, name: str) -> Family:
    """What a folder's model is, if it can be of this slot.

    Args:
        slot: what it is to be.
        folder: where it is.
        config: what its config.json holds.
        name: what it was called.

    Raises:
        CheckpointError: it cannot; in a sentence on what it is, and what to give in its place.
    """
    if config is None:
        raise CheckpointError(
            f"{name} has no config.json, so it is no model that save_pretrained() wrote; give a "
            f"folder that has one as the {slot}, or a name that coprop models lists."
        )
    kind = config.get("model_type")
    family = FAMILIES.get(kind) if isinstance(kind, str) else _own(config)
    if family is None:
        raise CheckpointError(
            f"{name} is of the model type {kind!r}, which is none that coprop knows as a {slot}; "
            "coprop models lists those that it knows."
        )
    if slot in family.slots:
        return family
    if slot == "segmenter" and family.joined:
        raise CheckpointError(
            f"{name} is {family.title} and no segmenter by itself: name it "
            f"{family.joined.format(name)}."
        )
    fits = f"a {' or '.join(family.slots)}" if family.slots else "part of a segmenter"
    raise CheckpointError(
        f"{name} is {family.title}, which is {fits} and no {slot}; "
        + (f"give it as the {family.slots[0]}, and " if family.slots else "")
        + f"as the {slot} a name that coprop models lists."
    )


def _own(config: dict[str, Any]) -> Family | None:
    return next((_OWN[part] for key, part in _OWN_KEYS.items() if key in config), None)
