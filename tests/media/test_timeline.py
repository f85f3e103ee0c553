from __future__ import annotations

import os
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coprop.media.timeline import envelope, plot_timeline, write_names
from coprop.types import Audio, ControlPoints, Segment
from coprop.values.categories import Category


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


def draw(path: Path, change_s: float, title: str = "cost: $5_000 and $6^2") -> np.ndarray:  # type: ignore[type-arg]
    plot_timeline(
        path,
        waveform=np.tile([[-0.5], [0.5]], 100),
        duration_s=4.0,
        control_points=points(0.0, change_s),
        segments=[Segment(0.0, change_s), Segment(change_s, 4.0)],
        keyframe_times_s=[0.0, change_s],
        mask_area=([0.0, 1.0, 2.0], [0.1, 0.0, 0.2]),
        title=title,
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
        segments=[Segment(0.0, duration)],
        keyframe_times_s=[],
        mask_area=([0.0], [0.0]),
    )
    assert Image.open(path).size[0] > 1000


def test_leaves_pyplot_alone(tmp_path: Path) -> None:
    before = "matplotlib.pyplot" in sys.modules
    draw(tmp_path / "a.png", 1.0)
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_names_are_written_where_they_fit() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_xlim(0, 10)

    def segment(start_s: float, end_s: float, *names: str) -> Segment:
        return Segment(start_s, end_s, tuple(Category(name, 0.5) for name in names))

    long = "Bird vocalization, bird call, bird song"
    segments = [
        segment(0, 2, "Dog", "Bark"),
        segment(2, 2.1, "Cat"),  # too short for any
        segment(2.1, 3.5, "Chicken, rooster and all that crows"),
        segment(3.5, 4.5, "$5_000^2"),
        segment(4.5, 6, "Harp"),
        segment(5, 8, long),  # begins before the other has ended
        segment(8, 9),
        segment(9.9, 30, "Music"),  # what is seen of it is short
    ]
    write_names(axes, segments, "black")
    written = [text.get_text() for text in axes.texts]
    assert written == ["Dog", "Chicken", "$5_000^2", "Harp", long]
    boxes = [text.get_window_extent() for text in axes.texts]
    for before, after in pairwise(boxes):
        assert before.x1 < after.x0
    spans = [segments[i] for i in (0, 2, 3, 4, 5)]
    for box, span in zip(boxes, spans, strict=True):
        left, right = (axes.transData.transform((t, 0))[0] for t in (span.start_s, span.end_s))
        assert left < box.x0 < box.x1 < right
    figure.savefig(os.devnull, format="png")


@pytest.mark.parametrize(
    "name",
    ["犬が吠える كلب กขค 🐶.mp4", "\udcff\udc80犬.mp4", "a\nb\t\x07.mp4", "$x^2$ \\frac{.mp4"],
)
def test_names_in_any_script_give_no_warning(tmp_path: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(tmp_path / "t.png", 1.0, title=name)


def test_many_changes_go_into_several_rows(tmp_path: Path) -> None:
    """In 20 minutes with 400 of them each is still seen for itself, and so is what is between."""
    times = np.arange(401) * 3.0
    keyframes = np.arange(600) * 2.0
    plot_timeline(
        tmp_path / "t.png",
        waveform=np.tile([[-0.5], [0.5]], 20_000),
        duration_s=1203.0,
        control_points=points(*times),
        segments=[Segment(start, start + 2) for start in keyframes.tolist()],
        keyframe_times_s=keyframes.tolist(),
        mask_area=(keyframes, np.full(600, 0.1)),
    )
    image = np.asarray(Image.open(tmp_path / "t.png").convert("RGB")).astype(int)
    height, width = image.shape[:2]
    assert width < height < 4000
    dark = (image < 80).all(axis=2)
    crowded = [y for y in range(60, height) if dark[y].mean() > 0.1]  # triangles
    rows = [y for y, before in zip(crowded, [-200, *crowded], strict=False) if y - before > 100]
    assert len(rows) == 8
    seen = 0
    for y in rows:
        line = dark[y + 1]
        seen += int((np.diff(line[90:].astype(int)) == 1).sum())
    assert seen == len(keyframes)


def test_colours_tell_segments_from_silence(tmp_path: Path) -> None:
    """White where there is no segment, and no blue that could be taken for silence."""
    path = tmp_path / "t.png"
    plot_timeline(
        path,
        waveform=np.zeros((2, 0)),
        duration_s=4.0,
        control_points=points(0.0),
        segments=[Segment(1.0, 2.0), Segment(2.0, 3.0)],
        keyframe_times_s=[1.0, 2.0],
        mask_area=([0.0], [0.0]),
    )
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    y, (left, right) = 120, (102, 1410)
    at = [image[y, round(left + (right - left) * t / 4)] for t in (0.5, 1.5, 2.5, 3.5)]
    assert at[0].tolist() == at[3].tolist() == [255, 255, 255]
    assert at[1].tolist() != at[2].tolist()
    for colour in at[1:3]:
        assert colour[0] > colour[2]
