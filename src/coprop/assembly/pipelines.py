"""`NamedPipeline`: pipelines made of names, saved and shared; what `CoProp` inherits."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from coprop.assembly.defaults import DEFAULT_MAX_SEGMENT_S
from coprop.assembly.loading import PartOptions
from coprop.assembly.names import Slot
from coprop.assembly.parts import load_masking, load_part
from coprop.assembly.told import usual_detector, with_words
from coprop.checkpoints.hub_mixin import HubMixin
from coprop.errors import CoPropError
from coprop.inference.turns import SegmentsAtOnce
from coprop.keyframes.adapters.registry import as_keyframe_model
from coprop.keyframes.model import KeyframeFunction, KeyframeModel
from coprop.keyframes.naming import AUDIOSET, SoundNamer
from coprop.propagation.propagator import Propagator
from coprop.types import AudioTrack, ControlPoints
from coprop.utils.checks import shown
from coprop.utils.paths import AnyPath, is_path
from coprop.utils.precision import Precision, as_dtype, checked_device

if TYPE_CHECKING:
    from coprop.control_points.events.words import Words

_Self = TypeVar("_Self", bound="Closing")
_Pipeline = TypeVar("_Pipeline", bound="NamedPipeline")


class Closing:
    """Closes what its attributes hold beyond memory, such as a process; a context manager."""

    def close(self) -> None:
        """Calls ``close`` of every attribute that has it; safe to call again."""
        for part in list(vars(self).values()):
            close = getattr(part, "close", None)
            if callable(close):
                close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class NamedPipeline(HubMixin, Closing):
    """A pipeline that knows what its parts were called."""

    @classmethod
    def assemble(
        cls: type[_Pipeline],
        *,
        detector: Callable[[AudioTrack], ControlPoints] | AnyPath | None = None,
        segmenter: nn.Module | KeyframeFunction | KeyframeModel | AnyPath = "default",
        propagator: Propagator | AnyPath = "default",
        words: Words | None = None,
        max_segment_s: float | None = DEFAULT_MAX_SEGMENT_S,
        namer: SoundNamer | None = AUDIOSET,
        device: torch.device | str | None = None,
        dtype: Precision | torch.dtype = "float32",
        segments_at_once: SegmentsAtOnce = "auto",
        local_files_only: bool = False,
    ) -> _Pipeline:
        """A pipeline of parts that are given or named.

        A name is built in (``coprop models`` lists them), a folder with a model, or its id on the
        hub; what it is, its config.json says. docs/models.md has the forms of names.

        Args:
            detector: "novelty", "cosine", "events", a PE-A-Frame, "rcpg:MODEL" for a language model
                that hears, or any detector. None for "events" where there are words or the
                segmenter is told words, and "novelty" elsewhere.
            segmenter: "default", "text" for the default's told words in place of sound,
                "text:FINDER+MASKER", another model that is told words, or what `CoProp.wrap` takes.
            propagator: "default", a SAM 2 or EdgeTAM, "aot:FILE" for an official checkpoint, or any
                propagator.
            words: what a detector by words listens for, see `ControlPointDetector.events`.
            max_segment_s, namer, device: see `CoProp`.
            dtype: as of `CoProp.from_pretrained`.
            segments_at_once: see `CoProp`.
            local_files_only: never ask the hub; what was fetched before is found.

        Raises:
            CheckpointError: nothing has such a name, it is another part, or cannot be fetched.
            CoPropError: a part or option that a pipeline does not take.
        """
        device = None if device is None else checked_device(device)
        dtype = as_dtype(dtype, device or torch.device("cpu"))
        options = PartOptions(device=device, dtype=dtype, local_files_only=local_files_only)
        given: Any = segmenter
        if not is_path(given):
            given = as_keyframe_model(given)
        segmenting, propagating = load_masking(given, propagator, options)
        detector = usual_detector(segmenting, words) if detector is None else detector
        detecting = detector
        if is_path(detector):
            named = load_part("detector", detector, replace(options, words=words))
            detecting = with_words(named, segmenting)
        elif words is not None:
            raise CoPropError(
                f"words go with a detector that is named, got {shown(detector)} with its own."
            )
        make: Any = cls
        pipeline: _Pipeline = make(
            segmenting,
            detector=detecting,
            propagator=propagating,
            max_segment_s=max_segment_s,
            namer=namer,
            device=device,
            dtype=dtype,
            segments_at_once=segments_at_once,
        )
        parts = {"detector": detector, "segmenter": segmenter, "propagator": propagator}
        pipeline.remember({slot: os.fspath(part) for slot, part in parts.items() if is_path(part)})
        return pipeline

    def name_of(self, slot: Slot) -> str | None:
        """What the part in a slot was named when it was made; None of one that was given."""
        part, name = vars(self).get("_names", {}).get(slot, (None, None))
        return name if part is getattr(self, slot) else None

    def remember(self, names: Mapping[str, str]) -> None:
        """Notes what the parts in some slots were named."""
        self._names = {slot: (getattr(self, slot), name) for slot, name in names.items()}

    def _write(self, folder: Path, name: str, card: dict[str, Any]) -> None:
        from coprop.assembly.writing import write_pipeline

        write_pipeline(self, folder, name, card)
