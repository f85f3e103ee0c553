"""Stage one: the keyframe segmenter on all frames, then on key frames (paper 3.3 and 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.control_points.detector import ControlPointDetector
from coprop.data.labelled import LabelledDataset
from coprop.data.subsets import key_frames
from coprop.errors import CoPropError
from coprop.keyframes.grounded import GroundedNetwork
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.training.initial_weights import audio_encoder_of, num_classes
from coprop.training.losses import binary_loss, semantic_loss
from coprop.training.recipes import KeyframeRecipe
from coprop.training.samples import KeyframeSamples, SampleOptions, join_keyframes
from coprop.training.session import TrainingTask
from coprop.training.validation import Validation
from coprop.types import WindowDetector


class KeyframeObjective(nn.Module):
    """The loss of a segmenter, and which of its parts learn.

    The sound encoder stays as it was trained, as in the paper, and so do the statistics of batch
    normalisation: batches are too small for them, and processes would not agree. Of the default's
    network only the audio network's head, the patch classifier and the decoder learn.

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
            pretrained = seen.classifier, seen.backbone, seen.deeplab, seen.u2net
            return *pretrained, audio_encoder_of(network)
        return (audio_encoder_of(network),)


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


def keyframe_task(
    recipe: KeyframeRecipe,
    segmenter: KeyframeSegmenter,
    dataset: LabelledDataset,
    pairs: Sequence[tuple[int, int]] | None,
    validation: Validation,
) -> TrainingTask:
    """Stage one for `TrainingSession`: Adam at one rate, binary or semantic losses.

    Args:
        recipe: the settings.
        segmenter: what is trained.
        dataset: the clips.
        pairs: the key frames, see `key_frames_of`.
        validation: of the pipeline with this segmenter.
    """
    objective = KeyframeObjective(segmenter)
    learned = [p for p in objective.parameters() if p.requires_grad]
    samples = KeyframeSamples(dataset, SampleOptions.of(recipe, segmenter), pairs)
    return TrainingTask(
        objective=objective,
        samples=samples,
        collate=join_keyframes,
        optimizer=torch.optim.Adam([{"params": learned, "peak": recipe.learning_rate}]),
        steps=recipe.steps_for(len(samples.clips)),
        validate=validation.figures,
        save=validation.save,
    )
