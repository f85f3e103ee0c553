"""Predictions that cannot be used: one sentence each, that says how to mend it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from prediction_folders import SIZE, masks_of, save

from coprop import CoProp, CoPropError, Predictions
from coprop.errors import PredictionError, ShapeError
from coprop.keyframes.predictions import PredictionRun
from coprop.keyframes.timed import Moment

MASKS = np.where(masks_of(0), 255, 0).astype(np.uint8)


ONE_MASK: dict[str, Any] = {
    "image_id": 1,
    "category_id": 1,
    "segmentation": {"size": [2, 2], "counts": [3, 1]},
}


def pictures(folder: Path, values: Any) -> Path:
    for number, each in enumerate(values):
        save(Image.fromarray(each), folder / f"{number}.png")
    return folder


def grey(*values: int) -> np.ndarray:
    """(2, h, w) uint8 of these values."""
    return np.resize(np.array(values, dtype=np.uint8), (2, *SIZE))


def of_bytes(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def without_palette(path: Path) -> Path:
    """A palette picture whose file has lost its chunk of colours."""
    picture = Image.fromarray(MASKS[0], "L").convert("P")
    picture.save(path)
    content = path.read_bytes()
    begin = content.index(b"PLTE") - 4
    end = begin + 12 + int.from_bytes(content[begin : begin + 4], "big")
    path.write_bytes(content[:begin] + content[end:])
    return path.parent


Make = Callable[[Path], Any]
SOURCES: dict[str, tuple[Make, str]] = {
    "missing folder": (lambda p: p / "none", "there are no predictions at .*none: no such file"),
    "empty folder": (lambda p: p, "holds no pictures; predictions are a folder of pictures"),
    "folder of folders": (
        lambda p: pictures(p / "a" / "b", MASKS).parents[1],
        "holds no pictures itself, but folders with 5 do, such as .*b; give the folder of one clip",
    ),
    "unknown file": (lambda p: of_bytes(p / "a.mat", b"x"), r"got the file .*a\.mat"),
    "unreadable picture": (
        lambda p: of_bytes(pictures(p, MASKS) / "0.png", b"\x89PNG damaged").parent,
        r"the picture .*0\.png cannot be read: .* Write it again",
    ),
    "no palette": (
        lambda p: without_palette(p / "0.png"),
        r"the picture .*0\.png cannot be read: it has no palette\. Write it again",
    ),
    "one number twice": (
        lambda p: pictures(p, MASKS) and save(Image.new("L", (16, 12)), p / "b_1.png").parent,
        "both have the number 1; give a folder with the predictions of one clip",
    ),
    "damaged array": (
        lambda p: of_bytes(p / "a.npy", b"\x93NUMPY"),
        r"array .*a\.npy cannot be read",
    ),
    "damaged safetensors": (lambda p: of_bytes(p / "a.safetensors", b"x"), "cannot be read"),
    "objects": (
        lambda p: np.save(p / "a.npy", np.array([{}]), allow_pickle=True) or p / "a.npy",
        "cannot be read: .*[Oo]bject",
    ),
    "two arrays": (
        lambda p: saved(p / "a.npz", a=MASKS, b=MASKS),
        r"holds \['a', 'b'\]; it must hold one array of predictions",
    ),
    "only times": (lambda p: saved(p / "a.npz", times_s=np.arange(5)), "holds no arrays"),
    "times of another count": (
        lambda p: saved(p / "a.npz", a=MASKS, times_s=np.arange(4)),
        "times_s must hold a time for each of 5 predictions, got 4",
    ),
    "one picture": (lambda p: MASKS[0], r"has the shape \(12, 16\); predictions are \(T, h, w\)"),
    "no predictions": (lambda p: MASKS[:0], r"has the shape \(0, 12, 16\)"),
    "a number": (lambda p: 5, "predictions are a folder of pictures .*, got 5"),
    "None": (lambda p: None, "got None"),
    "text": (lambda p: np.full((2, 3, 4), "a"), "must be an array of numbers, got <U1"),
    "complex": (lambda p: torch.zeros(2, 3, 4, dtype=torch.complex64), "array of numbers"),
    "NaN": (lambda p: np.full((2, 3, 4), np.nan), "prediction 0 of .* has NaN or infinite values"),
    "16 bits": (
        lambda p: save(Image.fromarray(np.full(SIZE, 60_000, np.uint16)), p / "0.png").parent,
        "values up to 60000, but pictures are taken with 8 bits",
    ),
    "soft or ids": (lambda p: grey(0, 100, 200), r"\(0, 100, 200\) could be class ids or a soft"),
    "1 and 255 alone": (lambda p: grey(3, 200, 255), "could be class ids or a soft mask; say what"),
    "a dark soft mask": (lambda p: grey(*range(40)), "could be class ids or a soft mask"),
    "negative ids": (lambda p: np.full((2, 3, 4), -1), "could be class ids or a soft mask"),
    "above 1, never below 0": (
        lambda p: np.linspace(0, 7.5, 24, dtype=np.float32).reshape(2, 3, 4),
        r"lie in \[0, 7.5\]: too large for probabilities, and as logits they would mask every",
    ),
    "coco of another form": (
        lambda p: of_bytes(p / "a.json", json.dumps([{"image_id": 1}]).encode()),
        r"is not of COCO's form \(KeyError: 'segmentation'\); it must be a list of",
    ),
    "coco that is no JSON": (lambda p: of_bytes(p / "a.json", b"{"), "cannot be read as JSON"),
    "coco without a mask": (lambda p: of_bytes(p / "a.json", b"[]"), "holds no mask"),
    "coco with category 255": (
        lambda p: of_bytes(
            p / "a.json",
            b'[{"image_id": 1, "category_id": 255, "segmentation": {"size": [1, 1]}}]',
        ),
        "category_id is 255, not 1 to 254",
    ),
    **{
        f"coco with {name} of {value}": (
            lambda p, name=name, value=value: of_bytes(
                p / "a.json",
                json.dumps([ONE_MASK, {**ONE_MASK, "image_id": 2, name: value}]).encode(),
            ),
            rf"a\.json, annotation 2, is not of .*: {said} is {value}, no whole number\); it must",
        )
        for name, value, said in (
            ("category_id", 1.7, "category_id"),
            ("category_id", True, "category_id"),
            ("image_id", 2.5, "a picture's number"),
        )
    },
}


@pytest.mark.parametrize("case", SOURCES)
def test_sources(case: str, tmp_path: Path) -> None:
    make, sentence = SOURCES[case]
    source = make(tmp_path)
    with pytest.raises(PredictionError, match=sentence) as caught:
        Predictions(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"every": "hour"}, "every must be one of"),
        ({"fps": 0}, "fps must be a number above 0, got 0"),
        ({"fps": "25"}, "fps must be a number above 0, got '25'"),
        ({"fps": float("nan")}, "fps must be"),
        ({"fps": 5, "every": "frame"}, "every and fps both say when predictions are; give one"),
        ({"times_s": [0, 1, 2]}, "a time for each of 5 predictions, got 3"),
        ({"times_s": [0, 1, 2, 2, 3]}, "finite and increasing"),
        ({"times_s": [-1, 1, 2, 3, 4]}, "seconds from 0 on"),
        ({"times_s": [0, 1, 2, 3, float("inf")]}, "finite"),
        ({"times_s": "abcde"}, "times_s must be an array of numbers"),
        ({"values": "colours"}, "values must be one of"),
        ({"missing": "ignore"}, "missing must be one of"),
        ({"max_distance_s": -1}, "max_distance_s must be a number of seconds, 0 or more, got -1"),
        ({"max_distance_s": None}, "max_distance_s must be"),
    ],
)
def test_options(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PredictionError, match=sentence):
        Predictions(MASKS, **options)


@pytest.mark.parametrize(
    ("values", "meaning", "sentence"),
    [
        (grey(0, 1, 255), "mask", r"0 and 1, or of 0 and 255, but has other values, up to 255"),
        (grey(0, 128), "mask", 'or "probabilities" for soft masks'),
        (np.full((2, 3, 4), 0.5), "labels", "label map of whole numbers from 0 to 255"),
        (np.full((2, 3, 4), 256), "labels", "label map of whole numbers"),
        (np.full((2, 2, 3, 4), 1), "labels", r"in 2 channel\(s\)"),
        (np.full((2, 3, 4), 1.5), "probabilities", r"in \[0, 1\], or whole numbers up to 255"),
        (np.full((2, 2, 3, 4), 0.9), "probabilities", "2 classes in .* do not sum to one"),
    ],
)
def test_values_that_do_not_mean_what_is_said(
    values: np.ndarray, meaning: Any, sentence: str
) -> None:
    predictions = Predictions(values, values=meaning, every="second")
    with pytest.raises(PredictionError, match=sentence):
        predictions[0]


def test_a_picture_that_was_not_looked_at_is_checked_when_it_is_read(tmp_path: Path) -> None:
    """Of many, not each is looked at; none is used that does not mean what the others do."""
    values = np.resize(MASKS, (100, *SIZE))
    values[50] = 128
    predictions = Predictions(pictures(tmp_path, values), every="frame")
    assert predictions.values == "mask"
    with pytest.raises(PredictionError, match=r"50\.png should be a mask of 0 and 1"):
        predictions.at(Moment(2.0, 50))(torch.zeros(1, 3, *SIZE), torch.zeros(1, 16_000))  # type: ignore[misc]


def test_a_picture_that_is_damaged_further_on(tmp_path: Path) -> None:
    folder = pictures(tmp_path, np.resize(MASKS, (100, *SIZE)))
    whole = (folder / "50.png").read_bytes()
    (folder / "50.png").write_bytes(whole[: len(whole) // 2])
    predictions = Predictions(folder, every="frame")
    with pytest.raises(PredictionError, match=r"the picture .*50\.png cannot be read"):
        predictions[50]


def test_sizes_that_differ(tmp_path: Path) -> None:
    save(Image.new("L", (8, 6)), pictures(tmp_path, MASKS) / "3.png")
    predictions = Predictions(tmp_path, every="second")
    with pytest.raises(ShapeError, match=r"3\.png is 8 x 6, the first .* is 16 x 12"):
        predictions[3]


def test_called_as_a_function() -> None:
    with pytest.raises(PredictionError, match=r"found by time.*CoProp.wrap\(predictions\)"):
        Predictions(MASKS)(torch.zeros(1, 3, *SIZE), torch.zeros(1, 16_000))


def test_wrap_takes_no_options_of_functions() -> None:
    with pytest.raises(CoPropError, match="outputs is for functions, and Predictions is none"):
        CoProp.wrap(Predictions(MASKS), outputs="mask")


def test_runs(tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=r"no predictions at .*none: no such folder"):
        PredictionRun(tmp_path / "none")
    with pytest.raises(PredictionError, match=r"holds no picture, where <clip>/<clip>_<number>"):
        PredictionRun(tmp_path)
    pictures(tmp_path / "clip", MASKS)
    with pytest.raises(PredictionError, match=r"by the test script of tpavi, .*: it holds clip/0"):
        PredictionRun(tmp_path)
    with pytest.raises(PredictionError, match="layout must be one of"):
        PredictionRun(tmp_path, layout="mine")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ({"size": [4, 4], "counts": [3]}, "it has 1 runs of 3 pixels for 4 x 4"),
        ({"size": [4, 4], "counts": []}, "0 runs of 0 pixels"),
        ({"size": [4, 4], "counts": ""}, "0 runs of 0 pixels"),
        ({"size": [4, 4], "counts": [0, 1_000_000]}, "of 1000000 pixels"),
        ({"size": [4, 4], "counts": [-4, 20]}, "2 runs of 16 pixels for 4 x 4"),
        ({"size": [4, 4], "counts": "0P"}, "it breaks off"),
        ({"size": [4, 4], "counts": "0\u00ff"}, "is no character of such a code"),
        ({"size": [4, 4], "counts": ["a"]}, "invalid literal"),
        ({"size": [4, 4], "counts": 5}, "not iterable"),
        ({"size": [0, 4], "counts": [0]}, "a mask has the size 0 x 4"),
        ({"size": [10**9, 10**9], "counts": [10**18]}, "a mask has the size"),
        ({"size": [4], "counts": [16]}, "not of COCO's form"),
        ({"size": [4.5, 4], "counts": [16]}, "a mask's side is 4.5, no whole number"),
        ({"size": [4, 4], "counts": [8.5, 7.5]}, "a run's length is 8.5, no whole number; write"),
    ],
)
def test_coco_codes(code: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    """What is too short is not filled up, and nothing is allocated for what cannot be."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"image_id": 0, "category_id": 1, "segmentation": code}]))
    with pytest.raises(PredictionError, match=sentence):
        Predictions(path)


def test_numbers_that_no_file_is_counted_with(tmp_path: Path) -> None:
    """Names that end with many digits are names."""
    for name in ("1" * 40, "2" * 40):
        save(Image.fromarray(MASKS[0]), tmp_path / f"{name}.png")
    assert len(Predictions(tmp_path)) == 2


@pytest.mark.parametrize("shape", [(5, 12, 16, 1), (5, 12, 16, 3), (5, 224, 224, 71)])
def test_channels_at_the_end(shape: tuple[int, ...]) -> None:
    """They would be taken for as many classes as there are rows."""
    with pytest.raises(PredictionError, match=r"channels last; predictions are .* \(T, C, h, w\)"):
        Predictions(np.zeros(shape, dtype=np.float32) - 1)


def test_a_run_is_not_wrapped_itself(tmp_path: Path) -> None:
    pictures(tmp_path / "a", MASKS[:1])
    (tmp_path / "a" / "0.png").rename(tmp_path / "a" / "a_0.png")
    with pytest.raises(CoPropError, match="PredictionRun"):
        CoProp.wrap(PredictionRun(tmp_path))  # type: ignore[arg-type]
