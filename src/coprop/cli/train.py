"""``coprop train``: one of the two models, on a labelled dataset."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coprop.cli import dataset_options
from coprop.cli.common import (
    DebugOption,
    QuietOption,
    checked_device,
    out_option,
    reported,
    say,
)
from coprop.cli.dataset_options import chosen_dataset
from coprop.cli.progress import ProgressBars

if TYPE_CHECKING:
    from coprop.training.session import Outcome

_DEVICES = ("cpu", "cuda", "mps")


class TrainedModel(str, Enum):
    """The two models that are trained, one in each stage."""

    keyframes = "keyframes"
    propagator = "propagator"


class Resume(str, Enum):
    """What becomes of a training that the folder holds."""

    never = "never"
    automatic = "automatic"


@dataclass(frozen=True)
class TrainOptions:
    """The options of ``coprop train``."""

    stage: Annotated[TrainedModel, typer.Argument(show_default=False, help="Which model to train.")]
    config: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Settings: a JSON file, or the name of one that comes with coprop.",
        ),
    ]
    dataset: dataset_options.DatasetOption
    root: dataset_options.RootOption
    out: Annotated[
        Path,
        out_option("DIR", "Folder for checkpoints, logs and, in the end, the models (final/)."),
    ]
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            show_default=False,
            help="Another value for a setting; may be given again for others.",
        ),
    ] = None
    resume: Annotated[
        Resume,
        typer.Option(help="automatic: go on from the last checkpoint in DIR, if there is one."),
    ] = Resume.never
    split: Annotated[str, typer.Option(metavar="NAME", help="Part of the dataset to train on.")] = (
        "train"
    )
    subset: dataset_options.SubsetOption = dataset_options.SubsetName.all
    classes: dataset_options.SeenClassesOption = dataset_options.SeenClasses.all
    limit: dataset_options.LimitOption = None
    device: Annotated[
        str, typer.Option(metavar="NAME", show_default="a GPU, if any", help="cpu, cuda or mps.")
    ] = ""
    quiet: QuietOption = False
    debug: DebugOption = False


def train(options: TrainOptions) -> None:
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
        return f"interrupted{step}; to go on, repeat it with --resume automatic ({options.out})."

    with reported(debug=options.debug, interrupted=interrupted):
        outcome = _train(options)
        if not outcome.finished:
            raise KeyboardInterrupt
    if not options.quiet and _first_process():
        say(f"Written to {options.out / 'final'}")


def _train(options: TrainOptions) -> Outcome:
    from coprop.training.recipes import KeyframeRecipe, PropagatorRecipe, read_recipe
    from coprop.training.run import Data
    from coprop.training.run import train as run_training
    from coprop.training.session import make_accelerator

    if not options.quiet:
        _tell_steps()
    cpu = _wants_cpu(options.device)
    recipe: KeyframeRecipe | PropagatorRecipe
    if options.stage is TrainedModel.keyframes:
        recipe = read_recipe(KeyframeRecipe, "keyframes", options.config, options.changes or ())
    else:
        recipe = read_recipe(PropagatorRecipe, "propagator", options.config, options.changes or ())
    name, root, subset, classes = options.dataset, options.root, options.subset, options.classes
    clips = partial(chosen_dataset, name, root, subset=subset, classes=classes)
    data = Data(
        clips(options.split, limit=options.limit),
        clips(recipe.validate_split, limit=recipe.validate_clips)
        if recipe.validate_every
        else None,
    )
    accelerator = make_accelerator(recipe, cpu=cpu)
    shown = not options.quiet and accelerator.is_main_process
    with ProgressBars(shown=shown) as bars:
        resume = options.resume is Resume.automatic
        return run_training(recipe, data, options.out, accelerator, resume=resume, progress=bars)


def _wants_cpu(device: str) -> bool:
    if not device:
        return False
    if device not in _DEVICES:
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
