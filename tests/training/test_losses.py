"""The losses against slow ones, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coprop.propagation.masks import VOID
from coprop.training.losses import (
    binary_loss,
    bootstrapped_cross_entropy,
    mining_share,
    semantic_loss,
    soft_jaccard,
)


def drawn(seed: int, classes: int, *, void: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, 2, (2, classes, 4, 5)))
    labels = torch.from_numpy(rng.integers(0, max(classes, 2), (2, 4, 5)))
    if void:
        labels[torch.from_numpy(rng.random((2, 4, 5)) < 0.2)] = VOID
    return logits, labels


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(v - max(values)) for v in values]
    return [p / sum(powers) for p in powers]


def pixels(logits: torch.Tensor, labels: torch.Tensor) -> list[tuple[list[float], int]]:
    """Logits and label of every pixel of one frame."""
    rows = logits.flatten(1).T.tolist()
    return list(zip(rows, labels.flatten().tolist(), strict=True))


def slow_binary(logits: torch.Tensor, labels: torch.Tensor) -> float:
    entropy = overlap = found = wanted = count = 0.0
    for (logit,), label in pixels(logits, labels):
        if label == VOID:
            continue
        p, t = 1 / (1 + math.exp(-logit)), float(label > 0)
        entropy -= math.log(p) if t else math.log(1 - p)
        overlap, found, wanted, count = overlap + p * t, found + p, wanted + t, count + 1
    return entropy / max(count, 1) + 1 - (2 * overlap + 1) / (found + wanted + 1)


def slow_semantic(logits: torch.Tensor, labels: torch.Tensor) -> float:
    seen = [(softmax(row), label) for row, label in pixels(logits, labels) if label != VOID]
    entropy = -sum(math.log(p[label]) for p, label in seen) / max(len(seen), 1)
    dice = []
    for c in {label for _, label in seen}:
        overlap = sum(p[c] for p, label in seen if label == c)
        areas = sum(p[c] for p, _ in seen) + sum(label == c for _, label in seen)
        dice.append(1 - (2 * overlap + 1) / (areas + 1))
    return entropy + (sum(dice) / len(dice) if dice else 0)


def slow_bootstrapped(logits: torch.Tensor, labels: torch.Tensor, share: float) -> float:
    errors = [
        0.0 if label == VOID else -math.log(softmax(row)[label])
        for row, label in pixels(logits, labels)
    ]
    worst = sorted(errors, reverse=True)[: max(int(share * len(errors)), 1)]
    return sum(worst) / len(worst)


def slow_jaccard(logits: torch.Tensor, labels: torch.Tensor) -> float:
    seen = [(softmax(row), label) for row, label in pixels(logits, labels) if label != VOID]
    losses = []
    for c in {label for _, label in seen if label > 0}:
        overlap = sum(p[c] for p, label in seen if label == c)
        union = sum(1.0 if label == c else p[c] for p, label in seen)
        losses.append(1 - overlap / union)
    return sum(losses) / len(losses) if losses else 0.0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), classes=st.integers(2, 5), share=st.floats(0.01, 1))
def test_against_slow_ones(seed: int, classes: int, share: float) -> None:
    logits, labels = drawn(seed, classes)
    one, marks = drawn(seed, 1)
    cases = [
        (binary_loss(one, marks), slow_binary, (one, marks), ()),
        (semantic_loss(logits, labels), slow_semantic, (logits, labels), ()),
        (soft_jaccard(logits, labels), slow_jaccard, (logits, labels), ()),
        (
            bootstrapped_cross_entropy(logits, labels, share),
            slow_bootstrapped,
            (logits, labels),
            (share,),
        ),
    ]
    for losses, slow, data, more in cases:
        expected = [slow(*frame, *more) for frame in zip(*data, strict=True)]
        assert losses.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_frames_do_not_touch_each_other() -> None:
    """What lets processes share a batch: a frame's loss is the same in any company."""
    logits, labels = drawn(1, 4)
    for loss in (semantic_loss, soft_jaccard):
        assert torch.allclose(loss(logits, labels)[1:], loss(logits[1:], labels[1:]))


def test_void_has_no_gradient() -> None:
    logits, labels = drawn(2, 3)
    logits.requires_grad_()
    (semantic_loss(logits, labels) + soft_jaccard(logits, labels)).sum().backward()
    assert logits.grad is not None
    void = (labels == VOID).unsqueeze(1).expand_as(logits)
    assert void.any()
    assert not logits.grad[void].any()


def test_all_void_and_all_background() -> None:
    logits, labels = drawn(3, 3)
    assert semantic_loss(logits, torch.full_like(labels, VOID)).tolist() == [0, 0]
    assert soft_jaccard(logits, torch.zeros_like(labels)).tolist() == [0, 0]
    empty = binary_loss(torch.full((1, 1, 4, 4), -30.0), torch.zeros(1, 4, 4))
    assert empty.item() == pytest.approx(0, abs=1e-5)  # nothing sounds, and nothing is marked


def test_the_share_falls_in_a_line_until_half_way() -> None:
    shares = [mining_share(step, 100) for step in (0, 25, 50, 99)]
    assert shares == pytest.approx([1, 0.575, 0.15, 0.15])
    assert mining_share(0, 0) == 1
