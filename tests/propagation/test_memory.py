"""Long-term memory: what it keeps, what it drops, and that old memories stay what they were."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coprop.propagation.memory import KeysValues, LongTermMemory


def entry(step: int) -> KeysValues:
    """Keys that hold the step, values that hold its negative: 2 layers, batch 1, 3 tokens."""
    return KeysValues(torch.full((2, 1, 3, 4), float(step)), torch.full((2, 1, 3, 4), -float(step)))


def held(memory: LongTermMemory) -> set[int]:
    read = memory.tokens
    assert torch.equal(read.keys, -read.values)
    assert read.keys.shape == (2, 1, 3 * len(memory), 4)
    return {int(x) for x in read.keys.unique()}


def fill(capacity: int | None, steps: int) -> LongTermMemory:
    memory = LongTermMemory.of_reference(entry(0), 0, capacity)
    for step in range(1, steps):
        memory = memory.write(entry(step), step)
    return memory


@settings(deadline=None, max_examples=20)
@given(capacity=st.integers(1, 6), steps=st.integers(1, 12))
def test_keeps_the_reference_and_the_newest(capacity: int, steps: int) -> None:
    memory = fill(capacity, steps)
    newest = list(range(1, steps))[-(capacity - 1) :] if capacity > 1 else []
    assert held(memory) == {0, *newest}
    assert len(memory) == min(steps, capacity)


def test_grows_without_capacity() -> None:
    assert held(fill(None, 12)) == set(range(12))


def test_later_references_stay_too() -> None:
    memory = fill(4, 3).write(entry(3), 3, is_reference=True)
    for step in range(4, 9):
        memory = memory.write(entry(step), step)
    assert held(memory) == {0, 3, 7, 8}
    assert memory.last_step == 8


def test_references_give_way_only_to_references_that_fill_all_slots() -> None:
    memory = LongTermMemory.of_reference(entry(0), 0, 3)
    for step in (1, 2, 3):
        memory = memory.write(entry(step), step, is_reference=True)
    assert held(memory) == {0, 2, 3}


def test_a_single_slot_is_for_the_newest_reference() -> None:
    memory = fill(1, 3)
    assert held(memory) == {0}
    assert held(memory.write(entry(5), 5, is_reference=True)) == {5}


def test_one_step_is_held_once() -> None:
    memory = fill(4, 3)
    again = KeysValues(torch.full((2, 1, 3, 4), 70.0), torch.full((2, 1, 3, 4), -70.0))
    assert held(memory.write(again, 2, is_reference=True)) == {0, 1, 70}


@pytest.mark.parametrize("capacity", [2, 5, None])
def test_writing_leaves_the_old_memory_and_the_entry_alone(capacity: int | None) -> None:
    reference = entry(0)
    memory = LongTermMemory.of_reference(reference, 0, capacity)
    before = memory.tokens.keys.clone()
    written = memory.write(entry(1), 1)
    written.tokens.keys.fill_(9)
    assert torch.equal(memory.tokens.keys, before)
    assert torch.equal(reference.keys, entry(0).keys)
