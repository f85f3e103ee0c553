"""The published models that segment by words, by the types of their configurations."""

from __future__ import annotations

from typing import Any

import torch

from coprop.checkpoints.transformers_models import Kind, Wanted, load
from coprop.errors import CoPropError
from coprop.keyframes.text.box_masks import BoxedTextToMasks, BoxMasks
from coprop.keyframes.text.boxes import BoxDetector, GroundingDino, Owlv2
from coprop.keyframes.text.clipseg import ClipSeg
from coprop.keyframes.text.instances import TextToMasks
from coprop.keyframes.text.sam3 import Sam3
from coprop.utils.paths import AnyPath

DETECTORS = Wanted(
    "detector of boxes",
    {
        "grounding-dino": Kind("GroundingDinoForObjectDetection", "GroundingDinoProcessor"),
        "mm-grounding-dino": Kind("MMGroundingDinoForObjectDetection", "GroundingDinoProcessor"),
        "owlv2": Kind("Owlv2ForObjectDetection", "Owlv2Processor"),
    },
    "IDEA-Research/grounding-dino-tiny",
)
SEGMENTERS = Wanted(
    "segmenter by words",
    {
        "sam3": Kind("Sam3Model", "Sam3Processor"),
        "sam3_video": Kind("Sam3Model", "Sam3Processor"),
        "clipseg": Kind("CLIPSegForImageSegmentation", "CLIPSegProcessor"),
    },
    "CIDAS/clipseg-rd64-refined",
)
BOX_MASKS = Wanted(
    "SAM 2 or EdgeTAM",
    {
        "sam2": Kind("Sam2Model", "Sam2Processor"),
        "sam2_video": Kind("Sam2Model", "Sam2Processor"),
        "edgetam": Kind("EdgeTamModel", "Sam2Processor"),
        "edgetam_video": Kind("EdgeTamModel", "Sam2Processor"),
    },
    "facebook/sam2.1-hiera-tiny",
)


def load_text_to_masks(
    name: AnyPath,
    masks: AnyPath | None,
    *,
    threshold: float | None,
    device: torch.device | str | None,
    dtype: torch.dtype | None,
    local_files_only: bool,
) -> TextToMasks:
    """The model that a name stands for; arguments are those of `TextSegmenter.from_pretrained`.

    Raises:
        CoPropError: a detector without masks, or masks for what makes its own.
    """
    options: dict[str, Any] = {
        "device": device,
        "dtype": dtype,
        "local_files_only": local_files_only,
    }
    found = load(name, DETECTORS, SEGMENTERS, **options)
    if found.model_type in SEGMENTERS.kinds:
        if masks is not None:
            raise CoPropError(
                f"{name} makes masks itself; masks is for detectors of boxes, so leave it out."
            )
        kind = ClipSeg if found.model_type == "clipseg" else Sam3
        return kind(found.model, found.processor, threshold)
    if masks is None:
        raise CoPropError(
            f"{name} finds boxes; give masks what makes masks of them, such as "
            f'masks="{BOX_MASKS.example}".'
        )
    boxes = load(masks, BOX_MASKS, **options)
    detector: BoxDetector
    if found.model_type == "owlv2":
        detector = Owlv2(found.model, found.processor, threshold)
    else:
        detector = GroundingDino(found.model, found.processor, threshold)
    return BoxedTextToMasks(detector, BoxMasks(boxes.model, boxes.processor))
