"""``coprop train``: one of the two models, on a labelled dataset."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coprop.cli.common import DebugOption, checked_device, reported, say
from coprop.cli.dataset_options import (
    DatasetOption,
    LimitOption,
    RootOption,
    SeenClasses,
    SeenClassesOption,
    SubsetName,
    SubsetOption,
    chosen_dataset,
)
from coprop.cli.progress import ProgressBars

if TYPE_CHECKING:
    from coprop.data.labelled import LabelledDataset
    from coprop.training.recipes import KeyframeRecipe, PropagatorRecipe
    from coprop.training.session import Outcome


class Stage(str, Enum):
    """The two models that are trained."""

    keyframes = "keyframes"
    propagator = "propagator"


class Resume(str, Enum):
    """What becomes of a training that the folder holds."""

    never = "never"
    automatic = "automatic"


def train(
    stage: Annotated[Stage, typer.Argument(show_default=False, help="Which model.")],
    config: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Settings: a JSON file, or the name of one that comes with coprop.",
        ),
    ],
    dataset: DatasetOption,
    root: RootOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            readable=False,
            show_default=False,
            help="Folder for checkpoints, logs and, in the end, the models (final/).",
        ),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            show_default=False,
            help="Another value for a setting; may be given again for others.",
        ),
    ] = None,
    resume: Annotated[
        Resume,
        typer.Option(help="automatic: go on from the last checkpoint in DIR, if there is one."),
    ] = Resume.never,
    split: Annotated[str, typer.Option(help="Part of the dataset to train on.")] = "train",
    subset: SubsetOption = SubsetName.all,
    classes: SeenClassesOption = SeenClasses.all,
    limit: LimitOption = None,
    device: Annotated[
        str,
        typer.Option(metavar="NAME", show_default="a GPU, if any", help="cpu, cuda or mps."),
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    debug: DebugOption = False,
) -> None:
    """Train the keyframe segmenter (stage one), or the propagator (stage two).

    DIR gets log.jsonl with the loss of every step, events/ for TensorBoard, checkpoints/, and
    final/, which --model of the other commands takes. Several processes share each batch when
    started with accelerate:

    \b
      coprop train keyframes --config keyframes_resnet50 --dataset ms3 --root AVSBench \\
        --set image_weights=resnet50.pth --set audio_weights=vggish.pth --out runs/keyframes
      accelerate launch --num_processes 2 -m coprop train propagator \\
        --config propagator_4_layers ...

    docs/training.md names the settings and the configs.
    """
    outcome: Outcome | None = None

    def interrupted() -> str:
        step = f" after step {outcome.step}" if outcome else ""
        return f"interrupted{step}; to go on, repeat it with --resume automatic ({out})."

    if not quiet:
        _tell_steps()
    with reported(debug=debug, interrupted=interrupted):
        outcome = _train(
            stage=stage,
            config=config,
            changes=changes or [],
            clips=partial(chosen_dataset, dataset, root, subset=subset, classes=classes),
            split=split,
            limit=limit,
            out=out,
            resume=resume is Resume.automatic,
            cpu=_wants_cpu(device),
            shown=not quiet,
        )
        if not outcome.finished:
            raise KeyboardInterrupt
    if not quiet and _first_process():
        say(f"Written to {out / 'final'}")


def _train(
    *,
    stage: Stage,
    config: str,
    changes: list[str],
    clips: Callable[..., LabelledDataset],
    split: str,
    limit: int | None,
    out: Path,
    resume: bool,
    cpu: bool,
    shown: bool,
) -> Outcome:
    from coprop.training.run import Data
    from coprop.training.run import train as run_training
    from coprop.training.session import make_accelerator

    recipe = _recipe(stage, config, changes)
    data = Data(
        clips(split, limit=limit),
        clips(recipe.validate_split, limit=recipe.validate_clips)
        if recipe.validate_every
        else None,
    )
    accelerator = make_accelerator(recipe, cpu=cpu)
    with ProgressBars(shown=shown and accelerator.is_main_process) as bars:
        return run_training(recipe, data, out, accelerator, resume=resume, progress=bars)


def _recipe(stage: Stage, config: str, changes: list[str]) -> KeyframeRecipe | PropagatorRecipe:
    from coprop.training.recipe_files import read_recipe
    from coprop.training.recipes import KeyframeRecipe, PropagatorRecipe

    if stage is Stage.keyframes:
        return read_recipe(KeyframeRecipe, "keyframes", config, changes)
    return read_recipe(PropagatorRecipe, "propagator", config, changes)


def _wants_cpu(device: str) -> bool:
    if not device:
        return False
    if device not in ("cpu", "cuda", "mps"):
        raise typer.BadParameter(
            f"{device!r} is neither cpu, cuda nor mps; CUDA_VISIBLE_DEVICES chooses among GPUs.",
            param_hint="--device",
        )
    return checked_device(device).type == "cpu"


def _tell_steps() -> None:
    """Lines about steps to stderr, where there is no terminal for a bar."""
    logger = logging.getLogger("coprop.training")
    if not logger.handlers and not sys.stderr.isatty():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _first_process() -> bool:
    from accelerate import PartialState

    return bool(PartialState().is_main_process)
