"""What a folder of the open benchmark says about a clip, ``clip.json``, as it is written.

`coprop.data.benchmark_record` reads it.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from coprop.data.benchmark_record import load_record, read_record, unreadable
from coprop.utils.checks import shown
from tools.benchmark.clips import BenchmarkClip
from tools.benchmark.library import Source
from tools.benchmark.mixing import Schedule


def describe(clip: BenchmarkClip, sources: Path) -> dict[str, Any]:
    """Everything about a clip but its pixels and samples, as JSON can hold it.

    Args:
        clip: the clip.
        sources: the folder that paths are given from.
    """
    schedule, scene = clip.schedule, clip.layout.scene
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
        "objects": _objects(clip, sources),
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
        "background": _path(clip.layout.background, sources),
        "events": [asdict(event) for event in clip.events],
        "motion": clip.layout.motion,
        "crossing": None
        if clip.layout.crossing is None
        else dict(zip(("before", "behind"), (i + 1 for i in clip.layout.crossing), strict=True)),
    }


def _objects(clip: BenchmarkClip, sources: Path) -> list[dict[str, Any]]:
    """The objects in painting order, which is that of their labels."""
    return [
        {
            "label": label,
            "group": thing.picture.group,
            "role": thing.role,
            "seen_in_training": thing.seen_in_training,
            "sounding_s": _spans(clip.schedule, thing.source),
            "picture": _path(thing.picture, sources),
            "recording": None
            if thing.source is None
            else _path(clip.recordings[thing.source], sources),
            "size": sprite.size,
            "growth_per_s": sprite.growth,
        }
        for label, (thing, sprite) in enumerate(
            zip(clip.objects, clip.layout.scene.sprites, strict=True), start=1
        )
    ]


def sources_of(record: dict[str, Any]) -> set[str]:
    """The paths of all pictures and recordings that a clip was made of."""
    parts = [*record["objects"], *record["off_screen"], record["music"] or {}]
    named = {part.get(name) for part in parts for name in ("picture", "recording")}
    return {str(path) for path in named if path is not None} | {str(record["background"])}


def load_clip(path: Path) -> dict[str, Any]:
    """The content of a ``clip.json`` with all that a folder's tables are made of.

    Raises:
        DatasetError: it cannot be read, or lacks something.
    """
    read_record(path)
    content = load_record(path)
    try:
        for name in ("name", "split", "subset"):
            if not isinstance(content[name], str):
                raise ValueError(f"{name} must be text, got {shown(content[name])}")
        sources_of(content)
        int(content["seen_in_training"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unreadable(path, f"{type(error).__name__}: {error}") from error
    return content


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
