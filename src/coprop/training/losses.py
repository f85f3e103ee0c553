"""The losses of the trainings. Each sample has its own, so that batches can be split freely.

The mean over samples is the same however many processes share a batch; a sum over all pixels of a
batch, with a different number of them counting in each sample, would not be.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from coprop.propagation.masks import VOID

_SMOOTH = 1.0  # of Dice: pixels that both masks are given, so that two empty masks agree
_NO_AREA = 1e-6  # pixels; far below any union that counts, and the quotient stays finite


def binary_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy plus Dice, what the field trains binary masks with.

    Args:
        logits: (N, 1, H, W) of "sounds".
        labels: (N, H, W) integers, 0 for background, others sound; `VOID` does not count.

    Returns:
        (N,) one loss for each frame.
    """
    counted = (labels != VOID).float()
    target = ((labels > 0) & (labels != VOID)).float()
    logits = logits[:, 0].float()
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return _mean(entropy, counted) + _dice(logits.sigmoid() * counted, target)


def semantic_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy plus the mean Dice of the classes that a frame has, background included.

    Args:
        logits: (N, C, H, W), channel 0 the background.
        labels: (N, H, W) integers below C; `VOID` does not count.

    Returns:
        (N,) one loss for each frame.
    """
    counted = (labels != VOID).float()
    classes = labels.long().masked_fill(labels == VOID, 0)
    entropy = F.cross_entropy(logits.float(), classes, reduction="none")
    target = F.one_hot(classes, logits.shape[1]).movedim(-1, 1) * counted.unsqueeze(1)
    probability = logits.float().softmax(dim=1) * counted.unsqueeze(1)
    dice = _dice(probability.flatten(0, 1), target.flatten(0, 1)).view(logits.shape[:2])
    present = (target.sum(dim=(2, 3)) > 0).float()
    return _mean(entropy, counted) + _mean(dice, present)


def bootstrapped_cross_entropy(logits: Tensor, labels: Tensor, share: float) -> Tensor:
    """Mean cross-entropy of the worst pixels, as AOT trains with.

    Args:
        logits: (N, C, H, W).
        labels: (N, H, W) integers below C; `VOID` pixels count as no error.
        share: of the pixels, in (0, 1], which count; at least one does.

    Returns:
        (N,) one loss for each frame.
    """
    entropy = F.cross_entropy(logits.float(), labels.long(), ignore_index=VOID, reduction="none")
    entropy = entropy.flatten(1)
    worst = max(int(share * entropy.shape[1]), 1)
    return entropy.topk(worst, dim=1, sorted=False).values.mean(dim=1)


def mining_share(step: int, steps: int) -> float:
    """Which share of the pixels counts at a step: all at first, 15 % from half-way on, as AOT's.

    Args:
        step: from 0.
        steps: of the whole training.

    >>> [mining_share(step, 100) for step in (0, 50, 99)]
    [1.0, 0.15, 0.15]
    """
    progress = min(step / max(0.5 * steps, 1.0), 1.0)
    return progress * 0.15 + (1 - progress)


def soft_jaccard(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - J of soft masks, the mean over the objects that a frame has; 0 where it has none.

    Args:
        logits: (N, 1 + K, H, W), channel 0 the background.
        labels: (N, H, W) integers up to K; `VOID` does not count.

    Returns:
        (N,) one loss for each frame.
    """
    counted = (labels != VOID).unsqueeze(1)
    probability = (logits.float().softmax(dim=1) * counted)[:, 1:]
    identities = torch.arange(1, logits.shape[1], device=labels.device).view(1, -1, 1, 1)
    target = (labels.unsqueeze(1) == identities).to(probability)
    overlap, union, present = soft_areas(probability, target)
    return _mean(1 - overlap / union, present)


def soft_areas(probability: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Intersection and union of masks in [0, 1], and 1 where the target has any area.

    Args:
        probability: (..., H, W).
        target: the same.

    Returns:
        Three tensors of the shape (...).
    """
    overlap = (probability * target).sum(dim=(-2, -1))
    union = (probability + target - probability * target).sum(dim=(-2, -1)).clamp_min(_NO_AREA)
    return overlap, union, (target.sum(dim=(-2, -1)) > 0).to(probability)


def _dice(probability: Tensor, target: Tensor) -> Tensor:
    """(N, H, W) twice -> (N,) 1 - Dice."""
    overlap = (probability * target).sum(dim=(1, 2))
    areas = probability.sum(dim=(1, 2)) + target.sum(dim=(1, 2))
    return 1 - (2 * overlap + _SMOOTH) / (areas + _SMOOTH)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of each sample's values, (N, ...) -> (N,); 0 where nothing has weight."""
    total = weights.flatten(1).sum(dim=1)
    return (values * weights).flatten(1).sum(dim=1) / total.clamp_min(1)
