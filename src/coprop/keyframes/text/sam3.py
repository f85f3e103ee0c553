"""SAM 3's image model: words to masks in one network, with instances and a presence score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from coprop.errors import CoPropError
from coprop.keyframes.text.instances import Instance, alike, pictures


class Sam3:
    """A `TextToMasks`.

    The score of an instance is the query's times the presence of its word in the picture, so that
    nothing is found of what is not there. The pictures are encoded once for all words.

    Args:
        model: a ``Sam3Model`` of transformers.
        processor: its ``Sam3Processor``.
        threshold: the least score of an instance; None for transformers' own, 0.3.
    """

    def __init__(self, model: Any, processor: Any, threshold: float | None = None) -> None:
        self.model, self.processor = model, processor
        self.threshold = 0.3 if threshold is None else threshold

    def __call__(self, images: Tensor, words: Sequence[tuple[str, ...]]) -> list[list[Instance]]:
        given = pictures(images, self.model.device)
        size = (images.shape[2], images.shape[3])

        def find(numbers: list[int], own: tuple[str, ...]) -> list[list[Instance]]:
            prepared = self.processor(images=[given[i] for i in numbers], return_tensors="pt")
            pixels = prepared["pixel_values"].to(self.model.device, self.model.dtype)
            seen = self.model.get_vision_features(pixel_values=pixels)
            found: list[list[Instance]] = [[] for _ in numbers]
            for word in own:  # one at a time: a batch of words does not go with encoded pictures
                for instances, more in zip(found, self._of(word, seen, size), strict=True):
                    instances.extend(more)
            return found

        with torch.inference_mode():
            return alike(words, find)

    def _of(self, word: str, seen: Any, size: tuple[int, int]) -> list[list[Instance]]:
        """What is found of one word in each of the encoded pictures."""
        count = len(seen.fpn_hidden_states[0])
        text = self.processor(text=[word] * count, return_tensors="pt").to(self.model.device)
        self._check_length(word, text["input_ids"].shape[1])
        # Not as text_embeds, which would need the mask of the padding beside them.
        output = self.model(
            vision_embeds=seen,
            input_ids=text["input_ids"],
            attention_mask=text["attention_mask"],
        )
        for name in ("pred_logits", "pred_boxes", "pred_masks", "presence_logits"):
            output[name] = output[name].float()
        answers = self.processor.post_process_object_detection(
            output, threshold=self.threshold, target_sizes=[size] * count
        )
        scores = output.pred_logits.sigmoid() * output.presence_logits.sigmoid()
        found = []
        for answer, score, masks in zip(answers, scores, output.pred_masks, strict=True):
            # The processor's masks, before it makes them hard.
            soft = masks[score > self.threshold].sigmoid()
            if len(soft):
                soft = F.interpolate(soft[None], size, mode="bilinear", align_corners=False)[0]
            values = zip(answer["scores"].tolist(), soft, answer["boxes"].tolist(), strict=True)
            found.append([Instance(word, s, mask, tuple(box)) for s, mask, box in values])
        return found

    def _check_length(self, word: str, tokens: int) -> None:
        longest = self.model.config.text_config.max_position_embeddings
        if tokens > longest:
            raise CoPropError(
                f"SAM 3 reads {longest} tokens, and {word!r} has {tokens}; shorten it."
            )
