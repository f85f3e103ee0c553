"""Segments at once against one after another, slow models in batches, and frame 1,000 against 50.

    python -m tools.bench.at_once segments [VIDEO] [--size 1280x720]
    python -m tools.bench.at_once slow
    python -m tools.bench.at_once flat

``segments`` streams a video (by default the example, resized) with one, two and four segments at
once, each in a process of its own, in turns: CPU seconds a frame (the least), peak MiB, and the
share of equal labels. ``slow`` wraps a model that sleeps for a second in each call: the time that
passes over that of its calls and of propagation. ``flat`` carries one segment through 1,000 frames:
CPU seconds of the frames around the last over those of frames in which the memory has just become
full, of steps that are taken from both states in turns, and their operations.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coprop import Audio, AudioInsertPropagator, ControlPoints, CoProp
from coprop.bench.memory import peak_mib
from coprop.bench.stopwatch import counted
from coprop.media.clip import Clip
from coprop.types import AudioTrack
from tools.bench.run_cost import EXAMPLE, resized

NUMBERS = (1, 2, 4)
CALL_S, KEYFRAMES, PER_CALL = 1.0, 8, 4
EARLY, LATE = 65, 1000  # from frame 40 on the memory is full: 8 frames, every fifth
HALF, STEPS = 24, 200


def one(video: Path, number: int) -> dict[str, Any]:
    """Of a process: CPU seconds a frame of the work, peak MiB, and the labels, packed."""
    torch.set_num_threads(1)
    pipeline = CoProp.from_pretrained(namer=None, segments_at_once=number)
    begun, labels = time.process_time(), []
    with Clip(video) as clip:
        for _, mask in pipeline.track(clip, pipeline.detect(clip.audio)):
            labels.append(np.packbits(mask.labels).tobytes().hex())
    return {
        "cpu_s": (time.process_time() - begun) / len(labels),
        "mib": peak_mib(),
        "labels": labels,
    }


def segments(video: Path, turns: int) -> None:
    found: dict[int, list[dict[str, Any]]] = {number: [] for number in NUMBERS}
    for _ in range(turns):
        for number in NUMBERS:
            command = [sys.executable, "-m", "tools.bench.at_once", "one", str(video)]
            done = subprocess.check_output([*command, "--number", str(number)], text=True)
            found[number].append(json.loads(done))
    alone = found[1][0]["labels"]
    print("| at once | CPU s a frame | of one | peak MiB | same labels |")
    print("| --- " * 5 + "|")
    least = {number: min(each["cpu_s"] for each in runs) for number, runs in found.items()}
    for number, runs in found.items():
        peak = min(each["mib"] for each in runs)
        print(
            f"| {number} | {least[number]:.3f} | {least[number] / least[1]:.2f} | {peak:.0f} "
            f"| {same(runs[0]['labels'], alone):.5%} |"
        )


def same(some: list[str], others: list[str]) -> float:
    """Share of the pixels with the same label."""
    differing = total = 0
    for one, other in zip(some, others, strict=True):
        a, b = (np.frombuffer(bytes.fromhex(x), np.uint8) for x in (one, other))
        differing += int(np.unpackbits(a ^ b).sum())
        total += 8 * a.size
    return 1 - differing / total


def detector(*times_s: float) -> Callable[[AudioTrack], ControlPoints]:
    times = np.array([0.0, *times_s])
    return lambda _: ControlPoints(times, np.ones(len(times)), np.ones(len(times), dtype=bool))


def noise(seconds: float) -> Audio:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, round(16_000 * seconds))
    return Audio(samples.astype(np.float32), 16_000)


def pictures(count: int, height: int, width: int) -> Iterator[np.ndarray]:
    small = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for index in range(count):
        yield np.roll(small, index, axis=1)


def middle(frames: Tensor) -> Tensor:
    height, width = frames.shape[-2:]
    logits = torch.full((len(frames), 1, height, width), -4.0)
    logits[..., height // 4 : height // 2, width // 4 : width // 2] = 4.0
    return logits


def slow() -> None:
    """The time that passes over that of the model's calls and of propagation, for one and K."""
    times = [float(t) for t in range(1, KEYFRAMES)]
    for per_call in (1, PER_CALL):
        spent = {"calls": 0.0, "propagation": 0.0}
        calls = 0

        def model(frames: Tensor, sound: Tensor, spent: dict[str, float] = spent) -> Tensor:
            nonlocal calls
            calls += 1
            begun = time.perf_counter()
            time.sleep(CALL_S)
            logits = middle(frames)
            spent["calls"] += time.perf_counter() - begun
            return logits

        pipeline = CoProp.wrap(
            model, detector=detector(*times), namer=None, keyframes_per_call=per_call
        )
        propagator: Any = pipeline.propagator
        for name in ("start", "step"):
            propagator.__dict__[name] = timed(getattr(propagator, name), spent)
        begun, frames = time.perf_counter(), 0
        for _ in pipeline.stream(pictures(KEYFRAMES * 5, 96, 128), noise(KEYFRAMES), fps=5):
            frames += 1
        passed = time.perf_counter() - begun
        both = spent["calls"] + spent["propagation"]
        print(
            f"{frames} frames, {KEYFRAMES} keyframes in {calls} calls: {passed:.2f} s, of calls "
            f"{spent['calls']:.2f}, of propagation {spent['propagation']:.2f}; "
            f"{passed / both:.3f} of both"
        )


def timed(function: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        result = function(*arguments, **named)
        spent["propagation"] += time.perf_counter() - begun
        return result

    return call


def flat() -> None:
    torch.set_num_threads(1)
    pipeline = CoProp.wrap(lambda frames, sound: middle(frames), detector=detector(), namer=None)
    propagator: Any = pipeline.propagator
    own: AudioInsertPropagator = propagator
    step = own.step
    flop: dict[int, float] = {}
    at: dict[int, Callable[[], Any]] = {}  # a state may be stepped from again

    def kept(*arguments: Any, **named: Any) -> Any:
        if len(seconds) in (EARLY, LATE):
            at[len(seconds)] = partial(step, *arguments, **named)
            with counted() as meter:
                at[len(seconds)]()
            flop[len(seconds)] = meter()
        return step(*arguments, **named)

    propagator.__dict__["step"] = kept
    seconds: list[float] = []
    count = LATE + HALF
    for _ in pipeline.stream(pictures(count, 48, 64), noise(count / 5), fps=5):
        seconds.append(time.process_time())
    frames = [late - early for early, late in pairwise(seconds)]
    early, late = (frames[index - HALF : index + HALF] for index in (EARLY, LATE))
    print(
        f"of {2 * HALF} frames around {LATE} over those around {EARLY}, in the pipeline: median "
        f"{statistics.median(late) / statistics.median(early):.3f}, least "
        f"{min(late) / min(early):.3f} ({1000 * min(early):.1f} ms)"
    )
    taken: dict[int, list[float]] = {index: [] for index in at}
    for _ in range(STEPS):
        for index, again in at.items():
            begun = time.process_time()
            again()
            taken[index].append(time.process_time() - begun)
    medians, least = ({i: of(each) for i, each in taken.items()} for of in (statistics.median, min))
    print(
        f"{STEPS} steps from both states, in turns: median {medians[LATE] / medians[EARLY]:.3f}, "
        f"least {least[LATE] / least[EARLY]:.3f} ({1000 * least[EARLY]:.1f} ms)"
    )
    print(f"operations of frame {LATE} over frame {EARLY}: {flop[LATE] / flop[EARLY]:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("segments", "slow", "flat", "one"))
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--size", default="1280x720", help="of the example, WIDTHxHEIGHT")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--number", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.what == "one":
        print(json.dumps(one(options.video, options.number)))
    elif options.what == "slow":
        slow()
    elif options.what == "flat":
        flat()
    else:
        with tempfile.TemporaryDirectory() as folder:
            width, height = map(int, options.size.split("x"))
            video = options.video or resized(EXAMPLE, Path(folder) / "clip.mp4", width, height)
            segments(video, options.turns)


if __name__ == "__main__":
    main()
