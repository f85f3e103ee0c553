"""Keyframes guided by words: through the same slot, told by the detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from coprop import ControlPointDetector, ControlPoints, CoProp, CoPropError, KeyframeSegmenter
from coprop.keyframes.grounded import GroundedNetwork
from coprop.keyframes.naming import name_sounds, naming
from coprop.keyframes.network import AudioQueriedConfig
from coprop.keyframes.segmenter import SegmenterConfig
from coprop.keyframes.text_guided import TextGuidedSegmenter
from coprop.pipeline import WEIGHTS
from coprop.types import Audio, AudioTrack
from pipeline_samples import Shifter, changes_at, clip_of, noise


def saying(*categories: str) -> object:
    def detect(audio: AudioTrack) -> ControlPoints:
        return replace(changes_at(1.0)(audio), categories=categories)

    return detect


def test_the_words_of_the_detector_reach_the_model() -> None:
    told: list[tuple[str, ...]] = []

    def segment(frames: Tensor, categories: tuple[str, ...]) -> Tensor:
        told.append(categories)
        return torch.full((len(frames), 1, *frames.shape[-2:]), 4.0 if categories else -4.0)

    pipeline = CoProp.wrap(
        TextGuidedSegmenter(segment), detector=saying("dog", "bell"), propagator=Shifter()
    )
    result = pipeline(clip_of(4), noise(2.0), fps=2)
    assert told == [("dog", "bell")] * 2
    assert result.labels.any()
    silent = CoProp.wrap(TextGuidedSegmenter(segment), detector=saying(), propagator=Shifter())
    assert not silent(clip_of(4), noise(2.0), fps=2).labels.any()


def test_its_own_words_are_kept() -> None:
    told: list[tuple[str, ...]] = []

    def segment(frames: Tensor, categories: tuple[str, ...]) -> Tensor:
        told.append(categories)
        return torch.full((len(frames), 1, *frames.shape[-2:]), 4.0)

    model = TextGuidedSegmenter(segment, ("violin",))
    CoProp.wrap(model, detector=saying("dog"), propagator=Shifter())(clip_of(2), noise(1.0), fps=2)
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
    assert bool((nothing(frames, torch.zeros(2, 1)) < 0).all())


def test_only_the_default_can_be_told() -> None:
    queried = AudioQueriedConfig(
        visual="resnet18", width=32, heads=2, encoder_layers=1, decoder_layers=1
    )
    with pytest.raises(CoPropError, match="grounded"):
        KeyframeSegmenter(SegmenterConfig("audio_queried", 64, queried)).text_guided()


def test_sounds_are_named_where_there_are_any(default: KeyframeSegmenter) -> None:
    network = default.network
    assert isinstance(network, GroundedNetwork)
    rng = np.random.default_rng(0)
    samples = np.concatenate([np.zeros(44_100), 0.3 * rng.standard_normal(44_100)])
    audio = Audio(samples.astype(np.float32), 44_100)
    detect = naming(changes_at(1.0), network)
    named = detect(audio)
    assert named.categories is not None
    assert len(named.categories) == 1  # the silent second has no name
    assert named.categories[0] in network.groups
    assert named.change_times_s == (1.0,)
    silence = Audio(np.zeros(44_100, dtype=np.float32), 44_100)
    points = ControlPointDetector.novelty()(silence)
    assert name_sounds(points, silence, network).categories == ()
