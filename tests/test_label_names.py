"""What labels stand for, from the keyframe model to the files that other programs read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from coprop import CoProp, CoPropError, Result, Segment
from coprop.context import ALONE
from pipeline_samples import RATE, Recorder, Shifter, changes_at, clip_of, noise


class Namer(Recorder):
    """Background, and three classes: the second is seen at first, the third and it later."""

    sample_rate, window_s = RATE, 0.5
    audio_span = "frame"
    context = ALONE

    def __init__(self) -> None:
        super().__init__(self.masked)
        self.label_names: Any = {1: "cat", 2: "dog", 3: "violin"}

    def masked(self, frames: Tensor) -> Tensor:
        logits = frames.new_zeros(len(frames), 4, *frames.shape[-2:]) - 5
        logits[:, 0] = 0
        logits[:, 2, :, :4] = 5
        late = frames[:, 0].mean(dim=(1, 2)) * 255 >= 10
        logits[late, 3, :, 8:12] = 5
        return logits


def pipeline_of(model: Any) -> CoProp:
    detector, propagator = changes_at(1.0), Shifter()
    return CoProp(
        segmenter=model, detector=detector, propagator=propagator, max_segment_s=None, namer=None
    )


def test_they_go_from_the_model_to_the_exports(tmp_path: Path) -> None:
    result = pipeline_of(Namer())(clip_of(20), noise(2.0), fps=10)
    told = [((2, "dog"),), ((2, "dog"), (3, "violin"))]
    assert [segment.label_names for segment in result.segments] == told
    result.save(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "result.json").read_text())["segments"]
    assert [row["labels"] for row in written] == [{"2": "dog"}, {"2": "dog", "3": "violin"}]
    read = Result.load(tmp_path / "out")
    assert [segment.label_names for segment in read.segments] == told
    for each, names in ((result, {"dog", "violin"}), (read, {"dog", "violin"})):
        each.export("coco", tmp_path / "coco.json", force=True)
        content = json.loads((tmp_path / "coco.json").read_text())
        assert {category["name"] for category in content["categories"]} == names
    read.export("coco", tmp_path / "coco.json", names={2: "wolf"}, force=True)
    content = json.loads((tmp_path / "coco.json").read_text())
    assert {category["name"] for category in content["categories"]} == {"wolf", "violin"}


def test_a_live_session_tells_them_too() -> None:
    session = pipeline_of(Namer()).live(10, RATE, look_ahead_s=0)
    samples = np.asarray(noise(2.0).samples)
    for i, frame in enumerate(clip_of(20)):
        session.push(frame, samples[i * RATE // 10 : (i + 1) * RATE // 10])
    session.finish()
    names = [dict(segment.label_names) for segment in session.segments]
    assert names[-1] == {2: "dog", 3: "violin"}


def test_a_model_without_names_has_none() -> None:
    model = Namer()
    model.label_names = None
    segments = pipeline_of(model)(clip_of(20), noise(2.0), fps=10).segments
    assert [segment.label_names for segment in segments] == [(), ()]


@pytest.mark.parametrize("names", [["cat"], {0: "cat"}, {1: ""}, {"a": "cat"}, {300: "cat"}, "cat"])
def test_names_that_are_none_are_refused(names: Mapping[int, str]) -> None:
    model = Namer()
    model.label_names = names
    with pytest.raises(CoPropError, match="name"):
        pipeline_of(model)(clip_of(20), noise(2.0), fps=10)
    with pytest.raises(CoPropError, match="name"):
        Segment(0.0, 1.0, label_names=names)  # type: ignore[arg-type]
