"""Composed scenes and photographs as the default's eyes see them, kept in files.

The eyes are not trained, so that each scene needs to be looked at only once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from coprop.data.composer import random_picture
from coprop.data.library import Library, load_picture
from coprop.data.scene import random_scene
from coprop.files import replacing
from coprop.keyframes.eyes import Eyes, Sight

_log = logging.getLogger(__name__)
_CHUNK = 50  # scenes in a file
_NATURAL = 0.55  # share of photographs as they were taken
# Height and width: videos come in all shapes. Multiples of 32.
_NEAREST = 2.3  # times: in real videos, what sounds often fills the picture and more
_SIZES = ((384, 512), (416, 416), (352, 608), (512, 384), (480, 640))


@dataclass(frozen=True, eq=False)
class SeenScene:
    """A picture, what it shows, and what is seen of it.

    Args:
        groups: of its O objects.
        masks: (O, h / 4, w / 4) half floats, the share of each place that the object covers.
        sight: one frame's, in half precision.
        natural: a photograph as it was taken, nothing composed.
    """

    groups: tuple[str, ...]
    masks: Tensor
    sight: Sight
    natural: bool


def see_scenes(
    eyes: Eyes, library: Library, folder: Path, count: int, *, seed: int
) -> list[SeenScene]:
    """Scenes of a library's pictures; a restarted call goes on after the last whole file.

    Args:
        eyes: what looks at them.
        library: pictures, photographs and backgrounds.
        folder: where they are kept, some 2 MB each.
        count: how many.
        seed: scene n draws from the seed (seed, n).
    """
    folder.mkdir(parents=True, exist_ok=True)
    scenes: list[SeenScene] = []
    for start in range(0, count, _CHUNK):
        path = folder / f"scenes_{seed}_{start:05d}.pt"
        if not path.exists():
            numbers = range(start, min(start + _CHUNK, count))
            rows = [_seen(eyes, library, np.random.default_rng((seed, n))) for n in numbers]
            with replacing(path) as partial:
                torch.save(rows, partial)
            _log.info("saw %d of %d scenes", numbers[-1] + 1, count)
        scenes += [_scene(row) for row in torch.load(path, weights_only=True)]
    return scenes


def _seen(eyes: Eyes, library: Library, rng: np.random.Generator) -> dict[str, object]:
    """A scene, as it is kept in a file."""
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    # As small as videos are, and enlarged as they then are in use.
    enlarged = float(rng.choice([1.0, 1.0, 4 / 3, 5 / 3]))
    own = (round(size[0] / enlarged), round(size[1] / enlarged))
    natural = rng.random() < _NATURAL
    take = _natural if natural else _composed
    frame, masks, groups = take(library, rng, own)
    frame, masks = _resized(_camera(frame, rng), size), _resized_masks(masks, size)
    pixels = torch.from_numpy(frame).permute(2, 0, 1).unsqueeze(0).float() / 255
    with torch.inference_mode():
        sight = eyes(pixels)
    covered = torch.from_numpy(masks).float().unsqueeze(1)
    return {
        "groups": groups,
        "natural": natural,
        "masks": F.avg_pool2d(covered, 4).squeeze(1).half(),
        "pyramid": [level[0].half() for level in sight.pyramid],
        "evidence": sight.evidence[0].half(),
        "salient": sight.salient[0].half(),
    }


def _scene(row: dict[str, Any]) -> SeenScene:
    sight = Sight(tuple(row["pyramid"]), row["evidence"], row["salient"])
    return SeenScene(tuple(row["groups"]), row["masks"], sight, row["natural"])


def _composed(
    library: Library, rng: np.random.Generator, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[str]]:
    groups = [str(g) for g in rng.choice(library.groups, rng.integers(1, 4), replace=False)]
    pictures = [random_picture(library, rng, group) for group in groups]
    if rng.random() < 0.3:
        pictures.append(random_picture(library, rng, None))
    scene = random_scene(library, rng, pictures, size=size)
    nearness = np.exp(rng.uniform(np.log(0.7), np.log(_NEAREST), len(pictures)))
    sprites = tuple(
        replace(sprite, size=sprite.size * float(near))
        for sprite, near in zip(scene.sprites, nearness, strict=True)
    )
    frame, masks = replace(scene, sprites=sprites).render(0.0)
    return frame, masks[: len(groups)], groups


def _natural(
    library: Library, rng: np.random.Generator, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[str]]:
    """A photograph as it was taken: its object in its own surroundings."""
    from PIL import Image

    source = library.photographs[rng.integers(len(library.photographs))]
    picture = Image.fromarray(load_picture(source.path))
    nearness = float(np.exp(rng.uniform(0, np.log(_NEAREST))))
    scale = nearness * max(size[0] / picture.height, size[1] / picture.width)
    shape = (int(np.ceil(picture.width * scale)), int(np.ceil(picture.height * scale)))
    rgba = np.asarray(picture.resize(shape, Image.Resampling.BILINEAR))
    rows, columns = np.nonzero(rgba[..., 3] >= 128)
    shown = int(rng.integers(len(rows)))  # a pixel of the object is in the middle, if it can be
    top, left = (
        int(np.clip(place[shown] - size[i] // 2, 0, rgba.shape[i] - size[i]))
        for i, place in enumerate((rows, columns))
    )
    rgba = rgba[top : top + size[0], left : left + size[1]]
    if rng.random() < 0.5:
        rgba = rgba[:, ::-1]
    groups = [source.group] if source.group is not None else []
    return rgba[..., :3], (rgba[..., 3] >= 128)[None][: len(groups)], groups


def _resized(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    from PIL import Image

    shape = (size[1], size[0])
    return np.array(Image.fromarray(frame).resize(shape, Image.Resampling.BILINEAR))


def _resized_masks(masks: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    resized = [_resized(mask.astype(np.uint8) * 255, size) >= 128 for mask in masks]
    return np.stack(resized) if resized else np.zeros((0, *size), dtype=bool)


def _camera(frame: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, contrast, colour, blur and noise of a cheap camera."""
    from PIL import Image, ImageFilter

    image = Image.fromarray(np.ascontiguousarray(frame))
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
    pixels = np.asarray(image, dtype=np.float32) / 255
    pixels = pixels ** rng.uniform(0.7, 1.5) * rng.uniform(0.85, 1.15, 3)
    if rng.random() < 0.1:
        pixels = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
    pixels = pixels + rng.normal(0, rng.uniform(0, 0.03), pixels.shape)
    return np.asarray((pixels * 255).clip(0, 255).astype(np.uint8))
