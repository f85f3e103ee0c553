"""Results as a table, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COLUMNS = (
    ("jaccard_avsbench", "J avsbench"),
    ("f_measure_avsbench", "F avsbench"),
    ("jaccard_dataset", "J dataset"),
    ("jaccard_strict", "J strict"),
    ("alignment_identity", "aligned, identity"),
    ("alignment_mask", "aligned, mask"),
    ("silent_area", "silent area"),
    ("jaccard_near_changes", "J near changes"),
    ("mute_drop", "mute drop"),
    ("onset_error_s", "onset error s"),
    ("onsets_missed", "onsets missed"),
    ("onsets_false", "onsets false"),
    ("offset_error_s", "offset error s"),
    ("control_point_f1", "control point F1"),
    ("keyframes_per_frame", "keyframe calls"),
)
SEMANTIC_COLUMNS = (
    ("class_jaccard_avsbench", "class J avsbench"),
    ("class_f_measure_avsbench", "class F avsbench"),
    ("class_jaccard_dataset", "class J dataset"),
)
SELECTIONS = ("all frames", "key frames", "normal frames")


def markdown(results: dict[str, Any], timings: dict[str, Any]) -> str:
    """The results as Markdown: a table of all frames, then key frames, then normal ones."""
    dataset, settings = results["dataset"], results["settings"]
    lines = [
        f"# {dataset['name']}, {dataset['clips']} clips",
        "",
        f"Model: {settings['model']}. F takes {settings['frames_per_batch']} frame(s) a batch; "
        f"control points count within {settings['tolerance_s']:g} s.",
    ]
    for selection in SELECTIONS:
        head, rows = cells(results, timings, selection)
        lines += ["", f"## {selection.capitalize()}", ""]
        lines += table_lines(head, rows)
    return "\n".join(lines) + "\n"


def cells(
    results: dict[str, Any], timings: dict[str, Any], selection: str
) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the table of one selection of frames; empty columns are left out."""
    methods = {name: found[selection] for name, found in results["methods"].items()}
    semantic = SEMANTIC_COLUMNS if results["dataset"]["classes"] > 1 else ()
    columns = [
        (key, title)
        for key, title in (*semantic, *COLUMNS)
        if any(found.get(key) is not None for found in methods.values())
    ]
    timed = selection == SELECTIONS[0]
    head = ["", *(title for _, title in columns), *(["seconds a frame"] if timed else [])]
    rows = []
    for name, found in methods.items():
        row = [name, *(figure(found.get(key)) for key, _ in columns)]
        rows.append([*row, figure(timings[name]["seconds_per_frame"])] if timed else row)
    return head, rows


def figure(value: float | None) -> str:
    """Three decimals, or a dash for what there is not."""
    return "–" if value is None else f"{value:.3f}"


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return [_line(fields) for fields in (head, ["---"] * len(head), *rows)]


def _line(fields: Sequence[str]) -> str:
    return f"| {' | '.join(fields)} |"
