"""What sounds of what is seen: the cases that real videos bring."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from coprop.keyframes.audio import AudioEvidence
from coprop.keyframes.selection import Selection, SourceSelector
from coprop.keyframes.visual import VisualEvidence

DOG, CAT, PERSON, TOOL = range(4)


def heard(*, ambient: float = 0.0, **groups: float) -> AudioEvidence:
    told = row(**groups)
    confidence = torch.tensor([max([ambient, *groups.values()])])
    return AudioEvidence(told, torch.zeros(1, 521), torch.tensor([ambient]), confidence)


def row(**groups: float) -> Tensor:
    names = {"dog": DOG, "cat": CAT, "person": PERSON, "tool": TOOL}
    values = torch.full((1, 4), 0.01)
    for name, value in groups.items():
        values[0, names[name]] = value
    return values


def decided(
    seen: Tensor, sound: AudioEvidence, *, unknown: float = 0.0, off_screen: float = 0.1
) -> Selection:
    sources = SourceSelector(4, off_screen)
    sources.overlooked.copy_(torch.tensor([0.05, 0.05, 0.05, 0.5]))
    return sources.select(seen, torch.tensor([unknown]), sound)


def groups_of(sounding: Selection) -> list[int]:
    return sounding.groups[0].nonzero().flatten().tolist()


def test_what_is_seen_and_heard_sounds() -> None:
    found = decided(row(dog=0.9, person=0.7), heard(dog=0.9))
    assert groups_of(found) == [DOG]
    assert not found.other.any()


def test_two_that_are_seen_and_heard_alike_sound_both() -> None:
    found = decided(row(dog=0.9, cat=0.9), heard(dog=0.6, cat=0.6))
    assert groups_of(found) == [DOG, CAT]


def test_a_voice_beside_the_picture_masks_no_dog() -> None:
    seen, sound = row(dog=0.9), heard(person=0.9)
    assert groups_of(decided(seen, sound)) == []
    assert groups_of(decided(seen, sound, off_screen=0.0)) == [DOG]


def test_a_sound_that_cannot_be_told_is_of_what_fills_the_picture() -> None:
    assert groups_of(decided(row(cat=0.8), heard(tool=0.03))) == [CAT]


@pytest.mark.parametrize("level", [0.4, 0.9])
def test_noise_and_wind_are_nothing_in_the_picture(level: float) -> None:
    assert groups_of(decided(row(dog=0.9), heard(ambient=level))) == []


def test_a_bark_in_the_wind_is_the_dogs() -> None:
    assert groups_of(decided(row(dog=0.9), heard(dog=0.5, ambient=0.9))) == [DOG]


def test_what_is_heard_and_often_overlooked_is_what_stands_out() -> None:
    found = decided(row(), heard(tool=0.8), unknown=0.9)
    assert groups_of(found) == []
    assert found.other.tolist() == [1.0]
    assert decided(row(), heard(tool=0.8), unknown=0.0).other.tolist() == [0.0]
    # A dog would have been recognised.
    assert decided(row(), heard(dog=0.8), unknown=0.9).other.tolist() == [0.0]


probability = st.floats(0, 1, width=32)
rows = st.lists(probability, min_size=4, max_size=4)


@given(rows, rows, probability, probability, probability, probability)
def test_the_surer_it_shall_be_the_less_sounds(
    seen: list[float],
    told: list[float],
    unknown: float,
    ambient: float,
    one: float,
    other: float,
) -> None:
    sound = AudioEvidence(
        torch.tensor([told]),
        torch.zeros(1, 521),
        torch.tensor([ambient]),
        torch.tensor([max(told)]),
    )
    low, high = (
        decided(torch.tensor([seen]), sound, unknown=unknown, off_screen=value)
        for value in sorted((one, other))
    )
    assert set(groups_of(high)) <= set(groups_of(low))
    assert high.other <= low.other


def among(seen: Tensor, sound: AudioEvidence, *named: int) -> list[int]:
    """The groups that sound of those that words name, with nothing unknown in the picture."""

    class Seeing(SourceSelector):
        def seen(self, visual: VisualEvidence) -> Tensor:
            return seen

        def stands_out(self, visual: VisualEvidence) -> Tensor:
            return torch.zeros(1)

    words = torch.zeros(1, 4)
    words[0, list(named)] = 1
    visual = VisualEvidence((), *[torch.zeros(1)] * 7)
    return groups_of(Seeing(4).among(visual, sound, words))


def test_of_what_words_name_the_sound_chooses() -> None:
    seen, sound = row(dog=0.9, cat=0.9, person=0.9), heard(dog=0.6, cat=0.5, person=0.02)
    assert among(seen, sound, DOG, CAT, PERSON, TOOL) == [DOG, CAT]
    assert among(seen, sound, CAT) == [CAT]
    assert among(seen, sound, CAT, PERSON) == [CAT]  # the words name more than is heard


def test_where_the_words_name_nothing_that_sounds_the_sound_decides_alone() -> None:
    seen, sound = row(dog=0.9), heard(dog=0.6)
    assert among(seen, sound) == [DOG]
    assert among(seen, sound, TOOL) == [DOG]


def visual(*presence: float, patches: float = 0.0, standing_out: float = 0.0) -> VisualEvidence:
    """A picture of which the dog's cues of presence are given."""
    scores = torch.zeros(1, 4, 3)
    scores[0, DOG] = torch.tensor(presence)
    place = torch.full((1, 1, 16, 16), standing_out)
    own = torch.zeros(1, 4)
    own[0, DOG] = patches
    voc = torch.zeros(1, 4, 16, 16)
    return VisualEvidence((), torch.zeros(1, 5, 4, 4), scores, own, voc, place, place, place)


@pytest.mark.parametrize(
    ("cues", "chance"), [((0, 0, 0), 0.018), ((1, 0, 0), 0.5), ((1, 0.5, 0), 0.881)]
)
def test_cues_of_presence_add_up_to_log_odds(cues: tuple[float, ...], chance: float) -> None:
    sources = SourceSelector(4)  # untrained: four for each cue, less four
    assert float(sources.seen(visual(*cues))[0, DOG]) == pytest.approx(chance, abs=1e-3)
    assert float(sources.seen(visual(*cues, patches=0.95))[0, DOG]) == pytest.approx(0.95)


def test_what_is_recognised_is_nothing_unknown() -> None:
    sources, sound = SourceSelector(4, off_screen=0.1), heard(tool=0.8)
    sources.overlooked.fill_(0.5)
    assert sources(visual(0, 0, 0, standing_out=1.0), sound).other.tolist() == [1.0]
    assert sources(visual(1, 1, 0, standing_out=1.0), sound).other.tolist() == [0.0]
