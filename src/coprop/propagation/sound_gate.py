"""Whether what sounded at the keyframe still sounds: beyond the paper.

Equation 6 changes masks place by place, and has no word for "nothing that is followed sounds now".
The gate has: it hears the frame's sound beside that of the reference frame, and where it makes of
the two that what sounded there is silent, it raises the background's logit. Which of several
objects a sound is of stays the audio insert's matter.

Memory keeps the masks of before the gate. So what was shut is followed on unseen, and is masked
again as soon as it sounds.

The last projection starts at zero, as the insert's do: a fresh gate changes nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coprop.utils.precision import in_float32

MOMENTS = 6  # steps in time of the tokens of every audio encoder here, each of some bands


def silent(projection: nn.Linear) -> nn.Linear:
    """The projection at zero: what comes out of it is nothing, until training changes it."""
    nn.init.zeros_(projection.weight)
    nn.init.zeros_(projection.bias)
    return projection


def moments(tokens: Tensor) -> Tensor:
    """(B, 24, C) audio tokens to (B, 6, C), their mean over frequency at each moment."""
    return tokens.view(len(tokens), MOMENTS, -1, tokens.shape[2]).mean(2)


class SoundGate(nn.Module):
    """Compares a frame's sound with the reference frame's.

    Args:
        audio_dim: width of the audio tokens.
        width: of what is remembered of each moment of a sound.

    Example:
        >>> gate = SoundGate(audio_dim=128, width=64)
        >>> keyframe, frame = torch.rand(1, 24, 128), torch.rand(1, 24, 128)
        >>> gate(gate.heard(keyframe), gate.heard(frame)).item()  # until the projection is trained
        0.0
    """

    def __init__(self, audio_dim: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(audio_dim)
        self.embedding = nn.Linear(audio_dim, width)
        self.comparison = nn.Linear(4 * MOMENTS * width, 2 * width)
        self.projection = silent(nn.Linear(2 * width, 1))

    def heard(self, tokens: Tensor) -> Tensor:
        """(B, 24, audio_dim) tokens of a sound to (B, 6, width), what is compared of it."""
        return self.embedded(moments(tokens))

    def embedded(self, sound: Tensor) -> Tensor:
        """(B, 6, audio_dim) `moments` of a sound to (B, 6, width)."""
        with in_float32(sound.device):
            return F.gelu(self.embedding(self.norm(sound.to(self.embedding.weight.dtype))))

    def forward(self, reference: Tensor, now: Tensor) -> Tensor:
        """How silent the frame is: (B,), above zero where masks are to be shut.

        Args:
            reference: (B, 6, width), what was `heard` of the reference frame's sound.
            now: (B, 6, width), the same of the frame's.
        """
        # A keyframe follows an onset: the first half of its window may hold what was before.
        # Moments of the two sounds do not belong together one by one.
        begun = reference[:, MOMENTS // 2 :].mean(1, keepdim=True).expand_as(now)
        both = torch.cat((now, reference, (now - begun).abs(), now * begun), dim=2)
        with in_float32(now.device):  # all of a mask hangs on this one number
            silence: Tensor = self.projection(F.gelu(self.comparison(both.flatten(1))))
        return silence.squeeze(1)
