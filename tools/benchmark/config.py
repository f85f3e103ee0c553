"""What the clips of the open benchmark are to hold: the three subsets, shares and families."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from coprop.errors import DatasetError
from tools.benchmark.mixing import Schedule

_STRUCK_OR_PLUCKED = {"drum", "guitar", "harp", "mallets", "piano"}
_BLOWN_OR_BOWED = {"accordion", "bowed_strings", "brass", "flute", "organ", "reed"}
INSTRUMENTS = frozenset(_STRUCK_OR_PLUCKED | _BLOWN_OR_BOWED)
"""Groups whose recordings may play softly as background music where they are not seen."""

_SHARES = ("unseen", "off_screen", "distractor", "occlusion", "music", "loudness", "room")
_LOOK_ALIKE = (
    "bear big_cat cat dog",
    "cow elephant horse pig sheep",
    "bird duck poultry",
    "boat car motorcycle train",
    "bowed_strings guitar harp",
    "brass flute reed",
    "accordion organ piano",
    "gun telephone tool",
    "monkey person",
)
_SOUND_ALIKE = (
    "bear big_cat cow elephant",
    "cat dog sea_mammal",
    "horse pig sheep",
    "bird duck frog insect poultry",
    "aircraft boat car household motorcycle train",
    "bell clock telephone",
    "drum gun tool",
    "guitar harp mallets piano",
    "accordion bowed_strings brass flute organ reed",
    "monkey person",
)


@dataclass(frozen=True)
class SubsetRule:
    """Which clips a subset takes.

    Args:
        name: of the subset; also the beginning of its clips' names.
        fewest: objects that are seen and sound at some time, at least.
        most: the same, at most.
        together: at some time two or more of them sound at once.
        changing: what sounds of them changes from one thing to another, not only to silence.
    """

    name: str
    fewest: int
    most: int
    together: bool = False
    changing: bool = False

    def takes(self, schedule: Schedule, visible: int, sources: int) -> bool:
        """Whether a schedule of ``sources`` fits, of which the first ``visible`` are seen.

        Every source must sound at some time.
        """
        states = [frozenset(i for i in state if i < visible) for state in schedule.sounding]
        if frozenset[int]().union(*schedule.sounding) != frozenset(range(sources)):
            return False
        if self.together and max(len(state) for state in states) < 2:
            return False
        return not self.changing or len({state for state in states if state}) > 1


SUBSETS = {
    "s4": SubsetRule("s4", 1, 1),
    "m3": SubsetRule("m3", 2, 3, together=True),
    "moc": SubsetRule("moc", 2, 3, changing=True),
}
"""The subsets by name: as AVSBench's S4 and MS3, and the paper's MOC (section 4)."""


@dataclass(frozen=True)
class ClipConfig:
    """Numbers that hold for all clips. Shares are probabilities in [0, 1].

    Args:
        duration_s: length of a clip, 5 s or more.
        fps: frames per second.
        size: (height, width) of the frames in pixels, 64 or more.
        unseen: share of the test clips whose sounding objects are of groups unseen in training.
        off_screen: share with a source that is heard and not seen.
        distractor: share with a silent object; half of these have two.
        occlusion: share in which one object passes before another.
        music: share with soft music throughout.
        loudness: share in which everything gets louder or softer at some time.
        room: share in which the room changes at some time.

    Raises:
        DatasetError: a number out of range.
    """

    duration_s: float = 8.0
    fps: float = 5.0
    size: tuple[int, int] = (288, 384)
    unseen: float = 0.3
    off_screen: float = 0.25
    distractor: float = 0.6
    occlusion: float = 0.4
    music: float = 0.3
    loudness: float = 0.4
    room: float = 0.3

    def __post_init__(self) -> None:
        if not (isfinite(self.duration_s) and self.duration_s >= 5):
            raise DatasetError(
                f"a clip needs 5 s or more to hold its changes, got {self.duration_s}."
            )
        if not (isfinite(self.fps) and 0 < self.fps <= 120):
            raise DatasetError(f"fps must be above 0 and at most 120, got {self.fps}.")
        if min(self.size) < 64 or max(self.size) > 4096:
            height, width = self.size
            raise DatasetError(
                f"frames must be 64 to 4096 pixels high and wide, got {width}x{height} (WxH)."
            )
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise DatasetError(
                    f"{name} is a share and must lie in [0, 1], got {getattr(self, name)}."
                )


def chosen_subsets(name: str) -> tuple[SubsetRule, ...]:
    """The subset of a name, or all three for "all".

    Raises:
        DatasetError: another name.
    """
    if name == "all":
        return tuple(SUBSETS.values())
    if name not in SUBSETS:
        raise DatasetError(f"there is no subset {name!r}; choose all or one of {[*SUBSETS]}.")
    return (SUBSETS[name],)


def look_alikes(group: str) -> frozenset[str]:
    """Other groups that one may take for a group by sight; empty where none is known."""
    return _family(_LOOK_ALIKE, group)


def sound_alikes(group: str) -> frozenset[str]:
    """Other groups that one may take for a group by ear; empty where none is known."""
    return _family(_SOUND_ALIKE, group)


def unseen_groups(material: Mapping[str, int]) -> frozenset[str]:
    """The quarter of the groups that training clips keep out, at least one of two or more.

    Those that training has the least of, so that it loses least by it.

    Args:
        material: group -> its training pictures or recordings, whichever are fewer. Where two have
            as many, the lower digest of the name decides.
    """

    def scarcity(name: str) -> tuple[int, str]:
        return material[name], hashlib.sha256(name.encode()).hexdigest()

    names = sorted(material, key=scarcity)
    return frozenset(names[: max(len(names) // 4, 1)]) if len(names) > 1 else frozenset()


def _family(families: tuple[str, ...], group: str) -> frozenset[str]:
    members = (frozenset(family.split()) for family in families)
    return frozenset().union(*(own - {group} for own in members if group in own))
