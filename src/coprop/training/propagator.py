"""Stage two: the propagator on sequences with their sound, trained as AOT is (paper 3.4 and 4.2).

Yang et al. 2021, and the settings of their released configuration: half bootstrapped cross-entropy,
half soft Jaccard; teacher forcing, which is memory of the true masks, in the first half of the
training, and memory of predictions in the second. Their loss on the reference frame itself is left
out: the propagator never predicts a keyframe.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from coprop.data.labelled import LabelledDataset
from coprop.errors import CoPropError
from coprop.propagation.config import PropagatorConfig
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.training.losses import bootstrapped_cross_entropy, mining_share, soft_jaccard
from coprop.training.recipes import PropagatorRecipe
from coprop.training.samples import PropagatorSamples, SampleOptions, stack_sequences
from coprop.training.session import TrainingTask
from coprop.training.validation import Validation

# By their parameters' names, which are AOT's.
_IMAGE_ENCODER, _AUDIO_INSERT, _IDENTITY_BANK = "encoder.", "audio_insert.", "patch_wise_id_bank."
_NO_DECAY = ("relative_emb_v", "conv_out")  # AOT exempts them


class PropagatorObjective(nn.Module):
    """The loss of a propagator over the frames after the first.

    Args:
        propagator: what is trained.
        recipe: which parts are not, and how often memory keeps a frame.

    Raises:
        CoPropError: ``frozen`` names no part of it, or nothing is left to learn.
    """

    def __init__(self, propagator: AudioInsertPropagator, recipe: PropagatorRecipe) -> None:
        super().__init__()
        self.propagator = propagator
        self._in_use: PropagatorConfig = propagator.config
        self._in_training = replace(self._in_use, long_term_gap=recipe.long_term_gap)
        names = [name for name, _ in propagator.network.named_parameters()]
        for prefix in recipe.frozen:
            hearing = prefix.startswith("audio_insert") and not propagator.network.audio_insert
            if not hearing and not any(name.startswith(prefix) for name in names):
                raise CoPropError(
                    f"frozen names {prefix!r}, but no parameter begins so; such are "
                    f"{', '.join(sorted({name.split('.')[0] for name in names}))}."
                )
        for name, parameter in propagator.network.named_parameters():
            if name.startswith(recipe.frozen):
                parameter.requires_grad_(False)
        if not any(p.requires_grad for p in propagator.parameters()):
            raise CoPropError(f"frozen={recipe.frozen} leaves nothing to train.")

    def train(self, mode: bool = True) -> PropagatorObjective:
        """Training mode, in which memory keeps frames more often: sequences are short."""
        super().train(mode)
        self.propagator.config = self._in_training if mode else self._in_use
        return self

    def forward(
        self, frames: Tensor, sounds: Tensor, labels: Tensor, share: float, teacher_forcing: bool
    ) -> Tensor:
        """The mean loss of the sequences.

        Args:
            frames: (B, T, 3, h, w) in [0, 1].
            sounds: (B, T, n).
            labels: (B, T, h, w) identities, 255 for void.
            share: of the pixels, the worst of which count in the cross-entropy.
            teacher_forcing: memory takes in the true masks instead of the predicted ones.
        """
        later = labels[:, 1:].long().unbind(1)
        outputs = self.propagator.unroll(
            frames,
            sounds,
            labels[:, 0].long(),
            num_objects=self._in_use.max_objects,
            masks=list(later) if teacher_forcing else None,
        )
        losses = [
            0.5 * bootstrapped_cross_entropy(logits, target, share)
            + 0.5 * soft_jaccard(logits, target)  # in equal parts, as AOT has them
            for logits, target in zip(outputs, later, strict=True)
        ]
        return torch.stack(losses).mean()


def learning_rate(peak: float, step: int, steps: int, recipe: PropagatorRecipe) -> float:
    """AOT's schedule: a line up from the lowest rate, then a polynomial down to it.

    Args:
        peak: of a group of parameters.
        step: from 0.
        steps: of the whole training.
        recipe: lowest rate, warm-up and power.

    >>> recipe = PropagatorRecipe("propagator", steps=100)
    >>> [learning_rate(2e-4, step, 100, recipe) for step in (0, 5)]
    [1e-05, 0.0002]
    """
    lowest, rising = recipe.lowest_learning_rate, recipe.warm_up * steps
    if step < rising:
        return lowest + (peak - lowest) * step / rising
    done = (step - rising) / (steps - rising + 1)
    return float(lowest + (peak - lowest) * (1 - done) ** recipe.power)


def parameter_groups(
    propagator: AudioInsertPropagator, recipe: PropagatorRecipe
) -> list[dict[str, Any]]:
    """The parameters that learn, by rate and weight decay.

    The image encoder learns slower, and the audio modules, which begin from nothing, faster: at the
    rate of the rest a short training leaves them silent. Biases and norms do not decay, nor do the
    parameters that AOT exempts.
    """
    lowest = recipe.lowest_learning_rate
    slow = lowest + (recipe.learning_rate - lowest) * recipe.encoder_ratio
    peaks = {_IMAGE_ENCODER: slow, _AUDIO_INSERT: recipe.learning_rate * recipe.insert_ratio}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in propagator.network.named_parameters():
        if parameter.requires_grad:
            own = (peak for part, peak in peaks.items() if name.startswith(part))
            peak = next(own, recipe.learning_rate)
            bare = parameter.ndim < 2 or any(part in name for part in _NO_DECAY)
            decay = 0.0 if bare else recipe.weight_decay
            groups.setdefault((peak, decay), []).append(parameter)
    return [
        {"params": params, "peak": peak, "weight_decay": decay, "lr": peak}
        for (peak, decay), params in groups.items()
    ]


def propagator_task(
    recipe: PropagatorRecipe,
    propagator: AudioInsertPropagator,
    dataset: LabelledDataset,
    validation: Validation,
) -> TrainingTask:
    """Stage two for `TrainingSession`: AdamW by AOT's schedule.

    Args:
        recipe: the settings.
        propagator: what is trained.
        dataset: the clips.
        validation: of the pipeline with this propagator.
    """
    objective = PropagatorObjective(propagator, recipe)
    options = SampleOptions.of(recipe, propagator)
    samples = PropagatorSamples(dataset, options, propagator.config.max_objects)
    steps = recipe.steps_for(len(samples.clips))

    def is_forced(step: int) -> bool:
        return step < recipe.teacher_forcing * steps

    def release(step: int) -> None:
        if not is_forced(step):
            for name, parameter in propagator.network.named_parameters():
                if name.startswith(_IDENTITY_BANK):
                    parameter.grad = None

    return TrainingTask(
        objective=objective,
        samples=samples,
        collate=stack_sequences,
        optimizer=AdamW(parameter_groups(propagator, recipe)),
        steps=steps,
        learning_rate=lambda peak, step: learning_rate(peak, step, steps, recipe),
        arguments=lambda step: {
            "share": mining_share(step, steps),
            "teacher_forcing": is_forced(step),
        },
        release=release,
        validate=validation.figures,
        save=validation.save,
    )
