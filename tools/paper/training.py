"""The clips and the models of the paper's tables: composed, trained and read again.

Part of tools/paper. All variants of a stage start from the weights in the package,
and are trained for as many steps on the same clips.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from coprop import AudioInsertPropagator, ControlPointDetector, CoProp, KeyframeSegmenter
from coprop.data.benchmark_reader import ComposedBenchmark
from coprop.errors import CoPropError
from coprop.training.initial_weights import PROPAGATOR, SEGMENTER
from coprop.training.recipes import KeyframeRecipe, PropagatorRecipe, read_recipe
from coprop.training.run import Data, train
from coprop.training.run_folder import SETTINGS, RunFolder
from coprop.training.session import make_accelerator
from tools.benchmark.config import ClipConfig
from tools.benchmark.folder import compose_folder

# What each variant sets beside the recipe of its stage.
SEGMENTERS = {"all frames": ["key_frames=all"], "key frames": ["key_frames=annotation"]}
PROPAGATORS = {
    "AOT": ["fresh_insert=true", "model.insert_levels=[]"],
    "1 level": ["fresh_insert=true", "model.insert_levels=[4]"],
    "4 levels": ["fresh_insert=true", "model.insert_levels=[1,2,3,4]"],
}
COMMON = ["validate_every=0", "checkpoint_every=20", "keep=1", "log_every=1000000"]
CLIPS = ClipConfig()
_EVERY_S = 10.0


class Lines:
    """A stage's title on stderr, and how far it has come, every ten seconds.

    Args:
        title: of the stage.
    """

    def __init__(self, title: str) -> None:
        self._title, self._told_s = title, time.monotonic()
        print(title, file=sys.stderr, flush=True)

    def __call__(self, step: str, completed: int, total: int | None) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= _EVERY_S:
            self._told_s = now_s
            print(f"  {self._title}: {step} {completed} of {total}", file=sys.stderr, flush=True)


def compose(sources: Path, work: Path, clips: int, train_clips: int) -> None:
    """Test clips of the subset moc, and training clips of moc and m3, so many of each."""
    for split, subset, count in (
        ("test", "moc", clips),
        ("train", "moc", train_clips),
        ("train", "m3", train_clips),
    ):
        compose_folder(
            sources,
            benchmark(work),
            subset=subset,
            clips=count,
            split=split,
            config=CLIPS,
            progress=Lines(f"compose: {count} clips, {split} {subset}"),
        )


def train_variants(
    work: Path,
    seed: int,
    variants: Collection[str],
    keyframe_steps: int,
    propagator_steps: int,
    propagator_changes: Sequence[str] = (),
) -> None:
    """Trains variants of both stages with a seed, each where it was stopped.

    Args:
        work: folder for all that is made.
        seed: of everything random.
        variants: which, of `SEGMENTERS` and `PROPAGATORS`.
        keyframe_steps, propagator_steps: of each training; 0 keeps the weights in the package.
        propagator_changes: key=value, over the recipe of all propagators.

    Raises:
        KeyboardInterrupt: Ctrl-C; a checkpoint is there.
        CoPropError: no clips, or a folder with trainings of other settings.
    """
    data = Data(ComposedBenchmark(benchmark(work), "train"))
    recipes: dict[str, KeyframeRecipe | PropagatorRecipe] = {}
    for name, changes in SEGMENTERS.items():
        changes = [*COMMON, *changes, f"seed={seed}", f"steps={keyframe_steps}"]
        recipes[name] = read_recipe(KeyframeRecipe, "keyframes", "keyframes_composed", changes)
    for name, changes in PROPAGATORS.items():
        own = [f"seed={seed}", f"steps={propagator_steps}", *propagator_changes]
        changes = [*COMMON, *changes, *own]
        recipes[name] = read_recipe(PropagatorRecipe, "propagator", "propagator_composed", changes)
    for name, recipe in recipes.items():
        if name not in variants:
            continue
        told = Lines(f"train: seed {seed}, {recipe.stage}, {name}, {recipe.steps} steps")
        accelerator = make_accelerator(recipe, cpu=True)
        folder = training(work, seed, name)
        if not train(recipe, data, folder, accelerator, resume=True, progress=told).finished:
            raise KeyboardInterrupt


def read_pipeline(work: Path, seed: int, segmenter: str, propagator: str) -> CoProp:
    """The pipeline of two trained variants.

    Raises:
        CoPropError: one of them is not trained yet.
    """
    keyframes, propagating = (
        trained(work, seed, name) / part
        for name, part in ((segmenter, SEGMENTER), (propagator, PROPAGATOR))
    )
    return CoProp(
        KeyframeSegmenter.from_pretrained(keyframes),
        detector=ControlPointDetector.novelty(),
        propagator=AudioInsertPropagator.from_pretrained(propagating),
    )


def settings_of(work: Path, seed: int, names: Sequence[str]) -> dict[str, Any]:
    """What the trainings of these variants were told, by name."""
    return {name: RunFolder(training(work, seed, name)).read(SETTINGS) for name in names}


def benchmark(work: Path) -> Path:
    """The folder of the composed clips."""
    return work / "benchmark"


def training(work: Path, seed: int, name: str) -> Path:
    """The folder of a variant's training."""
    return work / "models" / f"seed_{seed}" / name.replace(" ", "_")


def trained(work: Path, seed: int, name: str) -> Path:
    """The folder of a variant's models.

    Raises:
        CoPropError: it is not trained yet.
    """
    final = RunFolder(training(work, seed, name)).final
    if not final.is_dir():
        raise CoPropError(
            f"{final} does not exist: the variant {name!r} of seed {seed} is not trained yet. Run "
            "--only train first, or leave --only out."
        )
    return final
