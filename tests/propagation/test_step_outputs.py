"""A propagator that returns probabilities in place of logits is told."""

from __future__ import annotations

import warnings

import pytest
import torch

from coprop.propagation.checks import warn_of_step_probabilities


@pytest.mark.parametrize(
    "values",
    [
        torch.rand(1, 3, 8, 8).softmax(dim=1),
        torch.rand(1, 2, 8, 8, dtype=torch.float16),
        torch.eye(2).view(1, 2, 1, 2),
        torch.eye(2, dtype=torch.bool).view(1, 2, 1, 2),
    ],
)
def test_probabilities_and_masks_are_told_with_their_mend(values: torch.Tensor) -> None:
    with pytest.warns(UserWarning, match=r"torch\.log\(probabilities") as told:
        assert warn_of_step_probabilities(values)
    assert len(told) == 1


def test_the_mend_keeps_the_probabilities() -> None:
    probabilities = torch.tensor([1.0, 0.7, 0.0, 0.0, 0.3, 1.0]).view(1, 2, 1, 3)
    logits = torch.log(probabilities.clamp_min(1e-6))
    assert torch.allclose(logits.softmax(dim=1), probabilities, atol=2e-6)
    assert not warn_of_step_probabilities(logits)


@pytest.mark.parametrize(
    "values",
    [
        torch.linspace(-4, 4, 32).view(1, 2, 4, 4),
        torch.zeros(1, 2, 4, 4),
        torch.full((1, 2, 4, 4), torch.nan),
        torch.zeros(1, 2, 0, 4),
    ],
)
def test_logits_and_what_cannot_be_judged_are_left_alone(values: torch.Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not warn_of_step_probabilities(values)
