"""What trainings start from: new models, models in folders, and files of pretrained weights."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from coprop.checkpoints.weights import load_state_dict, read_state_dict
from coprop.encoders.visual import VisualEncoder
from coprop.errors import CheckpointError, CoPropError
from coprop.keyframes.audio_queried import AudioQueriedNetwork
from coprop.keyframes.grounded import GroundedNetwork
from coprop.keyframes.segmenter import KeyframeSegmenter, SegmenterConfig
from coprop.pipeline import WEIGHTS
from coprop.propagation.config import PropagatorConfig
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.training.recipes import KeyframeRecipe, PropagatorRecipe
from coprop.utils.brief import first_line
from coprop.utils.paths import as_path

SEGMENTER, PROPAGATOR = "keyframe_segmenter", "propagator"
"""The models' folders in the folder of a pipeline."""

DEFAULT, RANDOM = "default", "random"
_TIMM = "timm:"
_VGGISH_HEAD = "embeddings."  # its fully connected layers, which no model here uses
_AUDIO_ENCODER = "audio_insert.encoder."
_OF_INSERT = ("insert_levels", "insert_dim", "sound_gate")
# What files of AOT do not tell of a propagator; all else is recognised from their tensors.
_NOT_IN_FILES = (
    *("insert_levels", "audio_encoder"),
    *("long_term_gap", "max_memory_frames", "max_long_edge"),
)


def model_folder(name: str, part: str) -> Path:
    """The folder of one model.

    Args:
        name: "default", the model's own folder, or one in which it lies under ``part``.
        part: "keyframe_segmenter" or "propagator".

    Raises:
        CheckpointError: there is no such folder.
    """
    wanted = "the folder to start from"
    folder = WEIGHTS if name == DEFAULT else as_path(wanted, name, error=CheckpointError)
    for path in (folder / part, folder):
        if (path / "config.json").is_file():
            return path
    raise CheckpointError(
        f"{folder} holds no {part}; give a folder that save_pretrained() wrote, the final/ of "
        f'another training, or "{DEFAULT}".'
    )


def build_segmenter(recipe: KeyframeRecipe, classes: int) -> KeyframeSegmenter:
    """The segmenter that training starts from.

    Args:
        recipe: with its model and the files of its weights.
        classes: of the dataset; 1 for binary masks.

    Raises:
        CheckpointError: files that are not there, damaged, or of other networks.
        CoPropError: no files named, a network of other classes, or unknown settings of the model.
    """
    torch.manual_seed(recipe.seed)
    if recipe.start is not None:
        folder = model_folder(recipe.start, SEGMENTER)
        segmenter = KeyframeSegmenter.from_pretrained(folder)
        _check_model(recipe, segmenter.config, folder)
    else:
        segmenter = KeyframeSegmenter(segmenter_config(recipe, classes))
        _load_encoders(segmenter.network, recipe)
    if num_classes(segmenter) != classes:
        raise CoPropError(
            f"the dataset has {classes} classes, the segmenter {num_classes(segmenter)}; train a "
            'new one (start=null) of the architecture "audio_queried" on semantic datasets.'
        )
    return segmenter


def segmenter_config(recipe: KeyframeRecipe, classes: int) -> SegmenterConfig:
    """The configuration of a new segmenter; the number of classes is the dataset's.

    Raises:
        CoPropError: unknown settings, or values out of range.
    """
    values = dict(recipe.model)
    inner = values.get("audio_queried") or {}
    try:
        values["audio_queried"] = {"num_classes": classes, **inner}
        return SegmenterConfig.from_dict(values)
    except TypeError as error:
        raise CoPropError(f"model has settings that no segmenter has: {error}.") from error


def num_classes(segmenter: KeyframeSegmenter) -> int:
    """1 for binary masks; with background, for semantic ones."""
    config: SegmenterConfig = segmenter.config
    return 1 if config.architecture == "grounded" else config.audio_queried.num_classes


def audio_encoder_of(network: GroundedNetwork | AudioQueriedNetwork) -> nn.Module:
    """The pretrained encoder of a segmenter's sound, which no training changes.

    Raises:
        CoPropError: it is no module of PyTorch.
    """
    encoder = network.audio.yamnet if isinstance(network, GroundedNetwork) else network.audio
    if not isinstance(encoder, nn.Module):
        raise CoPropError("the audio encoder must be a torch module to be trained with.")
    return encoder


def build_propagator(recipe: PropagatorRecipe) -> AudioInsertPropagator:
    """The propagator that training starts from.

    Raises:
        CheckpointError: a file or folder that is not there, damaged, or of another network.
        CoPropError: nothing named, or settings of the model that the weights do not have.
    """
    torch.manual_seed(recipe.seed)
    if recipe.start is None:
        raise CoPropError(
            "start is missing: give the file of an official AOT network, such as "
            '--set start=R50_AOTL_PRE_YTB_DAV.pth, a folder, "default" or "random".'
        )
    if recipe.fresh_insert and (recipe.start == RANDOM or Path(recipe.start).is_file()):
        raise CoPropError(
            f'fresh_insert is for a folder or "default", and start is {recipe.start!r}; leave it '
            "out: audio modules begin anew there, where the file has none."
        )
    propagator, hears = _started(recipe, recipe.start)
    _check_settings(propagator, recipe)
    insert = propagator.network.audio_insert
    released = propagator.config.audio_encoder == "yamnet"  # with the package
    if insert is not None and not hears and not released and recipe.audio_weights is None:
        raise CoPropError(
            "audio_weights is missing: the propagator hears through a pretrained encoder. Give its "
            f'file (--set audio_weights=FILE), or "{RANDOM}".'
        )
    if insert is not None and recipe.audio_weights not in (None, RANDOM):
        _load_audio_encoder(insert.get_submodule("encoder"), str(recipe.audio_weights))
    return propagator


def _started(recipe: PropagatorRecipe, start: str) -> tuple[AudioInsertPropagator, bool]:
    """The propagator as its weights say, and whether its audio encoder has learned to hear."""
    if start == RANDOM:
        return AudioInsertPropagator(propagator_config(recipe)), False
    if Path(start).is_file():
        hears = any(name.startswith(_AUDIO_ENCODER) for name in read_state_dict(start))
        return _from_file(recipe, start), hears
    propagator = AudioInsertPropagator.from_pretrained(model_folder(start, PROPAGATOR))
    hears = propagator.network.audio_insert is not None
    if recipe.fresh_insert:
        propagator = _with_fresh_insert(propagator, recipe)
    return propagator, hears


def _check_settings(propagator: AudioInsertPropagator, recipe: PropagatorRecipe) -> None:
    """Refuses settings of the model that the weights do not have."""
    stored = propagator.config.to_dict()
    wanted = PropagatorConfig.from_dict({**stored, **recipe.model}).to_dict()
    differ = [key for key, value in wanted.items() if stored[key] != value]
    if differ:
        raise CoPropError(
            f"model has {', '.join(f'{key}={wanted[key]!r}' for key in differ)}, but the weights "
            f"{recipe.start} have {', '.join(f'{key}={stored[key]!r}' for key in differ)}; leave "
            "these out, or start from others."
        )


def propagator_config(recipe: PropagatorRecipe) -> PropagatorConfig:
    """The configuration of a new propagator.

    Raises:
        CoPropError: unknown settings, or values out of range.
    """
    base = PropagatorConfig.aot_l() if recipe.architecture == "aot_l" else PropagatorConfig()
    return PropagatorConfig.from_dict({**base.to_dict(), **recipe.model})


def _check_model(recipe: KeyframeRecipe, config: SegmenterConfig, folder: Path) -> None:
    """Refuses settings of the model that are not those of the weights."""
    stored: dict[str, Any] = config.to_dict()
    for key, value in recipe.model.items():
        own = stored.get(key)
        same = {**own, **value} == own if isinstance(own, dict) else own == value
        if not same:
            raise CoPropError(
                f"model.{key} is {value!r}, but {folder} has {own!r}; leave it out, or start anew."
            )


def _load_encoders(network: GroundedNetwork | AudioQueriedNetwork, recipe: KeyframeRecipe) -> None:
    for name in ("image_weights", "audio_weights"):
        if getattr(recipe, name) is None:
            raise CoPropError(
                f"{name} is missing: a new network starts from a pretrained encoder. Give its "
                f'file (--set {name}=FILE), or "{RANDOM}" to train from nothing.'
            )
    image, audio = str(recipe.image_weights), str(recipe.audio_weights)
    if image != RANDOM:
        if isinstance(network, GroundedNetwork):
            load_state_dict(network.visual.backbone, read_state_dict(image), image)
        elif image.startswith(_TIMM):
            _load_from_timm(network.visual, image.removeprefix(_TIMM))
        else:
            network.visual.load_checkpoint(image)
    if audio != RANDOM:
        _load_audio_encoder(audio_encoder_of(network), audio)


def _load_from_timm(encoder: VisualEncoder, name: str) -> None:
    """Weights that timm downloads, or has downloaded before."""
    import timm
    from safetensors.torch import save_file

    try:
        whole = timm.create_model(name, pretrained=True)
    except (RuntimeError, OSError, ValueError) as error:
        raise CoPropError(
            f"timm cannot give the weights {name!r}: {first_line(error)}. Without a network, "
            "give a file."
        ) from error
    # Windows does not remove a file that is still mapped into memory.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = os.fspath(Path(folder) / f"{name}.safetensors")
        save_file({k: v.contiguous() for k, v in whole.state_dict().items()}, path)
        encoder.load_checkpoint(path)


def _from_file(recipe: PropagatorRecipe, path: str) -> AudioInsertPropagator:
    config = propagator_config(recipe)
    return AudioInsertPropagator.from_checkpoint(
        path, **{name: getattr(config, name) for name in _NOT_IN_FILES}
    )


def _with_fresh_insert(
    propagator: AudioInsertPropagator, recipe: PropagatorRecipe
) -> AudioInsertPropagator:
    """The propagator with new, silent audio modules at the recipe's levels; its encoders stay.

    The paper has no gate, and so there is none unless the recipe asks for it.
    """
    chosen = {name: value for name, value in recipe.model.items() if name in _OF_INSERT}
    stored = {**propagator.config.to_dict(), "sound_gate": False}
    config = PropagatorConfig.from_dict({**stored, **chosen})
    fresh = AudioInsertPropagator(config).eval()
    state = fresh.state_dict()
    for name, tensor in propagator.state_dict().items():
        kept = name.startswith(_AUDIO_ENCODER) or not name.startswith("audio_insert.")
        if kept and name in state:
            state[name] = tensor
    fresh.load_state_dict(state)
    return fresh


def _load_audio_encoder(encoder: nn.Module, path: str) -> None:
    """Copies a file's tensors into an audio encoder; VGGish's fully connected head is left out."""
    state = {n: x for n, x in read_state_dict(path).items() if not n.startswith(_VGGISH_HEAD)}
    load_state_dict(encoder, state, path)
