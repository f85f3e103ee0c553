"""Running a user's network for inference, and leaving it as it was."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from coprop.errors import CoPropError

_OF_SHAPES = re.compile(r"shape|size|dimension|reshape|einops|elements|batch", re.IGNORECASE)
_OF_MEMORY = re.compile(r"out of memory", re.IGNORECASE)
_MOST_NOTED = 1 << 20  # numbers of a buffer; more are weights in 8 bits, which no call changes

# Two threads that run one module would each restore what the other had set. Networks may share
# modules, so that each module has its lock.
_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_LOCKS_GUARD = threading.Lock()


class StandIn(nn.Module):
    """Stands in for a network that is not in this process; its own class says nothing of that."""

    class_names: tuple[str, ...]
    """Of the network's class, and of the classes that it derives from."""


def class_names_of(model: nn.Module) -> tuple[str, ...]:
    """The names of a network's class and of the classes that it derives from, its own first."""
    if isinstance(model, StandIn):
        return model.class_names
    return tuple(kind.__name__ for kind in type(model).__mro__)


def unwrap(model: nn.Module) -> nn.Module:
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
    floating = (p.dtype for p in model.parameters() if p.is_floating_point())
    return next(floating, torch.get_default_dtype())


def network_of(part: object) -> nn.Module | None:
    """The network that a part of a pipeline is, holds or is a method of, where that can be told."""
    if isinstance(part, nn.Module):
        return part
    for name in ("network", "model", "__self__"):
        inner = getattr(part, name, None)
        if isinstance(inner, nn.Module):
            return inner
    for name in ("fn", "func"):  # of a `CallableSegmenter`, of functools.partial
        inner = getattr(part, name, None)
        if inner is not None and (found := network_of(inner)) is not None:
            return found
    return None


@contextmanager
def evaluation_mode(model: nn.Module, *, gradients: bool = False) -> Iterator[None]:
    """A network in evaluation mode, without gradients, on its own device; afterwards as before.

    Afterwards, also after an exception, every submodule has the training flag, the attributes and
    the buffers that it had: what a forward pass or the caller set on it in between is gone. Results
    are ordinary tensors, not those of inference mode, so that what the network keeps of them can be
    used in training. ``tensor.cuda()`` inside means the network's device, whichever that is.

    One thread at a time has a network; others that want it, or a part of it, wait.

    Args:
        model: the network.
        gradients: whether they are taken inside; those that parameters had come back afterwards.

    Example:
        >>> network = nn.Dropout().train()
        >>> with evaluation_mode(network):
        ...     network.training
        False
        >>> network.training
        True
    """
    with _alone_with(model):
        put_back = _noted(model)
        gradients_before = [(parameter, parameter.grad) for parameter in model.parameters()]
        try:
            with torch.set_grad_enabled(gradients), cuda_redirected(device_of(model)):
                with suppress(NotImplementedError):  # what torch.export makes has one mode
                    model.eval()
                if gradients:
                    model.zero_grad(set_to_none=True)
                yield
        finally:
            put_back()
            for parameter, gradient in gradients_before:
                parameter.grad = gradient


def _noted(model: nn.Module) -> Callable[[], None]:
    """What puts the modules of a network back into the state in which they are now."""
    modules = list(model.modules())
    scripted = [m for m in modules if isinstance(m, torch.jit.ScriptModule)]
    # Of each module its attributes, the training flag among them, and its buffers.
    kept = [(vars(m), dict(vars(m))) for m in modules]
    kept += [(m._buffers, dict(m._buffers)) for m in modules if m not in scripted]
    # Those of TorchScript keep the flag elsewhere, and have none where they are frozen.
    flags = [(m, m.training) for m in scripted if hasattr(m, "training")]
    buffers = [b for b in model.buffers() if not (b.is_inference() or is_lazy(b))]
    values = [(b, b._version, b.clone()) for b in buffers if b.numel() <= _MOST_NOTED]

    def put_back() -> None:
        for now, before in kept:
            for name in now.keys() - before.keys():
                del now[name]
            now.update(before)
        for module, flag in flags:
            module.training = flag
        for buffer, version, value in values:
            if buffer._version != version:  # it was changed in its place
                with torch.no_grad():
                    buffer.copy_(value)

    return put_back


@contextmanager
def _alone_with(model: nn.Module) -> Iterator[None]:
    with _LOCKS_GUARD:
        locks = [_LOCKS.setdefault(module, threading.RLock()) for module in model.modules()]
    with ExitStack() as held:
        for lock in sorted(locks, key=id):  # in one order, so that no two threads wait in a circle
            held.enter_context(lock)
        yield


def cuda_redirected(device: torch.device) -> AbstractContextManager[object]:
    """Makes ``tensor.cuda()`` put tensors on a device, in this thread."""
    return torch.cuda.device(device) if device.type == "cuda" else _CudaRedirected(device)


class _CudaRedirected(TorchFunctionMode):
    """Intercepts ``Tensor.cuda``, which fails where there is no GPU, and changes nothing global."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.cuda:
            return args[0].to(self._device)
        return func(*args, **(kwargs or {}))


@contextmanager
def failures_explained(name: str, *, given: int | None = None) -> Iterator[None]:
    """Adds how to mend it to what a network raises; what cannot be mended so passes as it is.

    Args:
        name: the network's, or the function's.
        given: how many frames it was given, where ``frames_per_call`` was left to its default.

    Raises:
        CoPropError: the network takes gradients, or a number of frames that it was not given.
    """
    try:
        yield
    except CoPropError:
        raise
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        reason = str(error).strip().partition("\n")[0]
        if "does not require grad" in reason:
            raise CoPropError(
                f"{name} takes gradients inside its forward, and was called without any "
                f"({reason}); give CoProp.wrap an adapter CallableSegmenter(fn, gradients=True)."
            ) from error
        if given is not None and _OF_SHAPES.search(reason) and not _OF_MEMORY.search(reason):
            count = "one frame" if given == 1 else f"{given} frames"
            raise CoPropError(
                f"{name} failed on {count} ({reason}); where it takes clips of T frames, say so "
                "with CallableSegmenter(fn, frames_per_call=T)."
            ) from error
        raise
