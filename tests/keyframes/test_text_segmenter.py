"""Keyframes by words: what is looked for, which labels it gets, and what is said of bad input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from coprop import ControlPoints, CoProp, CoPropError
from coprop.context import FrameContext
from coprop.encoders.yamnet import class_names
from coprop.errors import ShapeError
from coprop.keyframes.instance_scoring import InstanceScores
from coprop.keyframes.motion_agreement import MotionAgreement
from coprop.keyframes.text import Instance, TextSegmenter, TextToMasks, audioset_phrases
from coprop.keyframes.text.instances import alike, distinct
from coprop.keyframes.text.phrases import phrase_of
from coprop.keyframes.timed import TimedKeyframeModel
from coprop.types import AudioTrack
from pipeline_samples import Shifter, changes_at, clip_of, noise


def instance(word: str, left: float, score: float = 0.9, value: float = 0.8) -> Instance:
    """A box of 2 pixels in an image of 4 x 8."""
    mask = torch.full((4, 8), 0.05)
    mask[1:3, int(left) : int(left) + 2] = value
    return Instance(word, score, mask, (left, 1.0, left + 2, 3.0))


class Seer:
    """Sees a dog on the left, another on the right and a violin between; notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, images: Tensor, words: Sequence[tuple[str, ...]]) -> list[list[Instance]]:
        self.asked.extend(words)
        seen = [instance("dog", 6, 0.95), instance("dog", 0, 0.7), instance("violin", 3)]
        return [[one for one in seen if one.word in own] for own in words]


FRAMES, SOUND = torch.rand(1, 3, 4, 8), torch.zeros(1, 16_000)


def shown(logits: Tensor) -> list[list[int]]:
    """Labels of the second row of each frame."""
    return [row.tolist() for row in logits.max(dim=1).indices[:, 1]]


def test_a_model_of_ones_own_fills_the_slot() -> None:
    assert isinstance(Seer(), TextToMasks)
    assert isinstance(TextSegmenter(Seer()), TimedKeyframeModel)


def test_words_are_labels_in_their_order() -> None:
    segmenter = TextSegmenter(Seer(), categories=("Violin, fiddle", "Bark"))
    logits = segmenter(FRAMES, SOUND)
    assert shown(logits) == [[2, 2, 0, 1, 1, 0, 2, 2]]
    # One object's probability is the softmax of its logit and the background's 0.
    alone = TextSegmenter(Seer(), categories=("violin",))(FRAMES, SOUND)
    assert alone.softmax(dim=1)[0, 1, 1].tolist() == pytest.approx(
        [0.05] * 3 + [0.8] * 2 + [0.05] * 3, abs=1e-6
    )


def test_instances_are_labels_from_left_to_right() -> None:
    segmenter = TextSegmenter(Seer(), categories=("dog", "violin"), instances=True)
    assert shown(segmenter(FRAMES, SOUND)) == [[1, 1, 0, 3, 3, 0, 2, 2]]


class Leftmost:
    """A scorer that takes the leftmost to sound; notes what it is given."""

    surroundings, window_s = FrameContext(3, 0.5, "first"), 2.0

    def __init__(self) -> None:
        self.given: list[tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...], float]] = []

    def __call__(
        self, masks: Tensor, frames: Tensor, times_s: Sequence[float], sound: AudioTrack
    ) -> InstanceScores:
        of = (tuple(masks.shape), tuple(frames.shape), tuple(times_s), sound.duration_s)
        self.given.append(of)
        places = masks.amax(dim=1).argmax(dim=1)
        return InstanceScores((places == places.min()).float(), 0.9)


def test_of_several_things_of_a_word_a_scorer_chooses() -> None:
    scorer = Leftmost()
    segmenter = TextSegmenter(Seer(), categories=("dog", "violin"), instance_scorer=scorer)
    with pytest.raises(
        ShapeError, match=r"around must be \(1, 3, 3, H, W\) .* a pipeline gives it"
    ):
        segmenter(FRAMES, SOUND)
    logits = segmenter(FRAMES, torch.zeros(1, 32_000), torch.rand(1, 3, 3, 4, 8))
    assert shown(logits) == [[1, 1, 0, 2, 2, 0, 0, 0]]
    # One violin: nobody is asked.
    assert scorer.given == [((2, 4, 8), (3, 3, 4, 8), (1.0, 1.5, 2.0), 2.0)]


def test_a_pipeline_gives_a_scorer_frames_and_sound() -> None:
    scorer = Leftmost()
    segmenter = TextSegmenter(Seer(), categories=("dog",), instance_scorer=scorer)
    pipeline = CoProp.wrap(
        segmenter, detector=changes_at(1.0), propagator=Shifter(), namer=None, max_segment_s=None
    )
    result = pipeline(torch.rand(8, 3, 4, 8), audio=noise(2.0), fps=4)
    assert [given[1:] for given in scorer.given] == [((3, 3, 4, 8), (1.0, 1.5, 2.0), 2.0)] * 2
    assert (result.labels[0, 1] == [1, 1, 0, 0, 0, 0, 0, 0]).all()


def test_motion_agreement_fits() -> None:
    segmenter = TextSegmenter(Seer(), categories=("dog",), instance_scorer=MotionAgreement())
    assert (segmenter.window_s, segmenter.surroundings.frames) == (4.0, 20)
    silence, still = torch.zeros(1, 64_000), FRAMES.unsqueeze(1).expand(1, 20, 3, 4, 8)
    # Nothing tells, so that both are taken to sound.
    assert shown(segmenter(FRAMES, silence, still)) == [[1, 1, 0, 0, 0, 0, 1, 1]]
    with pytest.raises(CoPropError, match=r"instance_scorer must be a function"):
        TextSegmenter(Seer(), instance_scorer=3)  # type: ignore[arg-type]


def test_one_thing_found_twice_is_one_instance() -> None:
    twice = [instance("dog", 0, 0.6), instance("dog", 0, 0.9), instance("cat", 0, 0.7)]
    assert [(one.word, one.score) for one in distinct(twice, 0.8)] == [("dog", 0.9), ("cat", 0.7)]


def test_classes_number_words_and_leave_out_others() -> None:
    seer = Seer()
    classes = ("cat", "violin", "Bark")
    segmenter = TextSegmenter(seer, categories=("Howl", "Violin, fiddle", "Car"), classes=classes)
    assert segmenter.names == {1: "cat", 2: "violin", 3: "dog"}
    logits = segmenter(FRAMES, SOUND)
    assert logits.shape[1] == 4
    assert shown(logits) == [[3, 3, 0, 2, 2, 0, 3, 3]]
    assert seer.asked == [("dog", "violin")]


def saying(*categories: tuple[str, ...]) -> Callable[[AudioTrack], ControlPoints]:
    def detect(audio: AudioTrack) -> ControlPoints:
        return replace(
            changes_at(*map(float, range(1, len(categories))))(audio), categories=categories
        )

    return detect


def test_labels_stay_through_a_clip_and_begin_anew_with_the_next() -> None:
    seer = Seer()
    detector = saying(("Violin, fiddle",), ("Bark", "Violin, fiddle"), ("Howl",), ("Music",))
    pipeline = CoProp.wrap(TextSegmenter(seer), detector=detector, propagator=Shifter(), namer=None)
    for _ in range(2):
        seer.asked.clear()
        masks = pipeline(clip_of(8, height=4, width=8), noise(4.0), fps=2).masks
        labels = [sorted(set(mask.labels.ravel().tolist())) for mask in masks if mask.is_keyframe]
        assert labels == [[0, 1], [0, 1, 2], [0, 2], [0]]
        assert seer.asked == [("violin",), ("dog", "violin"), ("dog",), ()]


def test_the_detector_s_words_or_its_own() -> None:
    pipeline = CoProp.wrap(TextSegmenter(Seer()), detector=changes_at(), propagator=Shifter())
    with pytest.raises(CoPropError, match=r"words .*ControlPoints\.categories"):
        pipeline(clip_of(2), noise(1.0), fps=2)
    seer = Seer()
    pipeline.segmenter = TextSegmenter(seer, categories=("dog",))
    pipeline(clip_of(2, height=4, width=8), noise(1.0), fps=2)
    assert seer.asked == [("dog",)]


def test_it_is_asked_once_for_all_with_the_same_words() -> None:
    calls: list[tuple[list[int], tuple[str, ...]]] = []

    def find(numbers: list[int], own: tuple[str, ...]) -> list[list[Instance]]:
        calls.append((numbers, own))
        return [[instance(own[0], number)] for number in numbers]

    found = alike([("a", "b", "a"), (), ("c",), ("a", "b")], find)
    assert calls == [([0, 3], ("a", "b")), ([2], ("c",))]
    assert [[one.box[0] for one in each] for each in found] == [[0], [], [2], [3]]


# Phrases


def test_every_name_of_audioset_has_a_phrase_or_none() -> None:
    assert set(audioset_phrases()) <= set(class_names())
    phrases = {name: phrase_of(name) for name in class_names()}
    for name, phrase in phrases.items():
        assert phrase is None or (phrase == phrase.strip().lower() and "," not in phrase), name
    known = {"Bark": "dog", "Speech": "person", "Violin, fiddle": "violin", "Music": None}
    known |= {
        "Drum kit": "drum kit",
        "Typing": "computer keyboard",
        "Wind": None,
        "Hands": "person",
    }
    assert {name: phrases[name] for name in known} == known


def test_phrases_are_the_user_s() -> None:
    assert phrase_of("bark", {"Bark": "small terrier"}) == "small terrier"
    assert phrase_of("Violin, fiddle", {}) == "violin"
    assert phrase_of("Bark", {"Bark": None}) is None
    assert phrase_of("Bark", {"Bark": " "}) is None
    assert phrase_of("Bark", {"Bark": "..."}) is None
    assert phrase_of("?!") is None
    assert phrase_of("Bark", lambda name: f"the {name}") == "the Bark"
    with pytest.raises(CoPropError, match=r"phrase or None for a name, got 3 for 'Bark'"):
        phrase_of("Bark", lambda name: 3)  # type: ignore[arg-type, return-value]


# Bad input


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"phrases": ["dog"]}, "phrases must be a dict"),
        ({"phrases": {"Bark": 3}}, "phrases must be names of sounds with phrases"),
        ({"categories": "dog"}, "categories must be a tuple of words"),
        ({"categories": (3,)}, "categories must be a tuple of words"),
        ({"instances": "yes"}, "instances must be True or False"),
        ({"classes": "dog"}, "classes must be a list of words"),
        ({"classes": ()}, "classes must be a list of words"),
        ({"classes": ("dog", "dog")}, "classes must be words that differ"),
        ({"classes": tuple(map(str, range(256)))}, "255 at most"),
        ({"classes": ("dog",), "instances": True}, "leave out classes"),
    ],
)
def test_options_that_are_none(options: dict[str, Any], said: str) -> None:
    with pytest.raises(CoPropError, match=said):
        TextSegmenter(Seer(), **options)
    with pytest.raises(CoPropError, match=said):  # before anything is loaded
        TextSegmenter.from_pretrained("no/such", **options)


def test_a_model_that_is_none() -> None:
    with pytest.raises(CoPropError, match="model must be a function of images and words"):
        TextSegmenter("sam3")  # type: ignore[arg-type]


def test_frames_that_are_none() -> None:
    with pytest.raises(CoPropError, match=r"frames \(K, 3, H, W\)"):
        TextSegmenter(Seer(), categories=("dog",))(FRAMES[0], SOUND)
    for wrong in (FRAMES[0], FRAMES.numpy(), None):
        with pytest.raises(CoPropError, match=r"frames must be a tensor \(K, 3, H, W\)"):
            TextSegmenter(Seer()).find(wrong, [("dog",)])


@pytest.mark.parametrize("words", ["dog", ["dog"], [("dog",)] * 2, [], [(3,)], 5, None])
def test_words_that_are_none(words: Any) -> None:
    with pytest.raises(CoPropError, match="words"):
        TextSegmenter(Seer()).find(FRAMES, words)


@pytest.mark.parametrize(
    "answer", [None, [], [[], []], [[3]], [[replace(instance("dog", 0), mask=torch.rand(2, 2))]]]
)
def test_a_model_that_answers_something_else(answer: Any) -> None:
    model: Any = lambda images, words: answer  # noqa: E731
    with pytest.raises(CoPropError, match="must return a list of instances for each image"):
        TextSegmenter(model, categories=("dog",))(FRAMES, SOUND)
