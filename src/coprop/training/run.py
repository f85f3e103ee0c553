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
from coprop.training.initial_weights import (
    PROPAGATOR,
    SEGMENTER,
    build_propagator,
    build_segmenter,
    model_folder,
)
from coprop.training.keyframes import key_frames_of, keyframe_task
from coprop.training.propagator import propagator_task
from coprop.training.recipes import KeyframeRecipe, PropagatorRecipe
from coprop.training.run_folder import KEY_FRAMES, RunFolder
from coprop.training.session import Outcome, TrainingSession, TrainingTask
from coprop.training.validation import Validation
from coprop.types import Progress
from coprop.utils.checks import stored_whole

if TYPE_CHECKING:
    from accelerate import Accelerator


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
    settings = {**recipe.to_dict(), "dataset": data.train.name, "clips": len(data.train)}
    first = accelerator.is_main_process
    run.check(settings, resume=resume)
    with run.lock() if first else nullcontext():
        if first:
            run.check(settings, resume=resume)  # as another one may have left it just now
        task = _task(recipe, data, run, settings, accelerator)
        session = TrainingSession(task, recipe, run, accelerator)
        if first:
            run.open(settings)
        return session.run(progress)


def _task(
    recipe: KeyframeRecipe | PropagatorRecipe,
    data: Data,
    run: RunFolder,
    settings: dict[str, Any],
    accelerator: Accelerator,
) -> TrainingTask:
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
        max_segment_s=DEFAULT_MAX_SEGMENT_S,  # as `CoProp.from_pretrained` has it
        device=accelerator.device,
    )
    validation = Validation(
        pipeline,
        propagating=isinstance(recipe, PropagatorRecipe),
        dataset=data.validate,
        accelerator=accelerator,
    )
    if isinstance(recipe, PropagatorRecipe):
        return propagator_task(recipe, propagator, data.train, validation)
    pairs = None
    if recipe.key_frames != "all":
        pairs = _key_frames(recipe, data.train, run, settings, accelerator)
    return keyframe_task(recipe, segmenter, data.train, pairs, validation)


def _key_frames(
    recipe: KeyframeRecipe,
    dataset: LabelledDataset,
    run: RunFolder,
    settings: dict[str, Any],
    accelerator: Accelerator,
) -> tuple[tuple[int, int], ...]:
    """Pairs of a clip and a frame, found once by the first process and kept: it may take long."""
    stored = run.read(KEY_FRAMES)
    accelerator.wait_for_everyone()  # nobody writes while others still look
    if stored is None:
        if accelerator.is_main_process:
            found = key_frames_of(recipe, dataset)
            run.open(settings)
            run.write(KEY_FRAMES, found)
        accelerator.wait_for_everyone()
        stored = run.read(KEY_FRAMES)
    try:
        pairs = tuple(
            (stored_whole("a clip", clip), stored_whole("a frame", frame)) for clip, frame in stored
        )
        if not pairs or min(min(pair) for pair in pairs) < 0:
            raise ValueError("numbers of clips and frames are 0 or more")
        last = max(clip for clip, _ in pairs)
        if last >= len(dataset):
            raise ValueError(f"there is no clip {last}")
    except (TypeError, ValueError, OverflowError) as error:
        raise CoPropError(f"{run.path / KEY_FRAMES} is damaged: {error}; remove it.") from error
    return pairs
