"""The event detector that `ControlPointDetector.events` is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coprop.control_points.events.detector import EventDetector
from coprop.control_points.events.tagger import SoundTagger, as_tagger
from coprop.control_points.events.words import Words, vocabulary
from coprop.encoders.yamnet import class_names
from coprop.errors import CoPropError
from coprop.types import WindowDetector
from coprop.utils.checks import shown
from coprop.utils.paths import AnyPath, is_path

if TYPE_CHECKING:
    import torch


def event_detector(
    model: SoundTagger | AnyPath | None,
    words: Words | None,
    *,
    threshold: float | None,
    min_gap_s: float,
    changes: WindowDetector,
    device: torch.device | str | None,
    local_files_only: bool,
) -> EventDetector:
    """See `ControlPointDetector.events`; ``changes`` is that of `EventDetector`."""
    chosen = None if words is None else vocabulary(words)
    if model is None or is_path(model):
        asked = vocabulary("audioset") if chosen is None else chosen
        known_only = isinstance(words, str) and words == "avss"  # not an array of words
        built = _built_in(model, asked.words, known_only, device, local_files_only)
        tagger = as_tagger(built)
    elif isinstance(model, type) or (hasattr(model, "parameters") and not hasattr(model, "words")):
        raise CoPropError(
            "model must be None, a folder or id of a PE-A-Frame, or a tagger, got "
            f"{shown(type(model))}; PeAudioTagger(model, processor, words) of "
            "coprop.control_points.events.pe_audio makes a tagger of a loaded PE-A-Frame."
        )
    else:
        tagger = as_tagger(model, None if chosen is None else chosen.words)
    heard = vocabulary("audioset" if tagger.words == class_names() else tagger.words)
    return EventDetector(tagger, heard, threshold=threshold, min_gap_s=min_gap_s, changes=changes)


def _built_in(
    name: AnyPath | None,
    words: tuple[str, ...],
    known_only: bool,
    device: torch.device | str | None,
    local_files_only: bool,
) -> Any:
    if name is None:
        from coprop.control_points.events.yamnet import YamnetTagger

        return YamnetTagger(words, known_only=known_only)
    from coprop.control_points.events.pe_audio import PeAudioTagger

    return PeAudioTagger.from_pretrained(
        name, words, device=device, local_files_only=local_files_only
    )
