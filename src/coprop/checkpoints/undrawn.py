"""Modules that are about to be filled from a file, made without drawing their weights first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

# The others of torch.nn.init come down to these.
_DRAWS = {init.uniform_, init.normal_, init.kaiming_uniform_, Tensor.uniform_, Tensor.normal_}


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
