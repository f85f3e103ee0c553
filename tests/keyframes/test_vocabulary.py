"""Words -> the default's groups."""

from __future__ import annotations

import pytest

from coprop.keyframes.groups import sounding_groups
from coprop.keyframes.vocabulary import groups_named


@pytest.mark.parametrize("group", sounding_groups())
def test_a_group_is_named_by_its_own_name(group: str) -> None:
    assert group in groups_named([group])
    assert group in groups_named(["the " + group.replace("_", " ").upper()])


@pytest.mark.parametrize(
    ("category", "groups"),
    [
        ("dog_barking", {"dog"}),
        ("A Chihuahua barks", {"dog"}),
        ("two men talking", {"person"}),
        ("baby_laughter", {"person"}),
        ("female singing, piano", {"person", "piano"}),
        ("playing_acoustic_guitar", {"guitar"}),
        ("playing_violin", {"bowed_strings"}),
        ("driving_buses", {"car"}),
        ("horse_clip-clop", {"horse"}),
        ("lions_roaring", {"big_cat"}),
        ("helicopter", {"aircraft"}),
        ("cattle", {"cow"}),
        ("guitars and bells", {"guitar", "bell"}),
        ("Bow-wow", {"dog"}),
        ("Canidae, dogs, wolves", {"dog"}),
        ("Roaring cats (lions, tigers)", {"big_cat"}),
        ("Vehicle horn, car horn, honking", {"car"}),
        ("Trumpet", {"brass"}),
        ("Growling", {"dog", "big_cat", "bear"}),
        ("Drum kit", {"drum"}),
        ("Music", set()),
        ("silence", set()),
        ("", set()),
        ("дождь", set()),
    ],
)
def test_categories_of_the_field(category: str, groups: set[str]) -> None:
    assert groups_named([category]) == groups


def test_every_name_of_audioset_that_a_group_has_means_it() -> None:
    for group, words in sounding_groups().items():
        for name in words.audioset:
            assert groups_named([name]), name
            assert group in groups_named([name]) or "Trumpet" in name, (group, name)


def test_a_part_of_a_word_is_no_name() -> None:
    assert groups_named(["carpet", "manual", "scatter"]) == frozenset()


def test_several_categories_add_up() -> None:
    assert groups_named(["cat", "dog", "cat"]) == {"cat", "dog"}
    assert groups_named([]) == frozenset()
