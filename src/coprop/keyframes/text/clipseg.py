"""CLIPSeg: a coarse mask for each word, from a small network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coprop.keyframes.text.instances import Instance, alike, box_of, pictures

_PAIRS_AT_ONCE = 16  # of a picture and a word; bounds memory


class ClipSeg:
    """A `TextToMasks` that tells no instances apart: one for each word, with all its things.

    Its score is the highest probability in the mask.

    Args:
        model: a ``CLIPSegForImageSegmentation`` of transformers.
        processor: its ``CLIPSegProcessor``.
        threshold: the least score; None for 0.5, below which no pixel is likelier than not.
    """

    def __init__(self, model: Any, processor: Any, threshold: float | None = None) -> None:
        self.model, self.processor = model, processor
        self.threshold = 0.5 if threshold is None else threshold

    def __call__(self, images: Tensor, words: Sequence[tuple[str, ...]]) -> list[list[Instance]]:
        given = pictures(images, self.model.device)

        def find(numbers: list[int], own: tuple[str, ...]) -> list[list[Instance]]:
            pairs = [(number, word) for number in numbers for word in own]
            found: dict[int, list[Instance]] = {number: [] for number in numbers}
            for first in range(0, len(pairs), _PAIRS_AT_ONCE):
                some = pairs[first : first + _PAIRS_AT_ONCE]
                for (number, word), mask in zip(some, self._masks(given, some), strict=True):
                    if (score := float(mask.max())) > self.threshold:
                        found[number].append(Instance(word, score, mask, box_of(mask)))
            return list(found.values())

        with torch.inference_mode():
            return alike(words, find)

    def _masks(self, images: Sequence[Tensor], pairs: Sequence[tuple[int, str]]) -> Tensor:
        """(n, H, W) probabilities of each pair's word in its image."""
        inputs = self.processor(
            text=[word for _, word in pairs],
            images=[images[number] for number, _ in pairs],
            padding=True,
            truncation=True,
            return_tensors="pt",
        )
        inputs = inputs.to(self.model.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        logits: Tensor = self.model(**inputs).logits.float()
        size = (images[0].shape[1], images[0].shape[2])
        whole = F.interpolate(logits[:, None], size, mode="bilinear", align_corners=False)
        return whole[:, 0].sigmoid()
