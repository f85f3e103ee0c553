"""What trainings start from: folders of models, encoders' files, numbers of steps."""

from __future__ import annotations

import math
from pathlib import Path

from torch import nn

from coprop.errors import CheckpointError
from coprop.pipeline import WEIGHTS
from coprop.training.recipes import Recipe
from coprop.weights import load_state_dict, read_state_dict

DEFAULT, RANDOM = "default", "random"
_HEAD = "embeddings."  # VGGish's fully connected layers, which no model here uses


def model_folder(name: str, part: str) -> Path:
    """The folder of one model.

    Args:
        name: "default", the model's own folder, or one in which it lies under ``part``.
        part: "keyframe_segmenter" or "propagator".

    Raises:
        CheckpointError: there is no such folder.
    """
    folder = WEIGHTS if name == DEFAULT else Path(name)
    for path in (folder / part, folder):
        if (path / "config.json").is_file():
            return path
    raise CheckpointError(
        f"{folder} holds no {part}; give a folder that save_pretrained() wrote, the final/ of "
        f'another training, or "{DEFAULT}".'
    )


def load_audio_encoder(encoder: nn.Module, path: str) -> None:
    """Copies a file's tensors into an audio encoder; VGGish's fully connected head is left out.

    Raises:
        CheckpointError: no such file, or not this encoder's.
    """
    state = {n: x for n, x in read_state_dict(path).items() if not n.startswith(_HEAD)}
    load_state_dict(encoder, state, path)


def steps_of(recipe: Recipe, clips: int) -> int:
    """How many steps a training takes; the last epoch's last step may begin another."""
    if recipe.steps is not None:
        return recipe.steps
    return math.ceil((recipe.epochs or 0) * clips / recipe.batch_size)
