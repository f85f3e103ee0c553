"""Whole pipelines in a folder or a repository: config.json names the parts, and folders hold them.

A folder without config.json, as of earlier versions, has ``keyframe_segmenter`` and ``propagator``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from coprop.assembly.defaults import DEFAULT_MAX_SEGMENT_S, DEFAULT_WORKING_EDGE
from coprop.assembly.families import PARTS, is_pipeline, read_config
from coprop.assembly.loading import PartOptions, described, inside, load_folder, load_model
from coprop.assembly.names import BUILT_IN, SLOTS, Slot, part_name
from coprop.checkpoints.hub import is_hub_id
from coprop.checkpoints.weights import has_file
from coprop.errors import CheckpointError, CoPropError

SETTINGS = ("max_segment_s", "working_edge")
"""Of a pipeline, by the names of its attributes."""

Saved = Literal["saved"]
"""In place of a setting: as the pipeline was saved with."""

_OF_DETECTORS = ("words", "threshold", "min_gap_s")
NAMES_SOUNDS = "names_sounds"
"""Whether segments are named, in config.json."""


@dataclass(frozen=True)
class SavedPipeline:
    """A pipeline that is in a folder or on the hub.

    Args:
        place: how it was named.
        folder: where its config.json is.
        config: what that holds; empty where there is none.

    Raises:
        CheckpointError: the config.json has something else in it than a pipeline's.
    """

    place: str
    folder: Path
    config: Mapping[str, Any]

    def __post_init__(self) -> None:
        known = {"model_type", NAMES_SOUNDS, *SLOTS, *SETTINGS}
        if unknown := sorted(set(self.config) - known):
            raise CheckpointError(
                f"the config.json of {self.place} has {', '.join(unknown)}, which a pipeline's has "
                "not; it may be of a newer version of coprop."
            )
        if not isinstance(self.names_sounds, bool):
            raise CheckpointError(
                f"in the config.json of {self.place}, {NAMES_SOUNDS} must be true or false, got "
                f"{self.names_sounds!r}."
            )

    @classmethod
    def found(cls, place: str, options: PartOptions) -> SavedPipeline:
        """The pipeline in a folder, or on the hub by its id.

        Raises:
            CheckpointError: there is none, it is something else, or it cannot be fetched.
        """
        if not Path(place).is_dir() and not is_hub_id(place):
            return cls(place, Path(place), {})  # says which folder is missing when it is looked for
        folder = described(place, options)
        config = read_config(folder, place)
        if config is not None and not is_pipeline(folder, config):
            raise CheckpointError(
                f"{place} is no whole pipeline, its model type is {config.get('model_type')!r}; "
                "give it as one of the parts: CoProp.assemble(detector=, segmenter=, propagator=)."
            )
        return cls(place, folder, config or {})

    @property
    def max_segment_s(self) -> float | None:
        """The longest time between keyframes that it was saved with, in seconds."""
        longest: float | None = self.config.get("max_segment_s", DEFAULT_MAX_SEGMENT_S)
        return longest

    @property
    def working_edge(self) -> int:
        """The longer side of the frames that its parts are shown, in pixels."""
        edge: int = self.config.get("working_edge", DEFAULT_WORKING_EDGE)
        return edge

    @property
    def names_sounds(self) -> bool:
        """Whether its segments are named."""
        named: bool = self.config.get(NAMES_SOUNDS, True)
        return named

    def names(self, **given: object) -> dict[str, str]:
        """What the parts are named that are not given and do not lie in folders of its own."""
        named = {slot: self._named(slot)[0] for slot in SLOTS if given[slot] is None}
        return {slot: name for slot, name in named.items() if name != PARTS[slot]}

    def part(self, slot: Slot, options: PartOptions) -> Any:
        """One of its parts.

        Raises:
            CheckpointError: it is not there, or named in a way that a file must not name it.
        """
        name, own = self._named(slot)
        options = _merged(own, options)
        if name != PARTS[slot]:
            # Not that of another pipeline, which could name a third one, and so on forever.
            return load_model(slot, name, replace(options, revision=None))
        folder = inside(self.place, name, options)
        if not has_file(folder / "config.json"):
            raise CheckpointError(
                f"{self.place} has no {name}/config.json; give a folder that holds "
                "keyframe_segmenter and propagator, each written by save_pretrained(), or the id "
                "of such a pipeline on the hub."
            )
        return load_folder(slot, folder, options)

    def _named(self, slot: Slot) -> tuple[str, dict[str, Any]]:
        """A part's name, and what goes with it."""
        default = BUILT_IN["detector"][0] if slot == "detector" else PARTS[slot]
        entry = self.config.get(slot, default)
        own = dict(entry) if isinstance(entry, dict) else {"name": entry}
        name = own.pop("name", None)
        allowed = _OF_DETECTORS if slot == "detector" else ()
        if not isinstance(name, str) or not set(own) <= set(allowed):
            raise CheckpointError(
                f"the config.json of {self.place} must name its {slot} by a text, or by an object "
                f"with {', '.join(('name', *allowed))}, got {entry!r}."
            )
        if name != PARTS[slot] and not self._may_name(slot, name):
            raise CheckpointError(
                f"the config.json of {self.place} names {name!r} as its {slot}; a file may name "
                f"the folder {PARTS[slot]} beside it, what is built in, or models on the hub."
            )
        return name, own

    def _may_name(self, slot: Slot, name: str) -> bool:
        """Files come from elsewhere: they name no paths of this machine, and no servers."""
        try:
            places = part_name(slot, name).places
        except CoPropError:
            return False
        return all(is_hub_id(place) and place != self.place for place in places)


def _merged(own: dict[str, Any], options: PartOptions) -> PartOptions:
    """What is asked for, and else what it was saved with; a revision is of the pipeline alone."""
    given = {name: value for name in own if (value := getattr(options, name)) is not None}
    words = own.get("words")
    if isinstance(words, list):
        own = {**own, "words": tuple(words)}
    return replace(options, **{**own, **given})
