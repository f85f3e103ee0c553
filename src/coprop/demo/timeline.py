"""A result as HTML: the timeline that seeks the film, and the table of what sounds when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

import numpy as np
from numpy.typing import NDArray

from coprop.demo.run import Marked
from coprop.export.objects import name_of
from coprop.media.frames import end_of
from coprop.result import Result
from coprop.types import Segment

COLOURS = ("#0d9488", "#d97706", "#7c3aed", "#db2777", "#2563eb", "#65a30d", "#dc2626", "#475569")
"""Of names, in the order in which they are first heard; readable under white letters."""

_STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800)
_MOST_TICKS = 12
_HIGH = 100  # units of the drawing, which is stretched to its place


def timeline_html(result: Result, marked: Marked) -> str:
    """The timeline: names over segments, sound, masked area, changes; a click seeks the film.

    Args:
        result: what is shown.
        marked: what it does not hold.
    """
    end_s, colours = film_end_s(result), colours_of(result.segments)
    return (
        f'<div class="cp-timeline" data-duration="{end_s:.6f}" tabindex="0" role="slider" '
        f'aria-label="Time in the film" aria-valuemin="0" aria-valuemax="{end_s:.2f}" '
        f'aria-valuenow="0"><div class="cp-track">'
        f'<div class="cp-names">{_chips(result.segments, colours, end_s)}</div>'
        f'<svg class="cp-sound" viewBox="0 0 1000 {_HIGH}" preserveAspectRatio="none" '
        f'aria-hidden="true">{_spans(result.segments, colours, end_s)}'
        f"{_wave(marked.waveform, marked.sound_s / end_s)}{_changes(result, end_s)}</svg>"
        f'<svg class="cp-area" viewBox="0 0 1000 {_HIGH}" preserveAspectRatio="none" '
        f'aria-hidden="true">{_area(result, marked.areas, end_s)}</svg>'
        f'<div class="cp-ticks">{_ticks(end_s)}</div><div class="cp-head"></div></div>'
        '<p class="cp-legend"><span class="cp-key cp-key-sound"></span>sound'
        '<span class="cp-key cp-key-area"></span>share of the picture that is marked'
        '<span class="cp-key cp-key-change"></span>what sounds changes'
        "<span>Click the timeline to go there.</span></p></div>"
    )


def table_html(result: Result) -> str:
    """A row for each segment: when, and what is heard; a click goes there."""
    if not result.segments:
        return '<p class="cp-none">Nothing is heard in this video, so nothing is marked.</p>'
    colours = colours_of(result.segments)
    rows = "".join(_row(each, colours) for each in _ended(result))
    return (
        '<table class="cp-table"><thead><tr><th>When</th><th>What is heard</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def film_end_s(result: Result) -> float:
    """When the last frame ends, in seconds, never at once."""
    return max(end_of(result.times_s), 1e-3) if len(result.masks) else 1 / 25


def colours_of(segments: Sequence[Segment]) -> dict[str, str]:
    """A colour for each name."""
    names = dict.fromkeys(name_of(segment) for segment in segments)
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def clock(seconds: float) -> str:
    """Such as "0:03.5"."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _ended(result: Result) -> list[Segment]:
    end_s = film_end_s(result)
    return [
        replace(each, end_s=max(each.start_s, min(each.end_s, end_s))) for each in result.segments
    ]


def _row(segment: Segment, colours: dict[str, str]) -> str:
    name, others = name_of(segment), segment.categories[1:]
    also = "; ".join(escape(each.name) for each in others)
    sure = f"{segment.categories[0].probability:.0%}" if segment.categories else ""
    return (
        f'<tr data-start="{segment.start_s:.6f}" data-end="{segment.end_s:.6f}" tabindex="0">'
        f"<td>{clock(segment.start_s)} – {clock(segment.end_s)}</td>"
        f'<td><span class="cp-dot" style="background:{colours[name]}"></span>{escape(name)}'
        f' <span class="cp-sure">{sure}</span>'
        + (f'<div class="cp-also">or {also}</div>' if also else "")
        + "</td></tr>"
    )


def _chips(segments: Sequence[Segment], colours: dict[str, str], end_s: float) -> str:
    return "".join(
        f'<span class="cp-chip" style="left:{left:.3f}%;width:{width:.3f}%;'
        f'background:{colours[name_of(each)]}" title="{escape(name_of(each))}, '
        f'from {clock(each.start_s)}">{escape(name_of(each))}</span>'
        for each in segments
        for left, width in [_place(each, end_s)]
    )


def _spans(segments: Sequence[Segment], colours: dict[str, str], end_s: float) -> str:
    return "".join(
        f'<rect x="{10 * left:.2f}" width="{10 * width:.2f}" y="0" height="{_HIGH}" '
        f'fill="{colours[name_of(each)]}" opacity="0.12"/>'
        for each in segments
        for left, width in [_place(each, end_s)]
    )


def _place(segment: Segment, end_s: float) -> tuple[float, float]:
    """Left end and width, in percent."""
    start_s = min(segment.start_s, end_s)
    return 100 * start_s / end_s, 100 * (min(segment.end_s, end_s) - start_s) / end_s


def _wave(waveform: NDArray[np.float32], wide: float) -> str:
    columns = waveform.shape[1]
    if not columns:
        return ""
    half = _HIGH / 2
    low, high = half - 0.92 * half * waveform / max(float(np.abs(waveform).max()), 1e-6)
    across = 1000 * wide * (np.arange(columns) + 0.5) / columns
    least = 0.4  # so that silence is a line
    there = zip(across, np.minimum(high, half - least), strict=True)
    back = zip(across[::-1], np.maximum(low, half + least)[::-1], strict=True)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*there, *back])
    return f'<polygon class="cp-wave" points="{points}"/>'


def _area(result: Result, areas: Sequence[float], end_s: float) -> str:
    most = max(areas, default=0.0)
    if not most:
        return ""
    points = [(0.0, 0.0)]
    for time_s, area in zip(result.times_s, areas, strict=True):
        across = 1000 * float(time_s) / end_s
        points += [(across, points[-1][1]), (across, area / most)]
    points += [(1000.0, points[-1][1]), (1000.0, 0.0)]
    drawn = " ".join(f"{x:.1f},{_HIGH - 0.92 * _HIGH * y:.1f}" for x, y in points)
    return f'<polygon class="cp-masked" points="{drawn}"/>'


def _changes(result: Result, end_s: float) -> str:
    return "".join(
        f'<line class="cp-change" x1="{x:.2f}" x2="{x:.2f}" y1="0" y2="{_HIGH}"/>'
        for x in (1000 * time_s / end_s for time_s in result.control_points.change_times_s)
        if x <= 1000
    )


def _ticks(end_s: float) -> str:
    step_s = next((s for s in _STEPS_S if end_s / s <= _MOST_TICKS), _STEPS_S[-1])
    times = np.arange(0, end_s + 1e-9, step_s)
    shown = (f"{t:g} s" if end_s < 60 else f"{int(t) // 60}:{int(t) % 60:02d}" for t in times)
    return "".join(
        f'<span style="left:{100 * t / end_s:.3f}%">{text}</span>'
        for t, text in zip(times, shown, strict=True)
        if t / end_s < 0.97  # the last one would stand over the edge
    )
