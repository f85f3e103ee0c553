"""Models that are known by name: how large they are, under which licence, and on disk or not.

Licences and sizes are those that the models' own pages or repositories state; None where nobody has
looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from coprop.assembly.names import BUILT_IN, SLOTS, PartName, Slot, part_name
from coprop.checkpoints.hub import is_hub_id, size_on_disk, weights_size

_APACHE = "Apache-2.0"
_WITH_AISFX = "Apache-2.0, CC BY 4.0"  # as weights/README.md says of the sound effects encoder
_PACKAGE = Path(__file__).parents[1]
_SOUND = ("control_points/novelty.safetensors", "weights/sound_effects")
_SEEN = tuple(f"weights/{name}" for name in ("imagenet", "deeplab", "u2net", "yamnet"))
_BUILT_IN_FILES: Mapping[tuple[Slot, str], tuple[str, ...]] = {
    ("detector", "novelty"): _SOUND,
    ("detector", "cosine"): (),
    ("detector", "events"): (*_SOUND, "weights/yamnet"),
    ("segmenter", "default"): ("weights/keyframe_segmenter", *_SEEN),
    ("segmenter", "text"): ("weights/keyframe_segmenter", *_SEEN),
    ("propagator", "default"): ("weights/propagator", "weights/yamnet"),
}


@dataclass(frozen=True)
class HubModel:
    """A model on the hub.

    Args:
        parameters_m: in millions; None where nobody has looked.
        licence: as its page or its authors' repository states; None where nobody has looked.
        is_gated: whether its authors must grant access.
    """

    parameters_m: float | None = None
    licence: str | None = None
    is_gated: bool = False


HUB_MODELS: Mapping[str, HubModel] = {
    "facebook/pe-a-frame-small": HubModel(450, _APACHE),
    "facebook/pe-a-frame-base": HubModel(None, _APACHE),
    "facebook/pe-a-frame-large": HubModel(1400, _APACHE),
    "Qwen/Qwen2-Audio-7B-Instruct": HubModel(8400, _APACHE),
    "IDEA-Research/grounding-dino-tiny": HubModel(None, _APACHE),
    "openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det": HubModel(200),
    "google/owlv2-base-patch16-ensemble": HubModel(None, _APACHE),
    "CIDAS/clipseg-rd64-refined": HubModel(150, _APACHE),
    "facebook/sam3": HubModel(848, "SAM License", is_gated=True),
    "facebook/sam2.1-hiera-tiny": HubModel(38.9, _APACHE),
    "facebook/sam2.1-hiera-small": HubModel(46, _APACHE),
    "facebook/sam2.1-hiera-base-plus": HubModel(80.8, _APACHE),
    "facebook/sam2.1-hiera-large": HubModel(224.4, _APACHE),
    "yonigozlan/EdgeTAM-hf": HubModel(13.9),
}

_MASKER = "facebook/sam2.1-hiera-tiny"
NAMES: Mapping[Slot, tuple[str, ...]] = {
    "detector": (
        *BUILT_IN["detector"],
        *(f"events:facebook/pe-a-frame-{size}" for size in ("small", "base", "large")),
        "rcpg:Qwen/Qwen2-Audio-7B-Instruct",
    ),
    "segmenter": (
        *BUILT_IN["segmenter"],
        f"text:IDEA-Research/grounding-dino-tiny+{_MASKER}",
        f"text:openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det+{_MASKER}",
        f"text:google/owlv2-base-patch16-ensemble+{_MASKER}",
        "text:CIDAS/clipseg-rd64-refined",
        "text:facebook/sam3",
    ),
    "propagator": (
        *BUILT_IN["propagator"],
        *(f"facebook/sam2.1-hiera-{size}" for size in ("tiny", "small", "base-plus", "large")),
        "yonigozlan/EdgeTAM-hf",
        "facebook/sam3",
    ),
}
"""What can be named and is known; other models of the same families can be named as well."""


@dataclass(frozen=True)
class ListedModel:
    """What can be named, as ``coprop models`` lists it.

    Args:
        name: for `coprop.CoProp.assemble` and the command line.
        slot: which part it is.
        models: on the hub, by their ids; none where it is built in.
        parameters_m: of them all, in millions; None where that is not known.
        bytes_on_disk: of their weights; None where not all of them are there.
        licence: of them all; None where it is not known: see their cards.
        is_gated: whether access to one must be granted.
        is_on_disk: whether it can be used without a network.
    """

    name: str
    slot: Slot
    models: tuple[str, ...]
    parameters_m: float | None
    bytes_on_disk: int | None
    licence: str | None
    is_gated: bool
    is_on_disk: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


def listed_models() -> list[ListedModel]:
    """All that is known by name; the hub is not asked."""
    return [_listed(slot, name) for slot in SLOTS for name in NAMES[slot]]


def _listed(slot: Slot, name: str) -> ListedModel:
    models = hub_ids(part_name(slot, name))
    if not models:
        size = _built_in_size(slot, name)
        licence = _WITH_AISFX if set(_SOUND) & set(_BUILT_IN_FILES[slot, name]) else _APACHE
        return ListedModel(name, slot, (), None, size, licence, False, True)
    known = [HUB_MODELS.get(model, HubModel()) for model in models]
    parameters = [each.parameters_m for each in known]
    licences = list(dict.fromkeys(each.licence for each in known))
    sizes = [size_on_disk(model) for model in models]
    return ListedModel(
        name,
        slot,
        models,
        None if None in parameters else round(sum(p or 0 for p in parameters), 1),
        None if None in sizes else sum(size or 0 for size in sizes),
        None if None in licences else ", ".join(map(str, licences)),
        any(each.is_gated for each in known),
        None not in sizes,
    )


def hub_ids(name: PartName) -> tuple[str, ...]:
    """Of what a name means, that which lies on the hub."""
    return tuple(place for place in name.places if is_hub_id(place))


def _built_in_size(slot: Slot, name: str) -> int:
    paths = [_PACKAGE / path for path in _BUILT_IN_FILES[slot, name]]
    sizes = [weights_size(path) if path.is_dir() else path.stat().st_size for path in paths]
    return sum(size or 0 for size in sizes)
