from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coprop.media.timeline import envelope, plot_timeline
from coprop.types import Audio, ControlPoints, Segment


def points(*times: float) -> ControlPoints:
    count = len(times)
    scores = np.linspace(0, 1, count)
    return ControlPoints(np.asarray(times, dtype=float), scores, np.ones(count, dtype=bool))


def test_envelope_is_the_extremes_of_each_span() -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    low, high = envelope(Audio(samples, 1000), columns=10)
    spans = samples.reshape(10, 100)
    np.testing.assert_array_equal(low, np.minimum(spans.min(axis=1), 0))
    np.testing.assert_array_equal(high, np.maximum(spans.max(axis=1), 0))


@pytest.mark.parametrize("length", [0, 1, 7])
def test_envelope_of_hardly_any_sound(length: int) -> None:
    assert envelope(Audio(np.ones(length, dtype=np.float32), 8000)).shape == (2, length)


def test_long_sound_is_read_in_small_pieces() -> None:
    class Long(Audio):
        def read(self, start: int, stop: int) -> np.ndarray:  # type: ignore[type-arg]
            assert stop - start <= 1 << 16
            return super().read(start, stop)

    samples = np.zeros(500_000, dtype=np.float32)
    samples[123_456] = 1
    assert envelope(Long(samples, 8000), columns=2)[1].tolist() == [1, 0]


def draw(path: Path, change_s: float) -> np.ndarray:  # type: ignore[type-arg]
    plot_timeline(
        path,
        waveform=np.tile([[-0.5], [0.5]], 100),
        duration_s=4.0,
        control_points=points(0.0, change_s),
        segments=[Segment(0.0, change_s), Segment(change_s, 4.0)],
        keyframe_times_s=[0.0, change_s],
        mask_area=([0.0, 1.0, 2.0], [0.1, 0.0, 0.2]),
        title="cost: $5_000 and $6^2",
    )
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_control_points_are_drawn_where_they_are(tmp_path: Path) -> None:
    early, late = draw(tmp_path / "a.png", 1.0), draw(tmp_path / "b.png", 3.0)
    assert early.shape == late.shape
    assert early.shape[1] > 1000

    def red_line(image: np.ndarray) -> float:  # type: ignore[type-arg]
        top = image[60 : image.shape[0] // 3]  # inside the waveform
        red = (top[..., 0] > 180) & (top[..., 1] < 120)
        return float(red.sum(axis=0).argmax() / image.shape[1])

    assert red_line(late) - red_line(early) == pytest.approx(0.5 * 0.92, abs=0.04)


@pytest.mark.parametrize("duration", [0.0, 0.04])
def test_one_frame_and_no_sound(tmp_path: Path, duration: float) -> None:
    path = tmp_path / "t.png"
    plot_timeline(
        path,
        waveform=np.zeros((2, 0)),
        duration_s=duration,
        control_points=points(0.0),
        segments=points(0.0).segments(duration),
        keyframe_times_s=[],
        mask_area=([0.0], [0.0]),
    )
    assert Image.open(path).size[0] > 1000


def test_leaves_pyplot_alone(tmp_path: Path) -> None:
    before = "matplotlib.pyplot" in sys.modules
    draw(tmp_path / "a.png", 1.0)
    assert ("matplotlib.pyplot" in sys.modules) == before
