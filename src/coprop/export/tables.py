"""The segments as tables: CSV, Audacity's labels, ELAN's annotations."""

from __future__ import annotations

import csv
import io
import mimetypes
import os
import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from coprop.export.objects import name_of
from coprop.export.recording import Recording, plain_number
from coprop.storage.files import write_text
from coprop.types import Segment

TIER = "sounding"
"""The tier of ELAN's that has the segments."""

_HEADER = ("start_s", "end_s", "name", "probability", "other_names")
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_DATE = "1970-01-01T00:00:00+00:00"  # ELAN wants one; the day of writing would tell equals apart


def write_csv(recording: Recording, path: Path) -> None:
    """A row for each segment: when, the best name with its probability, the other names."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_HEADER)
    for segment in recording.segments:
        best, others = segment.categories[:1], segment.categories[1:]
        rows.writerow(
            (
                plain_number(segment.start_s),
                plain_number(segment.end_s),
                best[0].name if best else "",
                plain_number(best[0].probability) if best else "",
                "; ".join(f"{each.name} {plain_number(each.probability)}" for each in others),
            )
        )
    write_text(path, text.getvalue())


def write_audacity(recording: Recording, path: Path) -> None:
    """A label track: start, end and name, with tabs between them."""
    lines = [
        f"{plain_number(each.start_s)}\t{plain_number(each.end_s)}\t{_in_a_line(name_of(each))}\n"
        for each in recording.segments
    ]
    write_text(path, "".join(lines))


def write_elan(recording: Recording, path: Path) -> None:
    """An annotation document with one tier; ELAN counts in milliseconds."""
    ElementTree.register_namespace("xsi", _INSTANCE)
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "coprop",
            "DATE": _DATE,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{_INSTANCE}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = ElementTree.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if recording.video is not None:
        ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", _media(recording.video, path))
    last = ElementTree.SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId")
    last.text = str(len(recording.segments))
    order = ElementTree.SubElement(root, "TIME_ORDER")
    tier = ElementTree.SubElement(root, "TIER", LINGUISTIC_TYPE_REF="segments", TIER_ID=TIER)
    for number, segment in enumerate(recording.segments, start=1):
        _annotate(tier, order, number, segment)
    ElementTree.SubElement(
        root,
        "LINGUISTIC_TYPE",
        GRAPHIC_REFERENCES="false",
        LINGUISTIC_TYPE_ID="segments",
        TIME_ALIGNABLE="true",
    )
    write_text(path, xml_document(root))


def _annotate(tier: Element, order: Element, number: int, segment: Segment) -> None:
    """One segment, between two slots of the time order that are its own."""
    start = round(segment.start_s * 1000)
    end = max(round(segment.end_s * 1000), start + 1)  # none of no length
    slots = f"ts{2 * number - 1}", f"ts{2 * number}"
    for name, time in zip(slots, (start, end), strict=True):
        ElementTree.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(time))
    annotation = ElementTree.SubElement(
        ElementTree.SubElement(tier, "ANNOTATION"),
        "ALIGNABLE_ANNOTATION",
        ANNOTATION_ID=f"a{number}",
        TIME_SLOT_REF1=slots[0],
        TIME_SLOT_REF2=slots[1],
    )
    ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = xml_text(name_of(segment))


def _media(video: Path, path: Path) -> dict[str, str]:
    """Where the video lies, as a whole and from the document's folder."""
    whole = video.absolute()
    media = {
        "MEDIA_URL": whole.as_uri(),
        "MIME_TYPE": mimetypes.guess_type(video.name)[0] or "video/*",
    }
    try:
        near = Path(os.path.relpath(whole, path.absolute().parent)).as_posix()
    except ValueError:  # on another drive of Windows
        return media
    return {**media, "RELATIVE_MEDIA_URL": xml_text(near if near.startswith(".") else f"./{near}")}


def _in_a_line(text: str) -> str:
    """A text without line breaks and tabs, which end a label and its fields."""
    return " ".join(text.split())


def xml_text(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    return re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def xml_document(root: ElementTree.Element) -> str:
    """An element as a whole document, indented."""
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'
