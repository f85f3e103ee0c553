"""What people try first and is not right: each is refused where it is given, in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from coprop import (
    AudioInsertPropagator,
    ControlPointDetector,
    CoProp,
    CoPropError,
    KeyframeSegmenter,
)
from coprop.batch import Segment
from coprop.keyframes.adapters import CallableSegmenter
from coprop.keyframes.text_guided import TextGuidedSegmenter
from pipeline_samples import Recorder, Shifter, changes_at

Make = Callable[[], Any]


def of_no_argument() -> None:
    """Is never called."""


def wrapped(model: Any, **options: Any) -> CoProp:
    parts: dict[str, Any] = {"propagator": Shifter(), "detector": changes_at(), **options}
    return CoProp.wrap(model, **parts)


def put(slot: str, value: Any) -> None:
    setattr(wrapped(Recorder()), slot, value)


NO_KEYFRAME_MODEL = r"a keyframe model needs .* {} has no sample_rate\. CoProp\.wrap\(\) makes one"
CLASS = r"must be an object, got the class {} itself; make one of it"
CANNOT = r"must be a function .*; the function of_no_argument cannot be called with \({}\)\."
REFUSED: dict[str, tuple[Make, str]] = {
    "a name as segmenter": (
        lambda: CoProp.from_pretrained(segmenter="default"),  # type: ignore[arg-type]
        NO_KEYFRAME_MODEL.format("str") + r".*CoProp\.assemble\(\) of a name\.",
    ),
    "a number as segmenter": (lambda: put("segmenter", 5), NO_KEYFRAME_MODEL.format("int")),
    "none as segmenter": (lambda: put("segmenter", None), NO_KEYFRAME_MODEL.format("NoneType")),
    "a function as segmenter": (
        lambda: CoProp(Recorder(), detector=changes_at(), propagator=Shifter()),  # type: ignore[arg-type]
        NO_KEYFRAME_MODEL.format("Recorder"),
    ),
    "a network as segmenter": (
        lambda: put("segmenter", nn.Linear(2, 2)),
        NO_KEYFRAME_MODEL.format("Linear"),
    ),
    "a segmenter's class": (
        lambda: put("segmenter", KeyframeSegmenter),
        "the keyframe model " + CLASS.format("KeyframeSegmenter"),
    ),
    "a propagator's class": (
        lambda: put("propagator", AudioInsertPropagator),
        "the propagator " + CLASS.format("AudioInsertPropagator"),
    ),
    "a detector's class": (
        lambda: put("detector", ControlPointDetector),
        "the detector " + CLASS.format("ControlPointDetector"),
    ),
    "a network's class": (lambda: wrapped(nn.Linear), "the model " + CLASS.format("Linear")),
    "an adapter's class": (
        lambda: wrapped(nn.Linear(2, 2), adapter=CallableSegmenter),
        "the model " + CLASS.format("CallableSegmenter"),
    ),
    "a name to wrap": (
        lambda: wrapped("text"),
        r"wrap\(\) takes a network, or a function .* got str\. CoProp\.assemble\(\) takes names",
    ),
    "a model of other arguments": (
        lambda: wrapped(of_no_argument),
        "the model " + CANNOT.format("frames, audio"),
    ),
    "a detector of other arguments": (
        lambda: put("detector", of_no_argument),
        "the detector " + CANNOT.format("audio"),
    ),
    "a namer of other arguments": (
        lambda: put("namer", of_no_argument),
        "the namer " + CANNOT.format("audio, segment"),
    ),
    "a score of other arguments": (
        lambda: ControlPointDetector(of_no_argument, threshold=0.5),  # type: ignore[arg-type]
        "score " + CANNOT.format("audio, windows"),
    ),
    "embeddings of other arguments": (
        lambda: ControlPointDetector.cosine(of_no_argument, sample_rate=8000),  # type: ignore[arg-type]
        "embed " + CANNOT.format("samples"),
    ),
    "a text model of other arguments": (
        lambda: TextGuidedSegmenter(of_no_argument),  # type: ignore[arg-type]
        "fn " + CANNOT.format("frames, categories"),
    ),
    "a pipeline in place of what makes it": (
        lambda: Segment("out", pipeline=wrapped(Recorder())),
        r"pipeline must be a function without arguments .* cannot be called with \(\)\.",
    ),
}


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_where_it_is_given(make: Make, said: str) -> None:
    with pytest.raises(CoPropError, match=said) as refused:
        make()
    assert "\n" not in str(refused.value)
