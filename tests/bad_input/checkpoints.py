"""Weight files and configurations."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import save

from bad_input.case import Case, Door, Expect
from bad_input.damage import damaged, damaged_json, kept_folder
from coprop.checkpoints.weights import read_state_dict
from coprop.keyframes.segmenter import KeyframeSegmenter, SegmenterConfig
from coprop.propagation import AudioInsertPropagator, PropagatorConfig
from coprop.training.recipes import KeyframeRecipe, PropagatorRecipe, read_recipe, recipe_from
from pipeline_samples import small_propagator

_STATE = {"a.weight": torch.ones(3, 4), "b": torch.zeros(2, dtype=torch.half)}


class _Code:
    """Leaves a mark where its pickle is allowed to run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def _written(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


_WHOLE = {".safetensors": save(_STATE), ".pt": _written(_STATE)}


def _weights(rng: Random) -> Case:
    suffix = rng.choice((".safetensors", ".pt", ".pth"))
    data = _WHOLE[".safetensors" if suffix == ".safetensors" else ".pt"]
    if rng.random() < 0.1:
        words, expect = "whole", Expect.ACCEPTED
    else:
        (words, data), expect = damaged(rng, data, _WHOLE[".pt"]), Expect.EITHER

    def call(folder: Path) -> Any:
        path = folder / f"weights{suffix}"
        path.write_bytes(data)
        state = read_state_dict(path)
        return None if all(map(torch.is_tensor, state.values())) else Expect.REFUSED

    return Case(f"{suffix}: {words}", expect, call)


_HEADERS: tuple[Any, ...] = (
    [], {}, {"a": 5}, {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}},
    {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
    {"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}},
    {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**60]}},
    {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
)  # fmt: skip
_CONTENTS: tuple[Any, ...] = (
    None, 5, "x", [], {}, {"a": 5}, {5: torch.ones(1)}, [torch.ones(2)], {"state_dict": {}},
    {"model": {"model": {"a": torch.ones(1)}}}, {"a": {"b": torch.ones(1)}},
)  # fmt: skip


def _no_weights(rng: Random) -> Case:
    """Files that are well formed, of another content; some want to run code."""
    roll = rng.random()

    def call(folder: Path) -> Any:
        path, mark = folder / "weights.pt", folder / "mark"
        if roll < 0.3:
            data = rng.choice((pickle.dumps, _written))({"a": _Code(mark)})
        elif roll < 0.6:
            path, head = path.with_suffix(".safetensors"), json.dumps(rng.choice(_HEADERS)).encode()
            size = rng.choice((len(head), len(head), 0, 2**40, 2**63))
            data = struct.pack("<Q", size) + head + b"\0" * 4
        else:
            data = rng.choice((pickle.dumps, _written))(rng.choice(_CONTENTS))
        path.write_bytes(data)
        try:
            return read_state_dict(path)
        finally:
            if mark.exists():
                raise RuntimeError("code ran out of a weight file")

    return Case(f"a file of something else ({roll:.2f})", Expect.REFUSED, call)


@cache
def _models() -> dict[str, Path]:
    folder = kept_folder("models-")
    small_propagator().save_pretrained(folder / "propagator")
    return {"propagator": folder / "propagator"}


def _config(rng: Random) -> Case:
    kind = rng.choice((PropagatorConfig, SegmenterConfig))
    words, data = damaged_json(rng, json.dumps(kind().to_dict()))

    def call(folder: Path) -> Any:
        try:
            values = json.loads(data)
        except (ValueError, RecursionError):
            return None  # what reads the file says so, see the next door
        config = kind.from_dict(values)
        return None if config == type(config).from_dict(config.to_dict()) else Expect.REFUSED

    return Case(f"{kind.__name__}: {words}", Expect.EITHER, call)


def _folder(rng: Random) -> Case:
    model = rng.choice((AudioInsertPropagator, KeyframeSegmenter))
    config = PropagatorConfig() if model is AudioInsertPropagator else SegmenterConfig("grounded")
    words, data = damaged_json(rng, json.dumps(config.to_dict()))

    def call(folder: Path) -> Any:
        (folder / "config.json").write_bytes(data)
        os.link(_models()["propagator"] / "model.safetensors", folder / "model.safetensors")
        model.from_pretrained(folder)

    return Case(f"{model.__name__} from a folder; config.json: {words}", Expect.EITHER, call)


def _recipe(rng: Random) -> Case:
    kind, stage, name = rng.choice(
        ((KeyframeRecipe, "keyframes", "keyframes_resnet50"),
         (PropagatorRecipe, "propagator", "propagator_4_layers"))
    )  # fmt: skip
    words, data = damaged_json(rng, json.dumps(read_recipe(kind, stage, name).to_dict()))

    def call(folder: Path) -> Any:
        (folder / "recipe.json").write_bytes(data)
        recipe = read_recipe(kind, stage, folder / "recipe.json")
        return None if recipe == recipe_from(kind, recipe.to_dict()) else Expect.REFUSED

    return Case(f"{stage} recipe: {words}", Expect.EITHER, call)


DOORS = {
    "weights": Door(_weights, 3.0),
    "others": Door(_no_weights, 2.0),
    "config": Door(_config, 3.0),
    "folder": Door(_folder, 1.0),
    "recipe": Door(_recipe, 2.0),
}
