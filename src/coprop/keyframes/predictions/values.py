"""What the values of predictions mean: found out, and turned into probabilities or logits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop.errors import PredictionError

Values = Literal["mask", "labels", "probabilities", "logits"]
"""What the values of predictions mean.

- "mask": 0 is background; 1, or else 255, is "sounds".
- "labels": class ids, 0 being background; 255 is void, which counts as background.
- "probabilities": in [0, 1], of "sounds" or, with several channels that sum to one, of classes;
  8-bit values are divided by 255.
- "logits": before the sigmoid, or with several channels before the softmax.
"""

VOID = 255  # of label maps, as PASCAL VOC has it; in masks it is white
_HIGHEST_ID = 70  # of AVSS's classes
_FEW = 16  # no more classes are in one picture, as a rule
_MANY = 64  # different values are in most soft masks, and in no label map
_ROUNDING = 1e-3  # as much do resizing and half precision leave [0, 1]
_SUM = 1e-2  # as far may the probabilities of all classes sum beyond one, in half precision
_SAY = (
    'say what they are: values="mask", "labels", "probabilities" or "logits" (on the command line, '
    "--values)"
)


@dataclass(frozen=True, eq=False)
class Raw:
    """One prediction as it was written.

    Args:
        values: (h, w), or (C, h, w), bool, integer or float.
        name: where it lies, for errors.
        ids: whether the file itself says that they are class ids, by a palette or by colours.
    """

    values: NDArray[Any]
    name: str
    ids: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.values.shape[-2], self.values.shape[-1]

    @property
    def channels(self) -> int:
        """C, 1 where there is no such axis."""
        return self.values.shape[0] if self.values.ndim == 3 else 1


def find_values(looked_at: Iterable[Raw]) -> Values:
    """What the values of some predictions of one origin mean.

    Raises:
        PredictionError: they could mean several things, or nothing.
    """
    seen: set[float] = set()
    most = 0  # different values in one of them
    low, high, whole, integer, name = np.inf, -np.inf, True, True, ""
    channels = 1
    for raw in looked_at:
        if raw.ids:
            return "labels"
        values = finite(raw)
        name, channels = name or raw.name, max(channels, raw.channels)
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        integer = integer and values.dtype.kind in "biu"
        whole = whole and bool((values == np.round(values)).all())
        if whole:
            own = np.unique(values).tolist()
            seen.update(own)
            most = max(most, len(own))
    if channels > 1 or not whole or (low < 0 and not integer):
        return _of_real_numbers(low, high, channels, name, integer=integer)
    return _of_whole_numbers(seen, most, name, integer=integer)


def _of_real_numbers(low: float, high: float, channels: int, name: str, *, integer: bool) -> Values:
    if low >= -_ROUNDING and high <= 1 + _ROUNDING:
        return "probabilities"
    if not integer and (low < 0 or channels > 1):
        return "logits"
    raise PredictionError(
        f"the values of {name} lie in [{low:.3g}, {high:.3g}]: too large for probabilities, and "
        f"as logits they would mask every pixel; {_SAY}."
    )


def _of_whole_numbers(seen: set[float], most: int, name: str, *, integer: bool) -> Values:
    if seen <= {0, 1} or seen <= {0, VOID}:
        return "mask"
    others = seen - {VOID}
    if most <= _FEW and min(others) >= 0 and max(others) <= _HIGHEST_ID:
        return "labels"
    if integer and most > _MANY and min(seen) >= 0 and max(seen) <= VOID:
        return "probabilities"
    some = ", ".join(f"{value:g}" for value in sorted(seen)[:8])
    more = ", ..." if len(seen) > 8 else ""
    raise PredictionError(
        f"the values of {name} and its like ({some}{more}) could be class ids or a soft mask; "
        f"{_SAY}."
    )


def finite(raw: Raw) -> NDArray[Any]:
    """Its values, (C, h, w); real ones in single precision.

    Raises:
        PredictionError: NaN or infinite ones, in single precision.
    """
    values = raw.values if raw.values.ndim == 3 else raw.values[None]
    if values.dtype.kind != "f":
        return values
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise PredictionError(
            f"{raw.name} has NaN or infinite values; write it again from finite ones."
        )
    return values


def as_soft(raw: Raw, meaning: Values) -> Tensor:
    """A prediction as logits (1, C, h, w) float32, where that is what it is, or else probabilities.

    Raises:
        PredictionError: values that do not mean that.
    """
    values = finite(raw)
    if meaning in ("mask", "labels"):
        return _from_whole_numbers(values, raw.name, meaning)
    soft = torch.from_numpy(np.array(values, dtype=np.float32))[None]
    if meaning == "logits":
        return soft
    if values.dtype.kind in "iu" and raw.channels == 1:
        soft = soft / 255
    low, high = float(soft.min()), float(soft.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise PredictionError(
            f"{raw.name} should hold probabilities in [0, 1], or whole numbers up to 255, but its "
            f'values lie in [{low:.3g}, {high:.3g}]; give values="logits", if that is what they '
            "are."
        )
    if raw.channels > 1 and float((soft.sum(dim=1) - 1).abs().max()) > _SUM:
        raise PredictionError(
            f"the probabilities of the {raw.channels} classes in {raw.name} do not sum to one; "
            "write them after a softmax over classes with background first, or write the logits."
        )
    return soft.clamp(0, 1)


def _from_whole_numbers(values: NDArray[Any], name: str, meaning: Values) -> Tensor:
    present = np.unique(values)
    fits = len(values) == 1 and bool((present == np.round(present)).all())
    if meaning == "mask":
        fits = fits and bool(np.isin(present, (0, 1)).all() or np.isin(present, (0, VOID)).all())
        if not fits:
            raise PredictionError(
                f"{name} should be a mask of 0 and 1, or of 0 and 255, but has other values, up to "
                f'{float(present.max()):g}; give values="labels" for class ids (255 is void), or '
                '"probabilities" for soft masks.'
            )
        return torch.from_numpy(values != 0).float()[None]
    if not (fits and present.min() >= 0 and present.max() <= VOID):
        raise PredictionError(
            f"{name} should be a label map of whole numbers from 0 to 255, but has values from "
            f"{float(present.min()):g} to {float(present.max()):g} in {len(values)} channel(s)."
        )
    ids = torch.from_numpy(np.where(values[0] == VOID, 0, values[0]).astype(np.int64))
    classes = max(int(ids.max()) + 1, 2)
    return torch.nn.functional.one_hot(ids, classes).permute(2, 0, 1).float()[None]
