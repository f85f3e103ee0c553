"""Keyframes guided by words in place of sound (the comparison of the paper's table 4)."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Protocol, TypeVar, get_args, runtime_checkable

from torch import Tensor

from coprop.errors import CoPropError
from coprop.keyframes.model import Deaf, KeyframeModel, Outputs, as_logits
from coprop.utils.checks import check_choice, check_function
from coprop.values.categories import as_words

_Self = TypeVar("_Self", bound="TextGuided")

TextFunction = Callable[[Tensor, tuple[str, ...]], Tensor]
"""``fn(frames (K, 3, H, W) in [0, 1], categories) -> logits (K, C, H, W)`` of what they name."""


class TextGuided(Deaf):
    """A keyframe model that is guided by words for what sounds, and hears nothing.

    Attributes:
        categories: the words; where they are None, the pipeline fills in the detector's, for each
            keyframe.
    """

    categories: tuple[str, ...] | None

    def guided_by(self: _Self, categories: tuple[str, ...] | None) -> _Self:
        """The same model, with words for what sounds."""
        guided_by = copy(self)
        object.__setattr__(guided_by, "categories", as_words(categories))
        return guided_by

    def words(self) -> tuple[str, ...]:
        """The words.

        Raises:
            CoPropError: nobody said what sounds.
        """
        if self.categories is None:
            raise CoPropError(
                "a text-guided segmenter needs words for what sounds, but the detector gave none; "
                "use a detector that fills ControlPoints.categories, such as "
                "ControlPointDetector.events(), or put yours into "
                "coprop.keyframes.naming.naming(detector), which names what is heard."
            )
        return self.categories

    def __call__(self, frames: Tensor, audio: Tensor) -> Tensor:
        """Logits (K, C, H, W) of the things that the categories name."""
        raise NotImplementedError


@dataclass(frozen=True)
class TextGuidedSegmenter(TextGuided):
    """A function of frames and words as keyframe model.

    The words are its own, or else those that `ControlPoints.categories` of the pipeline's detector
    has for what is heard around the keyframe. `coprop.keyframes.text.TextSegmenter` is the same
    for published models.

    Args:
        fn: segments what the categories name, for instance a text-prompted segmentation model.
        categories: the words; where there are none, the pipeline fills in the detector's, for each
            keyframe.
        outputs: what ``fn`` returns (`coprop.keyframes.model.Outputs`).

    Raises:
        CoPropError: ``fn`` cannot be called, categories that are no words, or unknown outputs.

    Example:
        >>> import torch
        >>> model = TextGuidedSegmenter(lambda frames, words: frames[:, :1] - 0.5, ("dog",))
        >>> model(torch.rand(1, 3, 4, 4), torch.zeros(1, 16_000)).shape
        torch.Size([1, 1, 4, 4])
    """

    fn: TextFunction
    categories: tuple[str, ...] | None = None
    outputs: Outputs = "logits"

    def __post_init__(self) -> None:
        wanted = "a function of frames and categories"
        check_function("fn", self.fn, ("frames", "categories"), wanted)
        object.__setattr__(self, "categories", as_words(self.categories))
        check_choice("outputs", self.outputs, get_args(Outputs))

    def __call__(self, frames: Tensor, audio: Tensor) -> Tensor:
        """Logits (K, C, H, W) of the things that the categories name.

        Raises:
            CoPropError: nobody said what sounds.
        """
        return as_logits(self.fn(frames, self.words()), self.outputs, "the text-guided function")


@runtime_checkable
class WordGuided(KeyframeModel, Protocol):
    """A keyframe model that takes words for what is heard, as `TextGuidedSegmenter` does."""

    @property
    def categories(self) -> tuple[str, ...] | None:
        """The words; None where the pipeline is to fill in the detector's."""
        ...

    def guided_by(self, categories: tuple[str, ...] | None) -> KeyframeModel:
        """The same model, with words for what sounds."""
        ...


def guided(keyframes: KeyframeModel, categories: tuple[str, ...] | None) -> KeyframeModel:
    """The keyframe model for a keyframe around which these categories are heard."""
    if isinstance(keyframes, WordGuided) and keyframes.categories is None:
        return keyframes.guided_by(categories)
    return keyframes
