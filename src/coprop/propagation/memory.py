"""What the propagator remembers of earlier frames, as immutable values."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coprop.brief import Brief


@dataclass(frozen=True, eq=False, repr=False)
class KeysValues(Brief):
    """Keys and values of all transformer layers, each (L, B, N, C)."""

    keys: Tensor
    values: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class LongTermMemory(Brief):
    """Keys and values of chosen frames, in slots.

    With a capacity the slots are allocated once and hold at most that many frames: references
    stay, and the oldest other frame gives way. Without one the memory grows. `write` returns a
    new memory and leaves this one, whose tensors others may hold, as it was.

    Args:
        slots: (L, B, S, N, C) keys and values; S is the capacity, or the number of frames held.
        steps: for each frame held, in slot order, the step at which it was written.
        is_reference: for each frame held, whether its mask was given rather than predicted.
        capacity: how many frames fit; None is without bound.
    """

    slots: KeysValues
    steps: tuple[int, ...]
    is_reference: tuple[bool, ...]
    capacity: int | None

    @classmethod
    def holding(cls, reference: KeysValues, step: int, capacity: int | None) -> LongTermMemory:
        """A memory that holds one reference frame."""

        def allocate(entry: Tensor) -> Tensor:
            layers, batch, tokens, channels = entry.shape
            slots = entry.new_zeros(layers, batch, capacity or 1, tokens, channels)
            slots[:, :, 0] = entry
            return slots

        slots = KeysValues(allocate(reference.keys), allocate(reference.values))
        return cls(slots, (step,), (True,), capacity)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def last_step(self) -> int:
        """The step of the newest frame held."""
        return max(self.steps)

    def read(self) -> KeysValues:
        """All tokens of all frames held, (L, B, len(self) * N, C), without copying."""
        held = len(self)
        return KeysValues(
            self.slots.keys[:, :, :held].flatten(2, 3), self.slots.values[:, :, :held].flatten(2, 3)
        )

    def write(self, entry: KeysValues, step: int, *, is_reference: bool = False) -> LongTermMemory:
        """The memory with one more frame, which takes the place of one of the same step."""
        slot = self._slot_for(step, is_reference)
        if slot is None:
            return self
        slots = KeysValues(
            _put(self.slots.keys, slot, entry.keys), _put(self.slots.values, slot, entry.values)
        )
        steps = (*self.steps[:slot], step, *self.steps[slot + 1 :])
        references = (*self.is_reference[:slot], is_reference, *self.is_reference[slot + 1 :])
        return LongTermMemory(slots, steps, references, self.capacity)

    def _slot_for(self, step: int, is_reference: bool) -> int | None:
        if step in self.steps:
            return self.steps.index(step)
        if self.capacity is None or len(self) < self.capacity:
            return len(self)
        if self.capacity == 1:  # the only slot is the reference's
            return 0 if is_reference else None
        later = range(1, len(self))
        others = [slot for slot in later if not self.is_reference[slot]]
        return min(others or later, key=self.steps.__getitem__)


@dataclass(frozen=True, eq=False, repr=False)
class GroupMemory(Brief):
    """What is remembered of one group of objects: chosen earlier frames, and the last frame."""

    long_term: LongTermMemory
    short_term: KeysValues


@dataclass(frozen=True, eq=False, repr=False)
class PropagationState(Brief):
    """All that a step needs of the frames before it. Stepping leaves it as it is.

    Args:
        memories: one for each group of ``max_objects`` objects.
        num_objects: K, the objects being followed.
        step_index: frames since the keyframe.
        size: (height, width) at which the frames are processed.
    """

    memories: tuple[GroupMemory, ...]
    num_objects: int
    step_index: int
    size: tuple[int, int]


def _put(slots: Tensor, slot: int, entry: Tensor) -> Tensor:
    """A copy of ``slots`` with ``entry`` in one slot, or after the last."""
    if slot == slots.shape[2]:
        return torch.cat((slots, entry[:, :, None].to(slots.dtype)), dim=2)
    copy = slots.clone()
    copy[:, :, slot] = entry
    return copy
