"""What a folder of the open benchmark says about a clip: ``clip.json``, read and checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from coprop.errors import DatasetError
from coprop.storage.files import read_json
from coprop.utils.brief import first_line
from coprop.utils.checks import number, shown, whole

RECORD = "clip.json"
_FASTEST = 1000  # frames a second
_MOST_FRAMES = 1_000_000  # nine hours at 30 a second
Spans = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ObjectRecord:
    """One object of a clip as the reader needs it.

    Args:
        group: what it shows; None for a thing that makes no sound.
        seen_in_training: whether training clips show its group, and for what sounds, whether it
            sounds there; None without a group.
        sounding_s: spans [start, end) in which it sounds, in seconds.
    """

    group: str | None
    seen_in_training: bool | None
    sounding_s: Spans

    def sounds_at(self, time_s: float) -> bool:
        """Whether it sounds at a time."""
        return any(start <= time_s < end for start, end in self.sounding_s)


@dataclass(frozen=True)
class ClipRecord:
    """A clip as the reader needs it; object i has label i + 1 in the masks.

    ``off_screen`` is what is heard and not seen, music included.
    """

    fps: float
    num_frames: int
    change_times_s: tuple[float, ...]
    categories: tuple[str, ...]
    objects: tuple[ObjectRecord, ...]
    off_screen: tuple[ObjectRecord, ...] = ()

    @property
    def silent(self) -> tuple[str, ...]:
        """Groups of what is seen and never sounds."""
        return tuple(sorted({o.group for o in self.objects if o.group and not o.sounding_s}))

    @property
    def hidden(self) -> tuple[str, ...]:
        """Groups of what is heard and not seen."""
        return tuple(sorted({o.group for o in self.off_screen if o.group}))

    @property
    def heard(self) -> tuple[tuple[str, ...], ...]:
        """Groups of the objects that sound from the beginning, and from each change, on."""
        return tuple(
            tuple(sorted({o.group for o in self.objects if o.group and o.sounds_at(time_s)}))
            for time_s in (0.0, *self.change_times_s)
        )


def load_record(path: Path) -> dict[str, Any]:
    """The content of a ``clip.json``.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, first_line(error)) from error
    if not isinstance(content, dict):
        raise unreadable(path, "it is no JSON object")
    return content


def read_record(path: Path) -> ClipRecord:
    """What the reader needs of a ``clip.json``.

    Raises:
        DatasetError: it cannot be read, lacks something, or has values out of range.
    """
    content = load_record(path)
    try:
        fps = number("fps", content["fps"], f"above 0, {_FASTEST} at most", above=0, high=_FASTEST)
        frames = f"a whole number from 1 to {_MOST_FRAMES}"
        return ClipRecord(
            fps=fps,
            num_frames=whole("num_frames", content["num_frames"], frames, low=1, high=_MOST_FRAMES),
            change_times_s=_increasing("change_times_s", content["change_times_s"]),
            categories=tuple(_text("categories", name) for name in content["categories"]),
            objects=tuple(_object(own) for own in content["objects"]),
            off_screen=tuple(_off_screen(content)),
        )
    except KeyError as error:
        raise unreadable(path, f"it lacks {error}") from error
    except (TypeError, ValueError) as error:
        raise unreadable(path, error) from error


def _off_screen(content: dict[str, Any]) -> Iterator[ObjectRecord]:
    """What sounds and is not seen; music does so all the time."""
    for own in content.get("off_screen") or ():
        yield _object({"seen_in_training": None, **own})
    if content.get("music"):
        throughout = [[0, content["num_frames"] / content["fps"]]]
        yield _object({"seen_in_training": None, "sounding_s": throughout, **content["music"]})


def _object(own: dict[str, Any]) -> ObjectRecord:
    group, seen = own["group"], own["seen_in_training"]
    if not (isinstance(group, str | None) and isinstance(seen, bool | None)):
        raise ValueError(f"an object's group and seen_in_training are {group!r} and {seen!r}")
    spans = tuple(_increasing("sounding_s", span) for span in own["sounding_s"])
    return ObjectRecord(group, seen, tuple((start, end) for start, end in spans))


def _increasing(name: str, values: Any) -> tuple[float, ...]:
    times = tuple(number(name, value, "seconds, 0 or more", low=0) for value in values)
    if any(later < earlier for earlier, later in pairwise(times)):
        raise ValueError(f"{name} must increase")
    return times


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, got {shown(value)}")
    return value


def unreadable(path: Path, reason: object) -> DatasetError:
    """The error of a ``clip.json`` that cannot be used."""
    return DatasetError(
        f"{path} cannot be read: {reason}. Check the folder with coprop data verify, and compose "
        "it anew."
    )
