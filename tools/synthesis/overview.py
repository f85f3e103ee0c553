"""Draws docs/images/overview.png out of what ``coprop run`` has written.

coprop run examples/clip.mp4 --out out
python -m tools.synthesis.overview out docs/images/overview.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from coprop.media.audio_file import AudioFile
from coprop.media.reader import VideoFile
from coprop.media.timeline import envelope

FRAMES = 6
ACCENT, INK, MUTED = "#c2410c", "#1f2937", "#94a3b8"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()

    report = json.loads((arguments.result / "result.json").read_text(encoding="utf-8"))
    overlay = arguments.result / "overlay.mp4"
    frames = list(VideoFile(overlay))
    duration_s = frames[-1].time_s
    shown = [frames[round((i + 0.5) / FRAMES * len(frames))] for i in range(FRAMES)]

    figure = Figure(figsize=(12, 3.4), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, FRAMES, height_ratios=(2.2, 1))
    for column, frame in enumerate(shown):
        axes = figure.add_subplot(grid[0, column])
        axes.imshow(frame.image)
        axes.set_title(f"{frame.time_s:.1f} s", fontsize=9, color=INK)
        axes.axis("off")

    axes = figure.add_subplot(grid[1, :])
    low, high = envelope(AudioFile(overlay, 44_100))
    times_s = np.linspace(0, duration_s, len(low))
    axes.fill_between(times_s, low, high, color=MUTED, linewidth=0)
    axes.set_ylim(-1.15, 1.15)
    for point in report["control_points"][1:]:
        axes.axvline(point["time_s"], color=ACCENT, linewidth=2)
    axes.plot([], [], color=ACCENT, linewidth=2, label="control points")
    for frame in shown:
        axes.plot(frame.time_s, 1.15, "|", color=INK, markersize=9, clip_on=False)
    axes.plot([], [], "|", color=INK, markersize=9, label="frames above")
    areas = [row["area"] for row in report["frames"]]
    second = axes.twinx()
    second.plot([row["time_s"] for row in report["frames"]], areas, color=INK, linewidth=1.4)
    second.set_ylim(0, max(areas) * 1.25 + 1e-6)
    second.set_yticks([])
    axes.plot([], [], color=INK, linewidth=1.4, label="masked area")
    axes.set_yticks([])
    axes.set_xlim(0, duration_s)
    axes.set_xlabel("seconds", fontsize=9, color=INK)
    axes.legend(loc="center", fontsize=8, frameon=False)
    for part in (axes, second):
        for spine in part.spines.values():
            spine.set_visible(False)
    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.picture)


if __name__ == "__main__":
    main()
