"""What the metrics refuse, with what they take instead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop.errors import CoPropError
from coprop.utils.checks import array_of, is_plain, shown

BoolSeries = Tensor | NDArray[np.bool_] | Sequence[bool]
"""(T,) bool."""


def as_tensor(value: object, name: str) -> Tensor:
    """A tensor as it is, or the numbers of an array or list as one, on the CPU."""
    if isinstance(value, Tensor):
        if not is_plain(value) and not value.is_complex():
            raise CoPropError(
                f"{name} must be a plain tensor, got {shown(value)} ({value.layout})."
            )
        return value
    array = array_of(name, value)
    # torch has no extended precision, no other order of bytes and no steps backwards in memory.
    extended = array.dtype.kind == "f" and array.itemsize > 8
    dtype = np.dtype(np.float64) if extended else array.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, dtype=dtype, order="C"))


def check_probabilities(probabilities: Tensor) -> Tensor:
    """Float probabilities of the foreground, (N, H, W) in [0, 1], with at least one pixel."""
    probabilities = as_tensor(probabilities, "probabilities")
    if not probabilities.is_floating_point():
        raise CoPropError(
            f"probabilities must be float in [0, 1], got {probabilities.dtype}; convert a mask "
            "with .float()."
        )
    check_frames(probabilities, "probabilities")
    low, high = probabilities.detach().aminmax()
    if not (low >= 0 and high <= 1):
        raise CoPropError(
            f"probabilities must lie in [0, 1], got {float(low):.4g} to {float(high):.4g}; apply "
            "torch.sigmoid() to logits, and look for NaN."
        )
    return probabilities


def foreground(mask: Tensor, name: str, dimensions: int = 3) -> Tensor:
    """A mask as bool: whatever is not 0 is foreground."""
    mask = as_tensor(mask, name)
    if mask.is_floating_point() or mask.is_complex():
        raise CoPropError(
            f"{name} must be a bool or integer mask, got {mask.dtype}; threshold it first, for "
            "instance with > 0.5."
        )
    if mask.ndim != dimensions:
        raise CoPropError(
            f"{name} must have {dimensions} dimensions, frames first, got shape "
            f"{tuple(mask.shape)}; one frame is {name}[None]."
        )
    return mask != 0


def check_frames(values: Tensor, name: str) -> None:
    """(N, H, W) with at least one frame and one pixel."""
    if values.ndim != 3 or values.numel() == 0:
        raise CoPropError(
            f"{name} must have the shape (N, H, W) with at least one frame and one pixel, got "
            f"{tuple(values.shape)}; one frame is N = 1, {name}[None]."
        )


def check_same_shape(first: Tensor, second: Tensor, names: str) -> None:
    """Two tensors of one shape; ``names`` says what they are."""
    if first.shape != second.shape:
        raise CoPropError(
            f"{names} must have one shape, got {tuple(first.shape)} and {tuple(second.shape)}; "
            "resize the prediction to the target's size."
        )


def check_pair(probabilities: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities and their target as tensors, (N, H, W) both; the target as bool."""
    probabilities = check_probabilities(probabilities)
    wanted = foreground(target, "target")
    check_same_shape(probabilities, wanted, "probabilities and target")
    return probabilities, wanted


def series_of(values: BoolSeries, name: str) -> Tensor:
    """(T,) bool tensor of at least one frame."""
    series = as_tensor(values, name)
    if series.dtype != torch.bool or series.ndim != 1 or len(series) == 0:
        raise CoPropError(
            f"{name} must be one bool for each of T >= 1 frames, got {series.dtype} of shape "
            f"{tuple(series.shape)}."
        )
    return series
