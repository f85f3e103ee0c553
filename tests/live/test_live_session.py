"""A stream that is pushed in: what comes out, when, and what is said of what cannot be used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from coprop import Audio, CoProp, CoPropError, FrameMask
from coprop.context import AudioWindows
from coprop.errors import AudioError, MediaError, ShapeError
from coprop.keyframes.adapters import CallableSegmenter
from coprop.keyframes.model import FrameContext
from coprop.live.session import LiveSession
from coprop.live.sound import KEPT_S, LevelMeter, LiveSound
from coprop.silence import block_levels_db
from pipeline_samples import Recorder, Shifter, changes_at, clip_of, noise, positions, ramp

RATE, FPS = 8000, 5


def bursts(seconds: float, *spans: tuple[float, float]) -> NDArray[np.float32]:
    """Soft noise, and loud noise in some spans."""
    rng = np.random.default_rng(0)
    clock = np.arange(round(seconds * RATE)) / RATE
    loud = np.any([(clock >= a) & (clock < b) for a, b in spans], axis=0)
    samples = rng.standard_normal(len(clock)) * np.where(loud, 0.1, 1e-4)
    return samples.astype(np.float32)


def pipeline_of(model: Any = None, **options: Any) -> CoProp:
    options = {"detector": changes_at(), "max_segment_s": None, "namer": None, **options}
    return CoProp.wrap(model or Recorder(), propagator=Shifter(), **options)


def pushed(
    session: LiveSession, frames: NDArray[np.uint8], samples: NDArray[np.float32]
) -> list[FrameMask]:
    step, masks = session.sample_rate / session.frame_rate, []
    for i, frame in enumerate(frames):
        masks += session.push(frame, samples[round(i * step) : round((i + 1) * step)])
    return masks + session.finish()


def is_masked(masks: list[FrameMask]) -> list[bool]:
    return [bool(mask.labels.any()) for mask in masks]


def same(a: list[FrameMask], b: list[FrameMask]) -> bool:
    return all(
        x.index == y.index and x.is_keyframe == y.is_keyframe and np.array_equal(x.labels, y.labels)
        for x, y in zip(a, b, strict=True)
    )


def test_masks_come_and_go_with_the_sound() -> None:
    """A burst from 1.0 to 2.0 s: looking 0.6 s ahead, no mask outlives it; else the rest of it."""
    sound, frames = bursts(4.0, (1.0, 2.0)), clip_of(20)
    ahead = is_masked(pushed(pipeline_of().live(FPS, RATE, look_ahead_s=0.7), frames, sound))
    assert ahead == [5 <= i < 10 for i in range(20)]
    now = is_masked(pushed(pipeline_of().live(FPS, RATE, look_ahead_s=0.3), frames, sound))
    assert now == [5 <= i < 12 for i in range(20)]


@pytest.mark.parametrize(("look_ahead_s", "waits"), [(0.0, 0), (0.3, 1), (1.0, 4)])
def test_a_mask_comes_when_its_look_ahead_has_been_heard(look_ahead_s: float, waits: int) -> None:
    session = pipeline_of().live(FPS, RATE, look_ahead_s=look_ahead_s)
    sound, frames = bursts(3.0, (0.0, 3.0)), clip_of(15)
    for i, frame in enumerate(frames):
        masks = session.push(frame, sound[i * 1600 : (i + 1) * 1600])
        assert [mask.index for mask in masks] == ([i - waits] if i >= waits else [])
    assert [mask.index for mask in session.finish()] == list(range(15 - waits, 15))
    assert session.finish() == []


def test_what_comes_later_has_no_part_in_a_mask() -> None:
    """Two streams that are one until 2 s, and a model that masks by what it hears."""

    def heard(frames: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        level = audio.abs().mean(dim=1).view(-1, 1, 1, 1) * 1e2
        return (torch.arange(frames.shape[-1]) < level).float().expand(-1, 1, 12, -1) * 8 - 4

    one, other = bursts(4.0, (0.6, 4.0)), bursts(4.0, (0.6, 4.0))
    other[2 * RATE :] *= 3
    streams = []
    for sound in (one, other):
        pipeline = pipeline_of(heard, max_segment_s=0.4)
        streams.append(pushed(pipeline.live(FPS, RATE, look_ahead_s=0.2), clip_of(20), sound))
    assert same(streams[0][:10], streams[1][:10])
    assert not same(streams[0], streams[1])


@pytest.mark.parametrize("block", [1 << 20, 1600, 733, 64])
def test_the_size_of_blocks_changes_nothing(block: int) -> None:
    sound, frames = bursts(4.0, (0.5, 1.5), (2.5, 4.0)), clip_of(20)
    options = {"detector": None, "max_segment_s": 1.0}  # the default detector, at 44.1 kHz
    expected = pushed(pipeline_of(**options).live(FPS, RATE), frames, sound)
    session, masks, given = pipeline_of(**options).live(FPS, RATE), [], 0
    for start in range(0, len(sound), block):
        masks += session.push(samples=sound[start : start + block])
        while given < len(frames) and given * 1600 < start + block:
            masks += session.push(frames[given])
            given += 1
    masks += session.finish()
    assert same(masks, expected)
    assert any(is_masked(masks))


def test_arrays_may_be_filled_anew() -> None:
    """As libraries of cameras and sound cards do, which push the same memory each time."""

    def bright(frames: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        return 20 * (frames[:, :1] - 0.5)

    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (20, 12, 16, 3), dtype=np.uint8)
    sound, pipeline = bursts(4.0, (0.5, 4.0)), pipeline_of(bright, max_segment_s=0.4)
    session, masks = pipeline.live(FPS, RATE), []
    picture, block = np.empty_like(frames[0]), np.empty_like(sound[:1600])
    for i, frame in enumerate(frames):
        picture[:], block[:] = frame, sound[i * 1600 : (i + 1) * 1600]
        masks += session.push(picture, block)
    masks += session.finish()
    assert same(masks, pushed(pipeline.live(FPS, RATE), frames, sound))
    assert any(is_masked(masks))


def test_memory_is_bounded() -> None:
    session = pipeline_of().live(2, 1000, look_ahead_s=0)
    for _ in range(240):
        session.push(clip_of(1)[0], np.full(500, 0.1, dtype=np.float32))
        assert len(session._waiting) + len(session._held) <= 2
    assert session._sound.start_s == pytest.approx(120 - KEPT_S)
    assert session._sound._buffer.nbytes == 2 * KEPT_S * 1000 * 4


def test_frames_that_never_came_are_told() -> None:
    session = pipeline_of().live(FPS, RATE, look_ahead_s=0)
    picture, block = clip_of(1)[0], np.zeros(1600, dtype=np.float32)
    session.push(picture, block)
    session.push(picture, np.tile(block, 3), number=3)  # 1 and 2 were lost
    assert session.dropped == 2
    session.push(picture, np.tile(block, 3), time_s=1.2)  # 4 and 5 were
    assert session.dropped == 4
    masks = session.push(picture, block)
    assert [(mask.index, mask.time_s) for mask in masks] == [(7, 1.4)]


def test_frames_wait_for_sound_that_is_late() -> None:
    session = pipeline_of().live(FPS, RATE, look_ahead_s=0)
    for picture in clip_of(50):
        session.push(picture)
    assert len(session.push(samples=bursts(9.9, (0, 9.9)))) == 49  # the first needs none
    with pytest.raises(AudioError, match=r"the sound is 10\.10 s ahead of frame 50"):
        session.push(clip_of(1)[0], np.zeros(81_600, dtype=np.float32))
    assert session.dropped == 1
    late = pipeline_of().live(FPS, RATE)
    for picture in clip_of(51):
        late.push(picture)
    with pytest.raises(AudioError, match=r"the sound is 10\.20 s behind frame 51"):
        late.push(clip_of(1)[0])
    assert late.push(samples=bursts(9.0, (0, 9.0)))  # and it goes on


def test_a_model_sees_only_the_frames_that_have_come() -> None:
    seen: list[list[int]] = []

    class Looker(CallableSegmenter):
        surroundings = FrameContext(4, 0.2, "first")

        def __call__(
            self, frames: torch.Tensor, audio: torch.Tensor, around: torch.Tensor | None = None
        ) -> torch.Tensor:
            assert around is not None
            seen.append((around[0, :, 0, 0, 0] * 255).round().int().tolist())
            return super().__call__(frames, audio)

    for look_ahead_s, expected in ((0.0, [1, 1, 1, 1]), (0.4, [0, 1, 1, 1]), (1.0, [0, 1, 2, 3])):
        pipeline = pipeline_of(Looker(Recorder()))
        pushed(pipeline.live(FPS, RATE, look_ahead_s=look_ahead_s), clip_of(10), bursts(2, (0, 2)))
        assert seen.pop() == expected
        assert not seen


def test_segments_have_names_and_ends() -> None:
    from coprop import Category

    namer = lambda audio, segment: (Category("noise", 0.5),)  # noqa: E731
    session = pipeline_of(namer=namer).live(FPS, RATE)
    pushed(session, clip_of(20), bursts(4.0, (0.5, 1.5), (3.0, 4.0)))
    spans = [(round(s.start_s, 2), round(s.end_s, 2)) for s in session.segments]
    assert spans == [(0.5, 1.5), (3.0, 4.0)]
    assert all(segment.categories[0].name == "noise" for segment in session.segments)


def test_changes_are_found_as_in_the_whole_sound() -> None:
    """Of the default detector: noise, then a tone, then silence."""
    clock = np.arange(5 * RATE) / RATE
    tone = 0.1 * np.sin(2 * np.pi * 440 * clock)
    sound = np.where(clock < 2, noise(5.0, RATE).samples, tone)
    sound = np.where(clock < 4, sound, 1e-5).astype(np.float32)
    session = pipeline_of(detector=None).live(FPS, RATE)
    masks = pushed(session, clip_of(25), sound)
    assert session.control_points.change_times_s == pytest.approx((2.0, 4.0), abs=0.15)
    assert [mask.index for mask in masks if mask.is_keyframe] == [0, 10]


@pytest.mark.parametrize("rate", [8000, 48_000, 96_000])
def test_levels_are_those_of_the_whole_sound(rate: int) -> None:
    """Without a drift, and without what is too high for ears: a whistle of 40 kHz."""
    clock = np.arange(3 * rate) / rate
    rng = np.random.default_rng(0)
    sound = 0.01 * rng.standard_normal(len(clock)) + 0.2 * np.sin(2 * np.pi * 5 * clock)
    if rate == 96_000:
        sound += 0.2 * np.sin(2 * np.pi * 40_000 * clock)
    sound = sound.astype(np.float32)
    live = LiveSound(rate)
    meter = LevelMeter(live)
    for start in range(0, len(sound), 777):
        live.feed(sound[start : start + 777])
        live.hear_until(min(start + 777, len(sound)) / rate - 0.005)
        meter.update()
    found = meter.recent().levels_db
    assert len(found) >= 298
    np.testing.assert_allclose(found, block_levels_db(Audio(sound, rate))[: len(found)], atol=0.1)
    assert np.abs(found + 40).max() < 4


def test_latency_is_told() -> None:
    session = pipeline_of().live(FPS, RATE, look_ahead_s=0.3)
    assert session.latency is None
    pushed(session, clip_of(15), bursts(3.0, (0, 3)))
    latency = session.latency
    assert latency is not None
    assert latency.masks == 15
    assert latency.waiting_median_s == pytest.approx(0.4)  # blocks end each 0.2 s
    assert 0 < latency.computing_median_s <= latency.computing_95_s < 5
    assert latency.median_s > latency.waiting_median_s


def test_channels_are_mixed() -> None:
    for samples in (np.zeros((1600, 2), np.float32), np.zeros((2, 1600), np.int16)):
        session = pipeline_of().live(FPS, RATE)
        session.push(clip_of(1)[0], samples)
        session.push(clip_of(1)[0], samples[:1] if len(samples) > 2 else samples[:, :1])
        with pytest.raises(AudioError, match="channels"):
            session.push(samples=np.zeros(1600, np.float32))


PICTURE, BLOCK = np.zeros((12, 16, 3), np.uint8), np.zeros(1600, np.float32)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"frame": np.zeros((13, 16, 3), np.uint8)}, ShapeError, "is 16x13, the frames before it"),
        ({"frame": np.zeros((12, 16), np.uint8)}, ShapeError, "frames are RGB"),
        ({"frame": np.full((12, 16, 3), np.nan)}, ShapeError, "without NaN"),
        ({"frame": "frame.png"}, ShapeError, "array of numbers"),
        ({"samples": np.full(10, np.nan, np.float32)}, AudioError, "NaN"),
        ({"samples": np.full(10, 300.0, np.float32)}, AudioError, "peak of 300"),
        (
            {"samples": np.zeros((2, 3, 4), np.float32)},
            AudioError,
            r"\(n,\), \(n, channels\) or \(channels, n\)",
        ),
        ({"samples": np.zeros((100, 2), np.float32)}, AudioError, "2 channels"),
        ({"samples": np.zeros((0, 50), np.float32)}, AudioError, "axis"),
        ({"samples": b"abc"}, AudioError, "numbers"),
        ({"samples": np.zeros(8, np.uint8)}, AudioError, "uint8"),
        ({"frame": PICTURE, "time_s": -1.0}, MediaError, "time_s"),
        ({"frame": PICTURE, "time_s": float("nan")}, MediaError, "time_s"),
        ({"frame": PICTURE, "time_s": 0.0}, MediaError, "comes after frame 0"),
        ({"frame": PICTURE, "number": 0}, MediaError, "comes after frame 0"),
        ({"frame": PICTURE, "number": 1.5}, CoPropError, "number"),
        ({"time_s": 1.0}, MediaError, "no frame"),
    ],
)
def test_what_cannot_be_used_is_told_and_the_session_goes_on(
    given: dict[str, Any], error: type[Exception], said: str
) -> None:
    session = pipeline_of().live(FPS, RATE, look_ahead_s=0)
    session.push(PICTURE, BLOCK)
    with pytest.raises(error, match=said) as raised:
        session.push(**given)
    assert "\n" not in str(raised.value)
    assert [mask.index for mask in session.push(PICTURE, BLOCK)] == [1]


@pytest.mark.parametrize(
    "options",
    [
        {"frame_rate": 0},
        {"frame_rate": "fast"},
        {"frame_rate": float("inf")},
        {"sample_rate": 0},
        {"sample_rate": 44_100.5},
        {"look_ahead_s": -0.1},
        {"look_ahead_s": 6},
        {"look_ahead_s": None},
    ],
)
def test_rates_and_look_ahead_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(CoPropError, match=next(iter(options))):
        pipeline_of().live(**{"frame_rate": FPS, "sample_rate": RATE, **options})


def test_nothing_can_be_pushed_after_the_end() -> None:
    with pipeline_of().live(FPS, RATE) as session:
        session.push(PICTURE, BLOCK)
    with pytest.raises(CoPropError, match="has ended"):
        session.push(PICTURE)
    assert session.finish() == []
    assert pipeline_of().live(FPS, RATE).finish() == []


def test_a_detector_that_breaks_its_contract_is_told() -> None:
    session = pipeline_of(detector=lambda audio: [1.0]).live(FPS, RATE, look_ahead_s=0)
    session.push(PICTURE, BLOCK)
    with pytest.raises(CoPropError, match="must return ControlPoints"):
        session.push(PICTURE, BLOCK)


@pytest.mark.parametrize("look_ahead_s", [0.0, 0.4])
def test_the_propagator_hears_no_silence_that_is_none(look_ahead_s: float) -> None:
    """What of a window has not sounded yet is made up for by what was before."""
    propagator = Shifter(window_s=1.0)
    pipeline = CoProp.wrap(
        Recorder(), propagator=propagator, detector=changes_at(), max_segment_s=None, namer=None
    )
    session = pipeline.live(FPS, 16_000, look_ahead_s=look_ahead_s)
    pushed(session, clip_of(15), ramp(3.0).samples)
    numbers = [round(float(frame[0, 0, 0, 0]) * 255) for frame, _ in propagator.steps]
    heard = zip(numbers, (positions(audio) for _, audio in propagator.steps), strict=True)
    ends_s = {i: window[-1] / 16_000 for i, window in heard if min(window) >= 0}
    assert set(ends_s) >= set(range(6, 13))  # after the stream's end there is silence
    for i, end_s in ends_s.items():
        assert end_s == pytest.approx(i / FPS + min(look_ahead_s, 0.5), abs=0.02)


@pytest.mark.parametrize("rate", [RATE, 16_000, 44_100])
def test_after_the_end_there_is_silence_at_any_rate(rate: int) -> None:
    sound = LiveSound(RATE)
    windows = AudioWindows(sound, rate, 1.0)
    sound.feed(noise(2.0, RATE).samples)
    sound.hear_until(2.0)
    sound.finish()
    for each in (windows, AudioWindows(sound, 22_050, 1.0)):  # before the end, and after it
        heard = each.centred(2.0)[0]
        half = len(heard) // 2
        assert (heard[half + 1 :] == 0).all()
        assert heard[half - len(heard) // 100 : half].abs().mean() > 0.01


def test_an_error_of_a_model_loses_no_mask() -> None:
    """Those that were made in the same call come with the next one."""
    asked: list[int] = []

    def model(frames: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        asked.append(1)
        logits = torch.full((len(frames), 1, *frames.shape[-2:]), 4.0)
        return logits * float("nan") if len(asked) == 2 else logits

    pipeline = CoProp.wrap(
        model, detector=changes_at(), propagator=Shifter(), max_segment_s=0.5, namer=None
    )
    session = pipeline.live(10, 16_000)
    for frame in clip_of(20):
        session.push(frame)
    sound = noise(2.0).samples
    with pytest.raises(CoPropError, match="NaN"):
        session.push(samples=sound)
    masks = [*session.push(samples=sound[:100]), *session.finish()]
    assert [mask.index for mask in masks] == list(range(20))
    assert session.finish() == []


def test_the_end_can_be_asked_for_again_after_an_error() -> None:
    asked: list[int] = []

    def model(frames: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        asked.append(1)
        logits = torch.full((len(frames), 1, *frames.shape[-2:]), 4.0)
        return logits * float("nan") if len(asked) == 1 else logits

    pipeline = CoProp.wrap(model, detector=changes_at(), propagator=Shifter(), namer=None)
    session = pipeline.live(10, 16_000)
    for frame in clip_of(3):
        assert session.push(frame) == []
    session.push(samples=noise(0.25).samples)
    with pytest.raises(CoPropError, match="NaN"):
        session.finish()
    with pytest.raises(CoPropError, match="has ended"):
        session.push(clip_of(1)[0])
    assert [mask.index for mask in session.finish()] == [0, 1, 2]
    assert session.finish() == []


def test_a_keyframe_whose_model_failed_is_asked_for_again() -> None:
    """The frame is masked as it would have been, and not from the keyframe before."""

    def streamed(failing: int | None) -> list[tuple[int, bool, int]]:
        asked: list[int] = []

        def model(frames: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
            asked.append(1)
            if len(asked) == failing:
                raise RuntimeError("once")
            column = torch.arange(frames.shape[-1]) == frames[0, 0, 0, 0] * 255
            return column.float().expand(1, 1, *frames.shape[-2:]) * 8 - 4

        pipeline = pipeline_of(model, max_segment_s=0.4)
        session, masks = pipeline.live(10, 16_000), []
        for frame in clip_of(12):
            session.push(frame)
        try:
            masks += session.push(samples=noise(1.2).samples)
        except RuntimeError:
            masks += session.push()
        masks += session.finish()
        return [(m.index, m.is_keyframe, int(m.labels.any(0).argmax())) for m in masks]

    assert streamed(2) == streamed(None)
    assert [index for index, is_keyframe, _ in streamed(None) if is_keyframe] == [0, 4, 8]
