"""Models that are told words, by name: finders with maskers, and those that mask by themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coprop import CoProp
from coprop.assembly.parts import load_masking
from coprop.control_points.events.detector import EventDetector
from coprop.errors import CheckpointError, CoPropError
from coprop.propagation.sam2 import Sam2Propagator
from pipeline_samples import clip_of, noise, small_propagator

text = pytest.importorskip("coprop.keyframes.text")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The folder of a tiny model of a family."""
    from tests.keyframes.tiny_text_models import save

    made: dict[str, str] = {}

    def folder(family: str) -> str:
        if family not in made:
            place = tmp_path_factory.mktemp("models") / family
            save(family, place)
            made[family] = str(place)
        return made[family]

    return folder


def test_a_finder_and_a_masker(saved: Callable[[str], str]) -> None:
    name = f"text:{saved('grounding_dino')}+{saved('sam2')}"
    pipeline = CoProp.assemble(segmenter=name, propagator=small_propagator(), words=["dog"])
    assert isinstance(pipeline.segmenter, text.TextSegmenter)
    assert isinstance(pipeline.detector, EventDetector)
    assert len(pipeline(clip_of(3, 32, 48), noise(1.5), fps=2).labels) == 3
    with pytest.raises(CoPropError, match=r"the segmenter, .*, cannot be saved"):
        pipeline.save_pretrained(Path(saved("sam2")).parent / "never")


def test_one_that_masks_by_itself(saved: Callable[[str], str]) -> None:
    for name in (saved("clipseg"), f"text:{saved('clipseg')}"):
        segmenter, _ = load_masking(name, None)
        assert isinstance(segmenter, text.TextSegmenter)
    with pytest.raises(CheckpointError, match=r"takes no other model beside it; name it .* alone"):
        load_masking(f"text:{saved('clipseg')}+{saved('sam2')}", None)
    with pytest.raises(CheckpointError, match="no segmenter by itself: name it text:"):
        load_masking(f"text:{saved('grounding_dino')}", None)


def test_one_sam_3_for_both_is_read_once(
    saved: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = saved("sam3_video")
    segmenter, propagator = load_masking(place, place)
    assert isinstance(propagator, Sam2Propagator)
    shared = segmenter.network.vision_encoder.backbone

    def parts(module: Any) -> set[int]:
        return {id(parameter) for parameter in module.parameters()}

    assert parts(shared) <= parts(propagator)
    pipeline = CoProp.assemble(segmenter=f"text:{place}", propagator=place)
    with pytest.raises(CoPropError, match="cannot be saved"):
        pipeline.save_pretrained(Path(place).parent / "never")
    for slot in ("segmenter", "propagator"):
        part: dict[str, Any] = {"segmenter": None, "propagator": None, slot: place}
        assert any(load_masking(**part))
