"""No part fixes a device: all of them run where their parameters are.

On the meta device nothing is computed, but an operation that mixes it with the CPU fails, as it
would on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from coprop import Audio, AudioInsertPropagator, CoProp, KeyframeSegmenter
from coprop.control_points.novelty import default_networks, novelty_scores
from coprop.data.labelled import FrameTruth, LabelledClip
from coprop.encoders.log_mel import log_mel
from coprop.encoders.released import WEIGHTS
from coprop.encoders.sound_effects import SoundEffectsEncoder
from coprop.encoders.yamnet import YAMNet
from coprop.evaluation.methods import Prediction
from coprop.evaluation.scores import ScoreOptions, score
from coprop.evaluation.summary import summarise
from coprop.keyframes.adapters.cavp import spectrogram
from coprop.keyframes.adapters.inputs import resize_frames
from coprop.keyframes.audio_queried import AudioQueriedConfig
from coprop.keyframes.segmenter import SegmenterConfig
from coprop.metrics import functional
from coprop.propagation import PropagatorConfig
from coprop.types import FrameMask
from pipeline_samples import changes_at, clip_of, noise

QUERIED = AudioQueriedConfig(
    visual="resnet18", width=32, heads=2, encoder_layers=1, decoder_layers=1
)
META = torch.device("meta")
PICTURES = torch.rand(2, 3, 50, 60, generator=torch.Generator().manual_seed(0))
SAMPLES = torch.rand(2, 20_000, generator=torch.Generator().manual_seed(1)) - 0.5
SOUND = Audio(SAMPLES[0].numpy(), 16_000)
FOLDER = WEIGHTS / "keyframe_segmenter"


@pytest.mark.parametrize("architecture", ["grounded", "audio_queried"])
def test_the_segmenter_follows_its_parameters(architecture: Any) -> None:
    segmenter = KeyframeSegmenter(SegmenterConfig(architecture, 64, QUERIED)).eval().to(META)
    logits = segmenter(torch.rand(2, 3, 50, 60, device=META), torch.randn(2, 20_000, device=META))
    assert logits.shape == (2, 1, 50, 60)
    assert logits.device == META


def test_the_sound_encoder_follows_its_parameters() -> None:
    encoder = SoundEffectsEncoder().eval().to(META)
    assert encoder.tokens(torch.zeros(2, 100, device=META)).device == META


@pytest.mark.parametrize(
    "config",
    [
        PropagatorConfig(max_memory_frames=2, long_term_gap=1, num_layers=1),
        PropagatorConfig(insert_levels=(), max_memory_frames=None, num_layers=1),
        PropagatorConfig.aot_t(),
    ],
)
def test_the_propagator_follows_its_parameters(config: PropagatorConfig) -> None:
    propagator = AudioInsertPropagator(config).eval().to(META)
    frame = torch.rand(1, 3, 65, 81, device=META)
    audio = torch.zeros(1, 16_000, device=META)
    mask = torch.rand(1, 14, 65, 81, device=META)  # 13 objects: two groups
    state = propagator.start(frame, audio, mask)
    for _ in range(3):
        logits, state = propagator.step(frame, audio, state)
    assert logits.shape == (1, 14, 65, 81)
    assert logits.device == META


def test_construction_follows_the_device_in_force() -> None:
    with torch.device("meta"):
        model = KeyframeSegmenter(SegmenterConfig("grounded"))
    assert {tensor.device.type for tensor in (*model.parameters(), *model.buffers())} == {"meta"}


def novelty() -> Tensor:
    default_networks.cache_clear()
    return torch.from_numpy(novelty_scores(SOUND))


def evaluated() -> Tensor:
    labels = np.eye(8, dtype=np.uint8)
    truth = FrameTruth(labels, np.stack([labels > 0, labels < 1])[:, ::-1], np.array([True, False]))
    clip = LabelledClip("a", [], SOUND, [truth], ())
    mask = FrameMask(
        0, 0.0, labels, np.stack([1.0 - labels, labels], dtype=np.float32), (0, 1), True
    )
    found = score(Prediction(iter([mask])), clip, ScoreOptions(frames_per_batch=2), 2)
    figures = summarise([found], ScoreOptions(frames_per_batch=2), 2)["all frames"]
    return torch.from_numpy(np.array([value for value in figures.values() if value is not None]))


@pytest.mark.parametrize(
    "call",
    [
        lambda: functional.f_measure(PICTURES[:, 0], PICTURES[:, 1] > 0.5),
        lambda: functional.near_changes([False, True, False], 1),
        lambda: (
            functional.binary_class_counts(PICTURES[:, 0].numpy(), [[[0] * 60] * 50] * 2).predicted
        ),
        lambda: resize_frames(PICTURES, (20, 30), "opencv"),
        lambda: log_mel(SAMPLES),
        lambda: spectrogram(SAMPLES),
        lambda: YAMNet.from_pretrained().scores(SAMPLES),
        lambda: KeyframeSegmenter.from_pretrained(FOLDER)(PICTURES, SAMPLES),
        novelty,
        evaluated,
    ],
)
def test_what_is_on_the_cpu_stays_there_whatever_device_is_in_force(call: Any) -> None:
    expected = call()
    with torch.device("meta"):
        found = call()
    default_networks.cache_clear()
    assert torch.equal(found, expected)


class _GivenError(Exception):
    pass


def test_the_pipeline_puts_frames_and_sound_on_its_device() -> None:
    given: list[Tensor] = []

    def model(frames: Tensor, audio: Tensor) -> Tensor:
        given.extend((frames, audio))
        raise _GivenError

    propagator = AudioInsertPropagator().to(META)
    pipeline = CoProp.wrap(model, detector=changes_at(), propagator=propagator)
    with pytest.raises(_GivenError):
        pipeline(clip_of(1), noise(0.1), fps=10)
    assert [tensor.device for tensor in given] == [META, META]


def test_the_propagator_gets_single_precision_on_the_pipeline_s_device() -> None:
    """Whatever precision the keyframe model answers in."""
    given: list[Tensor] = []

    class Elsewhere:
        sample_rate, window_s = 16_000, 0.1

        def start(self, frame: Tensor, audio: Tensor, mask: Tensor) -> None:
            given.extend((frame, audio, mask))
            raise _GivenError

        def step(self, *args: Any, **options: Any) -> Any:
            raise AssertionError

    def model(frames: Tensor, audio: Tensor) -> Tensor:
        return torch.ones(1, 1, *frames.shape[-2:], dtype=torch.bfloat16)

    pipeline = CoProp.wrap(model, detector=changes_at(), propagator=Elsewhere(), device="cpu")
    with pytest.raises(_GivenError):
        pipeline(clip_of(1), noise(0.1), fps=10)
    assert {(tensor.device.type, tensor.dtype) for tensor in given} == {("cpu", torch.float32)}
