"""Training what the default makes of what it sees: what is in the picture, and masks of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.keyframes.decision import SEEN
from coprop.keyframes.eyes import VOC_KIND, Sight
from coprop.keyframes.grounded import GroundedNetwork
from coprop.training.loop import LoopOptions, train
from coprop.training.losses import soft_jaccard_loss
from coprop.training.scenes import SeenScene

_QUESTIONS = 2  # asked of a scene in one batch
_UNRECOGNISED, _ABSENT = 0.2, 0.12  # shares of the questions
_BLIND = 0.12  # how often one of the two other networks sees nothing
_DRAWN = 5  # as many photographs more, of the average group
_LEAST_AREA = 0.01  # of the frame: smaller things need not be recognised


def train_refinement(
    network: GroundedNetwork,
    scenes: Sequence[SeenScene],
    checkpoint: Path,
    *,
    steps: int = 1500,
    batch: int = 4,
) -> None:
    """Fits the refinement: masks of what is asked for, of scenes seen by eyes that do not change.

    Args:
        network: whose refinement learns.
        scenes: of `see_scenes`.
        checkpoint: continued from where it exists.
        steps: batches.
        batch: scenes in a batch, of one size; each is asked two questions.
    """
    network.requires_grad_(False)
    network.refinement.requires_grad_(True)
    sizes: dict[tuple[int, ...], list[SeenScene]] = defaultdict(list)
    for scene in scenes:
        sizes[tuple(scene.sight.salient.shape)].append(scene)
    groups = list(sizes.values())
    shares = np.array([len(group) for group in groups]) / len(scenes)

    def loss(rng: np.random.Generator) -> Tensor:
        group = groups[int(rng.choice(len(groups), p=shares))]
        chosen = [group[int(i)] for i in rng.integers(len(group), size=batch)]
        asked = [_question(network, scene, rng) for scene in chosen for _ in range(_QUESTIONS)]
        sights, sounding, other, targets = zip(*asked, strict=True)
        logits = network.refinement(
            _batched(sights), torch.stack(sounding), torch.stack(other)
        ).squeeze(1)
        target = torch.stack(targets)
        entropy = F.binary_cross_entropy_with_logits(logits, target)
        return entropy + soft_jaccard_loss(logits.sigmoid(), target)

    learned = nn.ModuleDict({"refinement": network.refinement})
    options = LoopOptions(steps, learning_rate=2e-3, weight_decay=1e-2)
    train("refinement", learned, loss, options, checkpoint)
    network.eval()


def fit_sources(network: GroundedNetwork, scenes: Sequence[SeenScene]) -> float:
    """Fits how evidence tells that a group is in the picture, and how often each is overlooked.

    The first is a logistic model in which more evidence never tells against a group; photographs
    as they were taken, which are like video, count threefold. The second is a share of these
    photographs, drawn towards that of all groups together.

    Returns:
        the first's cross-entropy, per scene and group.
    """
    sources = network.sources
    kinds = torch.cat([sources.strongest(_batched([scene.sight])) for scene in scenes])
    truth = torch.zeros(kinds.shape[:2])
    for row, scene in zip(truth, scenes, strict=True):
        for group, mask in zip(scene.groups, scene.masks, strict=True):
            if mask.float().mean() >= _LEAST_AREA:
                row[network.groups.index(group)] = 1
    natural = torch.tensor([scene.natural for scene in scenes])
    counts = torch.where(natural, 3.0, 1.0)[:, None].expand_as(truth)
    free = sources.presence.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([free], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = kinds @ F.softplus(free[:-1]) + free[-1]
        value = F.binary_cross_entropy_with_logits(logits, truth, counts)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    last = float(optimizer.step(loss).detach())  # type: ignore[no-untyped-call]
    fitted = free.detach()
    sources.presence.copy_(torch.cat([F.softplus(fitted[:-1]), fitted[-1:]]))
    seen = (kinds @ sources.presence[:-1] + sources.presence[-1]).sigmoid() >= SEEN
    shown = (truth > 0) & natural[:, None]
    missed, total = (shown & ~seen).sum(dim=0), shown.sum(dim=0)
    share = missed.sum() / total.sum().clamp_min(1)
    sources.overlooked.copy_((missed + _DRAWN * share) / (total + _DRAWN))
    return last


def _question(
    network: GroundedNetwork, scene: SeenScene, rng: np.random.Generator
) -> tuple[Sight, Tensor, Tensor, Tensor]:
    """What is seen, what is asked for, (G,) and (), and its mask (h / 4, w / 4)."""
    groups = [network.groups.index(group) for group in scene.groups]
    asked, other = torch.zeros(len(network.groups)), torch.tensor(0.0)
    evidence, salient = scene.sight.evidence.float(), scene.sight.salient.float()
    choice = rng.random()
    if groups and choice < _UNRECOGNISED:  # the largest thing, without what is known of it
        largest = groups[int(np.argmax([float(mask.sum()) for mask in scene.masks]))]
        wanted, other = {largest}, torch.tensor(1.0)
        evidence = evidence.index_fill(0, torch.tensor([largest]), 0.0)
    elif groups and choice < 1 - _ABSENT:
        wanted = set(rng.permutation(groups)[: rng.choice([1, 2, 3], p=[0.65, 0.25, 0.1])].tolist())
        asked[list(wanted)] = 1
        if rng.random() < 0.25:
            wanted |= {int(rng.integers(len(asked)))}
            asked[list(wanted)] = 1
    else:
        wanted = {int(rng.integers(len(asked)))}
        asked[list(wanted)] = 1
    target = torch.zeros(salient.shape[-2:])
    for group, mask in zip(groups, scene.masks, strict=True):
        if group in wanted:
            target = torch.maximum(target, mask.float())
    if rng.random() < _BLIND:
        evidence = evidence.index_fill(1, torch.tensor([VOC_KIND]), 0.0)
    if rng.random() < _BLIND and not other:
        salient = torch.zeros_like(salient)
    parts = [level.float() for level in scene.sight.pyramid] + [evidence, salient, target]
    if rng.random() < 0.5:
        parts = [part.flip(-1) for part in parts]
    *pyramid, evidence, salient, target = parts
    return Sight(tuple(pyramid), evidence, salient), asked, other, target


def _batched(sights: Sequence[Sight]) -> Sight:
    """Several frames' as one, of one frame each without that axis."""
    pyramid = (torch.stack(levels) for levels in zip(*(s.pyramid for s in sights), strict=True))
    evidence = torch.stack([sight.evidence for sight in sights])
    return Sight(tuple(pyramid), evidence, torch.stack([sight.salient for sight in sights]))
