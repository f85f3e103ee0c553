"""A whole training, from a recipe and a dataset to a folder with models."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coprop.control_points.detector import ControlPointDetector
from coprop.data.labelled import LabelledDataset
from coprop.errors import CoPropError
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.pipeline import DEFAULT_MAX_SEGMENT_S, CoProp
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.training.keyframe_stage import (
    SEGMENTER,
    build_segmenter,
    key_frames_of,
    keyframe_stage,
)
from coprop.training.propagator_stage import PROPAGATOR, build_propagator, propagator_stage
from coprop.training.recipes import KeyframeRecipe, PropagatorRecipe
from coprop.training.records import KEY_FRAMES, RunFolder
from coprop.training.session import Outcome, Session, Stage
from coprop.training.starting import model_folder
from coprop.training.validation import Validation
from coprop.types import Progress

if TYPE_CHECKING:
    from accelerate import Accelerator

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Data:
    """What is trained and validated on.

    Args:
        train: the clips to learn from.
        validate: those to validate on; None for no validation.
    """

    train: LabelledDataset
    validate: LabelledDataset | None = None


def train(
    recipe: KeyframeRecipe | PropagatorRecipe,
    data: Data,
    folder: Path,
    accelerator: Accelerator,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Trains one of the two models.

    Args:
        recipe: of the stage.
        data: the clips.
        folder: gets settings.json, log.jsonl, events/, checkpoints/ and, in the end, final/, which
            `CoProp.from_pretrained` takes.
        accelerator: devices and processes, by `make_accelerator`.
        resume: go on from the last checkpoint in the folder, where it holds this training.
        progress: called as ``("training", done, total)``.

    Raises:
        CoPropError: settings, weights, clips or a folder that cannot be used.
    """
    run = RunFolder(folder)
    settings: dict[str, Any] = {
        **recipe.to_dict(),
        "dataset": data.train.name,
        "clips": len(data.train),
    }
    run.check(settings, resume=resume)
    with run.lock() if accelerator.is_main_process else nullcontext():
        if accelerator.is_main_process:
            run.check(settings, resume=resume)  # as another one may have left it just now
        stage = _stage(recipe, data, run, settings, accelerator)
        session = Session(stage, recipe, run, accelerator)
        _open(run, settings, accelerator)
        return session.run(progress)


def _stage(
    recipe: KeyframeRecipe | PropagatorRecipe,
    data: Data,
    run: RunFolder,
    settings: dict[str, Any],
    accelerator: Accelerator,
) -> Stage:
    propagating = isinstance(recipe, PropagatorRecipe)
    if isinstance(recipe, PropagatorRecipe):
        propagator = build_propagator(recipe)
        segmenter = KeyframeSegmenter.from_pretrained(model_folder(recipe.beside, SEGMENTER))
    else:
        segmenter = build_segmenter(recipe, data.train.num_classes)
        propagator = AudioInsertPropagator.from_pretrained(model_folder(recipe.beside, PROPAGATOR))
    pipeline = CoProp(
        segmenter.to(accelerator.device),
        detector=ControlPointDetector.novelty(),
        propagator=propagator.to(accelerator.device),
        max_segment_s=DEFAULT_MAX_SEGMENT_S,
        device=accelerator.device,
    )
    validation = Validation(
        pipeline, propagating=propagating, dataset=data.validate, accelerator=accelerator
    )
    if isinstance(recipe, PropagatorRecipe):
        return propagator_stage(recipe, propagator, data.train, validation)
    pairs = _pairs(recipe, data.train, run, settings, accelerator)
    return keyframe_stage(recipe, segmenter, data.train, pairs, validation)


def _pairs(
    recipe: KeyframeRecipe,
    dataset: LabelledDataset,
    run: RunFolder,
    settings: dict[str, Any],
    accelerator: Accelerator,
) -> Pairs | None:
    """The key frames, found once by the first process and kept: finding them may take long."""
    if recipe.key_frames == "all":
        return None
    stored = run.read(KEY_FRAMES)
    accelerator.wait_for_everyone()  # nobody writes while others still look
    if stored is None:
        if accelerator.is_main_process:
            found = key_frames_of(recipe, dataset)
            _open(run, settings, accelerator)
            run.write(KEY_FRAMES, found)
        accelerator.wait_for_everyone()
        stored = run.read(KEY_FRAMES)
    try:
        pairs = tuple((int(clip), int(frame)) for clip, frame in stored)
        if not pairs or min(min(pair) for pair in pairs) < 0:
            raise ValueError("numbers of clips and frames are 0 or more")
        dataset_end = max(clip for clip, _ in pairs)
        if dataset_end >= len(dataset):
            raise ValueError(f"there is no clip {dataset_end}")
    except (TypeError, ValueError, OverflowError) as error:
        raise CoPropError(f"{run.path / KEY_FRAMES} is damaged: {error}; remove it.") from error
    return pairs


def _open(run: RunFolder, settings: dict[str, Any], accelerator: Accelerator) -> None:
    if accelerator.is_main_process:
        run.open(settings)
