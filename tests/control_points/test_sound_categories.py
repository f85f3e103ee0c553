from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coprop.control_points.rcpg.categories import categories_in, likeness, normal_name

ANSWERS = {
    "There are two different types of audio in this segment, one for cello and the other for "
    "piano.": ("cello", "piano"),
    "The audio contains two categories: a man speaking and a dog barking.": (
        "man speaking",
        "dog barking",
    ),
    "1. Dog barking\n2. Cats meowing\n3. Rain": ("dog barking", "cat meowing", "rain"),
    "Two: male_speech, helicopter": ("male speech", "helicopter"),
    "There is no speech, but a dog. Without music.": ("dog",),
    "A dog and another dog": ("dog",),
    "The baby's laughter": ("baby laughter",),
    "Buses and women": ("bus", "woman"),
    "(a) a dog; (b) rain": ("dog", "rain"),
    "Three.": (),
    "": (),
}


@pytest.mark.parametrize(("answer", "names"), ANSWERS.items())
def test_names_in_an_answer(answer: str, names: tuple[str, ...]) -> None:
    assert categories_in(answer) == names


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        (["cello"], ["playing_cellos"], 1.0),
        (["dog barking"], ["dog_barking"], 1.0),
        (["cello", "piano"], ["piano", "cello"], 1.0),
        (["cello", "piano"], ["cello"], 2 / 3),
        (["dogs"], ["dog_barking"], 0.75),
        (["man speaking"], ["female_singing"], 0.5),  # both are persons
        (["cello"], ["violin"], 0.5),  # both are bowed
        (["mynah bird singing"], ["female singing"], 0.0),  # one word of four
        (["dog"], ["helicopter"], 0.0),
        ([], ["dog"], 0.0),
        (["the"], ["a"], 0.0),
    ],
)
def test_likeness(first: list[str], second: list[str], alike: float) -> None:
    assert likeness(first, second) == pytest.approx(alike)
    assert likeness(second, first) == pytest.approx(alike)


names = st.lists(st.text(alphabet="abcd sgo_-", max_size=12), max_size=4)


@given(first=names, second=names)
def test_likeness_is_a_symmetric_share(first: list[str], second: list[str]) -> None:
    alike = likeness(first, second)
    assert 0.0 <= alike <= 1.0
    assert alike == pytest.approx(likeness(second, first))


@given(text=st.text(max_size=200))
def test_names_are_in_normal_form(text: str) -> None:
    for name in categories_in(text):
        assert normal_name(name) == name
