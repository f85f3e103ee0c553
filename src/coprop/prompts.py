"""Masks and boxes that a user supplies: they become keyframes, and hold in their segment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coprop.errors import CoPropError, ShapeError
from coprop.types import SAME_S
from coprop.utils.brief import Brief
from coprop.utils.checks import array_of, as_number, number, sealed, shown, whole

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels, from the frame's upper left corner; right and bottom are
where the box ends, so that (0, 0, width, height) is the whole frame."""

FOUND = 0.1
"""Share of a box that the keyframe model has to mask in it; of less, all of the box is taken."""

_WHITE = 255  # of masks of two values, as image files hold them


@dataclass(frozen=True, eq=False, repr=False)
class Prompt(Brief):
    """What sounds at a moment, as its user knows it.

    The first frame at or after the time becomes a keyframe with this mask, which is carried on to
    the end of its segment, or to the next prompt. No other keyframe is asked for until then.
    Several prompts at one time are one keyframe; where they overlap the later counts.

    Args:
        time_s: when, in seconds of the video.
        mask: (H, W) at the frame's size: bool, or whole numbers: labels, 0 for background, or 0 and
            255. A mask without anything says that nothing visible sounds.
        boxes: in place of a mask. What the keyframe model masks in each is taken, or all of the box
            where that is less than a tenth of it.
        label: what it is labelled with, 1 to 255; None for the mask's own labels, and for 1.

    Raises:
        CoPropError: neither or both of mask and boxes, or a value out of its range.
        ShapeError: a mask of another shape or type.

    Example:
        >>> Prompt(2.0, boxes=[(10, 10, 60, 40)], label=3)
        Prompt(time_s=2.0, mask=None, boxes=((10.0, 10.0, 60.0, 40.0)), label=3)
    """

    time_s: float
    mask: NDArray[np.uint8] | None = None
    boxes: Sequence[Box] = ()
    label: int | None = None

    def __post_init__(self) -> None:
        wanted = "a finite number of seconds, 0 or more"
        object.__setattr__(self, "time_s", number("time_s", self.time_s, wanted, low=0))
        if self.label is not None:
            label = whole("label", self.label, "a label from 1 to 255, or None", low=1, high=255)
            object.__setattr__(self, "label", label)
        object.__setattr__(self, "boxes", _boxes(self.boxes))
        if (self.mask is None) == (not self.boxes):
            raise CoPropError("a prompt has either a mask or boxes; give one of the two.")
        if self.mask is not None:
            object.__setattr__(self, "mask", sealed(_labels(self.mask, self.label)))


class Prompts:
    """Prompts, each handed out once, to the first frame at or after its time.

    Args:
        prompts: in any order.

    Raises:
        CoPropError: something that is no prompt.
    """

    def __init__(self, prompts: Iterable[Prompt] = ()) -> None:
        if isinstance(prompts, Prompt) or not isinstance(prompts, Iterable):
            raise CoPropError(f"prompts must be a list of Prompt, got {shown(prompts)}.")
        self._waiting = list(prompts)
        for prompt in self._waiting:
            if not isinstance(prompt, Prompt):
                raise CoPropError(
                    f"prompts must be a list of Prompt, got {shown(prompt)} in it; "
                    "coprop.prompts.Prompt(time_s, mask) makes one."
                )
        self._waiting.sort(key=lambda prompt: prompt.time_s)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def due(self, time_s: float, *, heard: bool) -> tuple[Prompt, ...]:
        """Those for the frame that is shown at a time.

        Args:
            time_s: of the frame.
            heard: whether anything is heard there.

        Raises:
            CoPropError: there are some, and nothing is heard.
        """
        count = sum(prompt.time_s <= time_s + SAME_S for prompt in self._waiting)
        due, self._waiting = tuple(self._waiting[:count]), self._waiting[count:]
        if due and not heard:
            raise CoPropError(
                f"the prompt at {due[0].time_s:.3f} s is for the frame at {time_s:.3f} s, where "
                "nothing is heard, so that there is no segment that its mask could hold in; "
                "result.segments says where there are."
            )
        return due

    def check_start(self, start_s: float) -> None:
        """Refuses prompts before the part of the video that is wanted.

        Raises:
            CoPropError: there are some.
        """
        if self._waiting and self._waiting[0].time_s < start_s - SAME_S:
            raise CoPropError(
                f"the prompt at {self._waiting[0].time_s:.3f} s is before the part of the video "
                f"that is wanted, from {start_s:g} s on; times are the video's."
            )

    def check_end(self, end_s: float) -> None:
        """Refuses prompts after the last frame.

        Raises:
            CoPropError: there are some.
        """
        if self._waiting:
            raise CoPropError(
                f"the prompt at {self._waiting[0].time_s:.3f} s is after the last frame, at "
                f"{end_s:.3f} s; give it a time in the video."
            )


def drawn(
    prompts: Sequence[Prompt], size: tuple[int, int], found: NDArray[np.bool_] | None
) -> NDArray[np.uint8]:
    """(H, W) labels of a keyframe's prompts.

    Args:
        prompts: of one keyframe, in order.
        size: height and width of the frame.
        found: (H, W) what the keyframe model masks, for boxes.

    Raises:
        ShapeError: a mask of another size.
        CoPropError: a box outside the frame.
    """
    labels: NDArray[np.uint8] = np.zeros(size, dtype=np.uint8)
    for prompt in prompts:
        if prompt.mask is not None:
            if prompt.mask.shape != size:
                raise ShapeError(
                    f"the mask of the prompt at {prompt.time_s:.3f} s is {prompt.mask.shape[1]} x "
                    f"{prompt.mask.shape[0]}, the frames are {size[1]} x {size[0]}; resize it."
                )
            labels[prompt.mask > 0] = prompt.mask[prompt.mask > 0]
        for box in prompt.boxes:
            rows, columns = _pixels(box, size, prompt.time_s)
            inside = np.zeros(size, dtype=bool)
            inside[rows, columns] = True
            seen = inside & found if found is not None else inside
            taken = seen if seen.sum() >= FOUND * inside.sum() else inside
            labels[taken] = prompt.label or 1
    return labels


def _pixels(box: Box, size: tuple[int, int], time_s: float) -> tuple[slice, slice]:
    height, width = size
    left, top = max(math.floor(box[0]), 0), max(math.floor(box[1]), 0)
    right, bottom = min(math.ceil(box[2]), width), min(math.ceil(box[3]), height)
    if left >= right or top >= bottom:
        raise CoPropError(
            f"the box {box} of the prompt at {time_s:.3f} s has no pixel in the frames, which are "
            f"{width} x {height}."
        )
    return slice(top, bottom), slice(left, right)


def _boxes(given: Any) -> tuple[Box, ...]:
    if hasattr(given, "tolist"):
        given = given.tolist()
    if not isinstance(given, (list, tuple)):
        raise CoPropError(
            f"boxes must be a list of (left, top, right, bottom), got {shown(given)}."
        )
    if len(given) == 4 and all(as_number(side) is not None for side in given):
        given = (given,)
    return tuple(_box(box) for box in given)


def _box(given: Any) -> Box:
    wanted = f"a box must be (left, top, right, bottom) in pixels, got {given!r:.80}"
    if not isinstance(given, (list, tuple)) or len(given) != 4:
        raise CoPropError(f"{wanted}.")
    left, top, right, bottom = (number("each side of a box", side, "finite") for side in given)
    if left >= right or top >= bottom:
        raise CoPropError(f"{wanted}, which has no inside: right and bottom are where it ends.")
    return left, top, right, bottom


def _labels(given: Any, label: int | None) -> NDArray[np.uint8]:
    mask = array_of("mask", given, error=ShapeError)
    if mask.ndim != 2 or not mask.size or mask.dtype.kind not in "biu":
        raise ShapeError(
            f"a mask must be (H, W) of bool, or of labels as whole numbers, got {shown(given)}."
        )
    if int(mask.min()) < 0 or int(mask.max()) > _WHITE:
        raise ShapeError(f"labels lie in 0 to 255, got {mask.min()} to {mask.max()}.")
    one = label or 1
    if label is not None or mask.dtype.kind == "b" or set(np.unique(mask)) <= {0, _WHITE}:
        return np.where(mask > 0, one, 0).astype(np.uint8)
    return mask.astype(np.uint8)
