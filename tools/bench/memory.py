"""Peak memory of the default pipeline on a clip and on one ten times as long.

    python -m tools.bench.memory
    python -m tools.bench.memory --run --seconds 360 --fps 2 --pause 51  # the other is an hour

The clips are the first seconds of examples/clip.mp4, played forth and back again and again, with
``--pause`` silent seconds after every nine. Each goes through ``CoProp.from_pretrained().stream``,
or with ``--run`` through ``coprop run``, in a process of its own; printed are the largest resident
set, the median of ``--turns`` since the allocator's fragments differ from run to run, how many
frames had a mask, and the ratio. The exit code is 1 where the longer clip takes more than 1.1 times
the memory of the shorter, or where nothing was masked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np

from coprop.bench.memory import peak_mib
from coprop.media.audio_file import AudioFile
from coprop.media.reader import VideoFile

EXAMPLE = Path(__file__).parents[2] / "examples" / "clip.mp4"
RATE = 44_100
LARGEST_RATIO = 1.1
SOUNDING_S = 9
"""So long the example is heard before each pause; all of it."""


def write_clip(path: Path, seconds: float, fps: int, pause_s: int = 0) -> None:
    """The example's pictures forth and back at ``fps``, with its sound over and over."""
    video_file = VideoFile(EXAMPLE)
    pictures = [frame.image for frame in video_file][:: max(20 // fps, 1)]
    sound = AudioFile(EXAMPLE, RATE)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps)
        video.width, video.height, video.pix_fmt = video_file.width, video_file.height, "yuv420p"
        audio = container.add_stream("aac", rate=RATE)
        audio.layout = "mono"
        shown = islice(cycle([*pictures, *pictures[::-1]]), round(seconds * fps))
        for index, picture in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(video.encode(frame))
        for second in range(round(seconds)):
            start = second * RATE % (sound.num_samples - RATE)
            block = np.ascontiguousarray(sound.read(start, start + RATE)[None])
            if second % (SOUNDING_S + pause_s) >= SOUNDING_S:
                block = np.zeros_like(block)
            samples = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            samples.sample_rate, samples.pts = RATE, second * RATE
            samples.time_base = Fraction(1, RATE)
            container.mux(audio.encode(samples))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def measure(path: Path, segments_at_once: int, run: bool) -> None:
    """Runs the pipeline in this process and prints frames, masked frames and peak MiB."""
    count = counted_in_a_run if run else counted_in_a_stream
    print(*count(path, segments_at_once), peak_mib())


def counted_in_a_stream(path: Path, segments_at_once: int) -> tuple[int, int]:
    """How many frames there are, and how many of them are masked, as they come."""
    from coprop import CoProp

    pipeline = CoProp.from_pretrained(segments_at_once=segments_at_once)
    masked = [bool(mask.labels.any()) for mask in pipeline.stream(path)]
    return len(masked), sum(masked)


def counted_in_a_run(path: Path, segments_at_once: int) -> tuple[int, int]:
    """The same of ``coprop run``, which writes masks, overlay and timeline."""
    from coprop.cli import app

    out = path.with_suffix("")
    options = ["--quiet", "--device", "cpu", "--segments-at-once", str(segments_at_once)]
    app(["run", str(path), "--out", str(out), *options], standalone_mode=False)
    frames = json.loads((out / "result.json").read_text(encoding="utf-8"))["frames"]
    return len(frames), sum(bool(frame["labels"]) for frame in frames)


def measured(path: Path, segments_at_once: int, run: bool) -> tuple[int, int, float]:
    """What `measure` prints, from a fresh process."""
    command = [
        sys.executable,
        "-m",
        "tools.bench.memory",
        "--measure",
        str(path),
        *(["--run"] if run else []),
    ]
    command += ["--segments-at-once", str(segments_at_once)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    frames, masked, peak_mib = done.stdout.split()
    return int(frames), int(masked), float(peak_mib)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=9.0, help="length of the shorter clip")
    parser.add_argument("--times", type=int, default=10, help="how much longer the other is")
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--turns", type=int, default=1, help="runs of each clip")
    parser.add_argument("--segments-at-once", type=int, default=1)
    parser.add_argument("--pause", type=int, default=0, help="silent seconds after every nine")
    parser.add_argument("--run", action="store_true", help="through coprop run")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        measure(options.measure, options.segments_at_once, options.run)
        return 0
    peaks, masked = [], 1
    with tempfile.TemporaryDirectory() as folder:
        for seconds in (options.seconds, options.times * options.seconds):
            path = Path(folder) / f"{seconds:g}s.mp4"
            write_clip(path, seconds, options.fps, options.pause)
            turns = [
                measured(path, options.segments_at_once, options.run) for _ in range(options.turns)
            ]
            frames, masked, _ = turns[0]
            each = [peak_mib for *_, peak_mib in turns]
            peaks.append(statistics.median(each))
            print(
                f"{seconds:7.0f} s  {frames:6d} frames  {masked:6d} masked  "
                f"{peaks[-1]:8.1f} MiB at the peak ({min(each):.0f} to {max(each):.0f})",
                flush=True,
            )
    ratio = peaks[1] / peaks[0]
    print(f"ratio {ratio:.3f} (at most {LARGEST_RATIO})")
    return int(ratio > LARGEST_RATIO or masked == 0)


if __name__ == "__main__":
    sys.exit(main())
