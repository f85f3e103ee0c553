"""A network of another interpreter, as adapters see it."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from coprop.keyframes.adapters.inference import StandIn
from coprop.keyframes.process.client import WorkerClient
from coprop.keyframes.process.worker import packed, unpacked

_UNSET = object()


class RemoteNetwork(StandIn):
    """Stands in for a network, or a function, that a worker has; a call goes there.

    ``is_network`` says which. It has the class's name, the arguments and those attributes that
    adapters look at; what they set of these holds for a call. Only arguments, those attributes and
    the wanted part of the output cross.

    Args:
        client: the worker.

    Attributes:
        used: which part of the output is wanted (`worker.chosen`); None for all of it.
    """

    def __init__(self, client: WorkerClient) -> None:
        super().__init__()
        description = client.description
        self.client = client
        self.used: tuple[str, ...] | None = None
        self.class_names = tuple(description["classes"])
        self.is_network: bool = description["network"]
        self.__name__ = description["name"]
        self._arguments = tuple(description["arguments"])
        self._told = {path: held[0] for path, held in description["attributes"].items() if held}
        for path, held in description["attributes"].items():  # each after what it belongs to
            holder, _, name = path.rpartition(".")
            setattr(self.get_submodule(holder), name, held[0] if held else nn.Module())

    @property
    def forward(self) -> Any:  # type: ignore[override]
        """The call, with the arguments that the network itself has."""
        return _Forward(self)

    def ask(self, *arguments: Any, **named: Any) -> Any:
        """What the network returns for these arguments: tensors on the CPU.

        Raises:
            ModelOutputError: it failed, or returned what cannot be handed over.
        """
        arrays: list[Any] = []
        body = {
            "do": "call",
            "arguments": packed((arguments, named), arrays),
            "attributes": self._changed(),
            "gradients": torch.is_grad_enabled(),
            "used": self.used,
        }
        answer, found = self.client.ask(body, arrays)
        return unpacked(answer["output"], [_tensor(array) for array in found])

    def _changed(self) -> dict[str, Any]:
        """Those attributes that are not what the network has."""
        changed = {}
        for path in self.client.attributes:
            value: Any = self
            for name in path.split("."):
                value = getattr(value, name, _UNSET)
            known = value is _UNSET or isinstance(value, nn.Module)
            if not known and value != self._told.get(path, _UNSET):
                changed[path] = value
        return changed


def _tensor(array: NDArray[Any]) -> Tensor:
    """Of numbers that PyTorch calculates with: it has long integers without a sign in name only."""
    if array.dtype.kind == "u" and array.itemsize > 1:
        array = array.astype(np.int64)
    if array.dtype.kind == "f" and array.itemsize > 8:
        array = array.astype(np.float64)
    return torch.from_numpy(array)


class _Forward:
    """``network.forward``, whose signature is that of the network itself."""

    def __init__(self, network: RemoteNetwork) -> None:
        self._network = network

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        names = self._network._arguments
        return inspect.Signature([inspect.Parameter(name, kind) for name in names])

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._network.ask(*arguments, **named)
