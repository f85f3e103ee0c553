"""What the propagator remembers of earlier frames (AOT's long- and short-term memory).

Everything here is a value: a write makes a new memory and leaves the old one as it was. So a state
may be stepped from twice, two branches of a video may share their past, and gradients flow through
a whole clip. The price is one copy of the long-term memory for each frame that it takes, which is
every fifth: for AOT-L with 8 frames of 465 x 465, 44 MB in 5 frames, about half a hundredth of
their time. Writing slots in place would save that, and the second copy while it is made; but then
old states would change, or would have to be copied by whoever keeps them. Reading, which every
frame does, copies nothing. Its length grows up to the capacity and stays; masking empty slots would
keep it the same from the start, at the price of a full memory's attention in each frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from coprop.errors import ShapeError
from coprop.propagation.attention import Places
from coprop.utils.brief import Brief


@dataclass(frozen=True, eq=False, repr=False)
class KeysValues(Brief):
    """What attention reads of memory: keys and values of all L blocks, each (L, B, N, C).

    Values carry the identification embedding, which says whose each token is; keys do not.
    """

    keys: Tensor
    values: Tensor

    def of_layer(self, index: int) -> KeysValues:
        """Keys and values of one block, each (B, N, C)."""
        return KeysValues(self.keys[index], self.values[index])

    def of_sample(self, index: int) -> KeysValues:
        """Those of one sample of the batch, B = 1."""
        one = slice(index, index + 1)
        return KeysValues(self.keys[:, one], self.values[:, one])

    @classmethod
    def joined(cls, batches: Sequence[KeysValues]) -> KeysValues:
        """Several as one batch."""
        return cls(
            torch.cat([batch.keys for batch in batches], dim=1),
            torch.cat([batch.values for batch in batches], dim=1),
        )

    @classmethod
    def of_layers(cls, layers: Sequence[KeysValues]) -> KeysValues:
        """Those of all blocks, from each block's (B, N, C)."""
        return cls(
            torch.stack([layer.keys for layer in layers]),
            torch.stack([layer.values for layer in layers]),
        )


@dataclass(frozen=True, eq=False, repr=False)
class QueryFrame(Brief):
    """The frame that is being segmented (STM's query frame), on its way into memory.

    Args:
        keys: (L, B, N, C); the keys that it queries memory with are those it will have in memory.
        contents: (L, B, N, C), what its values are made of once its mask, and with it the
            identification embedding, is known.
    """

    keys: Tensor
    contents: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class LongTermMemory(Brief):
    """Reference frames and every few frames after them, in slots of N tokens each.

    With a capacity S the references stay, and of the other frames the oldest gives way, so that
    the cost of a frame does not grow with the video. Without one nothing gives way, as in AOT and
    the paper.

    Args:
        tokens: (L, B, S * N, C) keys and values of the frames held, one slot after the other.
        steps: for each slot, the step of its frame; the keyframe's is 0.
        is_reference: for each slot, whether its mask was given rather than predicted.
        capacity: how many frames fit, at least 1; None is without bound.

    Example:
        >>> def frame(value):  # 1 block, B = 1, 2 tokens of width 4
        ...     return KeysValues(torch.full((1, 1, 2, 4), value), torch.zeros(1, 1, 2, 4))
        >>> memory = LongTermMemory.of_reference(frame(0.0), step=0, capacity=2)
        >>> later = memory.write(frame(5.0), step=5).write(frame(10.0), step=10)
        >>> memory.steps, later.steps
        ((0,), (0, 10))
        >>> later.tokens.keys[0, 0, :, 0].tolist()
        [0.0, 0.0, 10.0, 10.0]
    """

    tokens: KeysValues
    steps: tuple[int, ...]
    is_reference: tuple[bool, ...]
    capacity: int | None

    @classmethod
    def of_reference(cls, entry: KeysValues, step: int, capacity: int | None) -> LongTermMemory:
        """A memory that holds a copy of one reference frame, (L, B, N, C)."""
        # Autograd sums what reaches the copy before it adds what reaches the short-term memory: an
        # order of summation that trainings reproduce to the bit.
        tokens = KeysValues(entry.keys.clone(), entry.values.clone())
        return cls(tokens, (step,), (True,), capacity)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def last_step(self) -> int:
        """The step of the newest frame held."""
        return max(self.steps)

    def write(self, entry: KeysValues, step: int, *, is_reference: bool = False) -> LongTermMemory:
        """The memory with one more frame, which takes the place of one of the same step.

        Args:
            entry: the frame's keys and values, (L, B, N, C); stored at the memory's precision.
            step: of the frame.
            is_reference: whether its mask was given rather than predicted.
        """
        slot = self._slot_for(step, is_reference)
        if slot is None:
            return self
        return LongTermMemory(
            KeysValues(
                _with_slot(self.tokens.keys, slot, entry.keys),
                _with_slot(self.tokens.values, slot, entry.values),
            ),
            (*self.steps[:slot], step, *self.steps[slot + 1 :]),
            (*self.is_reference[:slot], is_reference, *self.is_reference[slot + 1 :]),
            self.capacity,
        )

    def _slot_for(self, step: int, is_reference: bool) -> int | None:
        if step in self.steps:
            return self.steps.index(step)
        if self.capacity is None or len(self) < self.capacity:
            return len(self)
        if self.capacity == 1:  # the only slot is the reference's
            return 0 if is_reference else None
        later = range(1, len(self))  # the first slot is the keyframe's, which never gives way
        predicted = [slot for slot in later if not self.is_reference[slot]]
        return min(predicted or later, key=self.steps.__getitem__)


@dataclass(frozen=True, eq=False, repr=False)
class GroupMemory(Brief):
    """What is remembered of one group of objects.

    Args:
        long_term: reference frames and every few frames after them.
        short_term: the frame before, (L, B, N, C).
    """

    long_term: LongTermMemory
    short_term: KeysValues


@dataclass(frozen=True, eq=False, repr=False)
class PropagationState(Brief):
    """All that a step needs of the frames before it. Stepping leaves it as it is.

    Args:
        memories: one for each group of ``max_objects`` objects.
        num_objects: K, the objects being followed.
        step_index: frames since the keyframe.
        size: (height, width) in pixels at which the network sees the frames.
        places: of their tokens.
        sound: (B, ...), what the sound gate remembers of the last reference frame's; None without.
    """

    memories: tuple[GroupMemory, ...]
    num_objects: int
    step_index: int
    size: tuple[int, int]
    places: Places
    sound: Tensor | None = None

    @classmethod
    def joined(cls, states: Sequence[PropagationState]) -> PropagationState:
        """The states of several segments as one, of all their batches.

        Raises:
            ShapeError: they differ in size, number of objects or steps, so that no step is theirs.
        """
        if not states or len({state.kind for state in states}) != 1:
            raise ShapeError(
                "states can be joined where they are of one size, number of objects and history; "
                f"got {[(s.size, s.num_objects, s.step_index) for s in states]} as (size, "
                "num_objects, step_index)."
            )
        first, memories = states[0], []
        for i, memory in enumerate(first.memories):
            own = [state.memories[i] for state in states]
            tokens = KeysValues.joined([x.long_term.tokens for x in own])
            short_term = KeysValues.joined([x.short_term for x in own])
            memories.append(GroupMemory(replace(memory.long_term, tokens=tokens), short_term))
        sounds = [state.sound for state in states if state.sound is not None]
        sound = torch.cat(sounds) if sounds else None
        return replace(first, memories=tuple(memories), sound=sound)

    def split(self) -> list[PropagationState]:
        """A state for each sample of the batch; they share this state's tensors."""
        states = []
        for i in range(self.memories[0].short_term.keys.shape[1]):
            memories = [
                GroupMemory(
                    replace(memory.long_term, tokens=memory.long_term.tokens.of_sample(i)),
                    memory.short_term.of_sample(i),
                )
                for memory in self.memories
            ]
            sound = None if self.sound is None else self.sound[i : i + 1]
            states.append(replace(self, memories=tuple(memories), sound=sound))
        return states

    @property
    def kind(self) -> tuple[object, ...]:
        """What states that step as one have to have in common."""
        histories = tuple((m.long_term.steps, m.long_term.is_reference) for m in self.memories)
        gated = self.sound is not None
        return self.size, self.num_objects, self.step_index, histories, gated

    def with_reference(
        self, entries: Sequence[KeysValues], capacity: int | None, sound: Tensor | None = None
    ) -> PropagationState:
        """The state after a mask was given for the frame of ``step_index``.

        Args:
            entries: each group's memory of the frame; groups that are new come last.
            capacity: of the long-term memory of new groups.
            sound: what the sound gate is to remember of the frame.
        """
        memories = []
        for i, entry in enumerate(entries):
            if i < len(self.memories):
                long_term = self.memories[i].long_term
                long_term = long_term.write(entry, self.step_index, is_reference=True)
            else:
                long_term = LongTermMemory.of_reference(entry, self.step_index, capacity)
            memories.append(GroupMemory(long_term, short_term=entry))
        return replace(self, memories=tuple(memories), sound=sound)

    def with_prediction(self, entries: Sequence[KeysValues], gap: int) -> PropagationState:
        """The state after the next frame, whose mask was predicted.

        Args:
            entries: each group's memory of the frame.
            gap: frames between two that long-term memory takes.
        """
        step_index = self.step_index + 1
        memories = []
        for memory, entry in zip(self.memories, entries, strict=True):
            long_term = memory.long_term
            if step_index - long_term.last_step >= gap:
                long_term = long_term.write(entry, step_index)
            memories.append(GroupMemory(long_term, short_term=entry))
        return replace(self, memories=tuple(memories), step_index=step_index)


def _with_slot(tokens: Tensor, slot: int, entry: Tensor) -> Tensor:
    """A copy of ``tokens`` with ``entry`` in one slot, or after the last."""
    size = entry.shape[2]
    before, after = tokens[:, :, : slot * size], tokens[:, :, (slot + 1) * size :]
    return torch.cat((before, entry.to(tokens.dtype), after), dim=2)
