"""Labelled clips small enough for tests: two squares take turns; a model half hears them."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from coprop import Audio, CoProp
from coprop.data.labelled import FrameTruth, LabelledClip
from coprop.media.reader import Frame

RATE = 16_000
FPS = 4
SECONDS = 3
SIZE = (24, 32)


class SmallDataset:
    """Clip i: a red square on the left, a blue one on the right, and silence between their turns.

    The red one's sound is loud, the blue one's soft. The first frame of clips with an odd number
    is not annotated.
    """

    name = "small test"

    def __init__(self, count: int = 5, *, num_classes: int = 1, objects: bool = True) -> None:
        self.count = count
        self.num_classes = num_classes
        self.objects = objects
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> LabelledClip:
        self.read.append(index)
        rng = np.random.default_rng(index)
        changes = (0.5 + 0.25 * (index % 3), 1.5, 2.0 + 0.25 * (index % 2))
        states = [("red",), ("blue",), (), ("red", "blue")]
        times = np.arange(FPS * SECONDS) / FPS
        sounding = [states[int(np.searchsorted(changes, t, side="right"))] for t in times]
        frames, truth = [], []
        for i, (time_s, now) in enumerate(zip(times, sounding, strict=True)):
            image, masks = _picture(rng, i)
            frames.append(Frame(i, float(time_s), image))
            truth.append(self._truth(masks, now, annotated=not (i == 0 and index % 2)))
        return LabelledClip(
            name=f"small-{index}",
            frames=frames,
            audio=_sound(changes, states, rng),
            truth=truth,
            change_times_s=changes,
            categories=("dog", "guitar"),
        )

    def _truth(
        self, masks: dict[str, np.ndarray], now: tuple[str, ...], *, annotated: bool
    ) -> FrameTruth:
        labels = np.zeros(SIZE, dtype=np.uint8)
        for label, name in enumerate(masks, start=1):
            if name in now:
                labels[masks[name]] = label if self.num_classes > 1 else 1
        if not annotated:
            return FrameTruth(None)
        if not self.objects:
            return FrameTruth(labels)
        return FrameTruth(
            labels, np.stack(list(masks.values())), np.array([name in now for name in masks])
        )


def _picture(rng: np.random.Generator, index: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    image = rng.integers(80, 120, (*SIZE, 3), dtype=np.uint8)
    red, blue = np.zeros(SIZE, dtype=bool), np.zeros(SIZE, dtype=bool)
    red[6:16, 3 + index // 4 : 11 + index // 4] = True
    blue[4:14, 20:29] = True
    image[red], image[blue] = (230, 20, 20), (20, 20, 230)
    return image, {"red": red, "blue": blue}


def _sound(
    changes: tuple[float, ...], states: list[tuple[str, ...]], rng: np.random.Generator
) -> Audio:
    times = np.arange(RATE * SECONDS) / RATE
    state = np.searchsorted(changes, times, side="right")
    red = np.array([0.5 * ("red" in s) for s in states])[state]
    blue = np.array([0.1 * ("blue" in s) for s in states])[state]
    samples = red * np.sin(2 * np.pi * 330 * times) + blue * rng.uniform(-1, 1, len(times))
    return Audio(samples.astype(np.float32), RATE)


def loud_is_red(frames: Tensor, audio: Tensor) -> Tensor:
    """Logits of two classes and background: red where it is loud, blue where it is soft."""
    level = audio.abs().amax(1).view(-1, 1, 1, 1)
    red = 30 * (frames[:, :1] - frames[:, 2:] - 0.3) + torch.where(level > 0.3, 0.0, -60.0)
    blue = 30 * (frames[:, 2:] - frames[:, :1] - 0.3)
    return torch.cat([torch.zeros_like(red), red, blue], dim=1)


class Keeping:
    """A propagator that leaves the keyframe's mask where it is."""

    sample_rate = RATE
    window_s = 0.1

    def start(self, frame: Tensor, audio: Tensor | None, mask: Tensor) -> Tensor:
        return mask.clamp_min(1e-6).log()

    def step(
        self,
        frame: Tensor,
        audio: Tensor | None,
        state: Tensor,
        *,
        output_size: tuple[int, int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        return state, state


def build() -> CoProp:
    """What ``--model small_dataset:build`` calls."""
    return CoProp.wrap(loud_is_red, window_s=0.2, propagator=Keeping())


def build_slowly() -> CoProp:
    """`build`, slow enough to be killed on the way."""

    def slowly(frames: Tensor, audio: Tensor) -> Tensor:
        time.sleep(0.1)
        return loud_is_red(frames, audio)

    return CoProp.wrap(slowly, window_s=0.2, propagator=Keeping())
