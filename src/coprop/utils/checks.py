"""Numbers and arrays as people bring them: of numpy, torch and the standard library.

Scalars of any of these, and arrays that hold one number, are taken; text and truth values are not.
"""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Hashable
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from coprop.errors import CoPropError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

Number = int | float | Fraction

_Shaped = TypeVar("_Shaped", bound=np.generic)


def as_number(value: object) -> Number | None:
    """A real number as Python's own, exact where it can be; None of what is none."""
    if hasattr(value, "detach"):  # a tensor, which may require a gradient
        value = value.detach()
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        try:
            value = value.item()
        except (RuntimeError, TypeError, ValueError):  # no data, as on the device "meta"
            return None
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):  # extended precision is no Python float
        return float(value)
    if isinstance(value, Decimal):
        if value.is_nan():  # a signalling one, which no float is
            return math.nan
        return Fraction(value) if value.is_finite() else float(value)
    if isinstance(value, (int, float, Fraction)):
        return value
    return float(value) if isinstance(value, Real) else None


def number(
    name: str,
    value: object,
    wanted: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    error: type[CoPropError] = CoPropError,
) -> float:
    """A finite number in a range.

    Args:
        name: of the argument, for the error.
        value: what was given.
        wanted: what is accepted, for the error.
        low, high: of the range.
        above: what it must exceed.
        error: what is raised.

    Raises:
        CoPropError: no number, not finite, or outside the range.
    """
    given = as_number(value)
    try:
        found = math.nan if given is None else float(given)
    except OverflowError:
        found = math.inf
    if not (math.isfinite(found) and low <= found <= high and found > above):
        raise error(f"{name} must be {wanted}, got {shown(value)}.")
    return found


def whole(
    name: str,
    value: object,
    wanted: str,
    *,
    low: int,
    high: int,
    error: type[CoPropError] = CoPropError,
) -> int:
    """A whole number in a range, given as integer or as float.

    Args, and what is raised, are those of `number`.
    """
    found = number(name, value, wanted, low=low, high=high, error=error)
    if found != int(found):
        raise error(f"{name} must be {wanted}, got {shown(value)}.")
    return int(found)


def stored_whole(name: str, value: Any) -> int:
    """A whole number as files hold it: 2, 2.0 or "2"; what has a fraction is not cut to one.

    Raises:
        TypeError, ValueError: anything else.
    """
    found = int(value)
    if isinstance(value, bool) or not (isinstance(value, str) or found == value):
        raise ValueError(f"{name} is {value!r}, no whole number")
    return found


def index(name: str, value: object) -> int:
    """A whole number of 0 or more.

    Raises:
        CoPropError: anything else.
    """
    try:
        found = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        found = -1
    if found < 0 or isinstance(value, (bool, np.bool_)):
        raise CoPropError(f"{name} must be a whole number, 0 or more, got {shown(value)}.")
    return found


def check_made(name: str, value: object) -> None:
    """Raise CoPropError where a class was given in place of what is made of it."""
    if isinstance(value, type):
        raise CoPropError(
            f"{name} must be an object, got the class {value.__qualname__} itself; make one of "
            "it, by calling it or one of its class methods."
        )


def check_function(name: str, value: object, arguments: tuple[str, ...], wanted: str) -> None:
    """Raise CoPropError unless it can be called with so many arguments, as far as it tells.

    Args:
        name: what it is for.
        value: what was given.
        arguments: names of what it will be called with, for the error.
        wanted: what it is, for the error.
    """
    check_made(name, value)
    if not callable(value):
        raise CoPropError(f"{name} must be {wanted}, got {shown(value)}.")
    if not takes(value, len(arguments)):
        raise CoPropError(
            f"{name} must be {wanted}; {shown(value)} cannot be called with "
            f"({', '.join(arguments)})."
        )


def takes(function: Any, count: int) -> bool:
    """Whether a function can be called with so many arguments, as far as it tells."""
    if hasattr(function, "state_dict") and hasattr(function, "forward"):
        function = function.forward  # of a network, whose call takes anything
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # some built-in ones do not tell
        return True
    return True


def check_progress(value: object) -> None:
    """Raise CoPropError where what is to be called with progress cannot be."""
    if value is not None:
        wanted = "a function progress(step, completed, total), or None"
        check_function("progress", value, ("step", "completed", "total"), wanted)


def check_choice(
    name: str,
    value: object,
    choices: tuple[object, ...],
    *,
    error: type[CoPropError] = CoPropError,
) -> None:
    """Raise ``error`` where an option called ``name`` is none of its choices."""
    # An array, which has no hash, would be compared number by number.
    if not isinstance(value, Hashable) or value not in choices:
        raise error(f"{name} must be one of {choices}, got {shown(value)}.")


def array_of(name: str, value: Any, *, error: type[CoPropError] = CoPropError) -> NDArray[Any]:
    """Numbers or truth values as an array of numpy; tensors are detached, bfloat16 is widened.

    Raises:
        CoPropError: ragged lists, text, objects.
    """
    if hasattr(value, "detach"):
        value = value.detach()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
    if np.ma.is_masked(value):
        raise error(f"{name} must be an array of numbers, got one with masked values; fill them.")
    try:
        if hasattr(value, "cpu"):
            value = value.cpu()
        array: NDArray[Any] = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as fault:
        raise error(
            f"{name} must be an array of numbers, got {shown(value)}, which is none: {fault}"
        ) from fault
    if array.dtype.kind not in "biuf":
        raise error(f"{name} must be an array of numbers, got {array.dtype} of {shown(value)}.")
    return array


def read_only(array: NDArray[_Shaped]) -> NDArray[_Shaped]:
    """The same numbers, which nobody can change: a copy of what others could still write to."""
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def sealed(array: NDArray[_Shaped]) -> NDArray[_Shaped]:
    """A view through which an array cannot be changed."""
    view = array.view()
    view.flags.writeable = False
    return cast("NDArray[_Shaped]", view)


class Sealed:
    """A value whose arrays cannot be changed, after pickling or copying either."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(
                self, name, sealed(value) if isinstance(value, np.ndarray) else value
            )


def check_picture(image: object, number: int) -> None:
    """Raise ShapeError unless (H, W, 3) uint8."""
    fits = isinstance(image, np.ndarray) and image.dtype == np.uint8
    if not (fits and image.ndim == 3 and image.shape[2] == 3 and image.size):  # type: ignore[attr-defined]
        raise ShapeError(
            f"the image of frame {number} must be (H, W, 3) uint8 RGB with at least one pixel, got "
            f"{shown(image)}."
        )


def is_plain(values: object) -> TypeGuard[Tensor]:
    """Whether it is a tensor of real numbers that can be read one by one.

    Complex, quantized, sparse and nested ones are none, nor those on the device "meta".
    """
    layout = getattr(values, "layout", None)
    if layout is None or not hasattr(values, "is_quantized"):
        return False
    tensor = cast("Tensor", values)
    special = tensor.is_complex() or tensor.is_quantized or tensor.is_meta or tensor.is_nested
    return str(layout) == "torch.strided" and not special


def looks_like_probabilities(values: Tensor) -> bool:
    """Whether all of what should be logits lies in [0, 1], and not all of it is 0.

    Probabilities and masks do; so does the answer "nothing anywhere" of a network of zeros.
    """
    if not is_plain(values) or values.numel() == 0:
        return False
    low, high = (float(x) for x in values.detach().aminmax())
    return 0 <= low <= high <= 1 and high > 0


def shown(value: object) -> str:
    """What was given, in few words."""
    try:
        shape = getattr(value, "shape", None)
    except RuntimeError:  # nested tensors have none
        return type(value).__name__
    if isinstance(shape, tuple) and shape:
        return f"{type(value).__name__} {getattr(value, 'dtype', '')} of shape {tuple(shape)}"
    try:
        text = repr(value) if not isinstance(value, (list, tuple, dict, set)) else ""
    except ValueError:  # Python writes no number of more than 4300 digits
        return f"{type(value).__name__} of thousands of digits"
    if " at 0x" in text:  # where it lies in memory tells nobody anything
        if callable(value) and hasattr(value, "__qualname__"):
            return f"the function {value.__qualname__}"
        return f"an object of {type(value).__qualname__}"
    if isinstance(value, int) and len(text) > 24:
        return f"{text[:12]}... ({len(text)} digits)"
    if text and len(text) <= 60:
        return text
    return f"{type(value).__name__}" + (
        f" of length {len(value)}" if hasattr(value, "__len__") else ""
    )
