"""Peak memory of the default pipeline on a clip and on one ten times as long.

    python -m tools.bench.memory

The clips are the first seconds of examples/clip.mp4, played forth and back again and again. Each
goes through ``CoProp.from_pretrained().stream`` in a process of its own; printed are the largest
resident set, how many frames had a mask, and the ratio. The exit code is 1 where the longer clip
takes more than 1.1 times the memory of the shorter, or where nothing was masked.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np

from coprop.media.audio_file import AudioFile
from coprop.media.reader import VideoFile

EXAMPLE = Path(__file__).parents[2] / "examples" / "clip.mp4"
RATE = 44_100
LARGEST_RATIO = 1.1


def write_clip(path: Path, seconds: float, fps: int) -> None:
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
            samples = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            samples.sample_rate, samples.pts = RATE, second * RATE
            samples.time_base = Fraction(1, RATE)
            container.mux(audio.encode(samples))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def measure(path: Path, segments_at_once: int) -> None:
    """Runs the pipeline in this process and prints frames, masked frames and peak MiB."""
    from coprop import CoProp

    frames = masked = 0
    pipeline = CoProp.from_pretrained(segments_at_once=segments_at_once)
    for mask in pipeline.stream(path):
        frames, masked = frames + 1, masked + bool(mask.labels.any())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, but bytes on macOS
    print(frames, masked, peak / (2**20 if sys.platform == "darwin" else 2**10))


def measured(path: Path, segments_at_once: int) -> tuple[int, int, float]:
    """What `measure` prints, from a fresh process."""
    command = [sys.executable, __file__, "--measure", str(path)]
    command += ["--segments-at-once", str(segments_at_once)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    frames, masked, peak_mib = done.stdout.split()
    return int(frames), int(masked), float(peak_mib)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=9.0, help="length of the shorter clip")
    parser.add_argument("--times", type=int, default=10, help="how much longer the other is")
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--segments-at-once", type=int, default=1)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        measure(options.measure, options.segments_at_once)
        return 0
    peaks, masked = [], 1
    with tempfile.TemporaryDirectory() as folder:
        for seconds in (options.seconds, options.times * options.seconds):
            path = Path(folder) / f"{seconds:g}s.mp4"
            write_clip(path, seconds, options.fps)
            frames, masked, peak_mib = measured(path, options.segments_at_once)
            peaks.append(peak_mib)
            print(
                f"{seconds:7.0f} s  {frames:6d} frames  {masked:6d} masked  "
                f"{peak_mib:8.1f} MiB at the peak"
            )
    ratio = peaks[1] / peaks[0]
    print(f"ratio {ratio:.3f} (at most {LARGEST_RATIO})")
    return int(ratio > LARGEST_RATIO or masked == 0)


if __name__ == "__main__":
    sys.exit(main())
