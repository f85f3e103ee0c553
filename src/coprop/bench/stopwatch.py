"""Which part of the pipeline takes how much, of time or of whatever else is counted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from coprop.encoders.convolution import PACKED

T = TypeVar("T")

_SIDE = 1024  # of the matrices whose product tells the rate: 12 MB in float32, beyond small caches
_TRIES = 5  # the best counts: other programs only ever take away from it


def clock_of(device: torch.device) -> tuple[str, Callable[[], float]]:
    """What tells the time of work on a device, and its name.

    On the CPU processor seconds of all threads, which other programs change little; elsewhere
    seconds that pass, once the device has done what it was given.
    """
    if device.type == "cpu":
        return "CPU seconds", time.process_time

    def waited() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return "seconds", waited


class Stopwatch:
    """Adds up for each part what a meter goes on by while that part is at work.

    A part that calls another does not have the other's share.

    Args:
        meter: what is read: a clock, or a counter.

    Attributes:
        total: of each part.
        calls: of each part.

    Example:
        >>> meter = iter([0, 1, 3, 6]).__next__
        >>> watch = Stopwatch(meter)
        >>> with watch.part("outer"), watch.part("inner"):
        ...     pass
        >>> watch.total
        {'outer': 4, 'inner': 2}
    """

    def __init__(self, meter: Callable[[], float]) -> None:
        self.total: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._meter = meter
        self._at_work: list[str] = []
        self._read = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Within it, a part is at work."""
        self._go_on()
        self.total.setdefault(name, 0)
        self.calls[name] = self.calls.get(name, 0) + 1
        self._at_work.append(name)
        try:
            yield
        finally:
            self._go_on()
            self._at_work.pop()

    def of(self, name: str, function: Callable[..., T]) -> Callable[..., T]:
        """The same function, as a part's work."""

        def watched(*arguments: object, **named: object) -> T:
            with self.part(name):
                return function(*arguments, **named)

        return watched

    def _go_on(self) -> None:
        read = self._meter()
        if self._at_work:
            self.total[self._at_work[-1]] += read - self._read
        self._read = read


class Watched(Generic[T]):
    """Things whose making is a part's work."""

    def __init__(self, things: Iterable[T], watch: Stopwatch, name: str) -> None:
        self._things, self._watch, self._name = things, watch, name

    def __iter__(self) -> Iterator[T]:
        things = iter(self._things)
        while True:
            try:
                with self._watch.part(self._name):
                    thing = next(things)
            except StopIteration:
                return
            yield thing


@contextmanager
def counted() -> Iterator[Callable[[], float]]:
    """Gives a meter of the floating-point operations in this thread within it, torch's count.

    Matrix products, convolutions and attention count, two for each multiplication with its sum.
    """
    packed = getattr(torch.ops.mkldnn, PACKED, None)  # which torch's count leaves out
    mapping = {} if packed is None else {packed: _flop_of_packed}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        yield counter.get_total_flops


def _flop_of_packed(
    x: torch.Size, weight: torch.Size, *_: object, out_shape: torch.Size, **__: object
) -> int:
    """Of a convolution of packed weights, from shapes; those (C', C / groups, h, w) are plain."""
    return 2 * math.prod(weight) * out_shape[0] * math.prod(out_shape[2:])


@torch.inference_mode()
def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of the product of two matrices of 1024 x 1024, the best of five."""
    a, b = (torch.randn(_SIDE, _SIDE, device=device).to(dtype) for _ in range(2))
    _, clock = clock_of(device)
    seconds = []
    for _ in range(_TRIES + 1):  # the first is to warm up
        begun = clock()
        torch.matmul(a, b)
        seconds.append(clock() - begun)
    # Several threads: processor seconds are those of all of them.
    return 2 * _SIDE**3 / max(min(seconds[1:]), 1e-9)
