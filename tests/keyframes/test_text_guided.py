"""Keyframes guided by words: through the same slot, told by the detector."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from coprop import ControlPoints, CoProp, CoPropError, KeyframeSegmenter
from coprop.keyframes.audio_queried import AudioQueriedConfig
from coprop.keyframes.grounded import GroundedNetwork
from coprop.keyframes.segmenter import SegmenterConfig
from coprop.keyframes.text_guided import TextGuidedSegmenter
from coprop.media.clip import Clip
from coprop.pipeline import WEIGHTS, Detector
from coprop.types import Audio, AudioTrack
from pipeline_samples import RATE, Shifter, changes_at, clip_of, noise


def saying(*categories: tuple[str, ...]) -> Detector:
    """A detector of a change at 1 s that tells what is heard before and after it."""

    def detect(audio: AudioTrack) -> ControlPoints:
        return replace(changes_at(1.0)(audio), categories=categories)

    return detect


@pytest.fixture
def listener() -> tuple[TextGuidedSegmenter, list[tuple[str, ...]]]:
    """A model that masks everything where there are words, and what it was told."""
    told: list[tuple[str, ...]] = []

    def segment(frames: Tensor, categories: tuple[str, ...]) -> Tensor:
        told.append(categories)
        return torch.full((len(frames), 1, *frames.shape[-2:]), 4.0 if categories else -4.0)

    return TextGuidedSegmenter(segment), told


Listener = tuple[TextGuidedSegmenter, list[tuple[str, ...]]]


def test_each_keyframe_is_asked_for_the_words_of_its_segment(listener: Listener) -> None:
    model, told = listener
    detector = saying(("dog", "bell"), ("violin",))
    pipeline = CoProp.wrap(model, detector=detector, propagator=Shifter(), namer=None)
    result = pipeline(clip_of(8), noise(2.0), fps=4)
    assert told == [("dog", "bell"), ("violin",)]
    assert result.labels.any()
    told.clear()
    pipeline.max_segment_s = 0.5
    pipeline(clip_of(8), noise(2.0), fps=4)
    assert told == [("dog", "bell")] * 2 + [("violin",)] * 2


def test_where_nothing_is_named_nothing_is_masked(listener: Listener) -> None:
    model, told = listener
    detector = saying((), ("violin",))
    pipeline = CoProp.wrap(model, detector=detector, propagator=Shifter(), namer=None)
    labels = pipeline(clip_of(8), noise(2.0), fps=4).labels
    assert told == [(), ("violin",)]
    assert not labels[:4].any()
    assert labels[4:].all()


def test_a_control_point_at_the_edge_of_a_silence_is_the_edge(listener: Listener) -> None:
    model, told = listener
    samples = noise(3.0).samples.copy()
    samples[: RATE - RATE // 20] = 0  # sound begins 50 ms before the control point
    pipeline = CoProp.wrap(
        model, detector=saying(("silence",), ("dog",)), propagator=Shifter(), namer=None
    )
    pipeline(clip_of(12), Audio(samples, RATE), fps=4)
    assert told == [("dog",)]


def test_on_every_frame_the_words_are_those_of_its_time(listener: Listener) -> None:
    model, told = listener
    pipeline = CoProp.wrap(model, detector=saying(("dog",), ("bell",)), propagator=Shifter())
    with Clip(clip_of(4), noise(2.0), fps=2) as clip:
        points = pipeline.detect(clip.audio)
        assert len(list(pipeline.every_frame(clip, points))) == 4
        assert told == [("dog",)] * 2 + [("bell",)] * 2
        with pytest.raises(CoPropError, match=r"ControlPoints\.categories"):
            list(pipeline.every_frame(clip))


def test_its_own_words_are_kept() -> None:
    told: list[tuple[str, ...]] = []

    def segment(frames: Tensor, categories: tuple[str, ...]) -> Tensor:
        told.append(categories)
        return torch.full((len(frames), 1, *frames.shape[-2:]), 4.0)

    model = TextGuidedSegmenter(segment, ("violin",))
    CoProp.wrap(model, detector=saying(("dog",), ()), propagator=Shifter())(
        clip_of(2), noise(1.0), fps=2
    )
    assert told == [("violin",)]


def test_without_words_it_says_what_to_do() -> None:
    model = TextGuidedSegmenter(lambda frames, categories: frames[:, :1])
    pipeline = CoProp.wrap(model, detector=changes_at(), propagator=Shifter())
    with pytest.raises(CoPropError, match=r"ControlPoints\.categories"):
        pipeline(clip_of(2), noise(1.0), fps=2)


@pytest.fixture(scope="module")
def default() -> KeyframeSegmenter:
    return KeyframeSegmenter.from_pretrained(WEIGHTS / "keyframe_segmenter")


def test_the_default_knows_things_by_name(default: KeyframeSegmenter) -> None:
    network = default.network
    assert isinstance(network, GroundedNetwork)
    frames = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    model = default.text_guided().guided_by(("barking dogs", "violin"))
    heard = torch.zeros(2, len(network.groups))
    heard[:, network.groups.index("dog")] = heard[:, network.groups.index("bowed_strings")] = 1
    small = torch.nn.functional.interpolate(
        frames, (416, 640), mode="bilinear", antialias=True, align_corners=False
    )
    with torch.no_grad():
        expected = network.segment(small, heard)
    logits = model(frames, torch.zeros(2, 16_000))
    assert logits.shape == (2, 1, 64, 96)
    resized = torch.nn.functional.interpolate(expected, (64, 96), mode="bilinear")
    torch.testing.assert_close(logits, resized)
    nothing = default.text_guided().guided_by(("rain",))
    assert bool((nothing(frames[:1], torch.zeros(1, 1)) < 0).all())


def test_only_the_default_can_be_told() -> None:
    queried = AudioQueriedConfig(
        visual="resnet18", width=32, heads=2, encoder_layers=1, decoder_layers=1
    )
    with pytest.raises(CoPropError, match="grounded"):
        KeyframeSegmenter(SegmenterConfig("audio_queried", 64, queried)).text_guided()


@pytest.mark.usefixtures("small_pictures")
def test_words_and_sound_guide_together(
    default: KeyframeSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []

    def forward(frames: Tensor, audio: Tensor, around: Tensor | None, words: object) -> Tensor:
        told.append((words, None if around is None else around.shape[:2]))
        return torch.full((len(frames), 1, *frames.shape[-2:]), 4.0)

    model = default.text_and_sound_guided()
    silent = model.guided_by(("rain",))  # which names nothing that can be seen
    frames, audio = torch.rand(1, 3, 64, 96), torch.zeros(1, 16_000)
    torch.testing.assert_close(silent(frames, audio), default(frames, audio))
    monkeypatch.setattr(default, "forward", forward)
    pipeline = CoProp.wrap(model, detector=saying(("dog",), ()), propagator=Shifter(), namer=None)
    assert pipeline(clip_of(8), noise(2.0), fps=4).labels.any()
    assert told == [(("dog",), (1, 4)), ((), (1, 4))]
    with pytest.raises(CoPropError, match="categories must"):
        model.guided_by("dog")  # type: ignore[arg-type]
