"""Which prediction a keyframe gets: by seconds, frames, rates, given times and file numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prediction_folders import SIZE, save

from coprop import CoProp, Predictions
from coprop.errors import ModelOutputError, PredictionError
from coprop.keyframes.timed import Moment
from coprop.types import FrameMask
from pipeline_samples import Shifter, changes_at, clip_of, noise


def numbered(count: int) -> np.ndarray:
    """(T, h, w) label maps: prediction n has label n + 1 everywhere."""
    return np.broadcast_to(np.arange(1, count + 1)[:, None, None], (count, *SIZE)).astype(np.uint8)


def files(folder: Path, numbers: list[int], name: str = "{:04d}") -> Path:
    """Label maps of the files' numbers, modulo 64, and 1."""
    for number in numbers:
        values = np.full(SIZE, number % 64 + 1, dtype=np.uint8)
        save(Image.fromarray(values), folder / f"{name.format(number)}.png")
    return folder


def chosen(predictions: Predictions, time_s: float, index: int = 0) -> int | None:
    """The label of the prediction at a moment, None for a keyframe that is skipped."""
    model = predictions.at(Moment(time_s, index))
    if model is None:
        return None
    return 0 if model.index is None else int(predictions[model.index].argmax(axis=0)[0, 0])


def run(predictions: Predictions, *changes_s: float, frames: int = 50) -> list[FrameMask]:
    pipeline = CoProp.wrap(
        predictions, detector=changes_at(*changes_s), propagator=Shifter(), namer=None
    )
    return list(pipeline(clip_of(frames, *SIZE), noise(frames / 10), fps=10).masks)


@pytest.mark.parametrize(
    ("options", "time_s", "index", "label"),
    [
        # The second that the time lies in, and of two equally near the later one.
        ({"every": "second"}, 0.0, 0, 1),
        ({"every": "second"}, 0.99, 9, 1),
        ({"every": "second"}, 1.0, 10, 2),
        ({"every": "second"}, 4.2, 42, 5),
        ({"every": "second"}, 5.2, 52, 5),
        ({"every": "frame"}, 0.3, 3, 4),
        ({"fps": 10}, 0.3, 0, 4),
        ({"fps": 10}, 0.33, 0, 4),
        ({"fps": 10}, 0.37, 0, 5),
        ({"fps": 29.97}, 4 / 29.97, 0, 5),
        ({"times_s": [0, 1, 1.2, 3, 4.9]}, 1.1, 0, 3),
        ({"times_s": [0, 1, 1.2, 3, 4.9]}, 1.09, 0, 2),
        ({"times_s": [0, 1, 1.2, 3, 4.9]}, 5.0, 0, 5),
    ],
)
def test_nearest_in_time(options: dict[str, Any], time_s: float, index: int, label: int) -> None:
    assert chosen(Predictions(numbered(5), **options), time_s, index) == label


@pytest.mark.parametrize(
    ("numbers", "options", "wanted"),
    [
        ([0, 1, 2], {"every": "second"}, {0.5: 0, 2.5: 2}),
        ([1, 2, 3], {"every": "second"}, {0.5: 1, 2.5: 3}),
        # Gaps count, and so does what comes before the first.
        ([0, 2, 3], {"every": "second"}, {2.5: 2, 3.5: 3}),
        ([4, 5], {"every": "second"}, {4.5: 4, 5.5: 5}),
        ([0, 25, 50], {"fps": 25}, {0.0: 0, 1.0: 25, 2.0: 50}),
        ([1, 26, 51], {"fps": 25}, {0.0: 1, 1.0: 26, 2.0: 51}),
    ],
)
def test_numbers_of_files(
    numbers: list[int], options: dict[str, Any], wanted: dict[float, int], tmp_path: Path
) -> None:
    predictions = Predictions(files(tmp_path, numbers), values="labels", **options)
    assert {time: chosen(predictions, time) for time in wanted} == {
        time: number % 64 + 1 for time, number in wanted.items()
    }


def test_names_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """2 comes before 10; without numbers, names are sorted."""
    folder = files(tmp_path / "a", [2, 10, 1], "clip.mp4_{}")
    predictions = Predictions(folder, values="labels", every="second")
    assert chosen(predictions, 1.5) == 3
    for name in ("b", "a"):
        save(Image.new("L", SIZE[::-1], ord(name) - 96), tmp_path / "b" / f"{name}.png")
    named = Predictions(tmp_path / "b", values="labels", every="second")
    assert (chosen(named, 0), chosen(named, 1)) == (1, 2)


def test_the_clip_tells_frames_from_seconds() -> None:
    """As many as its frames are one a frame, as many as its seconds one a second."""
    each = run(Predictions(numbered(50), values="labels"), 2.05)
    assert [m.labels[0, 0] for m in each if m.is_keyframe] == [1, 22]
    seconds = run(Predictions(numbered(5)), 2.05)
    assert [m.labels[0, 0] for m in seconds if m.is_keyframe] == [1, 3]
    with pytest.raises(PredictionError, match=r"7 predictions fit the clip of 50 frames and 5"):
        run(Predictions(numbered(7)))


def test_a_clip_whose_length_is_not_known() -> None:
    pipeline = CoProp.wrap(
        Predictions(numbered(5)), detector=changes_at(), propagator=Shifter(), namer=None
    )
    with pytest.raises(PredictionError, match="length is not known; give every="):
        next(pipeline.stream(iter(clip_of(50, *SIZE)), noise(5), fps=10))


def test_frames_of_varying_length() -> None:
    """One a frame goes by numbers, whatever the times are."""
    predictions = Predictions(numbered(50), values="labels", every="frame")
    assert chosen(predictions, 17.3, 20) == 21


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"every": "frame"}, r"of frame 99 \(from 0\), but the clip has 50 frames"),
        ({"every": "second"}, r"100 predictions \(one a second\) is at 99.50 s, .* ends at 5.00 s"),
        ({"fps": 10}, r"100 predictions \(10 a second\) is at 9.90 s"),
        ({"times_s": np.arange(100) / 10}, "at times of their own"),
    ],
)
def test_predictions_of_another_clip(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PredictionError, match=sentence):
        run(Predictions(numbered(100), values="labels", **options))


def test_none_near_is_told() -> None:
    predictions = Predictions(numbered(2), times_s=[0.0, 1.0])
    with pytest.raises(
        PredictionError,
        match=r"keyframe at 4.000 s: of 2 predictions the nearest is 3.000 s away, and "
        r"max_distance_s is 0.75",
    ):
        run(predictions, 4.0)
    assert chosen(Predictions(numbered(2), times_s=[0.0, 1.0], max_distance_s=3), 4.0) == 2


def test_none_near_is_empty() -> None:
    masks = run(Predictions(numbered(2), times_s=[0.0, 1.0], missing="empty"), 1.0, 3.0)
    assert [int(mask.labels.max()) for mask in masks] == [1] * 10 + [2] * 20 + [0] * 20
    assert masks[30].is_keyframe


def test_none_near_is_skipped() -> None:
    """No keyframe: the mask before is carried on."""
    masks = run(Predictions(numbered(2), times_s=[0.0, 1.0], missing="skip"), 1.0, 3.0)
    assert [int(mask.labels.max()) for mask in masks] == [1] * 10 + [2] * 40
    assert [mask.index for mask in masks if mask.is_keyframe] == [0, 10]


def test_the_first_keyframe_waits_where_nothing_is_before() -> None:
    """Frames are empty up to the first one with a prediction near."""
    options: dict[str, Any] = {"times_s": [2.0], "max_distance_s": 0.5, "missing": "skip"}
    masks = run(Predictions(numbered(1), **options))
    assert [int(mask.labels.max()) for mask in masks] == [0] * 15 + [1] * 35
    assert [mask.index for mask in masks if mask.is_keyframe] == [15]


def test_segments_are_those_of_the_sound_where_keyframes_are_skipped() -> None:
    predictions = Predictions(numbered(2), times_s=[0.0, 1.0], missing="skip")
    pipeline = CoProp.wrap(
        predictions, detector=changes_at(1.0, 3.0), propagator=Shifter(), namer=None
    )
    result = pipeline(clip_of(50, *SIZE), noise(5), fps=10)
    assert [segment.start_s for segment in result.segments] == [0.0, 1.0, 3.0]


def test_every_frame_alone_has_its_own_prediction() -> None:
    from coprop.media.clip import Clip

    pipeline = CoProp.wrap(Predictions(numbered(50), values="labels"), propagator=Shifter())
    masks = pipeline.every_frame(Clip(clip_of(50, *SIZE), noise(5), fps=10))
    assert [int(mask.labels[0, 0]) for mask in masks] == list(range(1, 51))
    gaps = Predictions(numbered(2), times_s=[0.0, 1.0], missing="skip")
    pipeline = CoProp.wrap(gaps, propagator=Shifter())
    masks = pipeline.every_frame(Clip(clip_of(50, *SIZE), noise(5), fps=10))
    assert [int(mask.labels[0, 0]) for mask in masks] == [1] * 5 + [2] * 13 + [0] * 32


def test_a_model_that_returns_none_is_told() -> None:
    """Only predictions leave keyframes out; a function without a result has a fault."""
    pipeline = CoProp.wrap(
        lambda frames, audio: None, detector=changes_at(), propagator=Shifter(), namer=None
    )
    with pytest.raises(ModelOutputError, match="must return logits as a real tensor"):
        pipeline(clip_of(5, *SIZE), noise(0.5), fps=10)
