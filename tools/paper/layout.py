"""How the paper's tables are laid out: their lines, the paper's figures, what is claimed of them.

Part of tools/paper, and of no other use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

Summary = Mapping[str, Mapping[str, float | None]]
"""Of a row and a seed: figures by selection of frames and name, as `summarise` gives them."""

Figures = Mapping[str, Sequence[Summary]]
"""By row, a summary for each seed."""

ALL, KEY, NORMAL = "all frames", "key frames", "normal frames"
_POINTS = {"control_point_precision": "P", "control_point_recall": "R", "control_point_f1": "F1"}
_COLUMNS = {
    "jaccard_avsbench": "J",
    "f_measure_avsbench": "F",
    "jaccard_strict": "J strict",
    "alignment_identity": "aligned, identity",
    "alignment_mask": "aligned, mask",
    "onset_error_s": "onset error, s",
    "silent_area": "silent area",
    "control_point_f1": "control point F1",
    "keyframes_per_frame": "keyframe calls",
}
_CLAIMED = ("jaccard_avsbench", "f_measure_avsbench", "jaccard_strict", "alignment_mask")


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Args:
        label: what it says of itself.
        row: name of the row whose figures it shows.
        paper: the paper's J and F on M3, in percent, where the paper has such a line.
        frames: which frames.
    """

    label: str
    row: str
    paper: tuple[float, float] | None = None
    frames: str = ALL


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        name: its number in the paper.
        title: what it is of.
        note: what must be known to read it.
        lines: its lines.
        claims: pairs of lines by number, from 0: the second is said to be better.
        columns: titles by the figures' names.
    """

    name: str
    title: str
    note: str
    lines: tuple[Line, ...]
    claims: tuple[tuple[int, int], ...]
    columns: Mapping[str, str]


TABLES = (
    Table(
        "2a",
        "the modules one by one",
        "RCPG's place is taken by the default detector, novelty.",
        (
            Line("the segmenter of key frames on every frame alone", "alone"),
            Line("segmenter of all frames, cosine, AOT", "all", (58.63, 69.71)),
            Line("segmenter of key frames, cosine, AOT", "cosine AOT", (58.82, 70.05)),
            Line("segmenter of key frames, novelty, AOT", "novelty AOT", (61.97, 72.13)),
            Line("segmenter of key frames, novelty, 4 levels", "novelty", (63.58, 73.96)),
            Line("segmenter of key frames, true control points, 4 levels", "true"),
        ),
        ((1, 2), (2, 3), (3, 4), (4, 5), (0, 4)),
        _COLUMNS,
    ),
    Table(
        "2b",
        "detectors",
        "No language model is asked here: the paper's rows 1-step and 3-step are left out, and its "
        "figures of RCPG stand beside novelty. P, R and F1 are of control points.",
        (
            Line("a change each second", "seconds"),
            Line("cosine", "cosine", (59.21, 70.45)),
            Line("novelty", "novelty", (63.58, 73.96)),
            Line("true control points", "true"),
        ),
        ((0, 2), (1, 2), (2, 3)),
        {**{n: t for n, t in _COLUMNS.items() if n not in _POINTS}, **_POINTS},
    ),
    Table(
        "5",
        "levels at which audio is inserted",
        "All three are trained on the same samples; the paper does not say that its AOT is. Its J "
        "here differs from that of the same row in table 2a.",
        (
            Line("AOT", "novelty AOT", (62.97, 72.13)),
            Line("1 level", "novelty 1", (63.25, 73.31)),
            Line("4 levels", "novelty", (63.58, 73.96)),
            Line("AOT, a third of the control points missing", "fewer AOT"),
            Line("4 levels, a third of the control points missing", "fewer"),
        ),
        ((0, 1), (1, 2), (0, 2), (3, 4)),
        _COLUMNS,
    ),
    Table(
        "6",
        "key frames and normal frames",
        "Of the row novelty, 4 levels.",
        (
            Line("all frames", "novelty", (63.58, 73.96)),
            Line("key frames", "novelty", (59.82, 70.59), KEY),
            Line("normal frames", "novelty", (65.19, 75.39), NORMAL),
        ),
        ((1, 0), (0, 2)),
        _COLUMNS,
    ),
)


def markdown(tables: Sequence[Table], figures: Figures) -> str:
    """Tables; mean ± standard deviation over seeds, and below each what is claimed of it."""
    parts = []
    for table in tables:
        rows, claims = _rows(table, figures), _claims(table, figures)
        parts += [
            f"### Table {table.name}: {table.title}",
            table.note,
            _table(rows),
            _table(claims),
        ]
    return "\n\n".join(parts)


def spread(values: Sequence[float | None]) -> str:
    """Mean ± sample standard deviation; a dash where a value is missing."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return "–"
    return f"{mean(known):.3f}" + (f" ± {stdev(known):.3f}" if len(known) > 1 else "")


def difference(lower: Sequence[float | None], higher: Sequence[float | None]) -> str:
    """The mean gain, and in how many seeds there is one; a dash where a value is missing."""
    gains = [b - a for a, b in zip(lower, higher, strict=True) if a is not None and b is not None]
    if not gains or len(gains) < len(lower):
        return "–"
    return f"{mean(gains):+.3f}, {sum(gain > 0 for gain in gains)} of {len(gains)}"


def _rows(table: Table, figures: Figures) -> list[list[str]]:
    """Columns without any figure are left out."""
    columns = {
        name: title
        for name, title in table.columns.items()
        if any(value is not None for line in table.lines for value in _values(line, name, figures))
    }
    rows = [["", *columns.values(), "paper: J", "paper: F"]]
    for line in table.lines:
        paper = [f"{value / 100:.4f}" for value in line.paper] if line.paper else ["–", "–"]
        rows.append([line.label, *(spread(_values(line, n, figures)) for n in columns), *paper])
    return rows


def _claims(table: Table, figures: Figures) -> list[list[str]]:
    titles = [_COLUMNS[name] for name in _CLAIMED]
    rows = [["gain, in how many seeds", *titles, "paper: J", "paper: F"]]
    for low, high in table.claims:
        lower, higher = table.lines[low], table.lines[high]
        ours = [
            difference(_values(lower, name, figures), _values(higher, name, figures))
            for name in _CLAIMED
        ]
        paper = ["–", "–"]
        if lower.paper and higher.paper:
            pairs = zip(lower.paper, higher.paper, strict=True)
            paper = [f"{(b - a) / 100:+.4f}" for a, b in pairs]
        rows.append([f"{lower.label} → {higher.label}", *ours, *paper])
    return rows


def _values(line: Line, name: str, figures: Figures) -> list[float | None]:
    return [summary[line.frames].get(name) for summary in figures[line.row]]


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *others))
