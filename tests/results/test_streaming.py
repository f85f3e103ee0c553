"""Masks written as they come: complete or not at all, and at bounded memory."""

from __future__ import annotations

import json
import re
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coprop import CoProp, CoPropError, Result
from coprop.errors import MediaError, OutputError, ShapeError
from coprop.media.reader import Frame
from coprop.results.streaming import MaskStream
from coprop.storage.locks import LOCK
from pipeline_samples import Recorder, Shifter, changes_at, clip_of, noise
from small_clips import write_clip

RESULT_MD = Path(__file__).parents[2] / "docs" / "result.md"


def wrapped(*changes_s: float) -> CoProp:
    return CoProp.wrap(
        Recorder(), detector=changes_at(*changes_s), propagator=Shifter(), namer=None
    )


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4")


def write_all(masks: MaskStream, out: Path) -> None:
    with masks.writer(out) as writer:
        for mask in masks:
            writer.write(mask)


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != LOCK)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_what_is_written_is_what_a_result_saves(clip: Path, tmp_path: Path) -> None:
    pipeline = wrapped(0.5)
    pipeline(clip).save(tmp_path / "saved")
    write_all(pipeline.stream(clip), tmp_path / "streamed")
    streamed = files(tmp_path / "streamed")
    assert len(streamed) == 5 + 3
    assert streamed == files(tmp_path / "saved")
    assert len(Result.load(tmp_path / "streamed", clip).masks) == 5


def test_frames_that_come_once_are_in_the_overlay(tmp_path: Path) -> None:
    masks = wrapped().stream(iter(clip_of(6)), noise(0.6), fps=10)
    write_all(masks, tmp_path / "out")
    assert set(files(tmp_path / "out")) >= {"overlay.mp4", "timeline.png", "masks/000005.png"}
    assert masks.is_complete
    assert [segment.end_s for segment in masks.segments] == [pytest.approx(0.6)]


def test_a_part_is_written_under_the_numbers_of_the_whole(clip: Path, tmp_path: Path) -> None:
    pipeline = wrapped()
    pipeline(clip, start_s=0.4).save(tmp_path / "saved")
    write_all(pipeline.stream(clip, start_s=0.4), tmp_path / "streamed")
    assert {f"masks/00000{i}.png" for i in (2, 3, 4)} <= set(files(tmp_path / "streamed"))
    assert files(tmp_path / "streamed") == files(tmp_path / "saved")
    lost = [Frame(3 * i, i / 10, picture) for i, picture in enumerate(clip_of(3))]
    write_all(wrapped().stream(lost, noise(0.3)), tmp_path / "lost")
    assert [mask.index for mask in Result.load(tmp_path / "lost").masks] == [0, 3, 6]


def test_each_mask_is_there_before_the_next_but_one(tmp_path: Path) -> None:
    masks = wrapped().stream(clip_of(12), noise(1.2), fps=10)
    with masks.writer(tmp_path / "out") as writer:
        for mask in masks:
            writer.write(mask)
            written = len(list((tmp_path / "out/masks").glob("*.png")))
            assert written >= mask.index - 3  # two wait, and one is being written
            assert not (tmp_path / "out/result.json").exists()
    assert (tmp_path / "out/result.json").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"num_frames": 3.5}, "num_frames is 3.5"),
        ({"height": 48.5}, "height is 48.5"),
        ({"frames": {"index": 1.5}}, "a frame's index is 1.5"),
        ({"frames": {"labels": [1.5]}}, "a label of frame 1 is 1.5"),
    ],
)
def test_numbers_that_are_not_whole(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    write_all(wrapped().stream(clip_of(3), noise(0.3), fps=10), tmp_path)
    content = json.loads((tmp_path / "result.json").read_text())
    content["frames"][1] |= change.get("frames", {})
    content |= {name: value for name, value in change.items() if name != "frames"}
    (tmp_path / "result.json").write_text(json.dumps(content))
    with pytest.raises(MediaError, match=rf"result\.json .*{told}, no whole number\); run the"):
        Result.load(tmp_path)


def test_masks_may_be_changed(tmp_path: Path) -> None:
    masks = wrapped().stream(clip_of(3), noise(0.3), fps=10)
    with masks.writer(tmp_path / "out") as writer:
        for mask in masks:
            writer.write(replace(mask, labels=np.zeros_like(mask.labels)))
    assert not any(mask.labels.any() for mask in Result.load(tmp_path / "out").masks)


@pytest.mark.parametrize("count", [20, 60])
def test_memory_does_not_grow_with_length(tmp_path: Path, count: int) -> None:
    kept: list[weakref.ReferenceType[np.ndarray]] = []
    most = 0

    def camera() -> Iterator[np.ndarray]:
        nonlocal most
        for picture in clip_of(count):
            kept[:] = [each for each in kept if each() is not None]
            most = max(most, len(kept))
            own = picture.copy()
            kept.append(weakref.ref(own))
            yield own

    write_all(wrapped().stream(camera(), noise(count / 10), fps=10), tmp_path / "out")
    assert 0 < most <= 8  # one at work, two that wait to be written, and who hands them on


def test_a_run_that_stops_leaves_no_result(tmp_path: Path) -> None:
    masks = wrapped().stream(clip_of(6), noise(0.6), fps=10)
    with masks.writer(tmp_path / "left") as writer:
        for mask in masks:
            writer.write(mask)
            if mask.index == 2:
                break
    assert set(files(tmp_path / "left")) == {
        *(f"masks/00000{i}.png" for i in range(3)),
        "overlay.mp4",
    }
    assert not masks.is_complete
    assert list(masks) == []  # its clip has been closed

    def breaks() -> Iterator[np.ndarray]:
        yield from clip_of(3)
        raise RuntimeError("the camera is gone")

    broken = wrapped().stream(breaks(), noise(0.6), fps=10)
    with pytest.raises(RuntimeError, match="camera"):
        write_all(broken, tmp_path / "broken")
    assert set(files(tmp_path / "broken")) == {f"masks/00000{i}.png" for i in range(3)}


def test_an_earlier_result_is_replaced_on_request_alone(clip: Path, tmp_path: Path) -> None:
    write_all(wrapped().stream(clip), tmp_path / "out")
    before = files(tmp_path / "out")
    again = wrapped().stream(clip)
    with pytest.raises(OutputError, match="is not empty"):
        again.writer(tmp_path / "out")
    assert files(tmp_path / "out") == before
    with again.writer(tmp_path / "out", force=True) as writer:  # the refusal has cost nothing
        for mask in again:
            writer.write(mask)
    assert files(tmp_path / "out") == before


def test_a_writer_takes_every_mask_once_and_in_time(tmp_path: Path) -> None:
    masks = wrapped().stream(clip_of(4), noise(0.4), fps=10)
    with masks.writer(tmp_path / "out") as writer:
        first = next(masks)
        with pytest.raises(CoPropError, match=r"takes a FrameMask, got ndarray"):
            writer.write(first.labels)  # type: ignore[arg-type]
        second = next(masks)
        with pytest.raises(CoPropError, match=r"of frame 0, .* that of frame 1; write each"):
            writer.write(first)
        with pytest.raises(CoPropError, match="mask of frame 0 was not written"):
            writer.write(second)
    assert files(tmp_path / "out") == {}


def test_the_last_mask_counts_too(tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match="mask of frame 3 was not written"):
        all_but_the_last(tmp_path / "out")
    assert "result.json" not in files(tmp_path / "out")
    with pytest.raises(CoPropError, match="mask of frame 0 has been written; write each one once"):
        twice(tmp_path / "twice")


def all_but_the_last(out: Path) -> None:
    masks = wrapped().stream(clip_of(4), noise(0.4), fps=10)
    with masks.writer(out) as writer:
        for mask in masks:
            if mask.index < 3:
                writer.write(mask)


def twice(out: Path) -> None:
    masks = wrapped().stream(clip_of(2), noise(0.2), fps=10)
    with masks.writer(out) as writer:
        mask = next(masks)
        writer.write(mask)
        writer.write(mask)


def test_one_writer_before_the_first_mask(tmp_path: Path) -> None:
    masks = wrapped().stream(clip_of(2), noise(0.2), fps=10)
    with masks.writer(tmp_path / "out"), pytest.raises(CoPropError, match="has one already"):
        masks.writer(tmp_path / "other")
    masks = wrapped().stream(clip_of(2), noise(0.2), fps=10)
    next(masks)
    with pytest.raises(CoPropError, match="this stream has begun"):
        masks.writer(tmp_path / "late")
    assert not (tmp_path / "late").exists()


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    def small(out: Path) -> None:
        masks = wrapped().stream(clip_of(2), noise(0.2), fps=10)
        with masks.writer(out) as writer:
            for mask in masks:
                other = np.zeros((3, 3), dtype=np.uint8)
                writer.write(replace(mask, labels=other, probabilities=None))

    with pytest.raises(ShapeError, match="takes uint8 labels of that shape"):
        small(tmp_path / "out")
    assert "result.json" not in files(tmp_path / "out")


def test_the_documented_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = RESULT_MD.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if ".writer(" in block]
    write_clip(tmp_path / "examples" / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CoProp, "from_pretrained", wrapped)  # what is written is the same
    exec(compile(block, "result.md", "exec"), {})
    assert len(Result.load("out", "examples/clip.mp4").masks) == 5
