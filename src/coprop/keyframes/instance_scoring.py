"""The slot of what tells which of several like things sounds, and how it is asked.

Of two dogs or two people neither a word nor a look tells which one is heard.
`coprop.keyframes.motion_agreement` fills the slot with nothing but the frames and the sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from coprop.context import FrameContext
from coprop.errors import ModelOutputError, ShapeError
from coprop.types import AudioTrack
from coprop.utils.brief import Brief
from coprop.utils.checks import array_of, is_plain, number, shown

CONTENDING = 0.75
"""How far another instance must score, of the best one's score, to be taken to sound too."""


@dataclass(frozen=True, eq=False, repr=False)
class InstanceScores(Brief):
    """How far each of N instances sounds.

    Args:
        scores: (N,) float in [0, 1].
        confidence: in [0, 1], the probability that the instance of the highest score is the one
            that sounds, if just one does: 1 / N where nothing tells, 1 of a single instance, 0
            where there is none.

    Raises:
        ModelOutputError: anything else, which a scorer must not return.
    """

    scores: Tensor
    confidence: float

    def __post_init__(self) -> None:
        scores = self.scores
        if not is_plain(scores) or scores.ndim != 1 or not scores.is_floating_point():
            raise ModelOutputError(f"scores must be (N,) float in [0, 1], got {shown(scores)}.")
        if not bool(((scores >= 0) & (scores <= 1)).all()):
            raise ModelOutputError(f"scores must lie in [0, 1], got {scores.tolist()}.")
        wanted = "a probability, in [0, 1]"
        sure = number("confidence", self.confidence, wanted, low=0, high=1, error=ModelOutputError)
        object.__setattr__(self, "confidence", sure)

    def sounding(self, least_confidence: float = 0.0) -> Tensor:
        """(N,) bool: which instances are taken to sound; one at least, if there is any.

        The best, and those that score at least `CONTENDING` as high, since several may sound. Below
        the least confidence nothing is decided, and all are taken to sound.

        Args:
            least_confidence: in [0, 1].

        Raises:
            CoPropError: out of range.

        Example:
            >>> InstanceScores(torch.tensor([0.2, 0.7]), 0.8).sounding().tolist()
            [False, True]
        """
        wanted = "a probability, in [0, 1]"
        least = number("least_confidence", least_confidence, wanted, low=0, high=1)
        if self.confidence < least or not len(self.scores):
            return torch.ones_like(self.scores, dtype=torch.bool)
        return self.scores >= CONTENDING * self.scores.max()


class InstanceScorer(Protocol):
    """What tells which of several instances of a word sounds: any function like this."""

    def __call__(
        self, masks: Tensor, frames: Tensor, times_s: Sequence[float], sound: AudioTrack, /
    ) -> InstanceScores:
        """The instances' scores.

        Args:
            masks: (N, H, W) in [0, 1], where each is in a keyframe, or (N, T, H, W), where it is
                in each frame.
            frames: (T, 3, H, W) RGB in [0, 1], in order of time.
            times_s: (T,) of the frames, on the sound's clock.
            sound: what is heard meanwhile.
        """
        ...


class NamedMask(Protocol):
    """An instance: what a model that segments by words found in one frame."""

    @property
    def word(self) -> str:
        """What it was found as."""
        ...

    @property
    def mask(self) -> Tensor:
        """(H, W) in [0, 1]."""
        ...


_Instance = TypeVar("_Instance", bound=NamedMask)


def sounding_instances(
    instances: Sequence[_Instance],
    scorer: InstanceScorer | None,
    frames: Tensor,
    times_s: Sequence[float],
    sound: AudioTrack,
    *,
    least_confidence: float = 0.0,
) -> list[_Instance]:
    """Those of a frame's instances that sound, in their order.

    Without a scorer all of them; with one, of words with several instances those that it chooses.

    Args:
        instances: of one frame.
        scorer: what chooses; None for nobody.
        frames, times_s, sound: of `InstanceScorer`.
        least_confidence: of `InstanceScores.sounding`.

    Raises:
        ModelOutputError: a scorer that returns other than one score for each instance.
    """
    if scorer is None:
        return list(instances)
    kept: set[int] = set()
    for word in dict.fromkeys(instance.word for instance in instances):
        own = [i for i, instance in enumerate(instances) if instance.word == word]
        if len(own) == 1:
            kept |= set(own)
            continue
        masks = torch.stack([instances[i].mask for i in own])
        given = scorer(masks, frames, times_s, sound)
        if not isinstance(given, InstanceScores) or len(given.scores) != len(own):
            raise ModelOutputError(
                f"the instance scorer must return InstanceScores with {len(own)} scores, one for "
                f"each instance of {word!r}, got {shown(given)}."
            )
        sounding = given.sounding(least_confidence).tolist()
        kept |= {i for i, one in zip(own, sounding, strict=True) if one}
    return [instance for i, instance in enumerate(instances) if i in kept]


def times_around(context: FrameContext, window_s: float) -> tuple[float, ...]:
    """(T,) times of a context's frames on the clock of a window of sound centred on the keyframe.

    So a keyframe model with `surroundings` gives a scorer the frames and the sound that it gets.

    >>> times_around(FrameContext(3, 0.5, "first"), 4.0)
    (2.0, 2.5, 3.0)
    """
    return tuple(window_s / 2 + time_s for time_s in context.times_s(0.0))


def masks_of_labels(labels: ArrayLike | Tensor) -> tuple[tuple[int, ...], Tensor]:
    """The labels of a map, or of one a frame, and the mask of each, as a scorer takes them.

    Args:
        labels: (H, W) or (T, H, W) whole numbers, 0 for background: an identity each.

    Returns:
        The N labels that are there, increasing, and (N, H, W) or (N, T, H, W) bool.

    Raises:
        ShapeError: another shape, or no whole numbers.

    Example:
        >>> masks_of_labels([[0, 2], [5, 5]])[0]
        (2, 5)
    """
    array = array_of("labels", labels, error=ShapeError)
    if array.ndim not in (2, 3) or array.dtype.kind not in "iu":
        raise ShapeError(
            f"labels must be (H, W) or (T, H, W) of whole numbers, got {array.dtype} of shape "
            f"{array.shape}."
        )
    found = np.setdiff1d(np.unique(array), [0])
    masks = torch.from_numpy(array[None] == found.reshape(-1, *[1] * array.ndim))
    return tuple(int(label) for label in found), masks
