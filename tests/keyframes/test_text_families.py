"""Published models that segment by words, in very small: as transformers itself runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_text_models import save
from torch import Tensor
from torch.nn import functional as F

from coprop.keyframes.text import Instance, TextSegmenter

HEIGHT, WIDTH = 45, 61
WORDS = ("dog", "cat", "violin")
FAMILIES = ("grounding_dino", "mm_grounding_dino", "owlv2", "sam3", "sam3_video", "clipseg")
MASKS = {"grounding_dino": "sam2", "mm_grounding_dino": "edgetam", "owlv2": "sam2"}
# With random weights scores lie anywhere; these leave some instances and not all.
THRESHOLDS = {
    "grounding_dino": 0.5,
    "mm_grounding_dino": 0.0105,
    "owlv2": 0.4,
    "sam3": 0.12,
    "sam3_video": 0.12,
    "clipseg": 0.5,
}

Folders = Callable[[str], Path]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = save(family, tmp_path_factory.mktemp(family))
        return made[family]

    return folder


@pytest.fixture(scope="session")
def segmenters(folders: Folders) -> Callable[[str], TextSegmenter]:
    made: dict[str, TextSegmenter] = {}

    def segmenter(family: str) -> TextSegmenter:
        if family not in made:
            masks = folders(MASKS[family]) if family in MASKS else None
            made[family] = TextSegmenter.from_pretrained(
                folders(family), masks, threshold=THRESHOLDS[family], phrases={}
            )
        return made[family]

    return segmenter


Segmenters = Callable[[str], TextSegmenter]


def pictures(count: int) -> list[Image.Image]:
    """Blobs of colour."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(count, 3, 5, 7, generator=generator)
    smooth = F.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear").clamp(0, 1)
    arrays = (smooth * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(array) for array in arrays]


def frames_of(images: Sequence[Image.Image]) -> Tensor:
    arrays = np.stack([np.asarray(image) for image in images])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 255


Answer = list[tuple[str, float, list[float], Tensor]]
"""Word, score, box and mask of each instance."""


@cache
def loaded(model: str, folder: Path) -> Any:
    import transformers

    return getattr(transformers, model).from_pretrained(folder)


def sam_masks(folder: Path, image: Image.Image, boxes: Tensor) -> Tensor:
    """(n, H, W) by SAM 2's own class and processor, all boxes of an image in one call."""
    model = loaded("EdgeTamModel" if "edgetam" in folder.name else "Sam2Model", folder)
    processor = loaded("Sam2Processor", folder)
    if not len(boxes):
        return torch.zeros(0, HEIGHT, WIDTH)
    inputs = processor(images=image, input_boxes=[boxes.tolist()], return_tensors="pt")
    output = model(
        pixel_values=inputs.pixel_values, input_boxes=inputs.input_boxes, multimask_output=False
    )
    masks = processor.post_process_masks(output.pred_masks, inputs.original_sizes, binarize=False)
    return masks[0][:, 0].sigmoid()


def detected(family: str, folders: Folders, image: Image.Image, word: str) -> Answer:
    """Of one word, by the detector's own class and processor."""
    folder = folders(family)
    model = loaded("AutoModelForZeroShotObjectDetection", folder)
    processor = loaded("AutoProcessor", folder)
    text = f"a photo of a {word}" if family == "owlv2" else f"{word}."
    inputs = processor(
        images=image, text=[[text]] if family == "owlv2" else text, return_tensors="pt"
    )
    found = processor.post_process_grounded_object_detection(
        model(**inputs), threshold=THRESHOLDS[family], target_sizes=[(HEIGHT, WIDTH)]
    )[0]
    masks = sam_masks(folders(MASKS[family]), image, found["boxes"])
    triples = zip(found["scores"].tolist(), found["boxes"].tolist(), masks, strict=True)
    return [(word, score, box, mask) for score, box, mask in triples]


def sam3_answer(folder: Path, image: Image.Image, word: str) -> Answer:
    model, processor = loaded("Sam3Model", folder), loaded("Sam3Processor", folder)
    inputs = processor(images=image, text=word, return_tensors="pt")
    output = model(
        pixel_values=inputs.pixel_values,
        input_ids=inputs.input_ids,
        attention_mask=inputs.attention_mask,
    )
    soft = F.interpolate(output.pred_masks.sigmoid(), (HEIGHT, WIDTH), mode="bilinear")[0]
    scores = (output.pred_logits.sigmoid() * output.presence_logits.sigmoid())[0]
    soft = soft[scores > THRESHOLDS["sam3"]]
    found = processor.post_process_instance_segmentation(
        output, threshold=THRESHOLDS["sam3"], target_sizes=[(HEIGHT, WIDTH)]
    )[0]
    assert torch.equal((soft > 0.5).long(), found["masks"])
    triples = zip(found["scores"].tolist(), found["boxes"].tolist(), soft, strict=True)
    return [(word, score, box, mask) for score, box, mask in triples]


def clipseg_answer(folder: Path, image: Image.Image, word: str) -> Answer:
    model = loaded("CLIPSegForImageSegmentation", folder)
    processor = loaded("CLIPSegProcessor", folder)
    inputs = processor(text=[word], images=[image], return_tensors="pt")
    mask = F.interpolate(model(**inputs).logits[None], (HEIGHT, WIDTH), mode="bilinear")[0, 0]
    mask = mask.sigmoid()
    box = Image.fromarray((mask >= 0.5).numpy()).getbbox()
    return [(word, float(mask.max()), list(box), mask)] if box and mask.max() > 0.5 else []


@torch.no_grad()
def upstream(family: str, folders: Folders, image: Image.Image, word: str) -> Answer:
    """What transformers itself answers, called as its documentation does."""
    if family in MASKS:
        return detected(family, folders, image, word)
    own = clipseg_answer if family == "clipseg" else sam3_answer
    return own(folders(family), image, word)


def same(found: Sequence[Instance], answer: Answer) -> None:
    assert [one.word for one in found] == [word for word, *_ in answer]
    for one, (_, score, box, mask) in zip(found, answer, strict=True):
        assert one.score == pytest.approx(score, abs=1e-4)
        assert one.box == pytest.approx(box, abs=1e-2)
        torch.testing.assert_close(one.mask, mask, atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_answers_as_transformers_does(
    family: str, folders: Folders, segmenters: Segmenters
) -> None:
    (image,) = pictures(1)
    counts = []
    for word in WORDS:
        (found,) = segmenters(family).find(frames_of([image]), [(word,)])
        same(found, upstream(family, folders, image, word))
        counts.append(len(found))
    assert any(counts), "nothing was found, so that nothing was compared"


@pytest.mark.parametrize("family", FAMILIES)
def test_frames_as_a_batch_are_as_one_by_one(family: str, segmenters: Segmenters) -> None:
    images, model = pictures(3), segmenters(family)
    words = [("dog", "violin"), ("cat",), ("dog", "violin")]
    together = model.find(frames_of(images), words)
    assert any(together)
    for image, own, found in zip(images, words, together, strict=True):
        (alone,) = model.find(frames_of([image]), [own])
        same(found, [(one.word, one.score, list(one.box), one.mask) for one in alone])
