"""The propagator's slot: what the pipeline asks of whatever carries masks (paper section 3.4)."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from coprop.propagation.masks import Size


class Propagator(Protocol):
    """What carries a keyframe's mask through the frames after it. Any object with these will do.

    The pipeline follows one clip, so B = 1, and gives frames of one size between one `start` and
    the next, their longer side at most its ``working_edge``.
    """

    @property
    def sample_rate(self) -> int:
        """Sample rate of the audio that it takes, in Hz."""
        ...

    @property
    def window_s(self) -> float:
        """How much sound it takes with each frame, in seconds."""
        ...

    def start(self, frame: Tensor, audio: Tensor | None, mask: Tensor) -> Any:
        """A state that knows the keyframe.

        Args:
            frame: (1, 3, h, w) float RGB in [0, 1].
            audio: (1, n) float samples, ``window_s`` around the frame at ``sample_rate``.
            mask: (1, K + 1, h, w) float probabilities, background first, K >= 1.
        """
        ...

    def step(
        self, frame: Tensor, audio: Tensor | None, state: Any, *, output_size: Size | None = None
    ) -> tuple[Tensor, Any]:
        """The next frame's objects.

        Args:
            frame: (1, 3, h, w), as in `start`.
            audio: (1, n), as in `start`.
            state: what `start`, or the step before, returned.
            output_size: (height, width) of the logits where it is not the frame's; the pipeline
                leaves it out.

        Returns:
            Finite logits (1, K + 1, h, w), before the softmax, and the state after the frame.
        """
        ...
