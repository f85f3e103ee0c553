"""What a folder of the open benchmark says about a clip: ``clip.json``, made and read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from coprop.checks import number, shown, whole
from coprop.data.benchmark import BenchmarkClip
from coprop.data.library import Source
from coprop.data.soundtrack import Schedule
from coprop.errors import DatasetError
from coprop.files import read_json

RECORD = "clip.json"
_FASTEST = 1000  # frames a second
_MOST_FRAMES = 1_000_000  # nine hours at 30 a second
Spans = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ObjectRecord:
    """One object of a clip as the reader needs it.

    Args:
        group: what it shows; None for a thing that makes no sound.
        seen_in_training: see `coprop.data.benchmark.SceneObject`.
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


def describe(clip: BenchmarkClip, sources: Path) -> dict[str, Any]:
    """Everything about a clip but its pixels and samples, as JSON can hold it.

    Args:
        clip: the clip.
        sources: the folder that paths are given from.
    """
    schedule, scene = clip.schedule, clip.staging.scene
    shown = {thing.source for thing in clip.objects}
    visible = [state & shown for state in schedule.sounding]
    off_screen = [i for i in range(len(clip.recordings)) if i not in shown]
    sounding = [thing for thing in clip.objects if thing.source is not None]
    return {
        "name": clip.name,
        "subset": clip.subset,
        "split": clip.split,
        "fps": clip.fps,
        "num_frames": clip.num_frames,
        "duration_s": schedule.times_s[-1],
        "size": {"height": scene.size[0], "width": scene.size[1]},
        "change_times_s": list(schedule.change_times_s),
        "visible_change_times_s": [
            time_s
            for time_s, (before, after) in zip(
                schedule.change_times_s, pairwise(visible), strict=True
            )
            if before != after
        ],
        "categories": sorted({str(thing.picture.group) for thing in sounding}),
        "seen_in_training": all(thing.seen_in_training for thing in sounding),
        "objects": [
            {
                "label": label,
                "group": thing.picture.group,
                "role": thing.role,
                "seen_in_training": thing.seen_in_training,
                "sounding_s": _spans(schedule, thing.source),
                "picture": _path(thing.picture, sources),
                "recording": None
                if thing.source is None
                else _path(clip.recordings[thing.source], sources),
                "size": sprite.size,
                "growth_per_s": sprite.growth,
            }
            for label, (thing, sprite) in enumerate(
                zip(clip.objects, scene.sprites, strict=True), start=1
            )
        ],
        "off_screen": [
            {
                "group": clip.recordings[i].group,
                "sounding_s": _spans(schedule, i),
                "recording": _path(clip.recordings[i], sources),
            }
            for i in off_screen
        ],
        "music": None
        if clip.music is None
        else {"group": clip.music.group, "recording": _path(clip.music, sources)},
        "background": _path(clip.staging.background, sources),
        "events": [asdict(event) for event in clip.events],
        "motion": clip.staging.motion,
        "crossing": None
        if clip.staging.crossing is None
        else dict(zip(("before", "behind"), (i + 1 for i in clip.staging.crossing), strict=True)),
    }


def sources_of(record: dict[str, Any]) -> set[str]:
    """The paths of all pictures and recordings that a clip was made of."""
    parts = [*record["objects"], *record["off_screen"], record["music"] or {}]
    named = {part.get(name) for part in parts for name in ("picture", "recording")}
    return {str(path) for path in named if path is not None} | {str(record["background"])}


def load_record(path: Path) -> dict[str, Any]:
    """The content of a ``clip.json``.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(content, dict):
        raise _unreadable(path, "it is no JSON object")
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
        raise _unreadable(path, f"it lacks {error}") from error
    except (TypeError, ValueError) as error:
        raise _unreadable(path, error) from error


def load_clip(path: Path) -> dict[str, Any]:
    """The content of a ``clip.json`` with all that a folder's tables are made of.

    Raises:
        DatasetError: it cannot be read, or lacks something.
    """
    read_record(path)
    content = load_record(path)
    try:
        for name in ("name", "split", "subset"):
            _text(name, content[name])
        sources_of(content)
        int(content["seen_in_training"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    return content


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


def _spans(schedule: Schedule, source: int | None) -> list[list[float]]:
    """The stretches in which a source sounds."""
    spans: list[list[float]] = []
    for (start, end), state in zip(pairwise(schedule.times_s), schedule.sounding, strict=True):
        if source not in state:
            continue
        if spans and spans[-1][1] == start:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    return spans


def _path(source: Source, sources: Path) -> str:
    return source.path.relative_to(sources).as_posix()


def _unreadable(path: Path, reason: object) -> DatasetError:
    return DatasetError(
        f"{path} cannot be read: {reason}. Check the folder with coprop data verify, and compose "
        "it anew."
    )
