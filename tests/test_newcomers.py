"""What people try first and is not right: each is refused where it is given, in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from coprop import (
    AudioInsertPropagator,
    ControlPointDetector,
    CoProp,
    CoPropError,
    KeyframeSegmenter,
    Result,
)
from coprop.batch import Segment
from coprop.batch.content import file_status
from coprop.batch.lists import read_list
from coprop.errors import MediaError, ShapeError
from coprop.keyframes.adapters import CallableSegmenter
from coprop.keyframes.text_guided import TextGuidedSegmenter
from coprop.media.audio_file import AudioFile
from coprop.training.recipes import KeyframeRecipe, read_recipe
from pipeline_samples import Recorder, Shifter, changes_at, clip_of, noise, small_propagator

Make = Callable[[], Any]
IMAGE = Path(__file__).parents[1] / "docs" / "images" / "demo.png"


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
    "a folder for a segmenter": (
        lambda: KeyframeSegmenter("models/mine"),  # type: ignore[arg-type]
        r"KeyframeSegmenter\(\) takes a SegmenterConfig, got 'models/mine'; .*from_pretrained\(\)",
    ),
    "a folder for a propagator": (
        lambda: AudioInsertPropagator("models/mine"),  # type: ignore[arg-type]
        r"AudioInsertPropagator\(\) takes a PropagatorConfig, got 'models/mine'",
    ),
    "an empty name": (lambda: CoProp.from_pretrained(""), "folder is empty text, and no path"),
    "logits of another size": (
        lambda: wrapped(lambda frames, audio: frames[:, :1, ::4, ::4])(clip_of(2), noise(1), fps=2),
        r"expected \(1, 1, 12, 16\) with C >= 1\. torch\.nn\.functional\.interpolate",
    ),
    "logits of no class": (
        lambda: wrapped(lambda frames, audio: frames[:, :0])(clip_of(2), noise(1), fps=2),
        r"\(1, 0, 12, 16\) for one frame of 12 x 16; expected \(1, 1, 12, 16\) with C >= 1",
    ),
    "a picture for a training's settings": (
        lambda: read_recipe(KeyframeRecipe, "keyframes", IMAGE),
        "is not JSON: it is no text in UTF-8. Give a file with one JSON object of settings.",
    ),
    "pictures of numpy for a segmenter": (
        lambda: CallableSegmenter(Recorder())(np.zeros((1, 3, 8, 8)), np.zeros((1, 9))),  # type: ignore[arg-type]
        r"as tensors, got ndarray float64 of shape \(1, 3, 8, 8\) and ndarray",
    ),
    "no state for a step": (
        lambda: small_propagator().step(torch.zeros(1, 3, 8, 8), torch.zeros(1, 9), None),  # type: ignore[arg-type]
        r"the state must be what start\(\), or the step before, returned, got None\.",
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


def test_files_that_are_none(tmp_path: Path) -> None:
    pipeline, empty = wrapped(Recorder()), tmp_path / "empty.mp4"
    empty.touch()
    for refuse in (pipeline, pipeline.stream, AudioFile):
        with pytest.raises(MediaError, match=r"empty\.mp4 cannot .* it is empty; record"):
            refuse(empty)
        address = "https://example.com/a.mp4"
        with pytest.raises(MediaError, match=f"^{address} is an address, .*; download it"):
            refuse(address)
    with pytest.raises(MediaError, match="is an address"):
        file_status(Path(address))
    with pytest.raises(MediaError, match="is an address"):
        read_list(Path(address))
    with pytest.raises(MediaError, match=r"no such file: c:/a\.mp4"):
        pipeline("c:/a.mp4")
    pictures: list[Any] = [tmp_path / "0.png", tmp_path / "1.png"]
    with pytest.raises(ShapeError, match=r"frame 0 .* got the path .*0\.png; read pictures first"):
        pipeline(pictures, noise(1.0), fps=2)


def test_a_file_of_a_result_in_place_of_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "overlay.mp4"
    file.touch()
    with pytest.raises(MediaError, match=r"overlay\.mp4 holds no complete result.*Give a folder"):
        Result.load(file)
