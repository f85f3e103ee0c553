"""Predictions in damaged files, with wrong options, and runs that are put in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from PIL import Image
from prediction_folders import (
    SIZE,
    labels_of,
    masks_of,
    save,
    write_colours,
    write_combo_avss,
    write_combo_ms3,
    write_masks,
)
from safetensors.numpy import save_file

from bad_input.case import (
    NO_COUNT,
    NO_PATH,
    NO_SECONDS,
    ODD_ONE,
    Arg,
    Case,
    Door,
    Expect,
    array,
    drawn,
    filled,
    holed,
    tensor,
)
from bad_input.damage import damage_folder, kept_folder, linked_copy
from coprop import CoProp, Predictions
from coprop.keyframes.predictions import PredictionRun
from coprop.keyframes.timed import Moment
from coprop.retiming import retime
from pipeline_samples import Shifter, changes_at
from small_clips import write_clip


def _npz(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    np.savez(folder / "a.npz", masks=masks_of(0), times_s=np.arange(5) + 0.5)
    return folder / "a.npz"


def _npy(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / "a.npy", np.random.default_rng(0).normal(size=(5, 3, *SIZE)))
    return folder / "a.npy"


def _safetensors(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    save_file({"logits": np.full((5, *SIZE), -1, np.float32)}, folder / "a.safetensors")
    return folder / "a.safetensors"


def _coco(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    code = {"size": list(SIZE), "counts": [10, 20, SIZE[0] * SIZE[1] - 30]}
    rows = [
        {"image_id": i, "category_id": 1 + i, "score": 0.9, "segmentation": code} for i in range(5)
    ]
    images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(5)]
    (folder / "a.json").write_text(json.dumps({"images": images, "annotations": rows}))
    return folder / "a.json"


def _palettes(folder: Path) -> Path:
    for number, labels in enumerate(labels_of(5)):
        picture = Image.fromarray(labels)
        picture.putpalette((np.arange(768) % 251).astype(np.uint8))
        save(picture, folder / f"{number}.png")
    return folder


_FORMS: dict[str, Callable[[Path], Path]] = {
    "masks": lambda p: write_masks(p, "a", masks_of(0)) / "a",
    "palettes": _palettes,
    "colours": lambda p: write_colours(p, "a", labels_of(5), (24, 20)) / "a",
    "npz": _npz,
    "npy": _npy,
    "safetensors": _safetensors,
    "coco": _coco,
}
_RUNS: dict[str, Callable[[Path], Path]] = {
    "tpavi": lambda p: write_masks(p / "pred_masks", "clip", masks_of(0)).parent,
    "avss": lambda p: write_colours(p / "pred_masks", "clip", labels_of(10), (24, 20)).parent,
    "combo": lambda p: write_combo_ms3(p, "clip", masks_of(0)),
    "combo avss": lambda p: write_combo_avss(p, "clip", labels_of(10)),
}


@cache
def _kept(kind: str, name: str) -> Path:
    """Files that are as they should be; what is given to `Predictions` or `PredictionRun`."""
    return {"form": _FORMS, "run": _RUNS}[kind][name](kept_folder("predictions-") / "files")


def _copy(kind: str, name: str, folder: Path) -> tuple[Path, Path]:
    """A copy that can be damaged, and what of it is to be given."""
    source = _kept(kind, name)
    root = next(p for p in source.parents if p.name.startswith("predictions-"))
    linked_copy(root, folder / "in")
    return folder / "in" / "files", folder / "in" / source.relative_to(root)


def _answers(predictions: Predictions) -> Any:
    """All that they hold, and what they say at a few moments."""
    frames, sound = torch.zeros(1, 3, 20, 30), torch.zeros(1, 16_000)
    told: list[Any] = [predictions[i] for i in range(len(predictions))]
    for time_s in (0.0, 2.2, 4.9):
        model = predictions.at(Moment(time_s, round(25 * time_s)))
        told.append(None if model is None else model(frames, sound))
    return told


def _damaged(rng: Random) -> Case:
    name, inner = rng.choice(sorted(_FORMS)), Random(rng.random())

    def call(folder: Path) -> Any:
        files, source = _copy("form", name, folder)
        damage_folder(inner, files)
        every = None if name == "npz" else "second"
        return _answers(Predictions(source, every=every, max_distance_s=10))

    return Case(f"predictions, {name}, damaged", Expect.EITHER, call)


def _whole(predictions: Predictions) -> Any:
    return _answers(predictions.for_clip(125, 5.0))


def _options(rng: Random) -> Case:
    shape = (5, 6, 8)
    one: dict[str, Arg] = {
        "every": Arg((None, "second"), ("x", 1, "frames"), ("frame",)),
        "max_distance_s": Arg((10.0,), (None, *NO_SECONDS), (1e9,)),
        "missing": Arg(("error", "empty", "skip"), ("x", None, 1)),
        "values": Arg((None,), ("x", 5, "Mask"), ("mask", "labels", "probabilities", "logits")),
        "source": Arg(
            (array(shape, "uint8", 1.9), array(shape, scale=1.0), tensor(shape)),
            (
                *(value for value in NO_PATH if value != []),
                filled((5, 6), 0),
                filled((0, 6, 8), 0),
                filled(shape, "a"),
                filled(shape, 1j),
                filled((1, 1, 1, 1, 1), 0),
                filled((5, 6, 8, 1), 0),
                filled(shape, float("nan")),
                holed(array(shape), float("inf")),
                "nowhere",
                "x" * 300,
                "\x00",
                None,
            ),
            (
                [],
                "",
                tensor(shape, torch.bfloat16),
                tensor(shape, torch.int64, 100.0),
                array(shape, "float64", 500.0),
                array(shape, "uint8", 255.0),
                filled(shape, True, bool),
                filled((5, 2, 6, 8), 0.5),
            ),
        ),
    }
    return drawn(rng, Predictions, one, then=_whole)


def _rates(rng: Random) -> Case:
    name = rng.choice(("fps", "times_s"))
    values = {
        "fps": Arg((1, 1.0, 0.9), NO_COUNT[:2] + NO_COUNT[3:], (*ODD_ONE, 1e9, 1e-9)),
        "times_s": Arg(
            ((0, 1, 2, 3, 4), np.arange(5)),
            ((), [1, 2], 5, "x", [[0, 1, 2, 3, 4]], [4, 3, 2, 1, 0], [0, 1, 2, 3, float("nan")],
             [0, 1, 2, 3, float("inf")], [-1, 0, 1, 2, 3], ["a"] * 5, [0, 0, 0, 0, 0], {}),
            ([0, 1, 2, 3, 1e12], [False, True, 2, 3, 4]),
        ),
    }  # fmt: skip
    more = {"source": Arg((filled((5, 6, 8), 1, "uint8"),)), name: values[name]}
    return drawn(rng, Predictions, {**more, "max_distance_s": Arg((10,))}, then=_whole)


@cache
def _video() -> Path:
    return write_clip(kept_folder("videos-") / "clip.mp4", frames=10, fps=2, size=(32, 24))


def _retimed(folder: Path, source: Path) -> Any:
    run = PredictionRun(source)
    pipeline = CoProp.wrap(
        run[next(iter(run))], detector=changes_at(2.0), propagator=Shifter(), namer=None
    )
    done = retime(run, _video().parent, folder / "out", pipeline)
    if not done.failed:  # what was written is a run again
        again = PredictionRun(folder / "out", layout=run.layout)
        if list(again) != list(run):
            raise RuntimeError(f"{list(again)} in place of {list(run)}")
    return sorted(done.failed)


def _run(rng: Random) -> Case:
    """Before it is put in time, or between two times, something is damaged."""
    name, first, inner = rng.choice(sorted(_RUNS)), rng.random() < 0.6, Random(rng.random())

    def call(folder: Path) -> Any:
        files, source = _copy("run", name, folder)
        if not first:
            _retimed(folder, source)
        damage_folder(inner, files if first else folder / "out")
        return _retimed(folder, source)

    return Case(f"a run, {name}, damaged {'' if first else 'later'}", Expect.EITHER, call)


DOORS = {
    "files": Door(_damaged, 1.5),
    "options": Door(_options),
    "rates": Door(_rates, 0.5),
    "run": Door(_run, 0.7),
}
