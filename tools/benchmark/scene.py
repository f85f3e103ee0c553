"""Moving pictures with known masks: cut-outs that travel over a background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coprop.utils.brief import Brief
from tools.benchmark.library import Library, Source, load_picture

_LEAST_VISIBLE_AREA = 0.01  # of the frame; smaller objects cannot be told apart at working size


@dataclass(frozen=True, eq=False, repr=False)
class Sprite(Brief):
    """One cut-out and its path through the frame.

    Positions and sizes are in units of the frame's width and height, times in seconds.
    """

    picture: NDArray[np.uint8]
    centre: tuple[float, float]
    velocity: tuple[float, float]
    sway: tuple[float, float, float]  # amplitude, frequency in Hz, phase
    size: float  # the longer side, in units of the frame's shorter side
    growth: float  # relative change of size per second
    tilt: tuple[float, float]  # degrees, degrees per second
    gain: float  # brightness

    def paint(self, canvas: NDArray[np.float32], time_s: float) -> NDArray[np.float32]:
        """Paints itself onto ``canvas`` (H, W, 3) in place; returns its alpha (H, W) in [0, 1]."""
        from PIL import Image

        height, width = canvas.shape[:2]
        scale = self.size * (1 + self.growth * time_s) * min(height, width)
        scale /= max(self.picture.shape[:2])
        amplitude, frequency, phase = self.sway
        sway = amplitude * np.sin(2 * np.pi * frequency * time_s + phase)
        x = (self.centre[0] + self.velocity[0] * time_s + sway) * width
        y = (self.centre[1] + self.velocity[1] * time_s) * height
        angle = np.deg2rad(self.tilt[0] + self.tilt[1] * time_s)
        cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
        half_h, half_w = self.picture.shape[0] / 2, self.picture.shape[1] / 2
        # PIL wants the map from output to input coordinates.
        matrix = (cos, sin, half_w - cos * x - sin * y, -sin, cos, half_h + sin * x - cos * y)
        sprite = Image.fromarray(self.picture)
        shrink = int(1 / scale)
        if shrink >= 2:  # bilinear sampling alone would alias
            sprite = sprite.reduce(shrink)
            matrix = tuple(m / shrink for m in matrix)
        # Premultiplied alpha: interpolation must not drag in the colour of transparent pixels.
        rgba = np.asarray(sprite, dtype=np.float32) / 255
        rgba = np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], axis=2)
        warped = np.stack(
            [
                np.asarray(
                    Image.fromarray(channel).transform(
                        (width, height),
                        Image.Transform.AFFINE,
                        matrix,
                        Image.Resampling.BILINEAR,
                    )
                )
                for channel in np.moveaxis(rgba, 2, 0)
            ],
            axis=2,
        )
        alpha = warped[..., 3]
        canvas *= 1 - alpha[..., None]
        canvas += np.clip(self.gain * warped[..., :3], 0, 1)
        return alpha


def paint_over(
    canvas: NDArray[np.float32],
    sprites: Sequence[Sprite],
    time_s: float,
    masks: list[NDArray[np.bool_]],
) -> list[NDArray[np.bool_]]:
    """Paints sprites onto ``canvas`` (H, W, 3) in place, later ones over earlier ones.

    Args:
        canvas: the picture.
        sprites: in painting order.
        time_s: where they are.
        masks: (H, W) each, of what the canvas shows already.

    Returns:
        What is left to see of those masks, and of each sprite.
    """
    for sprite in sprites:
        solid = sprite.paint(canvas, time_s) >= 0.5
        masks = [*(mask & ~solid for mask in masks), solid]
    return masks


@dataclass(frozen=True, eq=False, repr=False)
class Scene(Brief):
    """A background and the sprites before it, in painting order.

    Args:
        background: (H, W, 3) uint8, larger than the frame; the camera pans over it.
        pan: where the frame's corner lies in the background at time 0, and its velocity, in pixels.
        sprites: drawn in this order; later ones hide earlier ones.
        groups: what each sprite shows; None for a thing that makes no sound.
    """

    background: NDArray[np.uint8]
    pan: tuple[tuple[float, float], tuple[float, float]]
    sprites: tuple[Sprite, ...]
    groups: tuple[str | None, ...]
    size: tuple[int, int]

    def render(self, time_s: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The frame (H, W, 3) uint8 at a time, and the visible part of each sprite (O, H, W)."""
        canvas = self._backdrop(time_s)
        masks = paint_over(canvas, self.sprites, time_s, [])
        frame = np.round(canvas * 255).clip(0, 255).astype(np.uint8)
        height, width = self.size
        stacked = np.stack(masks) if masks else np.zeros((0, height, width), dtype=bool)
        stacked &= stacked.mean(axis=(1, 2), keepdims=True) >= _LEAST_VISIBLE_AREA
        return frame, stacked

    def _backdrop(self, time_s: float) -> NDArray[np.float32]:
        (y, x), (vy, vx) = self.pan
        height, width = self.size
        limit_y, limit_x = (self.background.shape[i] - self.size[i] for i in (0, 1))
        top = int(np.clip(y + vy * time_s, 0, limit_y))
        left = int(np.clip(x + vx * time_s, 0, limit_x))
        crop = self.background[top : top + height, left : left + width]
        return np.asarray(crop / np.float32(255), dtype=np.float32)


def random_scene(
    library: Library,
    rng: np.random.Generator,
    sources: list[Source],
    *,
    size: tuple[int, int],
    motion: float = 1.0,
) -> Scene:
    """A scene of the given pictures, with random places, paths, sizes and painting order.

    Args:
        library: where the background comes from.
        rng: the source of all randomness.
        sources: pictures to show, one sprite each.
        size: (height, width) of the frames.
        motion: 0 for a still scene, 1 for usual speeds.
    """
    background, pan = _random_background(library, rng, size, motion)
    columns = rng.permutation(len(sources))
    sprites = tuple(
        random_sprite(rng, source, column, len(sources), motion)
        for source, column in zip(sources, columns, strict=True)
    )
    return Scene(background, pan, sprites, tuple(source.group for source in sources), size)


def _random_background(
    library: Library, rng: np.random.Generator, size: tuple[int, int], motion: float
) -> tuple[NDArray[np.uint8], tuple[tuple[float, float], tuple[float, float]]]:
    from PIL import Image

    source = library.backgrounds[rng.integers(len(library.backgrounds))]
    picture = Image.fromarray(load_picture(source.path)).convert("RGB")
    scale = rng.uniform(1.05, 1.5) * max(size[0] / picture.height, size[1] / picture.width)
    shape = (int(np.ceil(picture.width * scale)), int(np.ceil(picture.height * scale)))
    background = np.asarray(picture.resize(shape, Image.Resampling.BILINEAR))
    if rng.random() < 0.5:
        background = background[:, ::-1]
    room = [background.shape[i] - size[i] for i in (0, 1)]
    corner = (rng.uniform(0, room[0]), rng.uniform(0, room[1]))
    velocity = (motion * rng.normal(0, 0.02) * size[0], motion * rng.normal(0, 0.03) * size[1])
    return np.ascontiguousarray(background), (corner, velocity)


def random_sprite(
    rng: np.random.Generator, source: Source, column: int, columns: int, motion: float
) -> Sprite:
    """A cut-out in one of the columns of the frame, with a path of its own.

    Args:
        rng: the source of all randomness.
        source: the picture.
        column: in which of the columns it begins.
        columns: how many the frame is divided into.
        motion: 0 for a still one, 1 for usual speeds.
    """
    picture = _cropped(load_picture(source.path))
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    size = rng.uniform(0.45, 0.95) if columns == 1 else rng.uniform(0.35, 0.75)
    place = (column + 0.5 + rng.uniform(-0.3, 0.3)) / columns
    return Sprite(
        picture=np.ascontiguousarray(picture),
        centre=(place, rng.uniform(0.3, 0.75)),
        velocity=(motion * rng.normal(0, 0.03), motion * rng.normal(0, 0.02)),
        sway=(motion * rng.uniform(0, 0.04), rng.uniform(0.1, 0.5), rng.uniform(0, 2 * np.pi)),
        size=float(size),
        growth=motion * rng.normal(0, 0.02),
        tilt=(rng.normal(0, 6), motion * rng.normal(0, 3)),
        gain=rng.uniform(0.75, 1.15),
    )


def _cropped(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows = np.flatnonzero((picture[..., 3] >= 128).any(axis=1))
    columns = np.flatnonzero((picture[..., 3] >= 128).any(axis=0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
