from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coprop.control_points.rcpg.answers import Failure, Flags, parse_flags, without_thoughts
from coprop.errors import CoPropError

GOOD = [
    ("[1,0,0,1,0]", "10010"),
    ("[1, 0, 0, 1, 0]", "10010"),
    ("[ 1 ,0\n,0 , 1,0 ]", "10010"),
    ("[1, 0, 0, 1, 0,]", "10010"),
    ("[1 0 0 1 0]", "10010"),
    ("[1; 0; 0; 1; 0]", "10010"),
    ("```json\n[1, 0, 0, 1, 0]\n```", "10010"),
    ("```python\nflags = [1, 0, 0, 1, 0]\n```\nThe fourth frame changes.", "10010"),
    ('["1", "0", "0", "1", "0"]', "10010"),
    ("[1.0, 0.0, 0.0, 1.0, 0.0]", "10010"),
    ("The list is [1, 0, 0, 1, 0], since a dog barks from 3 s on.", "10010"),
    ("[[1, 0, 0, 1, 0]]", "10010"),
    ("[[1], [0], [0], [1], [0]]", "10010"),
    ("[[1, 0], [0, 1, 0]]", "10010"),
    ('{"flags": [1, 0, 0, 1, 0]}', "10010"),
    ("First I thought [1, 1, 1, 1, 1], but it is [1, 0, 0, 1, 0].", "10010"),
    ("[1, 0, 0, 1, 0]; the changes are in frames [1, 4].", "10010"),
    ("[1, 0, 0, 1, 0] with a change at [0, 1].", "10010"),
    ("<think>maybe [1,1,1,1,1]</think>\n[1,0,0,1,0]", "10010"),
    ("maybe [1,1,1,1,1]</think>[1,0,0,1,0]", "10010"),
    ("<THINKING>[1,1,1,1,1]</THINKING> [1,0,0,1,0]", "10010"),
    ("［１，０，０，１，０］", "10010"),
    ("【1、0、0、1、0】", "10010"),
    ("1, 0, 0, 1, 0", "10010"),
    ("1 0 0 1 0", "10010"),
    ("1\n0\n0\n1\n0\n", "10010"),
    ("Answer: 1, 0, 0, 1, 0.", "10010"),
    ("Here you are:\n**1, 0, 0, 1, 0**", "10010"),
    ("Frame 1: 1, Frame 2: 0, Frame 3: 0, Frame 4: 1, Frame 5: 0", "10010"),
    ("- Frame 1: **1**\n- Frame 2: 0\n- Frame 3: 0\n- Frame 4: 1\n- Frame 5: 0", "10010"),
    ("frame one = 1\nframe two = 0\nframe three = 0\nframe four = 1\nframe five = 0", "10010"),
    ("Frame 0: 1, Frame 1: 0, Frame 2: 0, Frame 3: 1, Frame 4: 0", "10010"),
    ("Frame 2: 0, Frame 1: 1, Frame 4: 1, Frame 3: 0, Frame 5: 0", "10010"),
    (
        "The first frame is 1, the second frame is 0, the third frame is 0, the fourth frame is "
        "1 and the fifth frame is 0.",
        "10010",
    ),
    ("[0,0,0,1,0]", "10010"),  # the first is 1 by convention
]

BAD = [
    ("", "empty"),
    (" \n\t", "empty"),
    ("<think>[1,0,0,1,0]", "thoughts and no answer"),
    ("<think>[1,0,0,1,0]</think>", "thoughts and no answer"),
    ("[1,0,0,1]", "4 entries, not 5"),
    ("[1,0,0,1,0,0]", "6 entries, not 5"),
    ("1, 0, 0", "3 entries, not 5"),
    ("[1,0,2,1,0]", "other things than 0 and 1"),
    ("[dog, dog, cat, cat, cat]", "other things than 0 and 1"),
    ("[0.2, 0.1, 0.9, 0.1, 0.4]", "other things than 0 and 1"),
    ("[1,0,0,1,0", "no list"),
    ("I am sorry, I cannot hear audio.", "no list"),
    ("The sound changes in the fourth of 5 frames.", "no list"),
    ("Frame 1: 1, Frame 2: 0", "no list"),
    ("Frame 1: 1, Frame 2: 0, Frame 3: 0, Frame 4: 1, Frame 4: 0", "no list"),
    ("Frame 1: 1, Frame 2: 10, Frame 3: 0, Frame 4: 1, Frame 5: 0", "no list"),
    ("10010", "no list"),  # might be a number
    ("[]", "no list"),
]


@pytest.mark.parametrize(("text", "flags"), GOOD)
def test_lists_are_found(text: str, flags: str) -> None:
    assert parse_flags(text, 5) == Flags(tuple(map(int, flags)))


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_what_is_no_list_is_told(text: str, reason: str) -> None:
    answer = parse_flags(text, 5)
    assert isinstance(answer, Failure)
    assert reason in answer.reason


def test_no_windows() -> None:
    with pytest.raises(CoPropError, match="windows must be at least 1, got 0"):
        parse_flags("[1]", 0)


def test_thoughts_are_left_out() -> None:
    assert without_thoughts("<think>hm\n</think> A dog. ") == "A dog."
    assert without_thoughts("hm</think>A dog.") == "A dog."
    assert without_thoughts("<think>never done") == ""
    assert without_thoughts("2 < 3 and a <b> tag") == "2 < 3 and a <b> tag"


pieces = st.sampled_from(
    ["[", "]", "1", "0", ",", " ", "\n", "frame", "first", "1:", "<think>", "</think>", "```", "a"]
)


@settings(deadline=None, max_examples=400)
@given(
    text=st.one_of(st.text(max_size=200), st.lists(pieces, max_size=60).map("".join)),
    windows=st.integers(1, 40),
)
@example(text="[" * 3000 + "1" + "]" * 3000, windows=1)
@example(text="frame" + " " * 20_000 + "-" * 20_000, windows=2)
@example(text="a-" * 20_000, windows=2)
@example(text="<think>" * 5000, windows=2)
@example(text="٣, ², 1", windows=2)
def test_any_text_gives_a_valid_list_or_a_reason(text: str, windows: int) -> None:
    answer = parse_flags(text, windows)
    if isinstance(answer, Failure):
        assert answer.reason
    else:
        assert len(answer.values) == windows
        assert set(answer.values) <= {0, 1}
        assert answer.values[0] == 1


@settings(deadline=None)
@given(
    flags=st.lists(st.integers(0, 1), min_size=2, max_size=40),
    before=st.text(alphabet="abc .\n", max_size=30),
    after=st.text(alphabet="abc .\n", max_size=30),
    comma=st.sampled_from([",", ", ", " , ", ",\n"]),
)
def test_a_list_among_prose_is_found(flags: list[int], before: str, after: str, comma: str) -> None:
    text = f"{before}[{comma.join(map(str, flags))}]{after}"
    assert parse_flags(text, len(flags)) == Flags((1, *flags[1:]))
    assert isinstance(parse_flags(text, len(flags) + 1), Failure)
