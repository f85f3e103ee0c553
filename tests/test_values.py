"""What passes between the parts is checked where it is made, and cannot be changed."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from coprop import Audio, Category, ControlPoints, CoProp
from coprop.errors import AudioError, CoPropError, MediaError, ModelOutputError, ShapeError
from coprop.keyframes.adapters import CallableSegmenter
from coprop.media.frames import frames_from
from coprop.media.reader import Frame
from coprop.metrics import functional
from coprop.propagation.checks import as_mask
from coprop.propagation.masks import count_objects
from coprop.types import FrameMask, Segment
from pipeline_samples import RATE, Recorder, Shifter, changes_at, clip_of, left_half, noise

PICTURE = np.zeros((4, 6, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "rate",
    [16000, 16000.0, np.int32(16000), np.float64(16000), np.array(16000), torch.tensor(16000)],
)
def test_rates_of_any_number_type(rate: Any) -> None:
    audio = Audio(np.zeros(64_000, dtype=np.float32), rate)
    assert (audio.sample_rate, type(audio.sample_rate)) == (16000, int)
    assert audio.duration_s == 4.0


@pytest.mark.parametrize(
    "rate", [0, -1, 1.5, np.nan, np.inf, True, "16000", None, 10**30, [16000], 1e8]
)
def test_rates_that_are_none(rate: Any) -> None:
    with pytest.raises(AudioError, match="sample_rate must be a whole number"):
        Audio(np.zeros(9, dtype=np.float32), rate)
    with pytest.raises(AudioError, match="sample_rate must be a whole number"):
        Audio(np.zeros(9, dtype=np.float32), 8000).resampled(rate)


@pytest.mark.parametrize(
    "samples",
    [
        torch.full((9,), 0.5, requires_grad=True),
        torch.full((9,), 0.5, dtype=torch.bfloat16),
        [0.5] * 9,
        np.full((2, 9), 0.5),
        np.full(9, 2**14, dtype=np.int16),
    ],
)
def test_samples_of_other_libraries(samples: Any) -> None:
    np.testing.assert_array_equal(Audio.from_array(samples, 16000).samples, [0.5] * 9)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([0.0, 1e300]), "divide them by 1e\\+300"),
        (np.array([0.0, 12_000.0]), "divide them by 32768"),
        (np.array([0.0, np.nan]), "1 of 2 samples are NaN"),
        (np.array(["a", "b"]), "array of numbers"),
        ([[0.1], [0.1, 0.2]], "array of numbers"),
        (np.zeros((0, 3)), "no samples"),
        ([0, 20_000, -20_000], "integers of 64 bits"),  # in which they would be silence
        (np.full((2, 9), 2**14, dtype=np.int16).sum(axis=0), "samples.astype\\('int16'\\)"),
    ],
)
def test_samples_that_are_no_sound(samples: Any, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        Audio.from_array(samples, 16000)


def test_overshoot_is_sound_and_survives_resampling() -> None:
    square = np.where(np.arange(4000) // 20 % 2, 7.9, -7.9)
    assert np.abs(Audio(square, 16000).resampled(44100).samples).max() <= 8.0


def test_arrays_cannot_be_changed() -> None:
    given = np.zeros(9, dtype=np.float32)
    audio = Audio(given, 16000)
    given[:] = 1
    assert not audio.samples.any()
    points = ControlPoints([0.0, 1.0], torch.ones(2), [True, True])  # type: ignore[arg-type]
    mask = FrameMask(0, 0.0, np.zeros((2, 2), np.uint8), None, (0, 1), False)
    for value, name in ((audio, "samples"), (points, "flags"), (mask, "labels")):
        for one in (value, pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
            with pytest.raises(ValueError, match="read-only"):
                getattr(one, name)[0] = 1


WORDS: dict[str, Any] = {"categories": (("dog",), (), ("cat",))}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"flags": np.array([1, 0, 1])}, "astype\\(bool\\)"),
        ({"times_s": np.array([0.0, np.nan, 2.0])}, "finite"),
        ({"times_s": np.array([0.0, 1.0, np.inf])}, "finite"),
        ({"times_s": np.array([0.0, 2.0, 1.0])}, "increase"),
        ({"times_s": np.array([0.5, 1.0, 2.0])}, "begin at 0"),
        ({"times_s": np.zeros((3, 1))}, "one length"),
        ({"times_s": np.array(["0", "1", "2"])}, "array of numbers"),
        ({"scores": np.array([1, None, 1])}, "array of numbers"),
        ({"scores": np.array([1.0, np.nan, 1.0])}, r"\[0, 1\]"),
        ({"categories": "a dog"}, "tuple of words"),
        ({"categories": ("dog", "bell", "cat")}, r"give \(words,\) \* 3"),
        ({"categories": (("dog",), ("bell",))}, "each of the 3 flags set, got 2; give an empty"),
        ({"categories": (("dog",), (), None)}, "tuple of words for each"),
        ({"categories": (("dog",), (), (1,))}, "tuple of words"),
        ({"categories": ((), (), "dog")}, "tuple of words"),
        ({"probabilities": ((), (), ())}, "there are no words; give categories too"),
        ({**WORDS, "probabilities": ((0.5,), ())}, "3 here, got"),
        ({**WORDS, "probabilities": ((0.5,), (), ())}, r"1 for \('cat',\), got"),
        ({**WORDS, "probabilities": (0.5, (), (0.5,))}, r"1 for \('dog',\), got 0.5"),
        ({**WORDS, "probabilities": ((1.5,), (), (0.5,))}, r"a number in \[0, 1\], got 1.5"),
        ({**WORDS, "probabilities": (("x",), (), (0.5,))}, r"a number in \[0, 1\], got 'x'"),
    ],
)
def test_control_points(changed: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "times_s": np.arange(3.0),
        "scores": np.ones(3),
        "flags": np.ones(3, dtype=bool),
    }
    ControlPoints(**good)
    with pytest.raises(CoPropError, match=message):
        ControlPoints(**(good | changed))


@pytest.mark.parametrize("edges", [(0.0, np.nan), (1.0, 0.5), ("0", 1.0), (-np.inf, 0.0)])
def test_segments(edges: tuple[Any, Any]) -> None:
    with pytest.raises(CoPropError):
        Segment(*edges)


@pytest.mark.parametrize(
    "arguments",
    [
        (0, np.nan, PICTURE),
        (0, "0", PICTURE),
        (-1, 0.0, PICTURE),
        (0, 0.0, PICTURE.astype(np.float32)),
        (0, 0.0, PICTURE[..., 0]),
        (0, 0.0, None),
    ],
)
def test_frames(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(CoPropError):
        Frame(*arguments)


def test_frames_of_one_size() -> None:
    frames = frames_from([Frame(0, 0.0, PICTURE), Frame(1, 1.0, PICTURE[:2])])
    with pytest.raises(ShapeError, match="one size"):
        list(frames)


@pytest.mark.parametrize(
    "fps", [8, np.float32(8), np.array(8.0), torch.tensor(8), Fraction(8), Decimal(8)]
)
def test_rates_of_frames(fps: Any) -> None:
    assert [frame.time_s for frame in frames_from([PICTURE] * 2, fps=fps)] == [0.0, 0.125]


@pytest.mark.parametrize("fps", ["8", True, np.nan, [8], 0, 1e9, np.array([8.0, 8.0])])
def test_rates_of_frames_that_are_none(fps: Any) -> None:
    with pytest.raises(MediaError, match="fps must be"):
        frames_from([PICTURE] * 2, fps=fps)


def test_rounding_beyond_one_is_clipped() -> None:
    white = torch.full((1, 3, 4, 6), 1.0000002)
    (frame,) = frames_from(white, fps=8)
    assert (frame.image == 255).all()
    with pytest.raises(ShapeError, match=r"float in \[0, 1\]"):
        list(frames_from(torch.full((1, 3, 4, 6), 1.2), fps=8))


def test_readers_by_number() -> None:
    class Reader:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, number: int) -> np.ndarray:
            return np.full((4, 6, 3), number, dtype=np.uint8)

    pictures = [frame.image[0, 0, 0] for frame in frames_from(Reader(), fps=8)]  # type: ignore[arg-type]
    assert pictures == [0, 1, 2]


def test_binary_masks() -> None:
    square = np.zeros((1, 4, 4), dtype=np.uint8)
    square[:, :2] = 1
    for given in (square, square * 255, torch.tensor(square)[:, None], square.astype(bool)):
        mask = as_mask(given)
        assert count_objects(mask, None) == 1
        np.testing.assert_array_equal(mask.numpy() == 1, square == 1)
    soft = as_mask(torch.tensor(square)[:, None].float())
    np.testing.assert_array_equal(soft.argmax(1).numpy(), square)
    void = torch.tensor([[[0, 2, 255]]])
    assert torch.equal(as_mask(void), void)
    with pytest.raises(ShapeError, match="array of numbers"):
        as_mask("mask")


@pytest.mark.parametrize(
    "value", [10**5000, Fraction(1, 10**5000), Decimal("sNaN")], ids=["whole", "ratio", "none"]
)
def test_numbers_that_cannot_be_written_out(value: Any) -> None:
    with pytest.raises(AudioError, match=r"sample_rate must be .* got \w+"):
        Audio(np.zeros(9, dtype=np.float32), value)


def test_arrays_are_no_choice() -> None:
    with pytest.raises(CoPropError, match=r"protocol must be one of .*, got ndarray int64"):
        functional.jaccard(np.ones((1, 2, 2)), np.ones((1, 2, 2), bool), protocol=np.arange(2))  # type: ignore[arg-type]


def test_metrics_of_arrays() -> None:
    rng = np.random.default_rng(0)
    soft, target = rng.random((2, 4, 4)).astype(np.float32), rng.random((2, 4, 4)) > 0.5
    for measure in (functional.jaccard, functional.f_measure, functional.frame_jaccard):
        expected = measure(torch.tensor(soft), torch.tensor(target))
        assert torch.equal(measure(soft, target), expected)  # type: ignore[arg-type]
    expected = functional.jaccard(torch.tensor(soft), torch.tensor(target))
    for form in (soft.astype(">f4"), soft.astype(np.longdouble), soft[:, ::-1][:, ::-1]):
        assert torch.equal(functional.jaccard(form, target), expected)
    assert torch.equal(functional.jaccard(soft[::-1], target[::-1]), expected)
    labels = target.astype(np.uint16)
    counts = functional.class_counts(labels, labels.astype(np.uint64), 2.0)
    assert counts.intersection[1] == target.sum()
    with pytest.raises(CoPropError, match="array of numbers"):
        functional.jaccard("soft", target)  # type: ignore[arg-type]


def pipeline(propagator: Any = None) -> CoProp:
    return CoProp.wrap(Recorder(), detector=changes_at(), propagator=propagator or Shifter())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_segment_s", -1),
        ("max_segment_s", 1e-9),
        ("max_segment_s", "2"),
        ("working_edge", 0),
        ("working_edge", 1.5),
        ("propagator", object()),
        ("detector", None),
        ("device", "cuda:99"),
        ("device", "gpu"),
    ],
)
def test_what_is_set_later_is_checked(name: str, value: Any) -> None:
    made = pipeline()
    with pytest.raises(CoPropError, match=name.split("_")[0]):
        setattr(made, name, value)


@pytest.mark.parametrize(
    "propagator", [Shifter(sample_rate=0), Shifter(window_s=float("nan")), "aot", lambda: None]
)
def test_propagators_are_checked_at_once(propagator: Any) -> None:
    with pytest.raises(CoPropError, match="propagator"):
        CoProp.wrap(Recorder(), propagator=propagator)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("window_s", 0, "a positive number of seconds of sound, at most 3600, got 0"),
        ("window_s", "1", "a positive number of seconds"),
        ("window_s", 1e9, "at most 3600"),
        ("sample_rate", 16_000.5, "a whole number of Hz"),
        ("audio_span", "frames", "must be one of"),
        ("context", None, "must be a FrameContext, got None"),
        ("surroundings", 5, "must be a FrameContext, got 5"),
    ],
)
def test_keyframe_models_are_checked_at_once(name: str, value: Any, message: str) -> None:
    model = CallableSegmenter(lambda frames, audio: left_half(frames))
    setattr(model, name, value)
    with pytest.raises(CoPropError, match=rf"^{name} of CallableSegmenter .*{message}"):
        CoProp.wrap(model)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda logits: logits * torch.nan, "NaN or infinite"),
        (lambda logits: logits[..., :-1], "size of the frame"),
        (lambda logits: logits[:, :1], "channels"),
        (lambda logits: logits[0], "real tensor"),
        (lambda logits: logits.numpy(), "real tensor"),
        (lambda logits: None, "real tensor"),
    ],
)
def test_what_a_propagator_returns_is_checked(spoil: Any, message: str) -> None:
    class Spoilt(Shifter):
        def step(self, *arguments: Any, **options: Any) -> Any:
            logits, state = super().step(*arguments, **options)
            return spoil(logits), state

    with pytest.raises(ModelOutputError, match=message):
        pipeline(Spoilt())(clip_of(3), noise(1.0), fps=8)


def test_a_step_without_state() -> None:
    class Stateless(Shifter):
        def step(self, *arguments: Any, **options: Any) -> Any:
            return super().step(*arguments, **options)[0]

    with pytest.raises(ModelOutputError, match="logits and the state"):
        pipeline(Stateless())(clip_of(3), noise(1.0), fps=8)


def test_stream_raises_at_the_call() -> None:
    made = pipeline()
    with pytest.raises(CoPropError):
        made.stream("no such file.mp4")
    with pytest.raises(MediaError, match="fps"):
        made.stream(clip_of(3), noise(1.0))
    assert len(list(made.stream(clip_of(3), noise(1.0, RATE), fps=8))) == 3


def test_words_belong_to_the_flags_set() -> None:
    times, flags = np.arange(4.0), np.array([True, False, True, False])
    points = ControlPoints(times, np.ones(4), flags, (["dog", "bell"], ()))  # type: ignore[arg-type]
    assert points.categories == (("dog", "bell"), ())
    found = [points.categories_at(t) for t in (-1.0, 0.0, 1.9, 2.0, 9.0)]
    assert found == [("dog", "bell")] * 3 + [()] * 2
    assert ControlPoints(times, np.ones(4), flags).categories_at(1.0) is None


def test_spans_have_the_words_whose_probabilities_are_known() -> None:
    times, flags = np.arange(4.0), np.array([True, False, True, False])
    words = (("dog", "bell"), ())
    unknown = ControlPoints(times, np.ones(4), flags, words)
    assert [span.categories for span in unknown.spans(4.0)] == [(), ()]
    known = ControlPoints(times, np.ones(4), flags, words, ([0.5, np.float32(0.25)], []))  # type: ignore[arg-type]
    assert known.probabilities == ((0.5, 0.25), ())
    heard = [Category("dog", 0.5), Category("bell", 0.25)]
    assert [list(span.categories) for span in known.spans(4.0)] == [heard, []]
    assert [list(span.categories) for span in known.spans(1.0)] == [heard]
    assert replace(known, scores=np.zeros(4)).probabilities == known.probabilities


def test_segments_have_categories() -> None:
    dog = Category("Dog", np.float32(0.5))
    assert (dog.probability, str(dog)) == (0.5, "Dog 0.50")
    assert Segment(0, 1).categories == ()
    segment = Segment(0, 1, [dog])  # type: ignore[arg-type]
    assert segment.categories == (dog,)
    assert len({segment, Segment(0, 1, (dog,)), Segment(0, 1)}) == 2
    for name, probability in (("", 0.5), (None, 0.5), ("Dog", 1.5), ("Dog", None), ("Dog", "1")):
        with pytest.raises(CoPropError, match=r"name|probability"):
            Category(name, probability)  # type: ignore[arg-type]
    for wrong in ("Dog", ("Dog",), dog, (("Dog", 0.5),), None):
        with pytest.raises(CoPropError, match=r"tuple of Category\(name, probability\)"):
            Segment(0, 1, wrong)  # type: ignore[arg-type]
