"""Datasets, evaluations, trainings, examples and results in damaged folders."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import avsbench_folders
import small_library
import torch
from accelerate import Accelerator
from small_dataset import SmallDataset
from torch import Tensor, nn

from bad_input.case import Case, Door, Expect
from bad_input.damage import damage_folder, kept_folder, linked_copy
from coprop import CoProp
from coprop.control_points.language_models.base import Turn
from coprop.control_points.rcpg.cache import CachedModel
from coprop.control_points.rcpg.example_building import build_examples
from coprop.control_points.rcpg.examples import ExampleStore
from coprop.data.checksums import verify
from coprop.data.loading import load_dataset
from coprop.evaluation.methods import constant
from coprop.evaluation.runner import evaluate
from coprop.evaluation.store import EvaluationFolder
from coprop.training.recipes import KeyframeRecipe, recipe_from
from coprop.training.run_folder import RunFolder
from coprop.training.session import TrainingSession, TrainingTask
from pipeline_samples import Shifter, changes_at, clip_of, left_half, noise
from scripted_models import Scripted
from tools.benchmark.config import ClipConfig
from tools.benchmark.folder import compose_folder

_SETTINGS = {"dataset": "small", "num_clips": 2, "model": "none", "max_segment_s": None}


class _Samples(torch.utils.data.Dataset[dict[str, Tensor]]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int, /) -> dict[str, Tensor]:
        return {"x": torch.full((3,), index / 8)}


class _Objective(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)
        nn.init.ones_(self.layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).square().mean()


def _train(folder: Path, steps: int) -> None:
    """A training of one layer, through the session that every training runs in."""
    recipe = recipe_from(
        KeyframeRecipe, {"stage": "keyframes", "steps": 4, "batch_size": 2, "checkpoint_every": 2}
    )
    objective = _Objective()
    task = TrainingTask(
        objective=objective,
        samples=_Samples(),  # type: ignore[arg-type]
        collate=torch.utils.data.default_collate,
        optimizer=torch.optim.AdamW([{"params": objective.parameters(), "lr": 0.1, "peak": 0.1}]),
        steps=steps,
        validate=dict,
        save=lambda path: path.mkdir(exist_ok=True),
    )
    run = RunFolder(folder)
    run.check(recipe.to_dict(), resume=True)
    run.open(recipe.to_dict())
    TrainingSession(task, recipe, run, Accelerator(cpu=True)).run()
    if not all(torch.isfinite(p).all() for p in objective.parameters()):
        raise RuntimeError("weights that are not finite")


def _evaluate(folder: Path) -> bytes:
    methods = [constant(0, "nothing"), constant(1, "everything")]
    evaluate(SmallDataset(2), methods, EvaluationFolder(folder), settings=_SETTINGS)
    return (folder / "results.json").read_bytes()


def _ask(folder: Path) -> Any:
    model = CachedModel(Scripted(lambda dialogue, windows: "[1,0]"), folder)
    return [answer.text for answer in model.answer([(Turn("user", "what?"),)])]


def _save(folder: Path, force: bool) -> None:
    parts = {"detector": changes_at(), "propagator": Shifter()}
    result = CoProp.wrap(lambda frames, audio: left_half(frames), **parts)(
        clip_of(3), noise(0.6), fps=5
    )
    result.save(folder, force=force)


def _library(folder: Path) -> None:
    folder.mkdir()
    small_library.build(folder, small_library.WIDE, distinct=True)


def _benchmark(folder: Path) -> None:
    config = ClipConfig(fps=1.5, size=(64, 96), unseen=0.5)
    given: dict[str, Any] = {"clips": 1, "seed": 9, "subset": "s4", "config": config}
    compose_folder(base("composed"), folder, **given)


_MADE: dict[str, Callable[[Path], Any]] = {
    "s4": avsbench_folders.build_s4,
    "ms3": avsbench_folders.build_ms3,
    "avss": avsbench_folders.build_avss,
    "composed": _library,
    "benchmark": _benchmark,
    "examples": lambda folder: build_examples(
        load_dataset("s4", base("s4"), "test"), folder / "rows.jsonl"
    ),
    "evaluation": _evaluate,
    "training": lambda folder: _train(folder, 2),
    "cache": _ask,
    "result": lambda folder: _save(folder, False),
}


@cache
def base(name: str) -> Path:
    """A folder that is as it should be; made once for all processes that share a TMPDIR."""
    shared = Path(os.environ.get("BAD_INPUT_BASES") or kept_folder("bases-"))
    folder = shared / name
    with (shared / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _MADE[name](shared / f"{name}.new")
            (shared / f"{name}.new").rename(folder)
    return folder


def _read_dataset(name: str, folder: Path) -> Any:
    dataset = load_dataset("tools.benchmark:composed" if name == "composed" else name, folder)
    seen: list[Any] = []
    for index in range(min(len(dataset), 2)):
        clip = dataset[index]
        pairs = zip(clip.frames, clip.truth, strict=True)
        sizes = [
            frame.image.shape[:2] == truth.labels.shape and frame.time_s
            for frame, truth in pairs
            if truth.labels is not None
        ]
        if not all(size is not False for size in sizes):
            raise RuntimeError("a mask of another size than its frame")
        seen += [clip.audio, list(clip.change_times_s or ()), [float(s) for s in sizes]]
    return seen


def _dataset(rng: Random) -> Case:
    name = rng.choice(("s4", "ms3", "avss", "composed", "benchmark"))
    pattern = rng.choice(("**/*", "*.*", "*.*")) if name != "benchmark" else rng.choice(
        ("**/*", "*.json*", "**/clip.json", "*.csv")
    )  # fmt: skip
    whole, inner = rng.random() < 0.05, Random(rng.random())

    def call(folder: Path) -> Any:
        copy = linked_copy(base(name), folder / "data")
        if not whole:
            damage_folder(inner, copy, "**/*.*" if not list(copy.glob(pattern)) else pattern)
        found = _read_dataset(name, copy)
        if name == "benchmark":
            verify(copy)
        return found

    words = f"dataset {name}, " + ("whole" if whole else f"damaged in {pattern}")
    return Case(words, Expect.ACCEPTED if whole else Expect.EITHER, call)


def _store(name: str, use: Any) -> Door:
    """A folder that coprop wrote and goes on with: after damage it is refused, or the same."""

    def case(rng: Random) -> Case:
        whole, inner = rng.random() < 0.05, Random(rng.random())

        def call(folder: Path) -> Any:
            copy = Path(shutil.copytree(base(name), folder / name))
            words = "" if whole else damage_folder(inner, copy)
            try:
                return use(copy)
            except Exception as error:
                error.add_note(words)
                raise

        words = f"{name}, {'whole' if whole else 'damaged'}"
        return Case(words, Expect.ACCEPTED if whole else Expect.EITHER, call)

    return Door(case)


def _results(folder: Path) -> None:
    """With a clip's row gone, a whole evaluation gives the very results again."""
    before = (base("evaluation") / "results.json").read_bytes()
    rows = folder / "rows" / "0.jsonl"
    intact = (
        rows.is_file()
        and rows.read_bytes() == (base("evaluation") / "rows" / "0.jsonl").read_bytes()
    )
    if _evaluate(folder) != before and intact:
        raise RuntimeError("other results from the same rows")


def _examples(folder: Path) -> Any:
    store = ExampleStore.load(next(folder.glob("*.jsonl"), folder / "rows.jsonl"))
    return [example.read() for example in store]


def _place(rng: Random) -> Case:
    """Results into folders that are strange, or that hold something."""
    name = rng.choice(
        (
            "new",
            "a/b/c",
            "file",
            "file/out",
            "\0",
            "x" * 300,
            "loop",
            "ü ñ #?%",
            " ",
            "-",
            "full",
            "out",
        )
    )
    force, inner = rng.random() < 0.5, Random(rng.random())

    def call(folder: Path) -> Any:
        (folder / "file").write_text("a file")
        (folder / "loop").symlink_to(folder / "loop")
        if name == "full":
            (folder / "full").mkdir()
            (folder / "full" / "note.txt").write_text("someone's own")
            (folder / "full" / "result.json").mkdir()
        elif name == "out":
            shutil.copytree(base("result"), folder / "out")
            damage_folder(inner, folder / "out")
        try:
            _save(folder / name, force)
        finally:
            if name == "full" and not (folder / "full" / "note.txt").is_file():
                raise RuntimeError("another's file is gone")

    usual = name in ("new", "a/b/c", "ü ñ #?%", "-")
    words = f"results into {name[:20]!r}, force={force}"
    return Case(words, Expect.ACCEPTED if usual else Expect.EITHER, call)


DOORS = {
    "dataset": Door(_dataset, 3.0),
    "evaluation": _store("evaluation", _results),
    "training": _store("training", lambda folder: _train(folder, 4)),
    "examples": _store("examples", _examples),
    "cache": _store("cache", _ask),
    "place": Door(_place, 0.7),
}
