"""An input, what must become of it, and tables from which inputs are drawn."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch


class Expect(Enum):
    """What must become of an input."""

    REFUSED = "must be refused"
    ACCEPTED = "must be accepted"
    EITHER = "either, but only with a CoPropError, and with sense where it is accepted"


@dataclass(frozen=True)
class Case:
    """One input.

    Args:
        words: what it is.
        expect: what must become of it.
        call: gives it to the library; takes an empty folder of its own.
        passing: exceptions that may come through: the caller's own, or TypeError for a keyword
            that does not exist.
    """

    words: str
    expect: Expect
    call: Callable[[Path], Any]
    passing: tuple[type[Exception], ...] = ()


@dataclass(frozen=True)
class Door:
    """A way in; the weight says how often it is tried, beside the others."""

    case: Callable[[Random], Case]
    weight: float = 1.0


class OwnError(Exception):
    """Raised inside a caller's own function; must come through as it is."""


@dataclass(frozen=True)
class Made:
    """A value that is made anew for each input."""

    words: str
    make: Callable[[Random], Any]


@dataclass(frozen=True)
class Arg:
    """What an argument is given: values that are right, that are wrong, and that may be either."""

    good: tuple[Any, ...]
    bad: tuple[Any, ...] = ()
    odd: tuple[Any, ...] = ()


NAN, INF = float("nan"), float("inf")
NO_NUMBER: tuple[Any, ...] = ("1", [1.0], 1j, b"1", {}, (), np.array([1.0, 2.0]))
NO_SECONDS = (NAN, INF, -INF, -1.0, 10**400, *NO_NUMBER)
NO_COUNT = (0, -1, 1.5, NAN, INF, *NO_NUMBER)
NO_PATH = (5, 1.5, [], {}, True)
NO_DEVICE = ("gpu", "cuda:99", "cpu:x", 5.5, [], "")
ODD_ONE = (True, np.float32(1), np.int8(1), torch.tensor(1.0), np.array(1.0))


def drawn(
    rng: Random,
    function: Callable[..., Any],
    args: Mapping[str, Arg],
    *,
    then: Callable[[Any], Any] = lambda made: made,
    name: str = "",
) -> Case:
    """A call with right values, of which most often one is exchanged for a wrong or odd one.

    Args:
        rng: decides.
        function: what is called.
        args: by name; those whose name begins with "_" are given by position, in order.
        then: what is done with the result.
        name: of the function, where it has none of its own.
    """
    values = {key: rng.choice(arg.good) for key, arg in args.items()}
    expect, passing = Expect.ACCEPTED, ()
    roll = rng.random()
    kinds = ("bad",) if roll < 0.6 else ("odd",) if roll < 0.8 else ()
    keys = [key for key, arg in args.items() for kind in kinds if getattr(arg, kind)]
    if keys:
        key = rng.choice(keys)
        values[key] = rng.choice(getattr(args[key], kinds[0]))
        expect = Expect.REFUSED if kinds == ("bad",) else Expect.EITHER
    if roll > 0.99:
        values["no_such_argument"] = 1
        expect, passing = Expect.REFUSED, (TypeError,)
    shown = ", ".join(f"{key}={shortly(value)}" for key, value in values.items())

    def call(folder: Path) -> Any:
        made = {k: v.make(rng) if isinstance(v, Made) else v for k, v in values.items()}
        positional = [made.pop(key) for key in list(made) if key.startswith("_")]
        return then(function(*positional, **made))

    title = name or getattr(function, "__qualname__", str(function))
    return Case(f"{title}({shown})", expect, call, passing)


def shortly(value: Any) -> str:
    """A value in a few words, without addresses."""
    if isinstance(value, Made):
        return f"<{value.words}>"
    if callable(value):
        return f"<{getattr(value, '__name__', type(value).__name__)}>"
    if isinstance(value, int) and abs(value) > 10**30:
        return "<a whole number beyond float>"
    return reprlib.repr(value)


def array(shape: tuple[int, ...], dtype: str = "float32", scale: float = 0.5) -> Made:
    """Random numbers of a shape."""

    def make(rng: Random) -> Any:
        values = np.random.default_rng(rng.getrandbits(32)).uniform(0, scale, shape)
        return values.astype(dtype)

    return Made(f"{dtype} array {shape}", make)


def filled(shape: tuple[int, ...], value: Any, dtype: Any = None) -> Made:
    """One value everywhere."""
    return Made(f"{shape} of {value} {dtype or ''}", lambda rng: np.full(shape, value, dtype=dtype))


def tensor(shape: tuple[int, ...], dtype: torch.dtype = torch.float32, scale: float = 1.0) -> Made:
    """Random numbers as a tensor."""

    def make(rng: Random) -> torch.Tensor:
        generator = torch.Generator().manual_seed(rng.getrandbits(32))
        return (scale * torch.rand(shape, generator=generator)).to(dtype)

    return Made(f"{dtype} tensor {shape}", make)


def holed(made: Made, value: float) -> Made:
    """The same with one value exchanged."""

    def make(rng: Random) -> Any:
        values = made.make(rng)
        values[tuple(rng.randrange(n) for n in values.shape)] = value
        return values

    return Made(f"{made.words} with a {value}", make)
