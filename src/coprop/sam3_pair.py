"""SAM 3 in two slots from one folder: keyframes by words, and the propagator, read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from coprop.checkpoints.transformers_models import Kind, Wanted, load
from coprop.keyframes.text import TextSegmenter
from coprop.keyframes.text.phrases import Phrases
from coprop.keyframes.text.sam3 import Sam3
from coprop.propagation.sam2 import Sam2Propagator
from coprop.utils.checks import number
from coprop.utils.paths import AnyPath

_WANTED = Wanted(
    "SAM 3 with its tracker",
    {"sam3_video": Kind("Sam3VideoModel", "Sam3Processor")},
    "facebook/sam3",
)


def sam3_pair(
    folder_or_hub_id: AnyPath,
    *,
    threshold: float | None = None,
    phrases: Phrases | None = None,
    categories: Sequence[str] | None = None,
    instances: bool = False,
    classes: Sequence[str] | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    local_files_only: bool = False,
) -> tuple[TextSegmenter, Sam2Propagator]:
    """A segmenter and a propagator that share what SAM 3's detector and tracker share.

    The image encoder, most of the weights, is in memory once, and a keyframe goes through it once
    for both: what it made of the last picture is kept. What follows it is each one's own: their
    necks have weights of their own, so that finer features cannot be shared.

    Args:
        folder_or_hub_id: a saved ``sam3_video`` model with its processor, or such as
            "facebook/sam3".
        threshold, phrases, categories, instances, classes: of the `TextSegmenter`.
        device, dtype, local_files_only: as of `TextSegmenter.from_pretrained`.

    Raises:
        CheckpointError: there is no such model, it is gated, damaged or of another type.
        CoPropError: an option out of range.
        MissingPackageError: transformers is too old.

    Example:
        >>> segmenter, propagator = sam3_pair("facebook/sam3")  # doctest: +SKIP
        >>> pipeline = CoProp.wrap(segmenter, propagator=propagator)  # doctest: +SKIP
    """
    if threshold is not None:
        threshold = number("threshold", threshold, "a score in [0, 1]", low=0, high=1)
    options: dict[str, Any] = {
        "phrases": phrases,
        "categories": categories,
        "instances": instances,
        "classes": classes,
    }
    TextSegmenter(lambda images, words: [], **options)  # what is wrong is said before loading
    found = load(
        folder_or_hub_id, _WANTED, device=device, dtype=dtype, local_files_only=local_files_only
    )
    detector, tracker = found.model.detector_model, found.model.tracker_model
    shared = LastSeen(detector.vision_encoder.backbone)
    tracker.vision_encoder = _vision_of(found.model, shared)
    detector.vision_encoder.backbone = shared
    images = found.processor.image_processor
    return (
        TextSegmenter(Sam3(detector, found.processor, threshold), **options),
        Sam2Propagator(tracker, image_processor=images),
    )


class LastSeen(nn.Module):
    """An image encoder that is not asked twice in a row about the same pictures.

    Args:
        encoder: the encoder, whose answers nobody changes.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self._last: tuple[Tensor, Any] | None = None  # set at once, for threads that share it

    def forward(self, pixel_values: Tensor, **options: Any) -> Any:
        """What the encoder says of pictures."""
        last = self._last
        if last is not None and not options and _same(last[0], pixel_values):
            return last[1]
        answer = self.encoder(pixel_values, **options)
        self._last = None if options or torch.is_grad_enabled() else (pixel_values, answer)
        return answer


def _same(one: Tensor, other: Tensor) -> bool:
    alike = one.shape == other.shape and one.dtype == other.dtype and one.device == other.device
    return alike and torch.equal(one, other)


def _vision_of(model: Any, backbone: nn.Module) -> nn.Module:
    """The tracker's vision model, of the shared backbone and its own neck."""
    from transformers import Sam3VisionModel

    with torch.device("meta"):  # both of its parts are replaced
        vision: Any = Sam3VisionModel(model.config.tracker_config.vision_config)
    vision.backbone, vision.neck = backbone, model.tracker_neck
    whole: nn.Module = vision.eval()
    return whole
