"""The groups of things that sound which the default knows, in the words of its encoders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Group:
    """A group of things that look and sound alike.

    Args:
        imagenet: indices of ImageNet-1k's classes that show one.
        voc: names of PASCAL VOC's classes.
        audioset: names of AudioSet's classes that are heard of one.
    """

    imagenet: tuple[int, ...]
    voc: tuple[str, ...]
    audioset: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """Groups that share what is heard of them in general.

    Args:
        audioset: names of AudioSet's classes.
        groups: names of the groups that may be meant.
    """

    audioset: tuple[str, ...]
    groups: tuple[str, ...]


@cache
def sounding_groups() -> dict[str, Group]:
    """The groups by name, in the order of the networks' channels."""
    groups = _content()["groups"]
    return {
        name: Group(tuple(map(int, g["imagenet"])), tuple(g["voc"]), tuple(g["audioset"]))
        for name, g in groups.items()
    }


def index_of(name: str) -> int:
    """A group's channel in the networks."""
    return list(sounding_groups()).index(name)


@cache
def families() -> dict[str, Family]:
    """The families of groups by name."""
    families = _content()["families"]
    return {name: Family(*map(tuple, family.values())) for name, family in families.items()}


def _content() -> dict[str, dict[str, dict[str, list[str]]]]:
    text = resources.files(__package__).joinpath("groups.json").read_text(encoding="utf-8")
    content: dict[str, dict[str, dict[str, list[str]]]] = json.loads(text)
    return content
