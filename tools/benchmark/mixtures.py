"""The mixture of a clip of the open benchmark: what is seen and heard in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from coprop.errors import DatasetError
from tools.benchmark.config import (
    INSTRUMENTS,
    ClipConfig,
    SubsetRule,
    look_alikes,
    sound_alikes,
)
from tools.benchmark.library import Library, Source

Role = Literal["sounding", "look_alike", "sound_alike", "bystander"]


@dataclass(frozen=True)
class Material:
    """What a split's clips are made of.

    Args:
        library: pictures and recordings of the split.
        seen: groups with pictures and recordings that training clips have too.
        unseen: groups with both that training clips have not; empty for the training split.
        kept_out: groups that training clips keep out; there they may not occur in any way.
        training: whether these are training clips.
        shown_in_training: groups whose pictures training clips may show.
    """

    library: Library
    seen: frozenset[str]
    unseen: frozenset[str]
    kept_out: frozenset[str]
    training: bool
    shown_in_training: frozenset[str]

    def pictured(self, besides: Collection[str | None]) -> list[str]:
        """Groups with pictures that may occur, in order, without the given ones."""
        return self._allowed(self.library.pictures, besides)

    def audible(self, besides: Collection[str | None]) -> list[str]:
        """Groups with recordings that may occur, in order, without the given ones."""
        return self._allowed(self.library.sounds, besides)

    def _allowed(self, groups: Iterable[str | None], besides: Collection[str | None]) -> list[str]:
        barred = {*besides, *(self.kept_out if self.training else ())}
        return sorted(group for group in groups if group is not None and group not in barred)


@dataclass(frozen=True)
class Mixture:
    """The parts of a clip, before they get places and times.

    Args:
        visible: groups of the objects that sound.
        distractors: (role, group) of silent objects; None for a thing that makes no sound.
        off_screen: the group of an off-screen source, or None.
        recordings: one for each visible group, then that of the off-screen source.
        music: what plays softly throughout, or None.
    """

    visible: tuple[str, ...]
    distractors: tuple[tuple[Role, str | None], ...]
    off_screen: str | None
    recordings: tuple[Source, ...]
    music: Source | None

    @property
    def shown(self) -> tuple[tuple[Role, str | None], ...]:
        """(role, group) of every object to be seen."""
        return (*(("sounding", group) for group in self.visible), *self.distractors)


def sample_mixture(
    material: Material, subset: SubsetRule, config: ClipConfig, rng: np.random.Generator
) -> Mixture:
    """Draws what is seen and heard.

    Nothing silent is of a group that sounds: nothing in a clip would tell twins apart.

    Raises:
        DatasetError: too few groups for the subset.
    """
    visible = _sounding_groups(material, subset, config, rng)
    distractors = _distractors(material, visible, config, rng)
    on_screen = {*visible, *(group for _, group in distractors)}
    off_screen = None
    if rng.random() < config.off_screen:
        alike = {g for group in visible for g in sound_alikes(group)}
        off_screen = _preferred(material.audible(on_screen), alike, rng)
    heard = [*visible, *([] if off_screen is None else [off_screen])]
    recordings = tuple(_one_of(material.library.sounds[group], rng) for group in heard)
    music = None
    if rng.random() < config.music:
        music = _music(material, {*on_screen, off_screen}, rng)
    return Mixture(visible, distractors, off_screen, recordings, music)


def sample_picture(material: Material, group: str | None, rng: np.random.Generator) -> Source:
    """A picture of a group, or of a thing that makes no sound."""
    return _one_of(material.library.pictures[group], rng)


def _sounding_groups(
    material: Material, subset: SubsetRule, config: ClipConfig, rng: np.random.Generator
) -> tuple[str, ...]:
    count = int(rng.integers(subset.fewest, subset.most + 1))
    wanted = bool(material.unseen) and rng.random() < config.unseen
    first, second = sorted(material.seen), sorted(material.unseen)
    if wanted or not first:
        first, second = second, first
    # Where there are too few unseen groups, seen ones stand beside them; never the other way round.
    pool = [*rng.permutation(first), *(rng.permutation(second) if wanted else ())]
    if len(pool) < subset.fewest:
        raise DatasetError(
            f"clips of {subset.name} need {subset.fewest} or more groups with pictures and "
            f"recordings, and there are {len(pool)} ({', '.join(map(str, sorted(pool)))}). Add to "
            "the sources, or keep fewer groups unseen."
        )
    return tuple(str(group) for group in pool[:count])


def _distractors(
    material: Material, visible: tuple[str, ...], config: ClipConfig, rng: np.random.Generator
) -> tuple[tuple[Role, str | None], ...]:
    if rng.random() >= config.distractor:
        return ()
    chosen: list[tuple[Role, str | None]] = []
    for _ in range(2 if rng.random() < 0.5 and len(visible) < 3 else 1):
        free = material.pictured({*visible, *(group for _, group in chosen)})
        found = _distractor(material, visible, free, rng)
        if found is not None:
            chosen.append(found)
    return tuple(chosen)


def _distractor(
    material: Material, visible: tuple[str, ...], free: Sequence[str], rng: np.random.Generator
) -> tuple[Role, str | None] | None:
    """The first kind of silent object, in random order, that there is material for."""
    families = {
        "look_alike": {g for group in visible for g in look_alikes(group)},
        "sound_alike": {g for group in visible for g in sound_alikes(group)},
    }
    kinds: tuple[Role, ...] = ("look_alike", "sound_alike", "bystander")
    for number in rng.permutation(len(kinds)):
        role = kinds[number]
        if role == "bystander":
            things = [group for group in free if not any(group in f for f in families.values())]
            silent = None in material.library.pictures
            if things and (not silent or rng.random() < 0.5):
                return role, str(rng.choice(things))
            if silent:
                return role, None
        else:
            alike = [group for group in free if group in families[role]]
            if alike:
                return role, str(rng.choice(alike))
    return None


def _preferred(
    groups: Sequence[str], alike: Collection[str], rng: np.random.Generator
) -> str | None:
    """Half of the time one of those alike, where there is one."""
    close = [group for group in groups if group in alike]
    pool = close if close and rng.random() < 0.5 else groups
    return str(rng.choice(pool)) if pool else None


def _music(
    material: Material, besides: Collection[str | None], rng: np.random.Generator
) -> Source | None:
    groups = [group for group in material.audible(besides) if group in INSTRUMENTS]
    marked = [s for s in material.library.music if s.group is None or s.group not in besides]
    if marked and (not groups or rng.random() < 0.5):
        return _one_of(marked, rng)
    if groups:
        return _one_of(material.library.sounds[str(rng.choice(groups))], rng)
    return None


def _one_of(sources: Sequence[Source], rng: np.random.Generator) -> Source:
    return sources[int(rng.integers(len(sources)))]
