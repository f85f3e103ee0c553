"""Stage two: the propagator on sequences with their sound, trained as AOT is (paper 3.4 and 4.2).

Yang et al. 2021, and the settings of their released configuration: half bootstrapped cross-entropy,
half soft Jaccard; memory that is told the true masks in the first half of the training and lives
on predictions in the second. Their loss on the reference frame itself is left out: the propagator
never predicts a keyframe.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
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
from coprop.training.session import Stage
from coprop.training.starting import RANDOM, load_audio_encoder, model_folder, steps_of
from coprop.training.validation import Validation
from coprop.weights import read_state_dict

PROPAGATOR = "propagator"
_NO_DECAY = ("relative_emb_v", "conv_out")
_ENCODER, _IDENTITIES = "encoder.", "patch_wise_id_bank."
_EARS, _INSERT = "audio_insert.encoder.", ("insert_levels", "insert_dim")


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
        names = [name for name, _ in propagator.named_parameters()]
        for prefix in recipe.frozen:
            hearing = prefix.startswith("audio_insert") and not propagator.audio_insert
            if not hearing and not any(name.startswith(prefix) for name in names):
                raise CoPropError(
                    f"frozen names {prefix!r}, but no parameter begins so; such are "
                    f"{', '.join(sorted({name.split('.')[0] for name in names}))}."
                )
        for name, parameter in propagator.named_parameters():
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
        self, frames: Tensor, sounds: Tensor, labels: Tensor, share: float, told: bool
    ) -> Tensor:
        """The mean loss of the sequences.

        Args:
            frames: (B, T, 3, h, w) in [0, 1].
            sounds: (B, T, n).
            labels: (B, T, h, w) identities, 255 for void.
            share: of the pixels, the worst of which count in the cross-entropy.
            told: memory is told the true masks instead of the predicted ones.
        """
        later = labels[:, 1:].long().unbind(1)
        outputs = self.propagator.unroll(
            frames,
            sounds,
            labels[:, 0].long(),
            num_objects=self._in_use.max_objects,
            masks=list(later) if told else None,
        )
        losses = [
            0.5 * bootstrapped_cross_entropy(logits, target, share)
            + 0.5 * soft_jaccard(logits, target)
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

    The image encoder learns slower. Biases, norms and gates do not decay, nor do the parameters
    that AOT exempts. New audio modules learn as fast as the rest: neither paper has a rate of
    their own for them.
    """
    lowest = recipe.lowest_learning_rate
    slow = lowest + (recipe.learning_rate - lowest) * recipe.encoder_ratio
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in propagator.named_parameters():
        if parameter.requires_grad:
            peak = slow if name.startswith(_ENCODER) else recipe.learning_rate
            bare = parameter.ndim < 2 or any(part in name for part in _NO_DECAY)
            decay = 0.0 if bare else recipe.weight_decay
            groups.setdefault((peak, decay), []).append(parameter)
    return [
        {"params": params, "peak": peak, "weight_decay": decay, "lr": peak}
        for (peak, decay), params in groups.items()
    ]


def propagator_config(recipe: PropagatorRecipe) -> PropagatorConfig:
    """The configuration of a new propagator.

    Raises:
        CoPropError: unknown settings, or values out of range.
    """
    base = PropagatorConfig.aot_l() if recipe.architecture == "aot_l" else PropagatorConfig()
    return PropagatorConfig.from_dict({**base.to_dict(), **recipe.model})


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
    if recipe.start == RANDOM:
        propagator = AudioInsertPropagator(propagator_config(recipe))
    elif Path(recipe.start).is_file():
        propagator = _from_file(recipe, recipe.start)
    else:
        propagator = AudioInsertPropagator.from_pretrained(model_folder(recipe.start, PROPAGATOR))
        if recipe.fresh_insert:
            propagator = _with_fresh_insert(propagator, recipe)
    stored = propagator.config.to_dict()
    wanted = PropagatorConfig.from_dict({**stored, **recipe.model}).to_dict()
    differ = [key for key, value in wanted.items() if stored[key] != value]
    if differ:
        raise CoPropError(
            f"model has {', '.join(f'{key}={wanted[key]!r}' for key in differ)}, but the weights "
            f"{recipe.start} have {', '.join(f'{key}={stored[key]!r}' for key in differ)}; leave "
            "these out, or start from others."
        )
    _load_hearing(propagator, recipe)
    return propagator


def propagator_stage(
    recipe: PropagatorRecipe,
    propagator: AudioInsertPropagator,
    dataset: LabelledDataset,
    validation: Validation,
) -> Stage:
    """Stage two for `Session`: AdamW by AOT's schedule.

    Args:
        recipe: the settings.
        propagator: what is trained.
        dataset: the clips.
        validation: of the pipeline with this propagator.
    """
    objective = PropagatorObjective(propagator, recipe)
    options = SampleOptions(
        (recipe.size[0], recipe.size[1]),
        propagator.sample_rate,
        propagator.window_s,
        recipe.seed,
        recipe.augment,
        recipe.frames_per_clip,
        recipe.cached_clips,
    )
    samples = PropagatorSamples(dataset, options, propagator.config.max_objects)
    steps = steps_of(recipe, len(samples.clips))

    def is_told(step: int) -> bool:
        return step < recipe.told * steps

    def release(step: int) -> None:
        if not is_told(step):
            for name, parameter in propagator.named_parameters():
                if name.startswith(_IDENTITIES):
                    parameter.grad = None

    return Stage(
        objective=objective,
        samples=samples,
        collate=stack_sequences,
        optimizer=AdamW(parameter_groups(propagator, recipe)),
        steps=steps,
        learning_rate=lambda peak, step: learning_rate(peak, step, steps, recipe),
        arguments=lambda step: {"share": mining_share(step, steps), "told": is_told(step)},
        release=release,
        validate=validation.figures,
        save=validation.save,
    )


def _from_file(recipe: PropagatorRecipe, path: str) -> AudioInsertPropagator:
    config = propagator_config(recipe)
    return AudioInsertPropagator.from_checkpoint(
        path,
        insert_levels=config.insert_levels,
        long_term_gap=config.long_term_gap,
        max_memory_frames=config.max_memory_frames,
        max_long_edge=config.max_long_edge,
        audio_encoder=config.audio_encoder,
    )


def _with_fresh_insert(
    propagator: AudioInsertPropagator, recipe: PropagatorRecipe
) -> AudioInsertPropagator:
    """The propagator with new audio modules, shut, at the recipe's levels; its ears stay.

    Raises:
        CoPropError: it has no ears, and no weights for them are named.
    """
    chosen = {name: value for name, value in recipe.model.items() if name in _INSERT}
    config = PropagatorConfig.from_dict({**propagator.config.to_dict(), **chosen})
    if config.insert_levels and propagator.audio_insert is None and not recipe.audio_weights:
        raise _no_hearing()
    fresh = AudioInsertPropagator(config).eval()
    state = fresh.state_dict()
    for name, tensor in propagator.state_dict().items():
        if name in state and (name.startswith(_EARS) or not name.startswith("audio_insert.")):
            state[name] = tensor
    fresh.load_state_dict(state)
    return fresh


def _load_hearing(propagator: AudioInsertPropagator, recipe: PropagatorRecipe) -> None:
    """The audio encoder's weights, which official files of AOT do not have."""
    insert = propagator.audio_insert
    if insert is None or (recipe.audio_weights is None and _brings_hearing(str(recipe.start))):
        return
    if recipe.audio_weights is None:
        raise _no_hearing()
    if recipe.audio_weights != RANDOM:
        load_audio_encoder(insert.get_submodule("encoder"), recipe.audio_weights)


def _no_hearing() -> CoPropError:
    return CoPropError(
        "audio_weights is missing: the propagator hears through a pretrained encoder. Give its "
        f'file (--set audio_weights=FILE), or "{RANDOM}".'
    )


def _brings_hearing(start: str) -> bool:
    if not Path(start).is_file():
        return start != RANDOM
    return any(name.startswith(_EARS) for name in read_state_dict(start))
