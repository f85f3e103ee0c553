from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageSequence

from coprop.errors import AudioError, MediaError, ShapeError
from coprop.media.frames import as_image, frames_from, kept
from coprop.media.reader import Frame
from coprop.values.given_sound import as_track

VIDEO = np.random.default_rng(0).integers(0, 255, (4, 5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "source",
    [
        VIDEO,
        VIDEO.astype(np.float32) / 255,
        VIDEO.astype(np.float64) / 255,
        torch.from_numpy(VIDEO).movedim(3, 1),
        torch.from_numpy(VIDEO).movedim(3, 1).float() / 255,
        (torch.from_numpy(VIDEO).movedim(3, 1).double() / 255).requires_grad_(),
        list(VIDEO),
        [torch.from_numpy(image).movedim(2, 0) for image in VIDEO],
        [Image.fromarray(image) for image in VIDEO],
    ],
)
def test_every_form_gives_the_same_frames(source: object) -> None:
    frames = frames_from(source, fps=25)  # type: ignore[arg-type]
    for _ in range(2):
        got = list(frames)
        assert [frame.index for frame in got] == [0, 1, 2, 3]
        assert [frame.time_s for frame in got] == pytest.approx([0, 0.04, 0.08, 0.12])
        np.testing.assert_array_equal(np.stack([frame.image for frame in got]), VIDEO)


@settings(deadline=None, max_examples=20)
@given(
    video=hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.just(3)),
    ),
    fps=st.fractions(Fraction(1, 10), Fraction(240), max_denominator=1001),
)
def test_times_are_exact(video: np.ndarray, fps: Fraction) -> None:  # type: ignore[type-arg]
    for frame in frames_from(video, fps=fps):
        assert frame.pts is not None
        assert frame.time_base is not None
        assert frame.pts * frame.time_base == frame.index / fps
        assert frame.time_s == pytest.approx(float(frame.index / fps))
        np.testing.assert_array_equal(frame.image, video[frame.index])


def test_float_rates_mean_their_fractions() -> None:
    def second(fps: float) -> Fraction:
        frame = list(frames_from(VIDEO, fps=fps))[1]
        assert frame.time_base is not None
        return frame.time_base

    assert second(30_000 / 1001) == Fraction(1001, 30_000)
    assert second(29.97) == Fraction(100, 2997)
    assert second(0.5) == 2


def test_iterators_stay_lazy() -> None:
    taken = []

    def pictures() -> Iterator[np.ndarray]:  # type: ignore[type-arg]
        for index in range(1000):
            taken.append(index)
            yield VIDEO[0]

    frames = iter(frames_from(pictures(), fps=30))
    next(frames)
    next(frames)
    assert taken == [0, 1]


def test_one_image_that_seeks_through_a_file(tmp_path: Path) -> None:
    pictures = [Image.fromarray(picture) for picture in VIDEO]
    pictures[0].save(tmp_path / "moving.png", save_all=True, append_images=pictures[1:])
    with Image.open(tmp_path / "moving.png") as moving:
        kept_ones = list(map(kept, ImageSequence.Iterator(moving)))
    np.testing.assert_array_equal([as_image(one, 0) for one in kept_ones], VIDEO)


@pytest.mark.parametrize("opened", [b"film", memoryview(VIDEO), io.BytesIO(b"film")])
def test_opened_files_are_told(opened: Any) -> None:
    for fps in (None, 4):
        with pytest.raises(MediaError, match=r"an opened file or its bytes; give the file's path"):
            frames_from(opened, fps=fps)
    with pytest.raises(AudioError, match=r"an opened file or its bytes: give its path"):
        as_track(opened)


@pytest.mark.parametrize("kind", ["array", "tensor", "reader"])
def test_pictures_of_one_buffer_stay_as_they_came(kind: str) -> None:
    """As of libraries that decode into the same memory again and again."""
    array = np.empty_like(VIDEO[0])
    shown: Any = torch.from_numpy(array).movedim(-1, 0) if kind == "tensor" else array

    class Reader:
        def __len__(self) -> int:
            return len(VIDEO)

        def __getitem__(self, index: int) -> Any:
            array[:] = VIDEO[index]
            return shown

    one_by_one = (Reader()[index] for index in range(len(VIDEO)))
    source = Reader() if kind == "reader" else one_by_one
    frames = list(frames_from(source, fps=4))
    np.testing.assert_array_equal([frame.image for frame in frames], VIDEO)


NAN = np.full((2, 4, 4, 3), np.nan, dtype=np.float32)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((4, 5, 7), np.uint8), r"\(T, H, W, 3\).*\(4, 5, 7\)"),
        (np.zeros((4, 3, 5, 7), np.uint8), r"\(T, H, W, 3\)"),
        (torch.zeros(4, 5, 7, 3), r"\(T, 3, H, W\)"),
        (np.zeros((0, 5, 7, 3), np.uint8), "T >= 1"),
        (np.zeros((2, 5, 7, 3), np.int64), "int64"),
        (NAN, "frame 0 .*nan"),
        (np.full((2, 4, 4, 3), 200.0), r"values from 200 to 200.*\[0, 1\]"),
        (np.full((2, 4, 4, 3), -0.5), "from -0.5"),
        ([VIDEO[0], VIDEO[1, :4]], "frame 1 is 7x4, the frames before it 7x5"),
        ([VIDEO[0, ..., 0]], r"frame 0 has shape \(5, 7\)"),
        ([], "no frame"),
        (iter(()), "no frame"),
        (7, "got 7"),
    ],
)
def test_wrong_pictures(source: object, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        list(frames_from(source, fps=25))  # type: ignore[arg-type]


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_wrong_rates(fps: float) -> None:
    with pytest.raises(MediaError, match="fps must be a positive number"):
        frames_from(VIDEO, fps=fps)


def test_times_are_needed() -> None:
    with pytest.raises(MediaError, match="either fps"):
        frames_from(VIDEO)


TIMED = [Frame(i, i + 0.5, image) for i, image in enumerate(VIDEO)]


@pytest.mark.parametrize("source", [TIMED, iter(TIMED)])
def test_frames_with_times_of_their_own_stay_as_they_are(source: object) -> None:
    got = list(frames_from(source))  # type: ignore[arg-type]
    assert all(frame is given for frame, given in zip(got, TIMED, strict=True))


@pytest.mark.parametrize(
    "source", [[TIMED[1], TIMED[0]], [TIMED[0], TIMED[0]], [TIMED[0], Frame(1, 0.2, VIDEO[1])]]
)
def test_frames_that_go_back_in_time(source: list[Frame]) -> None:
    with pytest.raises(MediaError, match="order"):
        list(frames_from(source))


def test_pictures_among_frames_have_no_times() -> None:
    with pytest.raises(MediaError, match="fps"):
        list(frames_from([TIMED[0], VIDEO[1]]))
    with pytest.raises(ShapeError, match="no frame"):
        list(frames_from(iter(())))
