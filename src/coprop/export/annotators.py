"""What annotation tools import: CVAT's XML, Label Studio's tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from coprop.export.annotations import supports
from coprop.export.datasets import write_frames
from coprop.export.folders import new_export
from coprop.export.objects import SeenObject, name_of
from coprop.export.recording import Recording
from coprop.export.rle import brush_codes, row_runs
from coprop.export.tables import xml_document, xml_text
from coprop.storage.files import replacing, write_text

LOCAL_FILES = "/data/local-files/?d="
"""Where Label Studio serves what lies below its document root."""


def write_cvat(recording: Recording, path: Path) -> None:
    """CVAT's XML, version 1.1: an image for each frame, with a mask for each object in it.

    CVAT takes it for a task made of the video, too, whose frames it finds by number. It knows no
    tracks of masks; the object's number is the group, and an attribute ``track_id``.
    """
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in _cvat_lines(recording))


def _cvat_lines(recording: Recording) -> Iterator[str]:
    height, width = recording.size
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield "<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>"
    yield f"      <name>{escape(xml_text(recording.video_name))}</name>"
    yield f"      <size>{len(recording.heads)}</size>\n      <mode>annotation</mode>"
    yield "      <labels>"
    for name in recording.objects.categories:
        yield f"        <label><name>{escape(xml_text(name))}</name><type>mask</type><attributes>"
        yield "          <attribute><name>track_id</name><mutable>False</mutable>"
        yield "            <input_type>text</input_type><default_value></default_value>"
        yield "            <values></values></attribute></attributes></label>"
    yield "      </labels>\n    </task>\n  </meta>"
    for mask in recording.masks():
        yield (
            f'  <image id="{mask.index}" name="frame_{mask.index:06d}" width="{width}" '
            f'height="{height}" time_s="{mask.time_s!r}">'
        )
        for seen in recording.objects.seen(mask):
            yield _cvat_mask(seen)
        yield "  </image>"
    yield "</annotations>"


def _cvat_mask(seen: SeenObject) -> str:
    left, top, wide, high = seen.box
    runs = row_runs(seen.mask[top : top + high, left : left + wide])
    return (
        f'    <mask label={quoteattr(xml_text(seen.name))} source="auto" occluded="0" '
        f'rle="{runs}" left="{left}" top="{top}" width="{wide}" height="{high}" z_order="0" '
        f'group_id="{seen.track_id}">\n'
        f'      <attribute name="track_id">{seen.track_id}</attribute>\n    </mask>'
    )


def write_label_studio(recording: Recording, path: Path) -> None:
    """``tasks.json``, a task with the objects' boxes and the timeline, and ``config.xml``.

    Frames count from 1, and boxes are percentages of the frame, as Label Studio has them.
    """
    task = {
        "data": {
            "video": LOCAL_FILES + recording.video_name,
            "fps": recording.frame_rate,
        },
        "predictions": [_prediction([*_boxes(recording), *_timeline(recording)])],
    }
    view = ElementTree.Element("View")
    _labels(view, "TimelineLabels", "segments", "video", _heard(recording))
    ElementTree.SubElement(view, "Video", {"name": "video", "value": "$video", "frameRate": "$fps"})
    ElementTree.SubElement(view, "VideoRectangle", {"name": "boxes", "toName": "video"})
    _labels(view, "Labels", "labels", "video", list(recording.objects.categories))
    with new_export(path) as part:
        write_text(part / "tasks.json", json.dumps([task], allow_nan=False) + "\n")
        write_text(part / "config.xml", xml_document(view))


def write_label_studio_masks(recording: Recording, path: Path) -> None:
    """``tasks.json``, a task with its masks for each frame, ``config.xml``, and the frames.

    Label Studio has masks of pictures alone, none of videos.
    """
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", {"name": "image", "value": "$image"})
    _labels(view, "BrushLabels", "masks", "image", list(recording.objects.categories))
    with new_export(path) as part:
        write_frames(recording, part / "images")
        tasks = [
            {
                "data": {
                    "image": f"{LOCAL_FILES}{path.name}/images/"
                    f"{recording.frame_name(mask.index)}.jpg",
                    "frame": mask.index,
                    "time_s": mask.time_s,
                },
                "predictions": [_prediction([_brush(s) for s in recording.objects.seen(mask)])],
            }
            for mask in recording.masks()
        ]
        text = ",\n".join(json.dumps(task, allow_nan=False) for task in tasks)
        write_text(part / "tasks.json", f"[\n{text}\n]\n")
        write_text(part / "config.xml", xml_document(view))


def _prediction(result: list[dict[str, Any]]) -> dict[str, Any]:
    from coprop import __version__

    return {"model_version": f"coprop {__version__}", "result": result}


def _labels(view: ElementTree.Element, tag: str, name: str, of: str, values: list[str]) -> None:
    labels = ElementTree.SubElement(view, tag, {"name": name, "toName": of})
    for value in values:
        ElementTree.SubElement(labels, "Label", {"value": xml_text(value)})


def _heard(recording: Recording) -> list[str]:
    """The best name of each segment, each once."""
    return list(dict.fromkeys(name_of(segment) for segment in recording.segments))


def _boxes(recording: Recording) -> list[dict[str, Any]]:
    """A region for each object, with its box in each frame that it is in."""
    height, width = recording.size
    sequences: dict[int, list[dict[str, Any]]] = {n: [] for n in recording.objects.tracks}
    for number, mask in enumerate(recording.masks(), start=1):
        for seen in recording.objects.seen(mask):
            left, top, wide, high = seen.box
            sequence = sequences[seen.track_id]
            if sequence and sequence[-1]["frame"] < number - 1:
                sequence[-1]["enabled"] = False  # the last before it was away
            sequence.append(
                {
                    "frame": number,
                    "enabled": True,
                    "rotation": 0,
                    "x": 100 * left / width,
                    "y": 100 * top / height,
                    "width": 100 * wide / width,
                    "height": 100 * high / height,
                    "time": mask.time_s,
                }
            )
    for sequence in sequences.values():
        sequence[-1]["enabled"] = False
    return [
        {
            "id": f"track-{number}",
            "type": "videorectangle",
            "from_name": "boxes",
            "to_name": "video",
            "value": {
                "framesCount": len(recording.heads),
                "duration": recording.end_s,
                "sequence": sequence,
                "labels": [recording.objects.tracks[number]],
            },
        }
        for number, sequence in sequences.items()
    ]


def _timeline(recording: Recording) -> list[dict[str, Any]]:
    """A region of the timeline for each segment; its times in seconds stand in the notes."""
    both = zip(recording.segments, supports(recording), strict=True)
    return [
        {
            "id": f"segment-{number}",
            "type": "timelinelabels",
            "from_name": "segments",
            "to_name": "video",
            "value": {
                "ranges": [{"start": first, "end": last}],
                "timelinelabels": [name_of(segment)],
            },
            "meta": {"text": [f"{segment.start_s!r} to {segment.end_s!r} s"]},
        }
        for number, (segment, (first, last)) in enumerate(both, start=1)
    ]


def _brush(seen: SeenObject) -> dict[str, Any]:
    height, width = seen.mask.shape
    return {
        "id": f"track-{seen.track_id}",
        "type": "brushlabels",
        "from_name": "masks",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {
            "format": "rle",
            "rle": brush_codes(seen.mask),
            "brushlabels": [seen.name],
        },
    }
