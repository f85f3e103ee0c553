"""Small datasets in the official folders of AVSBench, with known contents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

SIZE = (12, 16)  # height, width
RATE = 16_000
SPLITS = ("train", "val", "test")
CATEGORIES = ("dog_barking", "playing_piano")


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def box(present: bool) -> np.ndarray:
    """(H, W) uint8, 255 in a box where something sounds."""
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[2:8, 3:11] = 255 * present
    return mask


def save(path: Path, pixels: np.ndarray | Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path)


def save_sound(path: Path, seconds: float, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(round(seconds * RATE)) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(path, np.stack([tone] * channels, axis=1), RATE)


def write_csv(path: Path, header: str, rows: Sequence[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")


def build_s4(parent: Path) -> Path:
    """Two clips a split, one a category; in the second one frame 3 (from 1) is silent."""
    root = parent / "Single-source"
    rows = []
    for split in SPLITS:
        for number, category in enumerate(CATEGORIES):
            name = f"{split}_{number}"
            rows.append((name, "0", category, split))
            inner = Path(split, category)
            for i in range(1, 6):
                pictures = root / "s4_data/visual_frames" / inner / name
                save(pictures / f"{name}_{i}.png", picture(i))
                if split != "train" or i == 1:
                    masks = root / "s4_data/gt_masks" / inner / name
                    save(masks / f"{name}_{i}.png", box(not (number == 1 and i == 3)))
            save_sound(root / "s4_data/audio_wav" / inner / f"{name}.wav", 5.0)
    write_csv(root / "s4_meta_data.csv", "name,start time,category,split", rows)
    return root


def build_ms3(parent: Path) -> Path:
    """Two clips a split; the second one's masks are empty in its first two frames (RGB white)."""
    root = parent / "Multi-sources"
    rows = []
    for split in SPLITS:
        for number in range(2):
            name = f"{split}-{number}"
            rows.append((name, split))
            for i in range(1, 6):
                pictures = root / "ms3_data/visual_frames" / name
                save(pictures / f"{name}.mp4_{i}.png", picture(10 + i))
                mask = Image.fromarray(box(not (number == 1 and i < 3)))
                masks = root / "ms3_data/gt_masks" / split / name
                save(masks / f"{name}_{i}.png", mask.convert("RGB") if number else mask)
            save_sound(root / "ms3_data/audio_wav" / split / f"{name}.wav", 5.0)
    write_csv(root / "ms3_meta_data.csv", "video_id,split", rows)
    return root


def avss_colour(label: int) -> tuple[int, int, int]:
    """A label's colour: its bits go to red, green and blue in turn, from the highest place down."""
    colour = [0, 0, 0]
    for bit in range(9):
        colour[bit % 3] |= (label >> bit & 1) << (7 - bit // 3)
    return colour[0], colour[1], colour[2]


def colour_mask(labels: np.ndarray) -> np.ndarray:
    colours = np.array([avss_colour(label) for label in range(71)], dtype=np.uint8)
    return colours[labels]


def avss_labels(frame: int) -> np.ndarray:
    """Class 5 throughout, class 70 from frame 2 on, class 31 from frame 4 on."""
    labels = np.zeros(SIZE, dtype=np.uint8)
    labels[2:6, 2:8] = 5
    labels[7:10, 2:8] = 70 if frame >= 2 else 0
    labels[2:6, 10:14] = 31 if frame >= 4 else 0
    return labels


def build_avss(parent: Path) -> Path:
    """A clip for each of v1s, v1m and v2 in each split."""
    root = parent / "AVSBench_semantic"
    rows = []
    for split in SPLITS:
        for label, count in (("v1s", 5), ("v1m", 5), ("v2", 10)):
            uid = f"{split}_{label}"
            rows.append(("x", uid, "0", "0", "dog", split, label))
            for i in range(count):
                save(root / label / uid / "frames" / f"{i}.jpg", np.full((*SIZE, 3), 20 * i, "u1"))
                if i == 0 or (split, label) != ("train", "v1s"):
                    colours = colour_mask(avss_labels(i))
                    save(root / label / uid / "labels_rgb" / f"{i}.png", colours)
            save_sound(root / label / uid / "audio.wav", float(count))
    write_csv(root / "metadata.csv", "vid,uid,s_min,s_sec,a_obj,split,label", rows)
    names = {"background": 0, **{f"class_{i}": i for i in range(1, 71)}}
    (root / "label2idx.json").write_text(json.dumps(names), encoding="utf-8")
    return root
