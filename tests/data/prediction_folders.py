"""Predictions as published test scripts write them, with known contents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from avsbench_folders import colour_mask
from PIL import Image

SIZE = (12, 16)  # height, width


def masks_of(seed: int, count: int = 5, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(T, h, w) bool: a block that grows and moves with each second."""
    masks = np.zeros((count, *size), dtype=bool)
    for i in range(count):
        top = (seed + i) % (size[0] // 2)
        masks[i, top : top + size[0] // 2, 1 + i % 3 : size[1] // 2 + i % 5] = True
    return masks


def labels_of(count: int = 10, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(T, h, w) uint8 class ids of AVSS, other ones in each second."""
    labels = np.zeros((count, *size), dtype=np.uint8)
    for i in range(count):
        labels[i, : size[0] // 2, : size[1] // 2] = 1 + i
        labels[i, size[0] // 2 :, size[1] // 2 :] = 70 - i
    return labels


def save(image: Image.Image, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def write_masks(folder: Path, name: str, masks: np.ndarray) -> Path:
    """What TPAVI, AVSegFormer, CATR and CAVP do for S4 and MS3: 0 and 255 in a palette of greys."""
    for number, mask in enumerate(masks):
        picture = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).convert("P")
        save(picture, folder / name / f"{name}_{number}.png")
    return folder


def write_colours(folder: Path, name: str, labels: np.ndarray, size: tuple[int, int]) -> Path:
    """What TPAVI and AVSegFormer do for AVSS: colours, resized in colour to (width, height)."""
    for number, label in enumerate(labels):
        picture = Image.fromarray(colour_mask(label))
        save(picture.resize(size), folder / name / f"{name}_{number}.png")
    return folder


def write_combo_ms3(run: Path, name: str, masks: np.ndarray) -> Path:
    """What COMBO does for MS3: black and white as RGB, with the names of the frames."""
    folder = run / "vis" / "Multi-sources" / "ms3_data" / "visual_frames" / name
    for number, mask in enumerate(masks, 1):
        picture = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).convert("RGB")
        save(picture, folder / f"{name}.mp4_{number}.png")
    return run


def write_combo_s4(run: Path, category: str, name: str, masks: np.ndarray) -> Path:
    """What COMBO does for S4."""
    frames = run / "vis" / "Single-source" / "s4_data" / "visual_frames" / "test" / category / name
    for number, mask in enumerate(masks, 1):
        picture = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).convert("RGB")
        save(picture, frames / f"{name}_{number}.png")
    return run


def write_combo_avss(run: Path, name: str, labels: np.ndarray) -> Path:
    """What COMBO does for AVSS: colours under the frames' names, which end in .jpg."""
    for number, label in enumerate(labels):
        path = run / "vis" / "v2" / name / "processed_frames" / f"{number}.jpg"
        save(Image.fromarray(colour_mask(label)), path)
    return run
