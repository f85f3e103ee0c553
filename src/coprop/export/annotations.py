"""Annotations in one JSON file: COCO, and FiftyOne's labels."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coprop.export.objects import SeenObject
from coprop.export.recording import Recording
from coprop.export.rle import coco_counts
from coprop.storage.files import write_text

_LISTS = ("videos", "categories", "tracks", "images", "annotations")


def write_coco(recording: Recording, path: Path) -> None:
    """COCO's instances: an image for each frame, an annotation for each object in it.

    Masks are compressed runs, as pycocotools has them. Beside what COCO knows, images have
    ``video_id``, ``frame_index`` and ``time_s``, annotations ``track_id`` and ``video_id``, and
    ``tracks`` lists the objects, as the video datasets TAO and BURST have them.
    """
    height, width = recording.size
    lists: dict[str, list[Any]] = {name: [] for name in _LISTS}
    objects, folder = recording.objects, recording.sequence
    categories = {
        name: {"id": number, "name": name, "supercategory": "sounding"}
        for name, number in objects.categories.items()
    }
    lists["videos"] = [{"id": 1, "name": folder, "file_name": recording.video_name}]
    lists["categories"] = list(categories.values())
    lists["tracks"] = [
        {"id": number, "category_id": objects.categories[name], "video_id": 1}
        for number, name in objects.tracks.items()
    ]
    for image_id, mask in enumerate(recording.masks(), start=1):
        lists["images"].append(
            {
                "id": image_id,
                "file_name": f"{folder}/{recording.frame_name(mask.index)}.jpg",
                "height": height,
                "width": width,
                "video_id": 1,
                "frame_index": mask.index,
                "time_s": mask.time_s,
            }
        )
        for seen in objects.seen(mask):
            number = len(lists["annotations"]) + 1
            lists["annotations"].append(_coco_annotation(seen, number, image_id))
    write_text(path, _lines({"info": {"description": recording.video_name}, **lists}))


def _coco_annotation(seen: SeenObject, number: int, image_id: int) -> dict[str, Any]:
    height, width = seen.mask.shape
    return {
        "id": number,
        "image_id": image_id,
        "category_id": seen.category_id,
        "track_id": seen.track_id,
        "video_id": 1,
        "iscrowd": 0,
        "area": int(seen.mask.sum()),
        "bbox": list(seen.box),
        "segmentation": {"size": [height, width], "counts": coco_counts(seen.mask)},
    }


def write_fiftyone(recording: Recording, path: Path) -> None:
    """FiftyOne's labels of a video: ``TemporalDetections``, and ``Detections`` for each frame.

    Each is as the ``from_dict`` of FiftyOne's class takes it. Boxes are shares of the frame, masks
    those of the boxes; frames count from 1.
    """
    frames = {}
    for number, mask in enumerate(recording.masks(), start=1):
        found = [_fiftyone_detection(seen) for seen in recording.objects.seen(mask)]
        frames[str(number)] = {
            "time_s": mask.time_s,
            "objects": {"_cls": "Detections", "detections": found},
        }
    content = {
        "video": recording.video_name,
        "segments": {
            "_cls": "TemporalDetections",
            "detections": [
                {
                    "_cls": "TemporalDetection",
                    "label": category.name,
                    "confidence": category.probability,
                    "support": list(support),
                    "start_s": segment.start_s,
                    "end_s": segment.end_s,
                }
                for segment, support in zip(recording.segments, supports(recording), strict=True)
                for category in segment.categories
            ],
        },
        "frames": frames,
    }
    write_text(path, json.dumps(content, allow_nan=False) + "\n")


def supports(recording: Recording) -> list[tuple[int, int]]:
    """First and last frame of each segment, counted from 1.

    A segment that is too short to show a frame has the one that is nearest to its start.
    """
    times = np.array([head.time_s for head in recording.heads])
    found = []
    for segment in recording.segments:
        # A frame that begins a rounding error before the segment is in it.
        first, stop = np.searchsorted(times, [segment.start_s - 1e-6, segment.end_s - 1e-6])
        if first >= stop:
            first = int(np.abs(times - segment.start_s).argmin())
            stop = first + 1
        found.append((int(first) + 1, int(stop)))
    return found


def _fiftyone_detection(seen: SeenObject) -> dict[str, Any]:
    height, width = seen.mask.shape
    left, top, wide, high = seen.box
    return {
        "_cls": "Detection",
        "label": seen.name,
        "index": seen.track_id,
        "bounding_box": [left / width, top / height, wide / width, high / height],
        "mask": {
            "$binary": {
                "base64": _packed(seen.mask[top : top + high, left : left + wide]),
                "subType": "00",
            }
        },
    }


def _packed(mask: NDArray[np.bool_]) -> str:
    """An array as FiftyOne keeps it: numpy's file, compressed by zlib, here in base64."""
    file = io.BytesIO()
    np.save(file, mask, allow_pickle=False)
    return base64.b64encode(zlib.compress(file.getvalue())).decode("ascii")


def _lines(content: dict[str, Any]) -> str:
    """JSON with a line for each field and each item, so that it can be looked at and compared."""
    fields = []
    for key, value in content.items():
        text = json.dumps(value, allow_nan=False)
        if isinstance(value, list) and value:
            items = ",\n".join(json.dumps(item, allow_nan=False) for item in value)
            text = f"[\n{items}\n]"
        fields.append(f"{json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(fields) + "\n}\n"
