"""The propagator on real motion: sequences of frames with true masks, from the first of these.

    python -m tools.bench.motion PROPAGATOR FRAMES:MASKS... [--sound noise]

PROPAGATOR is a folder of ``save_pretrained``. FRAMES holds the pictures of a sequence and MASKS
their true masks, by the same names and not needed for all, as DAVIS has them: 0 is background, each
other value an object. Such sequences have no sound; what is heard is silence, or a steady noise.
Printed is J, the mean over the objects, after 10, 30 and 70 frames, and of all that have a mask.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from coprop.propagation.propagator import AudioInsertPropagator
from tools.bench.listening import jaccard

AFTER = (10, 30, 70)  # frames
_NOISE = 0.05  # its standard deviation; about -26 dB


@torch.inference_mode()
def follow(
    propagator: AudioInsertPropagator, frames: Path, masks: Path, noise: float
) -> dict[int, float]:
    """J of each frame that has a true mask, by its distance from the first one."""
    truth = {path.stem: path for path in masks.iterdir()}
    names = sorted(path for path in frames.iterdir() if path.suffix in (".jpg", ".png"))
    begin = next(i for i, path in enumerate(names) if path.stem in truth)
    samples = round(propagator.sample_rate * propagator.window_s)
    rng = np.random.default_rng(0)
    scores: dict[int, float] = {}
    state, objects = None, np.zeros(0, dtype=np.uint8)
    for number, path in enumerate(names[begin:]):
        pixels = np.array(Image.open(path).convert("RGB"))
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        sound = torch.from_numpy(noise * rng.standard_normal((1, samples))).float()
        size = (pixels.shape[1], pixels.shape[0])
        known = _labels(truth[path.stem], size) if path.stem in truth else None
        if state is None:
            if known is None:
                continue
            objects = np.setdiff1d(np.unique(known), [0])
            mask = torch.from_numpy(np.searchsorted([0, *objects], known))[None]
            state = propagator.start(image, sound, mask, num_objects=len(objects))
            continue
        logits, state = propagator.step(image, sound, state)
        if known is not None:
            predicted = np.r_[0, objects][logits.argmax(1)[0].numpy()]
            scores[number] = float(np.mean([jaccard(predicted == i, known == i) for i in objects]))
    return scores


def _labels(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Labels of a palette picture; of one in colours or grey, whether a pixel is white."""
    with Image.open(path) as picture:
        nearest = picture.resize(size, Image.Resampling.NEAREST)  # some are a pixel wider
        if picture.mode == "P":
            return np.asarray(nearest)
        return (np.asarray(nearest.convert("L")) > 127).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("propagator", type=Path)
    parser.add_argument("sequences", nargs="+", metavar="FRAMES:MASKS")
    parser.add_argument("--sound", choices=("silence", "noise"), default="silence")
    arguments = parser.parse_args()
    propagator = AudioInsertPropagator.from_pretrained(arguments.propagator)
    noise = _NOISE if arguments.sound == "noise" else 0.0
    print(" | ".join(["sequence", *(f"after {n}" for n in AFTER), "mean", "frames"]))
    for sequence in arguments.sequences:
        frames, masks = map(Path, sequence.split(":"))
        scores = follow(propagator, frames, masks, noise)
        cells = [f"{scores[n]:.3f}" if n in scores else "-" for n in AFTER]
        mean = f"{np.mean(list(scores.values())):.3f}"
        print(" | ".join([frames.name, *cells, mean, str(len(scores))]), flush=True)


if __name__ == "__main__":
    main()
