"""Reading ahead and writing behind: order, bounds, errors, and no thread that stays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coprop import CoProp, FrameMask
from coprop.errors import MediaError, OutputError
from coprop.media.clip import Clip
from coprop.media.overlap import HELD, Behind, ahead
from coprop.media.reader import VideoFile
from coprop.media.writer import ResultWriter
from coprop.results.writing import save
from pipeline_samples import Recorder, Shifter, changes_at, noise
from small_clips import write_clip


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("coprop ")}


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = threads()
    yield
    assert threads() == before


def numbers(stop: int, error: BaseException | None = None) -> Iterator[int]:
    yield from range(stop)
    if error is not None:
        raise error


def give_all(
    work: Callable[[int], object], things: Iterator[int], given: list[int] | None = None
) -> None:
    with Behind(work) as behind:
        for number in things:
            behind.give(number)
            if given is not None:
                given.append(number)


def test_things_come_in_order() -> None:
    assert list(ahead(numbers(100))) == list(range(100))
    assert list(ahead([])) == []


@pytest.mark.parametrize("error", [ValueError("damaged"), KeyboardInterrupt(), MediaError("cut")])
def test_an_error_comes_after_what_was_before_it(error: BaseException) -> None:
    got: list[int] = []
    with pytest.raises(type(error)) as raised:
        got.extend(ahead(numbers(5, error)))
    assert got == [0, 1, 2, 3, 4]
    assert raised.value is error


def test_an_error_before_the_first_thing_comes_too() -> None:
    class Refusing:
        def __iter__(self) -> Iterator[int]:
            raise RuntimeError("nothing can be gone through")

    with pytest.raises(RuntimeError, match="nothing can be gone through"):
        next(ahead(Refusing()))


def test_nothing_can_be_given_after_the_end() -> None:
    done: list[int] = []
    with Behind(done.append) as behind:
        behind.give(1)
        behind.finish()
        for _ in range(HELD + 1):
            with pytest.raises(RuntimeError, match="after finish"):
                behind.give(2)
    assert done == [1]


def test_no_more_is_read_than_said() -> None:
    given: list[int] = []
    far = threading.Event()

    def source() -> Iterator[int]:
        for number in range(100):
            given.append(number)
            if number == HELD + 1:
                far.set()
            yield number

    reading = ahead(source())
    assert next(reading) == 0
    assert far.wait(10)  # it goes on by itself
    far.clear()
    assert not far.wait(0.05)
    assert len(given) <= HELD + 2  # those that wait, and one that has no place yet
    reading.close()


def test_it_stops_where_nobody_goes_on(request: pytest.FixtureRequest) -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    reading = ahead(source())
    next(reading)
    reading.close()
    assert closed.is_set()
    assert not threads()


def test_the_work_behind_is_done_in_order_and_before_the_end() -> None:
    done: list[int] = []
    with Behind(done.append) as behind:
        for number in range(100):
            behind.give(number)
    assert done == list(range(100))


def test_the_work_behind_is_done_before_an_error_goes_on() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        give_all(done.append, numbers(HELD, KeyboardInterrupt()))
    assert done == list(range(HELD))


@pytest.mark.parametrize("fails_at", [0, 3, 9])
def test_an_error_behind_is_raised_in_front(fails_at: int) -> None:
    done: list[int] = []

    def work(number: int) -> None:
        if number == fails_at:
            raise OutputError("the disk is full")
        done.append(number)

    given: list[int] = []
    with pytest.raises(OutputError, match="disk is full"):
        give_all(work, numbers(10), given)
    assert done == list(range(fails_at))
    assert len(given) <= fails_at + HELD + 2


def wrapped(**options: Any) -> CoProp:
    return CoProp.wrap(
        Recorder(), detector=changes_at(), propagator=Shifter(), namer=None, **options
    )


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4")


def test_a_stream_that_is_left_leaves_no_thread(video: Path) -> None:
    stream = wrapped().stream(video)
    next(stream)
    assert threads() == {"coprop reads ahead"}
    stream.close()
    assert not threads()


def test_given_frames_are_asked_for_one_by_one() -> None:
    asked: list[int] = []

    def frames() -> Iterator[np.ndarray]:
        for number in range(5):
            asked.append(number)
            assert threading.current_thread() is threading.main_thread()
            yield np.zeros((12, 16, 3), dtype=np.uint8)

    for index, mask in enumerate(wrapped().stream(frames(), noise(1), fps=5)):
        assert mask.index == index
        assert len(asked) <= index + 1


def test_masks_are_those_of_frames_decoded_one_by_one(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def labels() -> np.ndarray:
        return wrapped()(video).labels

    beside = labels()
    monkeypatch.setattr(Clip, "frames_ahead", lambda clip: (frame for frame in clip.frames))
    np.testing.assert_array_equal(beside, labels())


def stop_decoding(video: VideoFile) -> Iterator[Any]:
    frames = VideoFile.__dict__["whole_iteration"](video)
    yield next(frames)
    raise MediaError("the video breaks off")


def test_damage_in_the_middle_of_a_video_is_told(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VideoFile, "whole_iteration", VideoFile.__iter__, raising=False)
    monkeypatch.setattr(VideoFile, "__iter__", stop_decoding)
    masks: list[FrameMask] = []
    with pytest.raises(MediaError, match="breaks off"):
        masks.extend(wrapped().stream(video))
    assert len(masks) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, OutputError])
def test_what_stops_a_run_leaves_the_masks_before_it(
    video: Path, tmp_path: Path, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, out = wrapped(), tmp_path / "out"
    write: Callable[..., None] = ResultWriter.write

    def full(writer: ResultWriter, frame: Any, mask: Any) -> None:
        if frame.index == 3:
            raise OutputError("the disk is full")
        write(writer, frame, mask)

    def stopped(step: str, done: int, total: int | None) -> None:
        if step == "frames" and done == 3:
            raise KeyboardInterrupt

    if error is OutputError:
        monkeypatch.setattr(ResultWriter, "write", full)
    progress = stopped if error is KeyboardInterrupt else None
    with Clip(video) as clip:
        points = pipeline.detect(clip.audio)
        tracking = pipeline.track(clip, points, progress=progress)
        with closing(tracking) as tracked, pytest.raises(error):
            save(out, clip, tracked, points, ())
    assert sorted(p.name for p in (out / "masks").iterdir()) == [f"{i:06d}.png" for i in range(3)]
    assert not (out / "overlay.mp4").exists()
    assert not (out / "result.json").exists()
