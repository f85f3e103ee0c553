"""What is said where a user's network fails for a reason that an option mends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from coprop.errors import CoPropError

_OF_SHAPES = re.compile(r"shape|size|dimension|reshape|einops|elements|batch", re.IGNORECASE)
_OTHERS = re.compile(r"out of memory", re.IGNORECASE)


@contextmanager
def explained(name: str, *, given: int | None = None) -> Iterator[None]:
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
        said = str(error).strip().partition("\n")[0]
        if "does not require grad" in said:
            raise CoPropError(
                f"{name} takes gradients inside its forward, and was called without any ({said}); "
                "give CoProp.wrap an adapter CallableSegmenter(fn, gradients=True)."
            ) from error
        if given is not None and _OF_SHAPES.search(said) and not _OTHERS.search(said):
            count = "one frame" if given == 1 else f"{given} frames"
            raise CoPropError(
                f"{name} failed on {count} ({said}); where it takes clips of T frames, say so with "
                "CallableSegmenter(fn, frames_per_call=T)."
            ) from error
        raise
