"""The picture of a result over time: sound, control points, segments, keyframes, mask area."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coprop.media.resample import BLOCK
from coprop.paths import AnyPath
from coprop.types import AudioTrack, ControlPoints, Segment

INK, MUTED, SOUND, CHANGE, AREA = "#1f2933", "#7b8794", "#486581", "#d64545", "#2f8f6f"
SEGMENT_COLOURS = ("#e8f0fa", "#fdf1dc")


def envelope(audio: AudioTrack, columns: int = 1600) -> NDArray[np.float32]:
    """Lowest and highest sample in each of ``columns`` equal spans, as (2, columns) float32.

    Reads the sound block by block. Sound shorter than ``columns`` samples has one column for each.
    """
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
    """Draws a result over time into a PNG.

    Args:
        path: the PNG to write.
        waveform: (2, columns) lowest and highest samples in equal spans, from `envelope`.
        duration_s: seconds shown.
        control_points: their scores become a curve, the changes vertical lines.
        segments: coloured spans.
        keyframe_times_s: seconds at which the keyframe segmenter ran.
        mask_area: seconds (T,) and the part of the picture that is masked (T,), in [0, 1]; T >= 1.
        waveform_duration_s: seconds of sound in ``waveform``; None where it is ``duration_s``.
        title: a line above the picture.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.4), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    sound, score, area = figure.subplots(3, 1, sharex=True, height_ratios=(2.2, 1.2, 1.2))
    figure.suptitle(_plain(title), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    _draw_sound(sound, np.asarray(waveform), waveform_duration_s or duration_s)
    _draw_scores(score, control_points, duration_s)
    _draw_area(area, *mask_area, keyframe_times_s, duration_s)
    for axes in (sound, score, area):
        _draw_segments(axes, segments, control_points.change_times_s)
        _style(axes)
    area.set_xlim(0, max(duration_s, 1e-3))
    area.set_xlabel("time in s", color=INK)
    _legend(figure)
    figure.savefig(path, format="png")


def _draw_sound(axes: Any, waveform: NDArray[np.float32], duration_s: float) -> None:
    axes.set_ylabel("sound", color=INK)
    peak = float(np.abs(waveform).max(initial=0.0)) or 1.0
    axes.set_ylim(-1.1 * peak, 1.1 * peak)
    if waveform.shape[1]:
        # A column's last time is drawn too, so that one column still has a width.
        times = np.linspace(0, duration_s, waveform.shape[1] + 1)
        low, high = np.column_stack([waveform, waveform[:, -1:]])
        axes.fill_between(times, low, high, step="post", color=SOUND, linewidth=0.4, zorder=2)


def _draw_scores(axes: Any, points: ControlPoints, duration_s: float) -> None:
    axes.set_ylabel("change\nscore", color=INK)
    axes.set_ylim(0, 1.05)
    times = np.append(points.times_s, max(duration_s, points.times_s[-1]))
    scores = np.append(points.scores, points.scores[-1])
    axes.fill_between(times, scores, step="post", color=CHANGE, alpha=0.15, linewidth=0, zorder=2)
    axes.step(times, scores, where="post", color=CHANGE, linewidth=1.2, zorder=3)


def _draw_area(
    axes: Any, times: ArrayLike, parts: ArrayLike, keyframes: Sequence[float], duration_s: float
) -> None:
    axes.set_ylabel("masked\n(% of frame)", color=INK)
    times, percent = np.asarray(times, dtype=float), 100 * np.asarray(parts, dtype=float)
    top = 1.25 * float(percent.max(initial=0.0)) or 1.0
    axes.set_ylim(0, top)
    ends, held = np.append(times, duration_s), np.append(percent, percent[-1])
    axes.fill_between(ends, held, step="post", color=AREA, alpha=0.25, linewidth=0, zorder=2)
    axes.step(ends, held, where="post", color=AREA, linewidth=1.2, zorder=3)
    heights = np.full(len(keyframes), 0.93 * top)
    axes.plot(keyframes, heights, "v", color=INK, markersize=6, clip_on=False, zorder=4)


def _draw_segments(axes: Any, segments: Sequence[Segment], changes: Sequence[float]) -> None:
    for number, segment in enumerate(segments):
        colour = SEGMENT_COLOURS[number % len(SEGMENT_COLOURS)]
        axes.axvspan(segment.start_s, segment.end_s, color=colour, linewidth=0, zorder=0)
    for time in changes:
        axes.axvline(time, color=CHANGE, linewidth=1.1, linestyle=(0, (4, 2)), zorder=5)


def _style(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=9)
    axes.locator_params(axis="y", nbins=3)


def _legend(figure: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=CHANGE, linewidth=1.1, linestyle=(0, (4, 2)), label="control point"),
        Patch(color=SEGMENT_COLOURS[0], label="segments"),
        Line2D([], [], color=INK, marker="v", linestyle="", label="keyframe"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3, frameon=False, fontsize=9)


def _plain(text: str) -> str:
    """Keeps a dollar sign in a file name from being read as mathematics."""
    return text.replace("$", r"\$")
