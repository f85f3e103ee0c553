"""Results as a table, for people: a row for each figure, a column for each method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from coprop.utils.brief import text_of

HIGHER, LOWER = "↑", "↓"
"""Which way a figure is better; of what costs time, the less the better."""

ROWS = (
    ("jaccard_avsbench", "J avsbench", HIGHER),
    ("f_measure_avsbench", "F avsbench", HIGHER),
    ("jaccard_dataset", "J dataset", HIGHER),
    ("jaccard_strict", "J strict", HIGHER),
    ("alignment_identity", "aligned, identity", HIGHER),
    ("alignment_mask", "aligned, mask", HIGHER),
    ("silent_area", "silent area", LOWER),
    ("off_screen_area", "off-screen area", LOWER),
    ("jaccard_near_changes", "J near changes", HIGHER),
    ("sounding_jaccard", "J sounding", HIGHER),
    ("muted_jaccard", "J sounding, muted", LOWER),
    ("noise_jaccard", "J sounding, noise", LOWER),
    ("other_jaccard", "J sounding, other", LOWER),
    ("mute_drop", "mute drop", HIGHER),
    ("muted_false_area", "false area, muted", LOWER),
    ("noise_false_area", "false area, noise", LOWER),
    ("other_false_area", "false area, other", LOWER),
    ("onset_error_s", "onset error, s", LOWER),
    ("onsets_missed", "onsets missed", LOWER),
    ("onsets_false", "onsets false", LOWER),
    ("offset_error_s", "offset error, s", LOWER),
    ("control_point_f1", "control point F1", HIGHER),
    ("keyframes_per_frame", "keyframe calls", LOWER),
)
SEMANTIC_ROWS = (
    ("class_jaccard_avsbench", "class J avsbench", HIGHER),
    ("class_f_measure_avsbench", "class F avsbench", HIGHER),
    ("class_jaccard_dataset", "class J dataset", HIGHER),
)
SECONDS = ("seconds_per_frame", "seconds a frame", LOWER)
SELECTIONS = ("all frames", "key frames", "normal frames")
MISSING = "–"
IN_ASCII = str.maketrans({HIGHER: "^", LOWER: "v", MISSING: "-"})
"""What stands for these signs where standard output does not know them."""

WIDTH = 80  # columns, the narrowest terminal that is usual
_BETWEEN = "  "


def markdown(results: dict[str, Any], timings: dict[str, Any]) -> str:
    """The results as Markdown: a table of all frames, then key frames, then normal ones."""
    dataset, settings = results["dataset"], results["settings"]
    lines = [
        f"# {dataset['name']}, {dataset['clips']} clips",
        "",
        f"Model: {settings['model']}. F takes {settings['frames_per_batch']} frame(s) a batch; "
        f"control points count within {settings['tolerance_s']:g} s. {directions()}",
    ]
    for selection in SELECTIONS:
        head, rows = cells(results, timings, selection)
        lines += ["", f"## {selection.capitalize()}", ""]
        lines += table_lines(head, rows)
    return "\n".join(lines) + "\n"


def text(results: dict[str, Any], timings: dict[str, Any], *, width: int = WIDTH) -> str:
    """The same tables for a terminal of this width, in characters.

    Methods that do not fit beside one another go into further blocks below, with the same rows.
    """
    dataset = results["dataset"]
    lines = [f"{dataset['name']}, {dataset['clips']} clips", directions()]
    for selection in SELECTIONS:
        (_, *names), rows = cells(results, timings, selection)
        table = [[selection, *names], *rows]
        widths = _widths(table)
        for columns in _blocks(widths, width):
            chosen = [[row[i] for i in columns] for row in table]
            lines += ["", *_aligned(chosen, [widths[i] for i in columns])]
    return text_of(lines)


def directions() -> str:
    """What the arrows say."""
    return f"{HIGHER}: higher is better, {LOWER}: lower is better."


def cells(
    results: dict[str, Any], timings: dict[str, Any], selection: str
) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the table of one selection of frames; empty rows are left out.

    Returns:
        the head, of M methods after an empty cell, and rows of 1 + M cells, the figure's title
        with its direction first.
    """
    methods = {name: found[selection] for name, found in results["methods"].items()}
    if selection == SELECTIONS[0]:
        methods = {name: found | timings[name] for name, found in methods.items()}
    semantic = SEMANTIC_ROWS if results["dataset"]["classes"] > 1 else ()
    rows = [
        [f"{title} {better}", *(figure(found.get(key)) for found in methods.values())]
        for key, title, better in (*semantic, *ROWS, SECONDS)
        if any(found.get(key) is not None for found in methods.values())
    ]
    return ["", *methods], rows


def figure(value: float | None) -> str:
    """Three decimals, or a dash for what there is not."""
    return MISSING if value is None else f"{value:.3f}"


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return [_line(fields) for fields in (head, ["---"] * len(head), *rows)]


def _line(fields: Sequence[str]) -> str:
    return f"| {' | '.join(fields)} |"


def _widths(table: list[list[str]]) -> list[int]:
    """Of each column, the characters of its longest cell, or longest word in the head."""
    head, *rows = table
    return [
        max(*map(len, title.split()), *(len(row[i]) for row in rows), 1)
        for i, title in enumerate(head)
    ]


def _blocks(widths: list[int], width: int) -> Iterator[list[int]]:
    """The numbers of the columns that fit beside the first one; at least one each time."""
    block, used = [0], widths[0]
    for column, wide in enumerate(widths[1:], 1):
        if len(block) > 1 and used + len(_BETWEEN) + wide > width:
            yield block
            block, used = [0], widths[0]
        block.append(column)
        used += len(_BETWEEN) + wide
    yield block


def _aligned(table: list[list[str]], widths: list[int]) -> list[str]:
    """The lines of a table: the words of its head below one another, figures to the right."""
    head, *rows = table
    words = [_wrapped(title, wide) for title, wide in zip(head, widths, strict=True)]
    high = max(map(len, words))
    stacked = zip(*([""] * (high - len(lines)) + lines for lines in words), strict=True)
    rule = ["-" * wide for wide in widths]
    return [
        _BETWEEN.join(
            cell.rjust(wide) if column else cell.ljust(wide)
            for column, (cell, wide) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (*stacked, rule, *rows)
    ]


def _wrapped(title: str, width: int) -> list[str]:
    lines: list[str] = []
    for word in title.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
