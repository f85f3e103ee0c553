"""Stage one: the keyframe segmenter on all frames, then on key frames (paper 3.3 and 4.2)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.control_points.detector import ControlPointDetector
from coprop.data.labelled import LabelledDataset
from coprop.data.subsets import key_frames
from coprop.encoders.visual import VisualEncoder
from coprop.errors import CoPropError
from coprop.keyframes.audio_queried import AudioQueriedNetwork
from coprop.keyframes.grounded import GroundedNetwork
from coprop.keyframes.segmenter import KeyframeSegmenter, SegmenterConfig
from coprop.training.losses import binary_loss, semantic_loss
from coprop.training.recipes import KeyframeRecipe
from coprop.training.samples import KeyframeSamples, SampleOptions, join_keyframes
from coprop.training.session import Stage
from coprop.training.starting import RANDOM, load_audio_encoder, model_folder, steps_of
from coprop.training.validation import Validation
from coprop.types import WindowDetector
from coprop.weights import load_state_dict, read_state_dict

SEGMENTER = "keyframe_segmenter"
_TIMM = "timm:"


class KeyframeObjective(nn.Module):
    """The loss of a segmenter, and which of its parts learn.

    The sound encoder stays as it was trained, as in the paper, and so do the statistics of batch
    normalisation: batches are too small for them, and processes would not agree. Of the default's
    network only the hearing's head, the second classifier and the refinement learn.

    Args:
        segmenter: what is trained.
    """

    def __init__(self, segmenter: KeyframeSegmenter) -> None:
        super().__init__()
        self.network = segmenter.network
        self.semantic = num_classes(segmenter) > 1
        self.network.requires_grad_(True)
        for module in self._frozen():
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> KeyframeObjective:
        """Training mode, but for the parts that stay as they are."""
        super().train(mode)
        norms = [m for m in self.network.modules() if isinstance(m, nn.BatchNorm2d)]
        for module in (*self._frozen(), *norms):
            module.eval()
        return self

    def forward(self, frames: Tensor, sounds: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """The mean loss of the clips.

        Args:
            frames: (F, 3, h, w) in [0, 1].
            sounds: (F, n), of each frame.
            labels: (F, h, w).
            weights: (F,) of the frames; those of a clip sum to 1.
        """
        logits = self._logits(frames, sounds)
        logits = F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=False)
        losses = (semantic_loss if self.semantic else binary_loss)(logits, labels)
        return (losses * weights).sum() / weights.sum()

    def _logits(self, frames: Tensor, sounds: Tensor) -> Tensor:
        if isinstance(self.network, GroundedNetwork):
            return self.network.soft_mask(frames, sounds)
        logits: Tensor = self.network(frames, sounds)
        return logits

    def _frozen(self) -> tuple[nn.Module, ...]:
        """The pretrained parts, which learn nothing from so little."""
        network = self.network
        if isinstance(network, GroundedNetwork):
            seen = network.visual
            return seen.classifier, seen.backbone, seen.deeplab, seen.u2net, network.audio.yamnet
        return (_module(network.audio),)


def num_classes(segmenter: KeyframeSegmenter) -> int:
    """1 for binary masks; with background, for semantic ones."""
    config: SegmenterConfig = segmenter.config
    return 1 if config.architecture == "grounded" else config.audio_queried.num_classes


def build_segmenter(recipe: KeyframeRecipe, classes: int) -> KeyframeSegmenter:
    """The segmenter that training starts from.

    Args:
        recipe: with its model and the files of its weights.
        classes: of the dataset.

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


def key_frames_of(
    recipe: KeyframeRecipe, dataset: LabelledDataset
) -> tuple[tuple[int, int], ...] | None:
    """Pairs of a clip and a frame to train on; None for all frames. Takes long with "rcpg".

    Raises:
        CoPropError: a language model that is not named, or cannot be loaded or asked.
    """
    if recipe.key_frames == "all":
        return None
    detector: WindowDetector | None = None
    if recipe.key_frames == "novelty":
        detector = ControlPointDetector.novelty()
    elif recipe.key_frames == "cosine":
        detector = ControlPointDetector.cosine()
    elif recipe.key_frames == "rcpg":
        if recipe.llm is None:
            raise CoPropError(
                'key_frames="rcpg" asks a language model: name it with --set llm=NAME (a server\'s '
                "URL, a folder, or a name on the hub), or set key_frames to novelty, cosine or "
                "annotation."
            )
        detector = ControlPointDetector.rcpg(recipe.llm, examples=recipe.llm_examples)
    return key_frames(dataset, detector)


def keyframe_stage(
    recipe: KeyframeRecipe,
    segmenter: KeyframeSegmenter,
    dataset: LabelledDataset,
    pairs: Sequence[tuple[int, int]] | None,
    validation: Validation,
) -> Stage:
    """Stage one for `Session`: Adam at one rate, binary or semantic losses.

    Args:
        recipe: the settings.
        segmenter: what is trained.
        dataset: the clips.
        pairs: the key frames, see `key_frames_of`.
        validation: of the pipeline with this segmenter.
    """
    objective = KeyframeObjective(segmenter)
    learned = [p for p in objective.parameters() if p.requires_grad]
    options = SampleOptions(
        (recipe.size[0], recipe.size[1]),
        segmenter.sample_rate,
        segmenter.window_s,
        recipe.seed,
        recipe.augment,
        recipe.frames_per_clip,
        recipe.cached_clips,
    )
    samples = KeyframeSamples(dataset, options, pairs)
    return Stage(
        objective=objective,
        samples=samples,
        collate=join_keyframes,
        optimizer=torch.optim.Adam([{"params": learned, "peak": recipe.learning_rate}]),
        steps=steps_of(recipe, len(samples.clips)),
        learning_rate=lambda peak, step: peak,
        arguments=lambda step: {},
        release=lambda step: None,
        validate=validation.figures,
        save=validation.save,
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
        if isinstance(network, GroundedNetwork):
            load_audio_encoder(network.audio.yamnet, audio)
        else:
            load_audio_encoder(_module(network.audio), audio)


def _load_from_timm(encoder: VisualEncoder, name: str) -> None:
    """Weights that timm downloads, or has downloaded before."""
    import timm
    from safetensors.torch import save_file

    try:
        whole = timm.create_model(name, pretrained=True)
    except (RuntimeError, OSError, ValueError) as error:
        raise CoPropError(
            f"timm cannot give the weights {name!r}: {error}. Without a network, give a file."
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        path = os.fspath(Path(folder) / f"{name}.safetensors")
        save_file({k: v.contiguous() for k, v in whole.state_dict().items()}, path)
        encoder.load_checkpoint(path)


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


def _module(audio: object) -> nn.Module:
    if not isinstance(audio, nn.Module):
        raise CoPropError("the audio encoder must be a torch module to be trained with.")
    return audio
