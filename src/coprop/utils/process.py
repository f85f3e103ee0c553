"""What the command sets in its own process; the library leaves whoever imports it as they are."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

# glibc's numbers of what `mallopt` sets.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_FROM_HEAP = 32 << 20  # bytes; glibc takes no more
_FREE_KEPT = 256 << 20  # bytes: more than all maps of a frame; the peak grows by some hundredths


@contextmanager
def loading() -> Iterator[None]:
    """Without garbage collection, which has nothing to collect while modules and weights load.

    What has been loaded stays until the process ends, so that no later collection goes through it.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def draw_into_files() -> None:
    """Lets matplotlib draw without a window: a backend that the caller has set may not be here."""
    os.environ["MPLBACKEND"] = "agg"


def keep_freed_memory() -> None:
    """Lets freed memory wait for the next frame, up to a bound.

    glibc gives the maps of each layer back to the system, which then hands out other pages one by
    one, filled with zeros. Other C libraries are left alone.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # none has it but glibc; Windows has no such name
        return
    mallopt(_MMAP_THRESHOLD, _FROM_HEAP)
    mallopt(_TRIM_THRESHOLD, _FREE_KEPT)
