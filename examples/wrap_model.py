"""Keeps a model of your own in time: coprop calls it at keyframes and propagates its masks.

python examples/wrap_model.py [VIDEO] [FOLDER]
"""

import sys

import torch
from torch import Tensor

from coprop import CoProp


def colourful_when_loud(frames: Tensor, audio: Tensor) -> Tensor:
    """Stands for your network: what is colourful sounds, if anything is heard at all.

    Args:
        frames: (K, 3, H, W) RGB in [0, 1]; a network that was trained on normalised pictures of
            224 x 224 gets them normalised and resized here, and its logits resized back.
        audio: (K, samples) mono at 16 kHz, the second around each frame.

    Returns:
        (K, 1, H, W) logits. For C classes, (K, C, H, W) with background first.
    """
    saturation = frames.amax(dim=1, keepdim=True) - frames.amin(dim=1, keepdim=True)
    loudness = audio.square().mean(dim=1).sqrt().view(-1, 1, 1, 1)
    return torch.where(loudness > 0.01, 20 * (saturation - 0.35), -20.0)


def main(video: str = "examples/clip.mp4", folder: str = "out") -> None:
    pipeline = CoProp.wrap(colourful_when_loud, max_segment_s=2)
    result = pipeline(video)
    keyframes = sum(mask.is_keyframe for mask in result.masks)
    print(f"{len(result.masks)} frames, {keyframes} of them shown to the model")
    result.save(folder, force=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
