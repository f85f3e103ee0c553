"""Running a user's network as it must be run, and leaving it as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.overrides import TorchFunctionMode

# Two threads that lend one network would each restore what the other had set.
_LOCK = threading.RLock()


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside ``torch.compile``, ``DataParallel`` or ``DistributedDataParallel``."""
    while True:
        inner = getattr(model, "_orig_mod", None)  # torch.compile's
        if isinstance(model, DataParallel | DistributedDataParallel):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def device_of(model: nn.Module) -> torch.device:
    """Where a network's parameters, or else its buffers, are; the CPU where it has none."""
    for tensor in chain(model.parameters(), model.buffers()):
        return tensor.device
    return torch.device("cpu")


def dtype_of(model: nn.Module) -> torch.dtype:
    """The precision of a network's parameters."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return parameter.dtype
    return torch.get_default_dtype()


@contextmanager
def lent(model: nn.Module) -> Iterator[None]:
    """A network in evaluation mode, without gradients, on its own device; afterwards as before.

    Afterwards, also after an exception, every submodule has the training flag and the attributes
    that it had: what a forward pass or the caller set on it in between is gone. Results are
    ordinary tensors, not those of inference mode, so that what the network keeps of them can be
    used in training. ``tensor.cuda()`` inside means the network's device, whichever that is.

    One network is lent at a time in a process; other threads wait.
    """
    with _LOCK:
        before = [_Attributes(module) for module in model.modules()]
        try:
            with torch.no_grad(), _cuda_meaning(device_of(model)):
                model.eval()
                yield
        finally:
            for attributes in before:
                attributes.restore()


class _Attributes:
    """What a module's names and buffers stood for, the training flag among them."""

    def __init__(self, module: nn.Module) -> None:
        self._now: tuple[dict[str, Any], ...] = (vars(module), module._buffers)
        self._then = tuple(dict(names) for names in self._now)

    def restore(self) -> None:
        for now, then in zip(self._now, self._then, strict=True):
            for name in now.keys() - then.keys():
                del now[name]
            now.update(then)


def _cuda_meaning(device: torch.device) -> AbstractContextManager[object]:
    """Makes ``tensor.cuda()`` put tensors on a device, in this thread."""
    return torch.cuda.device(device) if device.type == "cuda" else _StayOn(device)


class _StayOn(TorchFunctionMode):
    """Intercepts ``Tensor.cuda``, which fails where there is no GPU, and changes nothing global."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.cuda:
            return args[0].to(self._device)
        return func(*args, **(kwargs or {}))
