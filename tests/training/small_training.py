"""Trainings small enough for tests; run as a script, it saves the gradients of first steps.

python small_training.py DATA OUT
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from coprop.data.avsbench_object import MS3
from coprop.training.initial_weights import build_propagator, build_segmenter
from coprop.training.keyframes import keyframe_task
from coprop.training.propagator import propagator_task
from coprop.training.recipes import KeyframeRecipe, PropagatorRecipe, recipe_from
from coprop.training.run_folder import RunFolder
from coprop.training.session import TrainingSession, TrainingTask, make_accelerator

NETWORK = {"width": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1}
SEGMENTER = {
    "architecture": "audio_queried",
    "working_edge": 64,
    "audio_queried": {"visual": "test_resnet", **NETWORK},
}
PROPAGATOR = {"embedding_dim": 32, "num_layers": 1, "decoder_dim": 32, "insert_dim": 32}
COMMON = {"steps": 4, "batch_size": 2, "seed": 3, "audio_weights": "random"}


def keyframe_recipe(**changes: Any) -> KeyframeRecipe:
    values = {
        **{"stage": "keyframes", "model": SEGMENTER, "image_weights": "random"},
        **{"size": [32, 64], **COMMON},
    }
    return recipe_from(KeyframeRecipe, {**values, **changes})


def propagator_recipe(**changes: Any) -> PropagatorRecipe:
    values = {
        **{"stage": "propagator", "architecture": "small", "start": "random"},
        **{"model": PROPAGATOR, "size": [33, 49], "frames_per_clip": 3, **COMMON},
        "frozen": ["encoder"],
    }
    return recipe_from(PropagatorRecipe, {**values, **changes})


class NoValidation:
    """Stands where a pipeline would be scored."""

    def figures(self) -> dict[str, float]:
        return {}

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)


def task_of(recipe: KeyframeRecipe | PropagatorRecipe, dataset: Any) -> TrainingTask:
    if isinstance(recipe, KeyframeRecipe):
        segmenter = build_segmenter(recipe, dataset.num_classes)
        return keyframe_task(recipe, segmenter, dataset, None, NoValidation())
    return propagator_task(recipe, build_propagator(recipe), dataset, NoValidation())


def session_of(
    recipe: KeyframeRecipe | PropagatorRecipe, dataset: Any, folder: Path
) -> TrainingSession:
    run, accelerator = RunFolder(folder), make_accelerator(recipe, cpu=True)
    if accelerator.is_main_process:  # two writers of one file would take it from each other
        run.open(recipe.to_dict())
    return TrainingSession(task_of(recipe, dataset), recipe, run, accelerator)


def first_gradients(
    recipe: KeyframeRecipe | PropagatorRecipe, dataset: Any, folder: Path
) -> tuple[dict[str, torch.Tensor], int]:
    """The gradients of the first step by name, and the number of processes that made them."""
    session = session_of(recipe, dataset, folder)
    session.backward(0, session.batches(0))
    named = session.task.objective.named_parameters()
    gradients = {name: p.grad.clone() for name, p in named if p.grad is not None}
    return gradients, session.accelerator.num_processes


def main() -> None:
    data, out = sys.argv[1:]
    found: dict[str, Any] = {}
    for name, make in (("keyframes", keyframe_recipe), ("propagator", propagator_recipe)):
        recipe = make(batch_size=4, seed=5)
        gradients, found["processes"] = first_gradients(recipe, MS3(data, "train"), Path(out))
        found[name] = gradients
    if make_accelerator(recipe, cpu=True).is_main_process:
        torch.save(found, Path(out) / "first.pt")


if __name__ == "__main__":
    main()
