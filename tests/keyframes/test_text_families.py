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

from coprop import CoPropError
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


# What is easily got wrong


@torch.inference_mode()
def test_a_box_that_several_words_reach_is_the_likeliest_one_s(
    folders: Folders, segmenters: Segmenters
) -> None:
    (image,) = pictures(1)
    folder, threshold = folders("grounding_dino"), THRESHOLDS["grounding_dino"]
    processor = loaded("AutoProcessor", folder)
    inputs = processor(images=image, text=[["dog", "cat"]], return_tensors="pt")
    output = loaded("AutoModelForZeroShotObjectDetection", folder)(**inputs)
    (answer,) = processor.post_process_grounded_object_detection(output, threshold=threshold)
    assert not set(answer["text_labels"]) <= {"dog", "cat"}  # phrases that nobody asked for
    kept = output.logits[0].sigmoid().amax(dim=1) > threshold
    tokens = inputs.input_ids[0].tolist()
    places = [tokens.index(processor.tokenizer.convert_tokens_to_ids(w)) for w in ("dog", "cat")]
    expected = output.logits[0][kept][:, places].argmax(dim=1).tolist()
    (found,) = segmenters("grounding_dino").find(frames_of([image]), [("dog", "cat")])
    assert [one.word for one in found] == [("dog", "cat")[i] for i in expected]
    assert [one.score for one in found] == pytest.approx(answer["scores"].tolist(), abs=1e-5)


def test_captions_are_in_small_letters_with_full_stops(
    segmenters: Segmenters, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = segmenters("grounding_dino")
    processor, read = model.model.detector.processor, []  # type: ignore[attr-defined]
    call = type(processor).prepare_inputs_layout

    def noting(self: Any, **inputs: Any) -> Any:
        prepared = call(self, **inputs)
        read.append(prepared[1])
        return prepared

    monkeypatch.setattr(type(processor), "prepare_inputs_layout", noting)
    model.find(frames_of(pictures(1)), [("DOG", "St. Bernard")])
    assert read == [["dog. st  bernard."]]


def test_more_words_than_a_caption_holds(segmenters: Segmenters) -> None:
    words = tuple("abcdefghijklmnopqrst")  # each a token and a full stop, of 32
    with pytest.raises(CoPropError, match=r"20 words are 42 tokens.* reads 32; ask for fewer"):
        segmenters("grounding_dino").find(frames_of(pictures(1)), [words])


@pytest.mark.parametrize("family", ["sam3", "owlv2", "clipseg", "grounding_dino"])
def test_a_phrase_longer_than_a_model_reads(family: str, segmenters: Segmenters) -> None:
    """SAM 3 and Grounding DINO say so; CLIP's prompts are cut, as CLIP's own are."""
    model, frames = segmenters(family), frames_of(pictures(1))
    if family in ("sam3", "grounding_dino"):
        with pytest.raises(CoPropError, match=r"tokens.*(shorten|shorter)"):
            model.find(frames, [("dog " * 40,)])
    else:
        assert len(model.find(frames, [("dog " * 100,)])) == 1


def test_words_unlike_in_number_are_no_batch(segmenters: Segmenters) -> None:
    # The processor of OWLv2 fills up the shorter list with " ", which it then finds.
    found = segmenters("owlv2").find(frames_of(pictures(2)), [("dog",), ("dog", "cat", "violin")])
    assert {one.word for one in found[0]} == {"dog"}
    assert found[1]


def test_sam3_asks_for_words_one_by_one(segmenters: Segmenters) -> None:
    frames = frames_of(pictures(2))
    several = segmenters("sam3").find(frames, [WORDS, WORDS])
    for word in WORDS:
        alone = segmenters("sam3").find(frames, [(word,)] * 2)
        for found, own in zip(several, alone, strict=True):
            same(
                [one for one in found if one.word == word],
                [(one.word, one.score, list(one.box), one.mask) for one in own],
            )


def test_sam3_encodes_pictures_once_for_all_words(segmenters: Segmenters) -> None:
    network = segmenters("sam3").network
    assert network is not None
    calls: list[int] = []
    hook = network.vision_encoder.register_forward_hook(  # type: ignore[union-attr, operator]
        lambda module, given, answer: calls.append(1)
    )
    segmenters("sam3").find(frames_of(pictures(2)), [WORDS, WORDS])
    hook.remove()
    assert len(calls) == 1


@pytest.mark.parametrize("family", ["sam3", "owlv2", "clipseg", "grounding_dino"])
def test_what_is_absent_is_not_masked(
    family: str, segmenters: Segmenters, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = segmenters(family)
    frames, sound = frames_of(pictures(2)), torch.zeros(2, 16_000)
    owner = getattr(model.model, "detector", model.model)
    guided = model.guided_by(WORDS)
    assert (guided(frames, sound)[:, 1:] > 0).any()
    if family == "sam3":  # the presence score alone says so; the queries are as sure as before
        head = owner.model.detr_decoder.presence_head
        bias = [m for m in head.modules() if isinstance(m, torch.nn.Linear)][-1].bias
        monkeypatch.setattr(bias, "data", bias.data - 20)
    else:
        monkeypatch.setattr(owner, "threshold", 0.9999999)
    assert guided.find(frames, [WORDS] * 2) == [[], []]
    assert (guided(frames, sound)[:, 1:] < -10).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_frames_of_any_size(family: str, segmenters: Segmenters) -> None:
    for size in ((1, 1), (2, 3), (3, 90), (64, 64)):
        frames = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
        # Of squares, resized to 64 x 64, these tiny ones have one coarsest feature left.
        if "grounding" in family and size[0] == size[1]:
            with pytest.raises(CoPropError, match=r"pictures of \d+ x \d+ pixels .* cut or pad"):
                segmenters(family).find(frames, [("dog",)])
            continue
        (found,) = segmenters(family).find(frames, [("dog",)])
        for one in found:
            assert one.mask.shape == size
            assert 0 <= float(one.mask.min()) <= float(one.mask.max()) <= 1


@pytest.mark.parametrize("family", ["grounding_dino", "sam3", "clipseg"])
def test_half_precision(family: str, folders: Folders, segmenters: Segmenters) -> None:
    masks = folders(MASKS[family]) if family in MASKS else None
    half = TextSegmenter.from_pretrained(
        folders(family), masks, threshold=0.0, phrases={}, dtype=torch.bfloat16
    )
    assert half.network is not None
    assert {p.dtype for p in half.network.parameters() if p.is_floating_point()} == {torch.bfloat16}
    (found,) = half.find(frames_of(pictures(1)), [("dog",)])
    assert found
    assert all(one.mask.dtype == torch.float32 for one in found)
