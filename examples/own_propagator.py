"""A propagator of your own: the mask follows the colours of the keyframe.

python examples/own_propagator.py [VIDEO]
"""

import sys

import torch
from torch import Tensor

from coprop import CoProp


class ByColour:
    """Each pixel belongs to the object whose mean colour at the keyframe is the nearest."""

    sample_rate = 16_000  # of the sound that comes with each frame, in Hz
    window_s = 0.1  # how much of it, in seconds

    def start(self, frame: Tensor, audio: Tensor | None, mask: Tensor) -> Tensor:
        """Begin at a keyframe.

        Args:
            frame: (1, 3, h, w) RGB in [0, 1].
            audio: (1, samples) at `sample_rate`, `window_s` around the frame.
            mask: (1, K + 1, h, w) probabilities, background first, of any K >= 1 objects.
        """
        weights = mask / mask.sum((2, 3), keepdim=True).clamp_min(1e-6)
        return torch.einsum("bkhw,bchw->bkc", weights, frame)

    def step(
        self,
        frame: Tensor,
        audio: Tensor | None,
        state: Tensor,
        *,
        output_size: tuple[int, int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Finite logits (1, K + 1, h, w) of the next frame, and the state after it."""
        distance = (frame[:, None] - state[..., None, None]).square().sum(2)
        return -50 * distance, state


def main(video: str = "examples/clip.mp4") -> None:
    pipeline = CoProp.from_pretrained()
    pipeline.propagator = ByColour()
    result = pipeline(video)
    carried = [mask.area for mask in result.masks if mask.labels.any() and not mask.is_keyframe]
    print(len(carried), "frames carry a keyframe's mask")


if __name__ == "__main__":
    main(*sys.argv[1:])
