"""The average of the weights over a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class WeightAverage(AveragedModel):
    """An exponential moving average of parameters (AOT's), which is what a training hands over.

    The decay rises with the updates n, (1 + n) / (10 + n), until it is 1 - 1 / ``steps``: so the
    first weights, which are worse, are soon forgotten.

    Args:
        parameters: those that are trained, by which the average begins.
        steps: about how many the average is over.
    """

    def __init__(self, parameters: nn.ParameterList, steps: float) -> None:
        highest = 1 - 1 / max(steps, 1.0)

        def update(averages: Sequence[Tensor], values: Sequence[Tensor], updates: Any) -> None:
            decay = min(highest, (1 + int(updates)) / (10 + int(updates)))
            for average, value in zip(averages, values, strict=True):
                average.lerp_(value, 1 - decay)

        super().__init__(parameters, multi_avg_fn=update)
        self.n_averaged += 1  # PyTorch would forget the first weights at the first update

    @contextmanager
    def applied(self, parameters: nn.ParameterList) -> Iterator[None]:
        """The parameters change places with their averages while the context lasts."""
        self._swap(parameters)
        try:
            yield
        finally:
            self._swap(parameters)

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """Restores what `state_dict` gave, of this version or of earlier ones."""
        if "averages" in state_dict:
            averages = state_dict["averages"].values()  # in the order of the parameters
            state_dict = {f"module.{n}": average for n, average in enumerate(averages)} | {
                "n_averaged": torch.tensor(int(state_dict["updates"]) + 1)
            }
        return super().load_state_dict(state_dict, strict, assign)

    def _swap(self, parameters: nn.ParameterList) -> None:
        for average, parameter in zip(self.parameters(), parameters, strict=True):
            average.data, parameter.data = parameter.data, average.data
