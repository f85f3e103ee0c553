"""Small things in place of those that the pages speak of: files, models, datasets, servers."""

from __future__ import annotations

import hashlib
import inspect
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import avsbench_folders
import numpy as np
import prediction_folders
import pytest
import soundfile
import torch
import torch.nn.functional as F

import coprop
from coprop import AudioInsertPropagator, ControlPointDetector, ControlPoints, CoProp
from pipeline_samples import RATE, Shifter, left_half, noise, small_propagator
from scripted_models import Scripted, hears_levels
from small_clips import write_clip

TESTS = Path(__file__).parents[1]
WITH_STAND_INS = [TESTS / name for name in ("keyframes/adapters", "propagation", "control_points")]

# What the pages write -> what is there. Times, sizes and numbers of things are smaller.
IN_CODE = {
    '"/envs/avs/bin/python"': "sys.executable",
    '["a_clip", "another"]': '["test-0", "test-1"]',
    "range(10)": "range(2)",
    '"vggish-10086976.pth"': "small_vggish()",
    'env={"CUDA_VISIBLE_DEVICES": "1"}': "env={}",
}
IN_COMMANDS = {
    "VIDEO": "clip.mp4",
    "long.mp4": "clip.mp4",
    "DIR": "made",
    " --device cuda": "",
    "Multi-sources ": "Multi-sources --limit 1 ",
}


def build(folder: Path) -> None:
    """Writes what commands and code read."""
    write_clip(folder / "clip.mp4", frames=5)
    write_clip(folder / "silent.mp4", frames=5, sound=False)
    write_clip(folder / "examples" / "clip.mp4", frames=5)
    soundfile.write(folder / "sound.wav", noise(1.0).samples, RATE)
    masks = prediction_folders.masks_of(0, 5, (48, 64))
    prediction_folders.write_masks(folder / "predictions", "clip", masks)
    for name in ("test-0", "test-1", "clip"):
        prediction_folders.write_masks(folder / "work_dir" / "pred_masks", name, masks)
        for videos in ("ms3_data/raw_videos", "clips"):
            write_clip(folder / videos / f"{name}.mp4", frames=5)
    (folder / "AVSBench").mkdir()
    avsbench_folders.build_ms3(folder / "AVSBench")
    avsbench_folders.build_avss(folder / "AVSBench")
    (folder / "BENCHMARK").mkdir()
    (folder / "BENCHMARK" / "a.txt").write_bytes(b"a")
    digest = hashlib.sha256(b"a").hexdigest()
    (folder / "BENCHMARK" / "SHA256SUMS").write_text(f"{digest}  a.txt\n")
    _modules(folder)


def _modules(folder: Path) -> None:
    """The modules that the pages name, with the model that the README shows."""
    readme = (TESTS.parent / "README.md").read_text(encoding="utf-8")
    (source,) = [part for part in readme.split("```") if "def my_model(" in part]
    (folder / "AVSegFormer").mkdir()
    for path in ("my_module.py", "mine.py", "AVSegFormer/my_module.py"):
        source = source.removeprefix("python\n")
        (folder / path).write_text(f"{source}\nfn = my_model\n", encoding="utf-8")


def replace_what_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Language models, checkpoints and the default's networks; arguments are checked all the same.

    The default itself is run by the tests of the examples and of the default.
    """
    from coprop.control_points.events import building
    from coprop.control_points.language_models.transformers import TransformersModel
    from coprop.propagation.sam2 import Sam2Propagator

    def model(*_: Any, **__: Any) -> Scripted:
        return Scripted(hears_levels)

    for module in ("language_models", "rcpg.detector"):
        monkeypatch.setattr(f"coprop.control_points.{module}.language_model", model)
    _class_method(monkeypatch, TransformersModel, "from_pretrained", model)
    _class_method(monkeypatch, CoProp, "from_pretrained", _pipeline)
    _class_method(
        monkeypatch, AudioInsertPropagator, "from_checkpoint", lambda *_, **__: small_propagator()
    )
    _class_method(monkeypatch, AudioInsertPropagator, "from_pretrained", lambda *_, **__: _Moving())
    _class_method(monkeypatch, Sam2Propagator, "from_pretrained", lambda *_, **__: Shifter())
    built_in = building._built_in

    def tagger(name: Any, words: Any, *others: Any) -> Any:
        from known_tagger import ByLevel

        return built_in(name, words, *others) if name is None else ByLevel(tuple(words)[:2])

    monkeypatch.setattr(building, "_built_in", tagger)


def _class_method(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, stand_in: Callable[..., Any]
) -> None:
    real = inspect.signature(getattr(owner, name))

    def call(*given: Any, **named: Any) -> Any:
        real.bind(*given, **named)
        return stand_in(*given, **named)

    monkeypatch.setattr(owner, name, call)


def _pipeline(*_: Any, **given: Any) -> CoProp:
    segmenter = given.get("segmenter") or (lambda frames, audio: left_half(frames))
    kept = {name: given[name] for name in ("detector", "max_segment_s") if name in given}
    return CoProp.wrap(segmenter, propagator=Shifter(), namer=None, **kept)


def names_for(page: str, first_line: str, *, begins: bool) -> dict[str, Any]:
    """What a page takes to be there already: values by name.

    Args:
        page: "docs/rcpg.md", for example.
        first_line: of the block that comes.
        begins: whether it is the page's first.
    """
    if not begins:
        return _OF_BLOCKS.get(first_line, dict)()
    common: dict[str, Any] = {
        **{"np": np, "torch": torch, "F": F, "math": math, "sys": sys},
        **{"CoProp": CoProp, "ControlPoints": ControlPoints},
        **{"ControlPointDetector": ControlPointDetector, "ProcessModel": coprop.ProcessModel},
        "AudioInsertPropagator": AudioInsertPropagator,
        "audio": noise(1.0),
    }
    return {**common, **_OF_PAGES.get(page, dict)(), **_OF_BLOCKS.get(first_line, dict)()}


class _Moving(Shifter):
    """Goes where it is put."""

    def to(self, *_: Any) -> _Moving:
        return self


class _Network(torch.nn.Module):
    """Takes frames and anything else; gives one channel."""

    def forward(self, frames: Any, heard: Any) -> Any:
        return frames.mean(1, keepdim=True)


def _wrapping() -> dict[str, Any]:
    network = _Network()
    return {
        **{"network": network, "adapter": network, "model": left_model, "fn": left_model},
        "my_features": lambda audio: audio,
    }


def _tpavi() -> dict[str, Any]:
    from adapter_standins import TPAVI, small_vggish

    return {"network": TPAVI(), "small_vggish": small_vggish}


def _propagator() -> dict[str, Any]:
    propagator = small_propagator()
    samples = round(propagator.sample_rate * propagator.window_s)
    mask = torch.zeros(1, 32, 48, dtype=torch.long)
    mask[:, 8:16] = 1
    return {
        **{"propagator": propagator, "frame": torch.rand(1, 3, 32, 48), "mask": mask},
        **{"audio": torch.zeros(1, samples), "folder": "folder", "model": left_model},
    }


def _sam2() -> dict[str, Any]:
    from tiny_sam2 import tiny

    return {"sam2": tiny("sam2")}


def _rcpg() -> dict[str, Any]:
    from coprop.control_points.rcpg.example_building import build_examples
    from coprop.data.loading import load_dataset

    build_examples(load_dataset("avss", "AVSBench", "train"), "train.jsonl")
    llm = Scripted(hears_levels)
    return {"llm": llm, "model": left_model, "tracks": [noise(1.0)]}


def _events() -> dict[str, Any]:
    from known_tagger import ByLevel

    return {"tagger": ByLevel(), "model": left_model}


def _inputs() -> dict[str, Any]:
    return {"pipeline": _pipeline(), "clip": "clip.mp4"}


def left_model(frames: Any, audio: Any) -> Any:
    return left_half(frames)


_OF_PAGES: dict[str, Callable[[], dict[str, Any]]] = {
    "docs/wrapping.md": _wrapping,
    "docs/propagator.md": _propagator,
    "docs/rcpg.md": _rcpg,
    "docs/control-points.md": _events,
    "docs/api/inputs.md": _inputs,
}
_OF_BLOCKS: dict[str, Callable[[], dict[str, Any]]] = {
    "from coprop.keyframes.adapters import TPAVIAdapter": _tpavi,
    "from coprop.propagation.sam2 import Sam2Propagator": _sam2,
}
