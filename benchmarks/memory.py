"""Peak memory of the default pipeline on a clip and on one ten times as long.

    python benchmarks/memory.py

Generates both videos with their sound, runs ``CoProp.from_pretrained().stream`` on each in a
process of its own, and prints the largest resident set and their ratio. The exit code is 1 where
the longer clip takes more than 1.1 times the memory of the shorter.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 44_100
LARGEST_RATIO = 1.1


def write_clip(path: Path, seconds: float, fps: int, size: tuple[int, int]) -> None:
    """A bright square that wanders, with a tone whose pitch changes every two seconds."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=RATE)
        audio.layout = "mono"
        for second in range(round(seconds)):
            for index in range(second * fps, (second + 1) * fps):
                frame = av.VideoFrame.from_ndarray(picture(index, size), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, fps)
                container.mux(video.encode(frame))
            samples = av.AudioFrame.from_ndarray(tone(second), format="fltp", layout="mono")
            samples.sample_rate = RATE
            samples.pts, samples.time_base = second * RATE, Fraction(1, RATE)
            container.mux(audio.encode(samples))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def picture(index: int, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8: grey, with a square of a quarter of the height."""
    width, height = size
    image = np.full((height, width, 3), 60, dtype=np.uint8)
    side = height // 4
    left = round((width - side) * (0.5 + 0.5 * np.sin(index / 10)))
    image[side : 2 * side, left : left + side] = 220, 160, 40
    return image


def tone(second: int) -> np.ndarray:
    """(1, 44100) float32: one second, of a pitch that is kept for two."""
    time = np.arange(RATE) / RATE
    pitch = 220 * 2 ** (second // 2 % 5 / 2)
    return (0.3 * np.sign(np.sin(2 * np.pi * pitch * time))).astype(np.float32)[None]


def measure(path: Path) -> None:
    """Runs the pipeline in this process and prints frames, keyframes and peak memory in MiB."""
    from coprop import CoProp

    frames = keyframes = 0
    for mask in CoProp.from_pretrained().stream(path):
        frames, keyframes = frames + 1, keyframes + mask.is_keyframe
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, but bytes on macOS
    print(frames, keyframes, peak / (2**20 if sys.platform == "darwin" else 2**10))


def measured(path: Path) -> tuple[int, int, float]:
    """What `measure` prints, from a fresh process."""
    command = [sys.executable, __file__, "--measure", str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    frames, keyframes, peak_mib = done.stdout.split()
    return int(frames), int(keyframes), float(peak_mib)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="length of the shorter clip")
    parser.add_argument("--times", type=int, default=10, help="how much longer the other is")
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--size", type=int, nargs=2, default=(160, 120), metavar=("W", "H"))
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        measure(options.measure)
        return 0
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for seconds in (options.seconds, options.times * options.seconds):
            path = Path(folder) / f"{seconds:g}s.mp4"
            write_clip(path, seconds, options.fps, tuple(options.size))
            frames, keyframes, peak_mib = measured(path)
            peaks.append(peak_mib)
            print(
                f"{seconds:7.0f} s  {frames:6d} frames  {keyframes:5d} keyframes  "
                f"{peak_mib:8.1f} MiB at the peak"
            )
    ratio = peaks[1] / peaks[0]
    print(f"ratio {ratio:.3f} (at most {LARGEST_RATIO})")
    return int(ratio > LARGEST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
