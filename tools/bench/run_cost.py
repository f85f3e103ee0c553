"""What ``coprop run`` costs with this version of the code, against an earlier one.

    git worktree add --detach /tmp/before 0d92270
    python -m tools.bench.run_cost /tmp/before/src VIDEO... [--turns 2] [--json FILE]
    python -m tools.bench.run_cost src VIDEO... --precision bfloat16    # beside its own float32

Each video (by default the example, at 1280 x 720 and at 298 x 224) goes through the command of both
versions in turn, on the CPU with one thread: the earlier one as it is, this one with
``--precision``. Printed are CPU seconds a frame of the whole command, from the start of Python to
its end; peak memory; and on how many pixels the labels are the same. Of several turns the least
counts: other programs only ever add to it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

EXAMPLE = Path(__file__).parents[2] / "examples" / "clip.mp4"
HERE = Path(__file__).parents[2] / "src"
SIZES = ((1280, 720), (298, 224))


@dataclass(frozen=True)
class Cost:
    """Of one run: CPU seconds, and peak MiB."""

    seconds: float
    peak: float


def run(source: Path, video: Path, out: Path, *more: str) -> Cost:
    """Runs the command of the package in a folder, with more options.

    Raises:
        RuntimeError: it failed.
    """
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment = {**os.environ, **threads, "PYTHONPATH": str(source)}
    command = [sys.executable, "-m", "coprop", "run", str(video), "--out", str(out)]
    started = subprocess.Popen([*command, "--quiet", "--device", "cpu", *more], env=environment)
    _, status, used = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
    if started.returncode:
        raise RuntimeError(f"the command of {source} ended with {started.returncode}.")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def least(costs: list[Cost]) -> Cost:
    """The least of each, over turns."""
    return Cost(min(cost.seconds for cost in costs), min(cost.peak for cost in costs))


def same_labels(one: Path, other: Path) -> float:
    """Share of the pixels with the same label in two result folders."""
    pairs = [
        (np.asarray(Image.open(path)), np.asarray(Image.open(other / "masks" / path.name)))
        for path in sorted((one / "masks").glob("*.png"))
    ]
    return float(np.mean([np.mean(a == b) for a, b in pairs]))


def resized(video: Path, path: Path, width: int, height: int) -> Path:
    """The same video at another size, its sound as it is."""
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        pictures, sound = source.streams.video[0], source.streams.audio[0]
        rate = pictures.average_rate or Fraction(25)
        shown = target.add_stream("libx264", rate=rate)
        shown.width, shown.height, shown.pix_fmt = width, height, "yuv420p"
        shown.options = {"crf": "18"}
        copied, count = target.add_stream_from_template(sound), 0
        for packet in source.demux(pictures, sound):
            if packet.stream is sound and packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
            elif packet.stream is pictures:
                for frame in packet.decode():
                    picture = frame.reformat(width=width, height=height, format="yuv420p")
                    picture.pts, picture.time_base, count = count, 1 / rate, count + 1
                    target.mux(shown.encode(picture))
        target.mux(shown.encode(None))
    return path


def compare(before: Path, video: Path, folder: Path, turns: int, precision: str) -> dict[str, Any]:
    """Both versions on a video, in turns."""
    costs: dict[str, list[Cost]] = {"before": [], "after": []}
    runs = (("before", before, ()), ("after", HERE, ("--precision", precision)))
    for turn in range(turns):
        for name, source, more in runs:
            costs[name].append(run(source, video, folder / f"{video.stem}-{name}-{turn}", *more))
    old, new = least(costs["before"]), least(costs["after"])
    made = [folder / f"{video.stem}-{name}-0" for name in costs]
    frames = len(list((made[1] / "masks").iterdir()))
    return {
        "video": video.stem,
        "frames": frames,
        "before": old.seconds / frames,
        "after": new.seconds / frames,
        "ratio": old.seconds / new.seconds,
        "peak_before": old.peak,
        "peak_after": new.peak,
        "same_labels": same_labels(*made),
    }


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    return (
        "| {video} | {before:.3f} | {after:.3f} | {ratio:.2f} "
        "| {peak_before:.0f} | {peak_after:.0f} | {same_labels:.4%} |"
    ).format(**row)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("before", type=Path, help="the folder src of the earlier version")
    parser.add_argument("videos", type=Path, nargs="*", help="by default the example, resized")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--precision", default="float32", help="of this version")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    columns = ["video", "before", "after", "ratio", "MiB before", "after", "same labels"]
    print(f"| {' | '.join(columns)} |")
    print("| --- " * len(columns) + "|", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = options.videos or [
            resized(EXAMPLE, folder / f"{width}x{height}.mp4", width, height)
            for width, height in SIZES
        ]
        for video in videos:
            rows.append(compare(options.before, video, folder, options.turns, options.precision))
            print(line(rows[-1]), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
