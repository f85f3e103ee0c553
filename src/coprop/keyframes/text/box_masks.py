"""Boxes to masks: SAM 2.1 and EdgeTAM; and with a detector before them, words to masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from coprop.keyframes.text.boxes import BoxDetector, Found
from coprop.keyframes.text.instances import Instance, alike, pictures

_BOXES_AT_ONCE = 32  # bounds memory: each is a mask at the image's size, and detectors may find 900


class BoxMasks:
    """A mask for each box.

    Args:
        model: a ``Sam2Model`` or ``EdgeTamModel`` of transformers.
        processor: its ``Sam2Processor``.
    """

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.processor = model, processor

    def __call__(
        self, images: Sequence[Tensor], boxes: Sequence[Sequence[Sequence[float]]]
    ) -> list[Tensor]:
        """(n, H, W) probabilities of each image, one for each of its n boxes.

        The images are encoded as one batch. Their boxes are not decoded so, since the processor
        takes as many of each image only.

        Args:
            images: (3, H, W) uint8, of one size.
            boxes: of each image; left, top, right, bottom in pixels.
        """
        shown = [i for i, own in enumerate(boxes) if own]
        if not shown:
            return [_none(image) for image in images]
        prepared = self.processor(images=[images[i] for i in shown], return_tensors="pt")
        pixels = prepared["pixel_values"].to(self.model.device, self.model.dtype)
        features = self.model.get_image_embeddings(pixels)
        masks = [_none(image) for image in images]
        for row, i in enumerate(shown):
            own = [level[row : row + 1] for level in features]
            masks[i] = torch.cat(
                [
                    self._decoded(own, images[i], boxes[i][first : first + _BOXES_AT_ONCE])
                    for first in range(0, len(boxes[i]), _BOXES_AT_ONCE)
                ]
            )
        return masks

    def _decoded(
        self, features: list[Tensor], image: Tensor, boxes: Sequence[Sequence[float]]
    ) -> Tensor:
        size = [[image.shape[1], image.shape[2]]]
        nested = [[list(map(float, box)) for box in boxes]]  # image, object, 4
        inputs = self.processor(original_sizes=size, input_boxes=nested, return_tensors="pt")
        prompts = inputs["input_boxes"].to(self.model.device, self.model.dtype)
        output = self.model(image_embeddings=features, input_boxes=prompts, multimask_output=False)
        logits = output.pred_masks.float()  # (1, n, 1, h, w)
        whole = self.processor.post_process_masks(logits, size, binarize=False)[0]
        soft: Tensor = whole[:, 0].sigmoid()
        return soft


class BoxedTextToMasks:
    """A detector of boxes by words, and masks in these boxes: a `TextToMasks`.

    Args:
        detector: finds boxes.
        masks: makes masks of them.
    """

    def __init__(self, detector: BoxDetector, masks: BoxMasks) -> None:
        self.detector, self.masks = detector, masks
        self.network = torch.nn.ModuleList([detector.model, masks.model])

    def __call__(self, images: Tensor, words: Sequence[tuple[str, ...]]) -> list[list[Instance]]:
        given = pictures(images, self.masks.model.device)

        def find(numbers: list[int], own: tuple[str, ...]) -> list[list[Instance]]:
            chosen = [given[number] for number in numbers]
            found = self.detector(chosen, own)
            masks = self.masks(chosen, [[each.box for each in boxes] for boxes in found])
            return [_instances(boxes, soft) for boxes, soft in zip(found, masks, strict=True)]

        with torch.inference_mode():
            return alike(words, find)


def _instances(found: Sequence[Found], masks: Tensor) -> list[Instance]:
    return [Instance(f.word, f.score, mask, f.box) for f, mask in zip(found, masks, strict=True)]


def _none(image: Tensor) -> Tensor:
    return torch.zeros(0, *image.shape[1:], device=image.device)
