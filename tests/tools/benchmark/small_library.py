"""A sources folder small enough to make in a test: coloured discs, tones and noises."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

GROUPS = ("dog", "guitar", "person", "car")
WIDE = ("dog", "guitar", "person", "car", "cat", "harp", "boat", "drum", "aircraft")
RATE = 44_100


def build(folder: Path, groups: tuple[str, ...] = GROUPS, *, distinct: bool = False) -> Path:
    """For each split: two pictures and sounds of each group, two bystanders and backgrounds.

    With ``distinct``, pictures and sounds of a group are no copies of each other by fingerprint.
    """
    rng = np.random.default_rng(0)
    rows = []
    for split in ("train", "test"):
        for number, group in enumerate((*groups, None)):
            for copy in range(2):
                stem = f"{split}_{group}_{copy}"
                rows.append(("picture", stem + ".png", group, split, disc(rng, number, distinct)))
                if group is not None:
                    rows.append(
                        ("sound", stem + ".flac", group, split, tone(rng, number, distinct))
                    )
        for copy in range(2):
            pixels = rng.integers(0, 255, (90, 120, 4), dtype=np.uint8)
            rows.append(("background", f"{split}_back_{copy}.png", None, split, pixels))
    lines = []
    for kind, name, group, split, content in rows:
        path = folder / name
        if kind == "sound":
            soundfile.write(path, content, RATE)
        else:
            Image.fromarray(content).save(path)
        line = {
            "kind": kind,
            "path": name,
            "group": group,
            "split": split,
            "source": "Caltech-101" if kind == "picture" else "made",
            "licence": "none needed",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "ships": True,
        }
        lines.append(json.dumps(line))
    (folder / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def disc(rng: np.random.Generator, number: int, blotched: bool = False) -> np.ndarray:
    y, x = np.mgrid[-1:1:60j, -1:1:80j]
    pixels = np.zeros((60, 80, 4), dtype=np.uint8)
    pixels[..., :3] = 255 * np.eye(3, dtype=np.uint8)[number % 3] // (1 + number // 3)
    pixels[..., :3] += rng.integers(0, 40, (60, 80, 3), dtype=np.uint8) // 2
    if blotched:
        blots = Image.fromarray(rng.integers(0, 150, (6, 8, 3), dtype=np.uint8))
        pixels[..., :3] = pixels[..., :3] // 3 + np.asarray(blots.resize((80, 60)))
    pixels[..., 3] = 255 * (x**2 + y**2 < 0.8)
    return pixels


def tone(rng: np.random.Generator, number: int, noisy: bool = False) -> np.ndarray:
    time_s = np.arange(int(0.8 * RATE)) / RATE
    pitch = 200 * (number + 1) * rng.uniform(0.95, 1.05)
    samples = 0.8 * np.sin(2 * np.pi * pitch * time_s)
    if noisy:
        samples = 0.2 * samples + 0.5 * rng.uniform(-1, 1, len(time_s))
    return samples.astype(np.float32)
