"""The picture of a result over time: sound, control points, segments, keyframes, mask area."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coprop.media.resample import BLOCK
from coprop.types import ControlPoints, Segment
from coprop.utils.paths import AnyPath
from coprop.values.given_sound import GivenSound, as_track

INK, MUTED, SOUND, CHANGE, AREA = "#1f2933", "#7b8794", "#486581", "#d64545", "#2f8f6f"
_FONT, _UNKNOWN = "DejaVu Sans", "\u25a1"  # matplotlib brings the font; a box
DASHED = (0, (4, 2))
SEGMENT_COLOURS = ("#f4efdf", "#e9e0c4")  # one after the other; where there is none, it is white

_WIDTH, _ALONE, _EACH = 12.0, 4.4, 2.3  # inches: of the picture, high with one row, and with more
_ABOVE, _BELOW, _GAP, _LEFT, _RIGHT = 0.5, 0.5, 0.4, 0.85, 0.25  # inches around the rows
_DPI = 120  # 1440 pixels wide
_MARKS_A_ROW = 80  # keyframes or control points beside one another, 16 pixels each
_MOST_ROWS = 12  # a picture of some 3900 pixels; what is denser gets smaller marks
_MINUTES_FROM_S = 120.0  # up to two minutes, plain seconds are as soon read
_COLUMN_S, _COLUMNS = 0.05, (1600, 20_000)  # of the waveform: a pixel's width in a row, in bounds
_NAME_MARGIN = 3  # pixels between a name and its segment's ends
_NAME_TOP = 0.96  # of the axes' height
_NAME_LOOK = {"fontsize": 8, "va": "top", "ha": "left", "zorder": 6, "parse_math": False}
_NAME_GROUND = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}


def envelope(audio: GivenSound, columns: int | None = None) -> NDArray[np.float32]:
    """Lowest and highest sample in each of ``columns`` equal spans, as (2, columns) float32.

    The lowest is 0 at most and the highest 0 at least: what is drawn between the two reaches 0.
    Reads the sound block by block. Sound shorter than ``columns`` samples has one column for each.

    Args:
        audio: the sound.
        columns: how many; None for as many as the picture of it has pixels.
    """
    audio = as_track(audio)
    if columns is None:
        columns = int(np.clip(audio.duration_s / _COLUMN_S, *_COLUMNS))
    edges = np.linspace(0, audio.num_samples, min(columns, audio.num_samples) + 1).astype(np.int64)
    extremes = np.zeros((2, len(edges) - 1), dtype=np.float32)
    for column, (start, stop) in enumerate(pairwise(edges)):
        for block_start in range(int(start), int(stop), BLOCK):
            block = audio.read(block_start, min(block_start + BLOCK, int(stop)))
            extremes[0, column] = min(extremes[0, column], block.min())
            extremes[1, column] = max(extremes[1, column], block.max())
    return extremes


def plot_timeline(
    path: AnyPath,
    *,
    waveform: ArrayLike,
    duration_s: float,
    control_points: ControlPoints,
    segments: Sequence[Segment],
    keyframe_times_s: Sequence[float],
    mask_area: tuple[ArrayLike, ArrayLike],
    waveform_duration_s: float | None = None,
    title: str = "",
) -> None:
    """Draws a result over time into a PNG, where there is much of it in several rows.

    Args:
        path: the PNG to write.
        waveform: (2, columns) lowest and highest samples in equal spans, from `envelope`.
        duration_s: seconds shown.
        control_points: their scores become a curve, the changes dashed lines.
        segments: coloured spans, with the best name of what sounds in each, where it fits.
        keyframe_times_s: seconds at which the keyframe segmenter ran; a triangle each.
        mask_area: seconds (T,) and the part of the picture that is masked (T,), in [0, 1]; T >= 1.
        waveform_duration_s: seconds of sound in ``waveform``; None where it is ``duration_s``.
        title: a line above the picture.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    duration_s = max(duration_s, 1e-3)
    marks = max(len(control_points.change_times_s), len(keyframe_times_s))
    count = min(max(math.ceil(marks / _MARKS_A_ROW), 1), _MOST_ROWS)
    size = min(1.0, math.sqrt(_MARKS_A_ROW * count / max(marks, 1)))  # of the marks
    edges = np.linspace(0, duration_s, count + 1).tolist()
    rows = [Segment(start, end) for start, end in pairwise(edges)]
    high = _ALONE if count == 1 else _EACH
    total = count * (high + _GAP) - _GAP + _ABOVE + _BELOW
    figure = Figure(figsize=(_WIDTH, total), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    for row, panels in zip(rows, _panels(figure, count, high), strict=True):
        sound, score, area = panels
        _draw_sound(sound, np.asarray(waveform), waveform_duration_s or duration_s, row)
        _draw_scores(score, control_points, duration_s, row)
        _draw_area(area, *mask_area, duration_s, row)
        _draw_keyframes(area, _inside(keyframe_times_s, row), size)
        for axes in panels:
            _draw_segments(axes, segments, row)
            _draw_changes(axes, _inside(control_points.change_times_s, row), size)
            _style(axes, row, duration_s)
        write_names(sound, segments, INK)
        sound.tick_params(labelbottom=False)
        score.tick_params(labelbottom=False)
    area.set_xlabel("time in s" if duration_s < _MINUTES_FROM_S else "time in min:s", color=INK)
    _title(figure, title)
    _legend(figure)
    figure.savefig(path, format="png")


def _panels(figure: Any, rows: int, high: float) -> list[Any]:
    """For each row the axes of sound, scores and area, at the same places left and right."""
    total = figure.get_figheight()
    grid = figure.add_gridspec(
        rows,
        1,
        left=_LEFT / _WIDTH,
        right=1 - _RIGHT / _WIDTH,
        top=1 - _ABOVE / total,
        bottom=_BELOW / total,
        hspace=_GAP / high,
    )
    ratios = (2.2, 1.2, 1.2) if rows == 1 else (1.4, 0.8, 1.0)
    return [row.subgridspec(3, 1, height_ratios=ratios, hspace=0.12).subplots() for row in grid]


def _draw_sound(axes: Any, waveform: NDArray[np.float32], duration_s: float, row: Segment) -> None:
    axes.set_ylabel("sound", color=INK)
    peak = float(np.abs(waveform).max(initial=0.0)) or 1.0
    axes.set_ylim(-1.1 * peak, 1.1 * peak)
    if waveform.shape[1]:
        # A column's last time is drawn too, so that one column still has a width.
        times = np.linspace(0, duration_s, waveform.shape[1] + 1)
        low, high = np.column_stack([waveform, waveform[:, -1:]])
        part = _part(times, row)
        axes.fill_between(
            times[part], low[part], high[part], step="post", color=SOUND, linewidth=0.4, zorder=2
        )


def _draw_scores(axes: Any, points: ControlPoints, duration_s: float, row: Segment) -> None:
    axes.set_ylabel("change\nscore", color=INK)
    axes.set_ylim(0, 1.05)
    times = np.append(points.times_s, max(duration_s, points.times_s[-1]))
    scores = np.append(points.scores, points.scores[-1])
    part = _part(times, row)
    _draw_curve(axes, times[part], scores[part], CHANGE, 0.15)


def _draw_area(
    axes: Any, times: ArrayLike, parts: ArrayLike, duration_s: float, row: Segment
) -> None:
    axes.set_ylabel("masked\n(%)", color=INK)
    times, percent = np.asarray(times, dtype=float), 100 * np.asarray(parts, dtype=float)
    top = 1.4 * float(percent.max(initial=0.0)) or 1.0  # the keyframes' triangles are above
    axes.set_ylim(0, top)
    ends, held = np.append(times, duration_s), np.append(percent, percent[-1])
    part = _part(ends, row)
    _draw_curve(axes, ends[part], held[part], AREA, 0.25)


def _draw_curve(
    axes: Any, times: NDArray[np.float64], heights: NDArray[np.float64], colour: str, alpha: float
) -> None:
    axes.fill_between(times, heights, step="post", color=colour, alpha=alpha, linewidth=0, zorder=2)
    axes.step(times, heights, where="post", color=colour, linewidth=1.2, zorder=3)


def _draw_keyframes(axes: Any, times_s: Sequence[float], size: float) -> None:
    look = {"color": INK, "markersize": 6 * size, "clip_on": False, "zorder": 4}
    heights = np.full(len(times_s), 0.9)
    axes.plot(times_s, heights, "v", transform=axes.get_xaxis_transform(), **look)


def _draw_segments(axes: Any, segments: Sequence[Segment], row: Segment) -> None:
    for number, colour in enumerate(SEGMENT_COLOURS):
        spans = [
            (segment.start_s, segment.end_s - segment.start_s)
            for segment in segments[number :: len(SEGMENT_COLOURS)]
            if segment.start_s < row.end_s and segment.end_s > row.start_s
        ]
        look = {"facecolor": colour, "linewidth": 0, "zorder": 0}
        axes.broken_barh(spans, (0, 1), transform=axes.get_xaxis_transform(), **look)


def _draw_changes(axes: Any, times_s: Sequence[float], size: float) -> None:
    look = {"color": CHANGE, "linewidth": 1.1 * size, "linestyle": DASHED, "zorder": 5}
    axes.vlines(times_s, 0, 1, transform=axes.get_xaxis_transform(), **look)


def _inside(times_s: Sequence[float], row: Segment) -> list[float]:
    return [time for time in times_s if row.start_s <= time < row.end_s]


def _part(times: NDArray[np.float64], row: Segment) -> slice:
    """What of a curve is seen in a row: from the last time before it to the first one after."""
    first, last = np.searchsorted(times, [row.start_s, row.end_s])
    return slice(max(int(first) - 1, 0), int(last) + 1)


def _style(axes: Any, row: Segment, duration_s: float) -> None:
    axes.set_xlim(row.start_s, row.end_s)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=9)
    axes.locator_params(axis="y", nbins=3)
    if duration_s >= _MINUTES_FROM_S:
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 1.5, 2, 3, 6, 10], integer=True))
        axes.xaxis.set_major_formatter(lambda time, _: f"{int(time) // 60}:{int(time) % 60:02}")


def _title(figure: Any, title: str) -> None:
    from matplotlib.font_manager import FontProperties

    font = FontProperties(family=_FONT, size=12, weight="bold")
    place = {"x": _RIGHT / _WIDTH, "y": 1 - 0.12 / figure.get_figheight(), "va": "top"}
    figure.text(s=_drawable(title, font), color=INK, fontproperties=font, **place)


def _legend(figure: Any) -> None:
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    two = tuple(Patch(color=colour) for colour in SEGMENT_COLOURS)
    handles = {
        "control point": Line2D([], [], color=CHANGE, linewidth=1.1, linestyle=DASHED),
        "keyframe": Line2D([], [], color=INK, marker="v", linestyle=""),
        "segment; none in silence": two,
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0)},
        loc="upper right",
        bbox_to_anchor=(1, 1),
        ncols=3,
        frameon=False,
        fontsize=9,
    )


def _drawable(text: str, font: Any) -> str:
    """A name in any script: in a font that has it, if there is any, else with boxes.

    A dollar sign must not be read as mathematics.
    """
    wanted = {ord(c) for c in text if c.isprintable()}
    if not wanted <= _letters(font):
        from matplotlib.font_manager import FontProperties, fontManager

        for other in fontManager.ttflist:
            if wanted <= _letters(FontProperties(fname=other.fname)):
                font.set_file(other.fname)
                break
    known = _letters(font)
    # Some fonts have signs for bytes that are no text, too, which cannot be drawn.
    shown = (c if c.isprintable() and ord(c) in known else _UNKNOWN for c in text)
    return "".join(shown).replace("$", r"\$")


def _letters(font: Any) -> set[int]:
    """The code points that a font has signs for."""
    from matplotlib.font_manager import findfont, get_font

    try:
        return set(get_font(findfont(font)).get_charmap())
    except (OSError, RuntimeError):  # a file that FreeType cannot read
        return set()


def write_names(axes: Any, segments: Sequence[Segment], colour: str) -> None:
    """Writes the best name of each segment at its beginning, in full or up to its first comma.

    What is wider than its segment, or than what is seen of it, is left out, so that no name lies on
    another.

    Args:
        axes: matplotlib's, with their final size and limits.
        segments: in order of time.
        colour: of the letters.
    """
    first_s, last_s = axes.get_xlim()
    before = float("-inf")
    for segment in segments:
        edges = max(segment.start_s, first_s), min(segment.end_s, last_s)
        if not segment.categories or edges[0] >= edges[1]:
            continue
        left, right = (_pixels(axes, time_s) for time_s in edges)
        left = max(left, before)
        end = _write(
            axes, segment.categories[0].name, left + _NAME_MARGIN, right - _NAME_MARGIN, colour
        )
        before = max(before, end)


def _write(axes: Any, name: str, left: float, right: float, colour: str) -> float:
    """Writes what fits between two places, in pixels, if anything does; where it ends."""
    place = axes.transData.inverted().transform((left, 0.0))[0], _NAME_TOP
    text = axes.text(*place, "", transform=axes.get_xaxis_transform(), color=colour, **_NAME_LOOK)
    for shorter in _forms(name):
        text.set_text(shorter)
        end = float(text.get_window_extent().x1)
        if end <= right:
            text.set_bbox(_NAME_GROUND)
            return end
    text.remove()
    return left - _NAME_MARGIN


def _forms(name: str) -> Iterator[str]:
    yield name
    head = name.split(",")[0].split(" (")[0]
    if head != name:
        yield head


def _pixels(axes: Any, time_s: float) -> float:
    return float(axes.transData.transform((time_s, 0.0))[0])
