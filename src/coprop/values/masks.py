"""The mask of one frame: labels, and probabilities for those who ask.

An immutable value, as those in `coprop.types`, where it is found too.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coprop.errors import CoPropError, ShapeError
from coprop.utils.brief import Brief
from coprop.utils.checks import Sealed, index, number, sealed, shown, whole


@dataclass(frozen=True, eq=False, repr=False)
class FrameMask(Brief, Sealed):
    """What sounds in one frame. Its arrays are read-only; copy them to change them.

    Args:
        index: the frame's number, from 0.
        time_s: when it is shown.
        labels: (H, W) uint8 at the frame's own size: 0 is background; 1 is "sounding" (binary
            models) or the class id (semantic models).
        probabilities: (C, H, W) float32 in [0, 1], summing to one over C. None where they were
            not kept. Of the pipeline's masks they are computed when they are first asked for.
        classes: the label that each of the C channels stands for; the first is 0, background.
        is_keyframe: True where the mask is the keyframe segmenter's own, False where propagated.

    Raises:
        CoPropError: an index below 0 or a time that is not finite.
        ShapeError: other shapes or types, or another number of channels than of classes.
    """

    index: int
    time_s: float
    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None
    classes: tuple[int, ...]
    is_keyframe: bool

    def __post_init__(self) -> None:
        index("index", self.index)
        time_s = number("time_s", self.time_s, "a finite number of seconds")
        labels = np.asarray(self.labels)
        if labels.ndim != 2 or labels.dtype != np.uint8:
            raise ShapeError(f"labels must be (H, W) uint8, got {shown(self.labels)}.")
        if not isinstance(self.classes, (tuple, list)) or not self.classes:
            raise CoPropError(
                f"classes must be the label of each channel, 0 first, got {shown(self.classes)}."
            )
        for label in self.classes:
            whole("each of classes", label, "a label from 0 to 255", low=0, high=255)
        object.__setattr__(self, "time_s", time_s)
        object.__setattr__(self, "labels", sealed(labels))
        if self.probabilities is not None:
            object.__setattr__(self, "probabilities", self._checked(self.probabilities))

    def with_probabilities_by(self, make: Callable[[], NDArray[np.float32]]) -> FrameMask:
        """The same mask, whose probabilities are computed when they are first asked for.

        At the frame's size they are many times what the network gave, and few ask.

        Args:
            make: returns them, (C, H, W) float32; it is called once at most, or by each of several
                threads that ask at once.
        """
        mask = copy(self)
        # Nothing of the name is left on the instance, so that Python asks __getattr__.
        object.__delattr__(mask, "probabilities")
        object.__setattr__(mask, "_make", make)
        return mask

    if not TYPE_CHECKING:  # or a misspelt attribute would pass

        def __getattr__(self, name: str) -> Any:
            own = vars(self)
            make = own.get("_make") if name == "probabilities" else None
            if make is not None:
                object.__setattr__(self, name, self._checked(make()))
                own.pop("_make", None)  # and with it what the network gave
            if name not in own:  # another thread may have made them just now
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return own[name]

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled or copied: arrays, computed if need be."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __repr__(self) -> str:
        if "probabilities" in vars(self):
            return super().__repr__()
        soft = np.broadcast_to(np.float32(0), (len(self.classes), *self.labels.shape))
        return repr(replace(self, probabilities=soft))  # shown by shape and type: nothing is made

    def _checked(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        soft = np.asarray(probabilities)
        wanted = (len(self.classes), *self.labels.shape)
        if soft.shape != wanted or soft.dtype != np.float32:
            raise ShapeError(
                f"probabilities must be {wanted} float32, a channel for each class, got "
                f"{shown(probabilities)}."
            )
        return sealed(soft)

    @property
    def area(self) -> float:
        """Share of the frame that sounds, in [0, 1]."""
        return float(np.count_nonzero(self.labels) / max(self.labels.size, 1))
