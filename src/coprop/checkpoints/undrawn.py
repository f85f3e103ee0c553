"""Modules that are about to be filled from a file, made without drawing their weights first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

# The others of torch.nn.init come down to these.
_DRAWS = {init.uniform_, init.normal_, init.kaiming_uniform_, Tensor.uniform_, Tensor.normal_}


@contextmanager
def to_be_filled() -> Iterator[None]:
    """What is made within it lies on the CPU, undrawn, and takes none of the caller's numbers.

    For modules that `load_state_dict` then fills.
    """
    # Not all that draws is left out, so that the generator is put back as well.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), Undrawn():
        yield


class Undrawn(TorchFunctionMode):
    """Leaves at what was in memory what would be drawn at random, in this thread.

    Drawing takes several times as long as reading. For what `load_state_dict` then fills, which
    refuses a file without all of it.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in _DRAWS:
            return args[0] if args else named["tensor"]
        return func(*args, **named)
