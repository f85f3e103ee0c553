"""Photographs that move: objects before the background they were taken with.

Cut-outs over other backgrounds have edges and light that give them away; in a photograph the object
has to be told from what it stands in. Of one photograph with its object's mask a moving picture is
made as AOT is pre-trained on pictures: by smooth warps, of the view as a whole and of the object
with what is around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from coprop.utils.brief import Brief
from tools.benchmark.library import Source, load_picture
from tools.benchmark.scene import Sprite, paint_over

_WAVES = 3  # of the elastic warp
_AROUND = 0.2  # how far around the object the picture moves with it, of the shorter side
_COARSE = 4  # pixels: what is around it needs no finer map
_GRAIN = 0.02  # the largest standard deviation of a frame's noise


@dataclass(frozen=True)
class Course:
    """A value that drifts and sways, at time 0 zero.

    Args:
        drift: its change a second.
        amplitude: of the swaying.
        frequency: of the swaying, in Hz.
        phase: of the swaying, in radians.
    """

    drift: float
    amplitude: float
    frequency: float
    phase: float

    def at(self, time_s: float) -> float:
        turn = 2 * np.pi * self.frequency * time_s + self.phase
        return self.drift * time_s + self.amplitude * float(np.sin(turn) - np.sin(self.phase))


@dataclass(frozen=True, eq=False, repr=False)
class MovingPhotograph(Brief):
    """A photograph of an object, the view and the object moving, perhaps with things before it.

    Places are in units of half the frame, from -1 to 1, as `F.grid_sample` has it.

    Args:
        picture: (4, H, W) RGB and the object's mask, in [0, 1].
        nearness: (1, h, w) how much each place moves with the object, in [0, 1].
        view: zoom and shift (x, y) that bring a part of the picture into the frame.
        camera: courses of zoom, turn in radians, and shift (x, y).
        motion: courses of the object's shift (x, y).
        waves: (w, 5) of the elastic warp: wave numbers (x, y), frequency in Hz, phase, amplitude.
        gain: course of the brightness, around 1.
        sprites: things before it, the last in front.
        size: (height, width) of the frames.
        grain: standard deviation of the noise.
        seed: of the noise.
    """

    picture: Tensor
    nearness: Tensor
    view: tuple[float, float, float]
    camera: tuple[Course, Course, Course, Course]
    motion: tuple[Course, Course]
    waves: NDArray[np.float64]
    gain: Course
    sprites: tuple[Sprite, ...]
    size: tuple[int, int]
    grain: float
    seed: int

    def render(self, time_s: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The frame (H, W, 3) uint8 at a time, and the visible part of the object and sprites."""
        warped = F.grid_sample(
            self.picture[None], self._places(time_s), padding_mode="reflection", align_corners=False
        )[0].numpy()
        canvas = np.ascontiguousarray(np.moveaxis(warped[:3], 0, 2))
        canvas *= 1 + self.gain.at(time_s)
        masks = paint_over(canvas, self.sprites, time_s, [warped[3] >= 0.5])
        noise = np.random.default_rng((self.seed, round(1000 * time_s)))
        canvas += self.grain * noise.standard_normal(canvas.shape, dtype=np.float32)
        return np.round(canvas * 255).clip(0, 255).astype(np.uint8), np.stack(masks)

    def _places(self, time_s: float) -> Tensor:
        """(1, h, w, 2): where in the picture each pixel of the frame lies."""
        height, width = self.size
        zoom, turn, right, down = (course.at(time_s) for course in self.camera)
        cos, sin = np.cos(turn) / (1 + zoom), np.sin(turn) / (1 + zoom)
        y, x = torch.meshgrid(
            (torch.arange(height) + 0.5) * 2 / height - 1,
            (torch.arange(width) + 0.5) * 2 / width - 1,
            indexing="ij",
        )
        scale, centre_x, centre_y = self.view
        places = torch.stack([cos * x - sin * y + right, sin * x + cos * y + down], dim=-1)
        for wave_x, wave_y, frequency, phase, amplitude in self.waves:
            turns = wave_x * x + wave_y * y + 2 * np.pi * frequency * time_s + phase
            places = places + amplitude * torch.sin(turns)[..., None]
        places = (scale * places + torch.tensor([centre_x, centre_y]))[None].float()
        near = F.grid_sample(
            self.nearness[None], places, padding_mode="border", align_corners=False
        )
        shift = torch.tensor([course.at(time_s) for course in self.motion])
        return places - near.permute(0, 2, 3, 1) * shift.float()


def random_photograph(
    rng: np.random.Generator,
    source: Source,
    sprites: tuple[Sprite, ...],
    *,
    size: tuple[int, int],
    motion: float,
) -> MovingPhotograph:
    """A photograph that moves at random.

    Args:
        rng: the source of all randomness.
        source: one of `Library.photographs`.
        sprites: things before it.
        size: (height, width) of the frames.
        motion: 0 for a still picture, 1 for usual speeds.
    """
    rgba = load_picture(source.path)
    if rng.random() < 0.5:
        rgba = rgba[:, ::-1]
    picture = torch.from_numpy(rgba.copy()).permute(2, 0, 1).float() / 255
    picture = F.interpolate(picture[None], size, mode="bilinear", antialias=True)[0]
    radius = round(_AROUND * min(size) / _COARSE)
    coarse = F.avg_pool2d(picture[3:], _COARSE)
    around = F.max_pool2d(coarse, 2 * (radius // 2) + 1, 1, radius // 2)
    nearness = F.avg_pool2d(around, 2 * radius + 1, 1, radius, count_include_pad=False)
    scale = float(rng.uniform(0.55, 1.1))
    room = max(1 - scale, 0.0)

    def course(drift: float, amplitude: float) -> Course:
        return Course(
            motion * float(rng.normal(0, drift)),
            motion * float(rng.uniform(0, amplitude)),
            float(rng.uniform(0.1, 1.0)),
            float(rng.uniform(0, 2 * np.pi)),
        )

    waves = np.stack(
        [
            rng.uniform(-6, 6, _WAVES),
            rng.uniform(-6, 6, _WAVES),
            motion * rng.uniform(0, 0.3, _WAVES),
            rng.uniform(0, 2 * np.pi, _WAVES),
            rng.uniform(0, 0.025, _WAVES),
        ],
        axis=1,
    )
    return MovingPhotograph(
        picture,
        nearness,
        (scale, room * float(rng.uniform(-1, 1)), room * float(rng.uniform(-1, 1))),
        (course(0.03, 0.03), course(0.03, 0.04), course(0.04, 0.06), course(0.03, 0.04)),
        (course(0.03, 0.10), course(0.02, 0.07)),
        waves,
        course(0.02, 0.08),
        sprites,
        size,
        float(rng.uniform(0, _GRAIN)),
        int(rng.integers(2**31)),
    )
