"""Predictions in every form: at keyframes they are what was written, to the bit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from avsbench_folders import colour_mask
from PIL import Image
from prediction_folders import SIZE, labels_of, masks_of, save
from safetensors.numpy import save_file

from coprop import CoProp, Predictions
from coprop.keyframes.predictions.coco import decoded
from coprop.types import FrameMask
from pipeline_samples import Shifter, changes_at, clip_of, noise

SECONDS = 5
MASKS = masks_of(0, SECONDS)
LABELS = labels_of(SECONDS)
RNG = np.random.default_rng(0)
SOFT = RNG.integers(0, 256, (SECONDS, *SIZE), dtype=np.uint8)
LOGITS = RNG.normal(0, 4, (SECONDS, *SIZE)).astype(np.float32)
CLASS_LOGITS = RNG.normal(0, 4, (SECONDS, 3, *SIZE)).astype(np.float32)
SOFTMAX = np.exp(CLASS_LOGITS) / np.exp(CLASS_LOGITS).sum(axis=1, keepdims=True)
VOC = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]], dtype=np.uint8)


def keyframes(predictions: Predictions, size: tuple[int, int] = SIZE) -> list[FrameMask]:
    """The masks of a clip with a keyframe in the middle of each second."""
    pipeline = CoProp.wrap(
        predictions,
        detector=changes_at(*(s + 0.5 for s in range(SECONDS))),
        propagator=Shifter(),
        namer=None,
    )
    result = pipeline(clip_of(SECONDS * 10, *size), noise(SECONDS), fps=10, keep_probabilities=True)
    found = [mask for mask in result.masks if mask.is_keyframe and mask.time_s]
    assert [mask.time_s for mask in found] == [s + 0.5 for s in range(SECONDS)]
    return found


def labels_at_keyframes(predictions: Predictions) -> np.ndarray:
    return np.stack([mask.labels for mask in keyframes(predictions)])


def pictures(folder: Path, values: np.ndarray, mode: str | None = None) -> Path:
    for number, each in enumerate(values):
        image = Image.fromarray(each)
        save(image.convert(mode) if mode else image, folder / f"{number:05d}.png")
    return folder


def with_palette(folder: Path, indices: np.ndarray, colours: np.ndarray) -> Path:
    for number, each in enumerate(indices.astype(np.uint8)):
        image = Image.fromarray(each)
        image.putpalette(colours.astype(np.uint8).tobytes())
        save(image, folder / f"{number}.png")
    return folder


def white(masks: np.ndarray) -> np.ndarray:
    return np.where(masks, 255, 0).astype(np.uint8)


def array_file(path: Path, **arrays: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, *arrays.values())
    elif path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
    else:
        save_file(arrays, path)
    return path


Build = Callable[[Path], Path]
IDS = np.where(LABELS > 20, 2, np.where(LABELS, 1, 0)).astype(np.uint8)

HARD: dict[str, tuple[Build, str, np.ndarray]] = {
    "0 and 255": (lambda p: pictures(p, white(MASKS)), "mask", MASKS),
    "0 and 1": (lambda p: pictures(p, MASKS.astype(np.uint8)), "mask", MASKS),
    "one bit": (lambda p: pictures(p, white(MASKS), "1"), "mask", MASKS),
    "greys in a palette": (lambda p: pictures(p, white(MASKS), "P"), "mask", MASKS),
    "black and white RGB": (lambda p: pictures(p, white(MASKS), "RGB"), "mask", MASKS),
    "grey with alpha": (lambda p: pictures(p, white(MASKS), "LA"), "mask", MASKS),
    "black and white palette": (
        lambda p: with_palette(p, MASKS, np.array([[0, 0, 0], [255, 255, 255]])),
        "mask",
        MASKS,
    ),
    "class ids": (lambda p: pictures(p, LABELS), "labels", LABELS),
    "palette of classes": (lambda p: with_palette(p, IDS, VOC), "labels", IDS),
    "palette of classes reordered": (
        lambda p: with_palette(p, np.array([3, 0, 2])[IDS], VOC[[1, 0, 2, 0]]),
        "labels",
        np.array([0, 1, 2])[IDS],
    ),
    "AVSS's colours": (
        lambda p: pictures(p, np.stack([colour_mask(each) for each in LABELS])),
        "labels",
        LABELS,
    ),
    ".npy of bool": (lambda p: array_file(p / "a.npy", x=MASKS), "mask", MASKS),
    ".npy of class ids": (lambda p: array_file(p / "a.npy", x=LABELS), "labels", LABELS),
    ".npz of int64": (
        lambda p: array_file(p / "a.npz", labels=LABELS.astype(np.int64)),
        "labels",
        LABELS,
    ),
    ".npy with one channel": (
        lambda p: array_file(p / "a.npy", x=white(MASKS)[:, None]),
        "mask",
        MASKS,
    ),
}


@pytest.mark.parametrize("form", HARD)
def test_masks_and_label_maps(form: str, tmp_path: Path) -> None:
    build, meaning, wanted = HARD[form]
    (tmp_path / "in").mkdir()
    predictions = Predictions(build(tmp_path / "in"))
    assert predictions.values == meaning
    assert len(predictions) == SECONDS
    np.testing.assert_array_equal(labels_at_keyframes(predictions), wanted.astype(np.uint8))


def test_void_is_background(tmp_path: Path) -> None:
    """255 in a mask is what sounds; beside class ids it is void, and background."""
    with_void = LABELS.copy()
    with_void[:, 0] = 255
    wanted = LABELS.copy()
    wanted[:, 0] = 0
    predictions = Predictions(pictures(tmp_path, with_void))
    assert predictions.values == "labels"
    np.testing.assert_array_equal(labels_at_keyframes(predictions), wanted)


def test_0_and_1_are_a_mask_or_class_1_alike(tmp_path: Path) -> None:
    folder = pictures(tmp_path, MASKS.astype(np.uint8))
    mask = labels_at_keyframes(Predictions(folder))
    ids = labels_at_keyframes(Predictions(folder, values="labels"))
    np.testing.assert_array_equal(mask, ids)


FLOATS: dict[str, tuple[Build, str, np.ndarray, float]] = {
    "8-bit soft": (
        lambda p: pictures(p, SOFT),
        "probabilities",
        np.stack([1 - SOFT / 255, SOFT / 255], axis=1),
        1 / 255,
    ),
    ".npy of logits": (
        lambda p: array_file(p / "a.npy", x=LOGITS),
        "logits",
        np.stack([1 / (1 + np.exp(LOGITS)), 1 / (1 + np.exp(-LOGITS))], axis=1),
        1e-6,
    ),
    ".npz of logits with a channel": (
        lambda p: array_file(p / "a.npz", x=LOGITS[:, None]),
        "logits",
        np.stack([1 / (1 + np.exp(LOGITS)), 1 / (1 + np.exp(-LOGITS))], axis=1),
        1e-6,
    ),
    ".npy of half precision": (
        lambda p: array_file(p / "a.npy", x=LOGITS.astype(np.float16)),
        "logits",
        np.stack([1 / (1 + np.exp(LOGITS)), 1 / (1 + np.exp(-LOGITS))], axis=1),
        2e-3,
    ),
    ".npy of probabilities": (
        lambda p: array_file(p / "a.npy", x=(SOFT / 255).astype(np.float32)),
        "probabilities",
        np.stack([1 - SOFT / 255, SOFT / 255], axis=1),
        2e-6,
    ),
    ".safetensors of class logits": (
        lambda p: array_file(p / "a.safetensors", x=CLASS_LOGITS),
        "logits",
        SOFTMAX,
        1e-6,
    ),
    ".safetensors of a softmax": (
        lambda p: array_file(p / "a.safetensors", x=SOFTMAX),
        "probabilities",
        SOFTMAX,
        3e-6,
    ),
}


@pytest.mark.parametrize("form", FLOATS)
def test_soft_forms(form: str, tmp_path: Path) -> None:
    build, meaning, wanted, within = FLOATS[form]
    (tmp_path / "in").mkdir()
    predictions = Predictions(build(tmp_path / "in"))
    assert predictions.values == meaning
    for mask, soft in zip(keyframes(predictions), wanted, strict=True):
        assert mask.probabilities is not None
        assert mask.classes == tuple(range(soft.shape[0]))
        np.testing.assert_allclose(mask.probabilities, soft, atol=within)


def test_bfloat16_and_tensors_in_memory() -> None:
    tensor = torch.from_numpy(LOGITS).bfloat16()
    predictions = Predictions(tensor)
    wanted = tensor.float().numpy() > 0
    np.testing.assert_array_equal(labels_at_keyframes(predictions), wanted.astype(np.uint8))
    assert repr(predictions) == "Predictions(5 of 16 x 12, logits, as often as the clip tells)"


@pytest.mark.parametrize("size", [(24, 32), (9, 23), (6, 8)])
@pytest.mark.parametrize("meaning", ["mask", "labels", "logits"])
def test_resized_bilinear(meaning: str, size: tuple[int, int]) -> None:
    """As a channel for each class, and logits before anything is thresholded."""
    given = {"mask": MASKS, "labels": IDS, "logits": CLASS_LOGITS}[meaning]
    soft = {
        "mask": torch.from_numpy(np.stack([~MASKS, MASKS], axis=1)).float(),
        "labels": F.one_hot(torch.from_numpy(IDS).long(), 3).permute(0, 3, 1, 2).float(),
        "logits": torch.from_numpy(CLASS_LOGITS),
    }[meaning]
    resized = F.interpolate(soft, size, mode="bilinear", align_corners=False)
    found = keyframes(Predictions(given, values=meaning), size)
    for mask, wanted in zip(found, resized, strict=True):
        np.testing.assert_array_equal(mask.labels, wanted.argmax(dim=0).numpy())


def run_lengths(mask: np.ndarray) -> list[int]:
    """COCO's counts: runs down the columns, the first of zeros."""
    flat, counts, now = mask.T.ravel(), [0], False
    for value in flat:
        if bool(value) != now:
            counts.append(0)
            now = not now
        counts[-1] += 1
    return counts


def coco_entry(image: int, mask: np.ndarray, category: int, **more: float) -> dict[str, object]:
    code = {"size": list(mask.shape), "counts": run_lengths(mask)}
    return {"image_id": image, "category_id": category, "segmentation": code, **more}


def test_coco_results(tmp_path: Path) -> None:
    """A list of results: the highest score on top, those below a half left out."""
    everywhere = np.ones(SIZE, dtype=bool)
    rows = []
    for i in range(SECONDS):
        rows += [
            coco_entry(i, LABELS[i] > 20, 30, score=0.9),
            coco_entry(i, everywhere, 4, score=0.6),
            coco_entry(i, everywhere, 5, score=0.49),
        ]
    (tmp_path / "results.json").write_text(json.dumps(rows))
    predictions = Predictions(tmp_path / "results.json")
    assert predictions.values == "labels"
    wanted = np.where(LABELS > 20, 30, 4)
    np.testing.assert_array_equal(labels_at_keyframes(predictions), wanted)


def compressed(counts: list[int]) -> str:
    """COCO's text for run lengths, as its specification puts it: bits in groups of five."""
    text = ""
    for i, count in enumerate(counts):
        rest = count - counts[i - 2] if i > 2 else count
        while True:
            group, rest = rest & 31, rest >> 5
            last = rest == (-1 if group & 16 else 0)
            text += chr(48 + group + (0 if last else 32))
            if last:
                break
    return text


def test_coco_data_set_compressed(tmp_path: Path) -> None:
    """Pictures without a mask count, by the numbers of their files."""
    rows = []
    for i in (0, 1, 3, 4):
        code = {"size": list(SIZE), "counts": compressed(run_lengths(MASKS[i]))}
        rows.append({"image_id": 100 + i, "category_id": 1, "segmentation": code})
    images = [{"id": 100 + i, "file_name": f"frame_{i + 1:04d}.jpg"} for i in range(SECONDS)]
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"images": images, "annotations": rows}))
    wanted = MASKS.copy()
    wanted[2] = False
    np.testing.assert_array_equal(labels_at_keyframes(Predictions(path)), wanted.astype(np.uint8))


@pytest.mark.parametrize("density", [0.0, 0.01, 0.5, 0.99, 1.0])
def test_coco_codes_are_those_of_pycocotools(density: float) -> None:
    codec = pytest.importorskip("pycocotools.mask")
    for size in [(1, 1), (7, 5), (64, 48), (300, 500)]:
        mask = np.random.default_rng(1).random(size) < density
        code = codec.encode(np.asfortranarray(mask.astype(np.uint8)))
        np.testing.assert_array_equal(decoded(code["counts"].decode(), size), mask)


def test_coco_codes_noted_from_pycocotools() -> None:
    """A column, a block whose runs repeat, and runs that shrink, whose differences are negative."""
    noted = [
        ("h3X1`P1", [120, 40, 1040], (40, 30)),
        ("j06600000R1", [26, 6, 6, 6, 6, 6, 6, 6, 40], (12, 9)),
        ("`<W66kIT90Sh1", [400, 199, 6, 2, 298, 2, 2093], (300, 10)),
    ]
    for text, counts, size in noted:
        wanted = decoded(counts, size)
        np.testing.assert_array_equal(decoded(text, size), wanted)
        assert compressed(counts) == text


def test_times_beside_the_array(tmp_path: Path) -> None:
    times = np.arange(SECONDS) + 0.5
    for suffix in (".npz", ".safetensors"):
        path = array_file(tmp_path / f"a{suffix}", masks=white(MASKS), times_s=times)
        predictions = Predictions(path)
        assert repr(predictions).endswith("mask, at times of their own)")
        np.testing.assert_array_equal(labels_at_keyframes(predictions), MASKS.astype(np.uint8))


def test_one_prediction_read() -> None:
    np.testing.assert_array_equal(Predictions(LABELS)[2].argmax(axis=0), LABELS[2])
    np.testing.assert_array_equal(Predictions(LOGITS)[2], LOGITS[2:3])


def test_every_form_in_the_documentation_has_its_test() -> None:
    root = Path(__file__).parents[2]
    named = re.findall(r"`(test_\w+)`", (root / "docs" / "predictions.md").read_text())
    written = "".join(path.read_text() for path in (root / "tests").rglob("test_*.py"))
    assert len(set(named)) > 15
    assert not [name for name in named if f"def {name}(" not in written]
