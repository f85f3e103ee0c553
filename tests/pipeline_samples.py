"""Small models, sounds and clips for the tests of the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop import Audio, AudioInsertPropagator, ControlPoints
from coprop.propagation import PropagatorConfig
from coprop.types import AudioTrack

RATE = 16_000


def clip_of(count: int, height: int = 12, width: int = 16) -> NDArray[np.uint8]:
    """(T, H, W, 3) frames; red tells the frame's number, green the row, blue the column."""
    frames = np.zeros((count, height, width, 3), dtype=np.uint8)
    frames[..., 0] = np.arange(count)[:, None, None]
    frames[..., 1] = np.arange(height)[:, None] % 256
    frames[..., 2] = np.arange(width) % 256
    return frames


def ramp(seconds: float, sample_rate: int = RATE) -> Audio:
    """Sound whose sample number n is 1/2 + n / 2^20, with alternating sign: see `positions`."""
    number = np.arange(round(seconds * sample_rate))
    samples = (-1.0) ** number * (0.5 + number / 2**20)
    return Audio(samples.astype(np.float32), sample_rate)


def positions(window: torch.Tensor) -> NDArray[np.int64]:
    """(samples,) which samples of `ramp` a window (1, samples) holds; -1 for zeros."""
    samples = np.abs(window[0].numpy().astype(np.float64))
    return np.where(samples == 0, -1, np.rint((samples - 0.5) * 2**20)).astype(np.int64)


def noise(seconds: float, sample_rate: int = RATE) -> Audio:
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal(round(seconds * sample_rate))
    return Audio(samples.astype(np.float32), sample_rate)


def changes_at(*times_s: float) -> Callable[[AudioTrack], ControlPoints]:
    """A detector, a plain function, that finds changes at these times."""
    times = np.array([0.0, *times_s])

    def detect(audio: AudioTrack) -> ControlPoints:
        return ControlPoints(times, np.ones(len(times)), np.ones(len(times), dtype=bool))

    return detect


def left_half(frames: Tensor) -> Tensor:
    """Binary logits: the left half sounds."""
    logits = torch.full((len(frames), 1, *frames.shape[-2:]), -4.0)
    logits[..., : frames.shape[-1] // 2] = 4.0
    return logits


@dataclass
class Recorder:
    """An audio-visual segmentation model that notes what it was given."""

    answer: Callable[[Tensor], Any] = left_half
    frames: list[Tensor] = field(default_factory=list)
    audio: list[Tensor] = field(default_factory=list)

    def __call__(self, frames: Tensor, audio: Tensor) -> Any:
        self.frames.append(frames)
        self.audio.append(audio)
        return self.answer(frames)

    @property
    def frame_numbers(self) -> list[int]:
        """Of the frames of `clip_of` that it was asked about."""
        return [round(float(frame[0, 0, 0, 0]) * 255) for frame in self.frames]


@dataclass
class Shifter:
    """A propagator, a plain object: moves the mask by one column with each frame."""

    sample_rate: int = RATE
    window_s: float = 0.1
    starts: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)
    steps: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def start(self, frame: Tensor, audio: Tensor | None, mask: Tensor) -> Tensor:
        assert audio is not None
        self.starts.append((frame, audio, mask))
        return mask

    def step(
        self,
        frame: Tensor,
        audio: Tensor | None,
        state: Tensor,
        *,
        output_size: tuple[int, int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        assert audio is not None
        self.steps.append((frame, audio))
        state = state.roll(1, dims=-1)
        return state.clamp(1e-6, 1).log(), state


def small_propagator(insert_levels: tuple[int, ...] = (1, 2, 3, 4)) -> AudioInsertPropagator:
    """A real propagator with random weights, quick on a CPU."""
    config = PropagatorConfig(
        insert_levels=insert_levels,
        embedding_dim=32,
        num_layers=1,
        num_heads=4,
        decoder_dim=32,
        insert_dim=32,
        long_term_gap=2,
        max_long_edge=64,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        propagator = AudioInsertPropagator(config).eval()
        torch.nn.init.normal_(propagator.network.patch_wise_id_bank.weight, std=0.1)
    return propagator
