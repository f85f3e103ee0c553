"""Words to boxes: Grounding DINO, MM-Grounding-DINO and OWLv2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from coprop.errors import CoPropError
from coprop.keyframes.text.instances import Box
from coprop.utils.brief import first_line

PROMPT = "a photo of a {}"
"""What OWLv2 is asked, one of the prompts of CLIP that it was trained with."""


@dataclass(frozen=True)
class Found:
    """A box with what it is around, and how sure the detector is, in [0, 1]."""

    word: str
    score: float
    box: Box


class BoxDetector(Protocol):
    """Finds in pictures (3, H, W) uint8 of one size what words name."""

    model: Any

    def __call__(self, images: Sequence[Tensor], words: tuple[str, ...], /) -> list[list[Found]]:
        """The boxes in each picture."""
        ...


class GroundingDino:
    """Grounding DINO and MM-Grounding-DINO: all words in one caption, "dog. violin.".

    A box is kept where any token of the caption reaches the threshold, as transformers' processor
    does it. It is around the word whose tokens are the likeliest: the processor itself would call a
    box that several words reach by a phrase of all their tokens, "dog. violin.".

    Args:
        model: a ``GroundingDinoForObjectDetection`` or ``MMGroundingDinoForObjectDetection``.
        processor: its ``GroundingDinoProcessor``.
        threshold: the least score of a box; None for transformers' own, 0.25.
    """

    def __init__(self, model: Any, processor: Any, threshold: float | None = None) -> None:
        self.model, self.processor = model, processor
        self.threshold = 0.25 if threshold is None else threshold

    def __call__(self, images: Sequence[Tensor], words: tuple[str, ...]) -> list[list[Found]]:
        # The processor makes the caption: small letters, a full stop after each word.
        texts = [[word.replace(".", " ") for word in words] for _ in images]
        inputs = self.processor(images=list(images), text=texts, return_tensors="pt")
        inputs = inputs.to(self.model.device)
        spans = self._spans(inputs["input_ids"][0], words)
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        try:
            output = self.model(**inputs)
        except ValueError as error:  # one pixel is left of the coarsest features
            raise CoPropError(
                f"{type(self.model).__name__} cannot look at pictures of {images[0].shape[1]} x "
                f"{images[0].shape[2]} pixels ({first_line(error)}); cut or pad them."
            ) from error
        output.logits, output.pred_boxes = output.logits.float(), output.pred_boxes.float()
        sizes = [(image.shape[1], image.shape[2]) for image in images]
        answers = self.processor.post_process_grounded_object_detection(
            output, inputs["input_ids"], threshold=self.threshold, target_sizes=sizes
        )
        found = []
        for logits, answer in zip(output.logits, answers, strict=True):
            kept = logits.sigmoid().amax(dim=1) > self.threshold
            of_words = torch.stack([logits[kept][:, span].amax(dim=1) for span in spans], dim=1)
            names = [words[i] for i in of_words.argmax(dim=1).tolist()]
            found.append(_found(names, answer))
        return found

    def _spans(self, ids: Tensor, words: tuple[str, ...]) -> list[list[int]]:
        """The places of each word's tokens in the caption: between full stops."""
        longest = self.model.config.max_text_len
        if len(ids) > longest:
            raise CoPropError(
                f"{len(words)} words are {len(ids)} tokens, and {type(self.model).__name__} reads "
                f"{longest}; ask for fewer, or for shorter ones."
            )
        tokenizer = self.processor.tokenizer
        stop = tokenizer.convert_tokens_to_ids(".")
        spans: list[list[int]] = [[]]
        for place, token in enumerate(ids.tolist()):
            if token == stop:
                spans.append([])
            elif token not in (tokenizer.cls_token_id, tokenizer.sep_token_id):
                spans[-1].append(place)
        return [span or [0] for span in spans[: len(words)]]


class Owlv2:
    """OWLv2: each word in a prompt of its own.

    Args:
        model: an ``Owlv2ForObjectDetection``.
        processor: its ``Owlv2Processor``.
        threshold: the least score of a box; None for transformers' own, 0.1.
    """

    def __init__(self, model: Any, processor: Any, threshold: float | None = None) -> None:
        self.model, self.processor = model, processor
        self.threshold = 0.1 if threshold is None else threshold

    def __call__(self, images: Sequence[Tensor], words: tuple[str, ...]) -> list[list[Found]]:
        texts = [[PROMPT.format(word) for word in words] for _ in images]
        inputs = self.processor(
            images=list(images), text=texts, truncation=True, return_tensors="pt"
        )
        inputs = inputs.to(self.model.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        output = self.model(**inputs)
        output.logits, output.pred_boxes = output.logits.float(), output.pred_boxes.float()
        sizes = [(image.shape[1], image.shape[2]) for image in images]
        answers = self.processor.post_process_grounded_object_detection(
            output, threshold=self.threshold, target_sizes=sizes
        )
        return [_found([words[i] for i in a["labels"].tolist()], a) for a in answers]


def _found(names: Sequence[str], answer: Any) -> list[Found]:
    scores, boxes = answer["scores"].tolist(), answer["boxes"].tolist()
    return [
        Found(name, score, (box[0], box[1], box[2], box[3]))
        for name, score, box in zip(names, scores, boxes, strict=True)
    ]
