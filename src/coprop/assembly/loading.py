"""From names and folders to models: the one place where they are loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from coprop.assembly.families import FAMILIES, PARTS, family_for, read_config
from coprop.assembly.names import Slot, part_name
from coprop.checkpoints.hub import fetched, fetched_model, is_hub_id
from coprop.errors import CheckpointError, CoPropError
from coprop.utils.paths import AnyPath

if TYPE_CHECKING:
    from coprop.control_points.events.words import Words

WEIGHTS = Path(__file__).parents[1] / "weights"
"""The folder of the pipeline inside the package."""

CONFIGS = ("config.json", "*/config.json")
"""What says what a model is, before gigabytes are fetched."""


@dataclass(frozen=True)
class PartOptions:
    """What goes with a name.

    Args:
        words: of detectors by words: what to listen for.
        threshold, min_gap_s: of a detector; None for its own.
        device: where to compute; None for the CPU.
        dtype: of the weights of coprop's own propagators.
        revision: of a model on the hub; None for main.
        local_files_only: take what was fetched before, without asking the hub.
    """

    words: Words | None = None
    threshold: float | None = None
    min_gap_s: float | None = None
    device: torch.device | str | None = None
    dtype: torch.dtype = torch.float32
    revision: str | None = None
    local_files_only: bool = False

    def of_detector(self) -> dict[str, Any]:
        """The numbers that are given."""
        given = {"threshold": self.threshold, "min_gap_s": self.min_gap_s}
        return {name: value for name, value in given.items() if value is not None}


_TOLD = ("text", "sam3")  # loaders of what is told words and masks by itself


def load_model(slot: Slot, name: AnyPath, options: PartOptions) -> Any:
    """The part that a name stands for, where that is no whole pipeline's.

    Raises:
        CheckpointError: nothing has that name, it cannot be fetched, or it is another part.
        CoPropError: words or numbers that it does not take.
        MissingPackageError: it needs a package that is not installed.
    """
    named = part_name(slot, name)
    if named.kind != "model":
        return _load(slot, named.kind, named.places, options)
    place = named.places[0]
    return load_folder(slot, described(place, options), options, place)


def load_folder(slot: Slot, folder: Path, options: PartOptions, place: str | None = None) -> Any:
    """The part that is in a folder, by its config.json.

    Args:
        slot: which part.
        folder: where its config.json is.
        options: what goes with it.
        place: its hub id, where the folder may hold no more than the config.json.
    """
    place = str(folder) if place is None else place
    family = family_for(slot, folder, read_config(folder, place), place)
    return _load(slot, family.loader, (place,), options)


def described(place: str, options: PartOptions) -> Path:
    """The folder of a model, on the hub of its config.json alone.

    Raises:
        CheckpointError: there is none, or it cannot be fetched.
    """
    if Path(place).is_dir():
        return Path(place)
    if not is_hub_id(place) or Path(place).exists():
        raise CheckpointError(f"{place} is no folder; give the folder of a model, or its hub id.")
    return fetched(place, CONFIGS, **_origin(options))


def whole(place: str, options: PartOptions) -> str:
    """The folder of a model of transformers, fetched if it lies on the hub.

    Raises:
        CheckpointError: there is none, or it cannot be fetched.
    """
    if Path(place).is_dir():
        return place
    return str(fetched_model(place, **_origin(options)))


def inside(place: str, part: str, options: PartOptions) -> Path:
    """A folder in a pipeline's folder, fetched if that lies on the hub."""
    if Path(place).is_dir() or not is_hub_id(place):
        return Path(place) / part
    return fetched(place, (f"{part}/*",), **_origin(options)) / part


def _origin(options: PartOptions) -> dict[str, Any]:
    return {"revision": options.revision, "local_files_only": options.local_files_only}


def _load(slot: Slot, kind: str, places: tuple[str, ...], options: PartOptions) -> Any:
    if options.words is not None and (slot, kind) != ("detector", "events"):
        raise CoPropError(
            f"words are what a detector by words listens for, and {kind} is none; give them with "
            "the detector events, or with a PE-A-Frame."
        )
    return _LOADERS[slot, kind](places, options)


def _scored(kind: str) -> Callable[[tuple[str, ...], PartOptions], Any]:
    def load(places: tuple[str, ...], options: PartOptions) -> Any:
        from coprop.control_points.detector import ControlPointDetector

        return getattr(ControlPointDetector, kind)(**options.of_detector())

    return load


def _events(places: tuple[str, ...], options: PartOptions) -> Any:
    from coprop.control_points.detector import ControlPointDetector

    model = None
    if places:
        _check_family("detector", places[0], "events", options)
        model = whole(places[0], options)
    return ControlPointDetector.events(
        model, words=options.words, device=options.device, **options.of_detector()
    )


def _rcpg(places: tuple[str, ...], options: PartOptions) -> Any:
    from coprop.control_points.detector import ControlPointDetector
    from coprop.control_points.language_models import language_model

    if options.of_detector():
        raise CoPropError(
            "a language model says where the sound changes, so it takes no threshold and no "
            "shortest gap; leave them out, or give another detector."
        )
    place = places[0]
    if place.startswith(("http://", "https://")):
        if options.local_files_only:
            raise CoPropError(
                f"rcpg:{place} asks a server, and no connection may be made; name a folder with "
                "the language model instead."
            )
        return ControlPointDetector.rcpg(place)
    device = None if options.device is None else str(options.device)
    return ControlPointDetector.rcpg(language_model(whole(place, options), device=device))


def _own_segmenter(places: tuple[str, ...], options: PartOptions) -> Any:
    from coprop.keyframes.segmenter import KeyframeSegmenter

    place = whole(places[0], options) if places else WEIGHTS / PARTS["segmenter"]
    return KeyframeSegmenter.from_pretrained(place).to(options.device)


def _told_segmenter(places: tuple[str, ...], options: PartOptions) -> Any:
    """Models that are told words: the default's own; one that masks; or a finder and a masker."""
    if not places:
        return _own_segmenter((), options).text_guided()
    kind: Any = import_module("coprop.keyframes.text").TextSegmenter
    for place in places:
        _check_told(place, alone=len(places) == 1, options=options)
    return kind.from_pretrained(*(whole(p, options) for p in places), device=options.device)


def _check_told(place: str, *, alone: bool, options: PartOptions) -> None:
    """Refuses, before gigabytes are fetched, what cannot be told words, or masks no boxes."""
    folder = described(place, options)
    config = read_config(folder, place) or {}
    family = FAMILIES.get(str(config.get("model_type")))
    if family is not None and not alone and family.joined:
        return
    family = family_for("segmenter", folder, config or None, place)
    if not alone or family.loader not in _TOLD:
        raise CheckpointError(
            f"{place} is {family.title}, which masks by itself and "
            + ("takes no other model beside it" if family.loader in _TOLD else "is told no words")
            + f"; name it {place} alone."
        )


def _own_propagator(places: tuple[str, ...], options: PartOptions) -> Any:
    from coprop.propagation.propagator import AudioInsertPropagator

    place = whole(places[0], options) if places else WEIGHTS / PARTS["propagator"]
    return AudioInsertPropagator.from_pretrained(place).to(options.device, options.dtype)


def _aot(places: tuple[str, ...], options: PartOptions) -> Any:
    from coprop.propagation.propagator import AudioInsertPropagator

    return AudioInsertPropagator.from_checkpoint(places[0]).to(options.device, options.dtype)


def _sam2(places: tuple[str, ...], options: PartOptions) -> Any:
    from coprop.propagation.sam2 import Sam2Propagator

    return Sam2Propagator.from_pretrained(whole(places[0], options), device=options.device)


def _check_family(slot: Slot, place: str, loader: str, options: PartOptions) -> None:
    """Refuses what another kind of model is than the word before the colon says."""
    folder = described(place, options)
    family = family_for(slot, folder, read_config(folder, place), place)
    if family.loader != loader:
        raise CheckpointError(
            f"{place} is {family.title}, so it is not named {loader}:{place}; name it "
            f"{family.loader}:{place}."
        )


_LOADERS: Mapping[tuple[Slot, str], Callable[[tuple[str, ...], PartOptions], Any]] = {
    ("detector", "novelty"): _scored("novelty"),
    ("detector", "cosine"): _scored("cosine"),
    ("detector", "events"): _events,
    ("detector", "rcpg"): _rcpg,
    ("segmenter", "default"): _own_segmenter,
    ("segmenter", "own"): _own_segmenter,
    ("segmenter", "text"): _told_segmenter,
    ("segmenter", "sam3"): _told_segmenter,
    ("propagator", "default"): _own_propagator,
    ("propagator", "own"): _own_propagator,
    ("propagator", "aot"): _aot,
    ("propagator", "sam2"): _sam2,
    ("propagator", "sam3"): _sam2,
}
