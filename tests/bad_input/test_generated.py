"""A share of the generated inputs, and a few kills; `python tests/bad_input` tries many more."""

from __future__ import annotations

from bad_input import runner
from bad_input.doors import inputs
from bad_input.kills import kill_all

SEED, INPUTS = 13, 500


def test_generated_inputs_are_refused_in_a_sentence_or_make_sense() -> None:
    tally = runner.try_all(inputs(SEED, INPUTS), workers=1)
    assert sum(tally.tried.values()) == INPUTS
    assert not tally.faults, tally.text()


def test_kills_change_nothing() -> None:
    assert kill_all(2, SEED, names=["detect"]) == 0
