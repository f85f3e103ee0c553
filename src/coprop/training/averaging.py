"""The moving average of weights, which is what a training hands over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of a module's trained parameters (AOT's).

    The decay rises with the updates, (1 + n) / (10 + n), until it is ``decay``.

    Args:
        module: whose parameters are averaged; those that do not require gradients are left out.
        decay: in [0, 1).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._averages = {n: p.detach().clone() for n, p in _trained(module)}

    @classmethod
    def over(cls, module: nn.Module, steps: float) -> WeightAverage:
        """An average over about so many steps."""
        return cls(module, 1 - 1 / max(steps, 1.0))

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Takes the parameters after another step into account."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, parameter in _trained(module):
            self._averages[name].lerp_(parameter.detach(), 1 - decay)

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """The module has the averages for its parameters while the context lasts."""
        kept = {name: parameter.detach().clone() for name, parameter in _trained(module)}
        self._copy(module, self._averages)
        try:
            yield
        finally:
            self._copy(module, kept)

    def state_dict(self) -> dict[str, Any]:
        """The averages and how many updates they have seen."""
        return {"updates": self.updates, "averages": self._averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave."""
        self.updates = int(state["updates"])
        for name, average in self._averages.items():
            average.copy_(state["averages"][name])

    @torch.no_grad()
    def _copy(self, module: nn.Module, values: dict[str, Tensor]) -> None:
        for name, parameter in _trained(module):
            parameter.copy_(values[name])


def _trained(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """By the names of its state dict, which stay where a module of it is moved into another."""
    named = module.state_dict(keep_vars=True).items()
    return [(name, p) for name, p in named if isinstance(p, nn.Parameter) and p.requires_grad]
