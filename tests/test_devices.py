"""No part fixes a device: all of them run where their parameters are.

On the meta device nothing is computed, but an operation that mixes it with the CPU fails, as it
would on a GPU.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from coprop import AudioInsertPropagator, CoProp, KeyframeSegmenter
from coprop.encoders.sound_effects import SoundEffectsEncoder
from coprop.keyframes.audio_queried import AudioQueriedConfig
from coprop.keyframes.segmenter import SegmenterConfig
from coprop.propagation import PropagatorConfig
from pipeline_samples import changes_at, clip_of, noise

QUERIED = AudioQueriedConfig(
    visual="resnet18", width=32, heads=2, encoder_layers=1, decoder_layers=1
)
META = torch.device("meta")


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
