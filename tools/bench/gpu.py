"""What the propagator does on a GPU: its tests, its agreement with the CPU, and how fast it is.

    python -m tools.bench.gpu                        # under 8 minutes on one GPU
    python -m tools.bench.gpu --device cpu --tiny    # that the script itself runs, in seconds

Prints one table: frames a second over all segments, and peak memory, of the default propagator and
of AOT-L, for each precision, size of frame and number of segments at once; beside them the share of
pixels that are labelled as by float32. Weights of AOT-L are random, which takes as long.

Before it, on the device: the tests that concern devices; a clip's labels against those on the CPU;
and, on CUDA, that no step makes the host wait, told by CUDA itself. The exit code is 1 where one of
these fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from coprop.pipeline import WEIGHTS
from coprop.propagation import AudioInsertPropagator, PropagatorConfig
from coprop.propagation.checks import values_known
from coprop.propagation.masks import likeliest

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TESTS = ("tests/test_devices.py", "tests/propagation/test_propagator_speed.py")
LONG_MEMORY = 40  # frames after which long-term memory of 8 with a gap of 5 is full
SAME = 0.995  # of the pixels: where two devices or precisions are taken to agree


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Args:
        sizes: (height, width) in pixels by name.
        segments: followed at once.
        seconds: for which each case runs, after its memory has filled.
        filling: frames before that.
    """

    sizes: dict[str, tuple[int, int]]
    segments: tuple[int, ...]
    seconds: float
    filling: int


FULL = Plan({"480p": (480, 854), "1080p": (1080, 1920)}, (1, 4, 16), 2.0, LONG_MEMORY)
TINY = Plan({"33": (33, 49), "49": (49, 65)}, (1, 2), 0.0, 2)


def models(tiny: bool) -> dict[str, AudioInsertPropagator]:
    """In float32, on the CPU."""
    torch.manual_seed(0)
    default = AudioInsertPropagator.from_pretrained(WEIGHTS / "propagator").eval()
    if tiny:
        return {"default": default}
    aot_l = AudioInsertPropagator(PropagatorConfig.aot_l(insert_levels=())).eval()
    torch.nn.init.normal_(aot_l.network.patch_wise_id_bank.weight, std=0.1)
    return {"default": default, "AOT-L": aot_l}


class Clip:
    """Segments of one disc each that moves over a ground, made where they are used."""

    def __init__(self, segments: int, size: tuple[int, int], device: torch.device) -> None:
        height, width = size
        generator = torch.Generator().manual_seed(0)
        ground = torch.rand(segments, 3, height // 8 + 1, width // 8 + 1, generator=generator)
        self._ground = F.interpolate(ground.to(device), size, mode="bilinear")
        y = torch.linspace(0, 1, height, device=device)[:, None]
        x = torch.linspace(0, 1, width, device=device)
        self.labels = ((y - 0.5).square() + (x - 0.4).square() < 0.05).long()
        self.labels = self.labels.expand(segments, height, width)
        self.sound = 0.1 * torch.randn(segments, 16_000, generator=generator).to(device)

    def frame(self, t: int) -> Tensor:
        disc = self.labels[:, None].roll(4 * t, dims=-1)
        return torch.where(disc > 0, self._ground.flip(1), self._ground.roll(t, dims=-1))


@torch.inference_mode()
def labels_of(propagator: AudioInsertPropagator, clip: Clip, frames: int) -> Tensor:
    """(frames, B, H, W) on the CPU."""
    state = propagator.start(clip.frame(0), clip.sound, clip.labels)
    labels = []
    for t in range(1, frames + 1):
        logits, state = propagator.step(clip.frame(t), clip.sound, state)
        labels.append(likeliest(logits, (logits.shape[-2], logits.shape[-1])).cpu())
    return torch.stack(labels)


@torch.inference_mode()
def rate(
    propagator: AudioInsertPropagator, clip: Clip, plan: Plan, device: torch.device
) -> tuple[float, float]:
    """Frames a second over all segments, and MiB at the peak (0 on the CPU)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    state = propagator.start(clip.frame(0), clip.sound, clip.labels)
    step, frames = 0, 0
    with values_known():
        for step in range(1, plan.filling + 1):
            _, state = propagator.step(clip.frame(step), clip.sound, state)
        begin = waited(device)
        while frames == 0 or waited(device) - begin < plan.seconds:
            for _ in range(5):  # so that waiting to read the clock costs little
                step += 1
                _, state = propagator.step(clip.frame(step), clip.sound, state)
                frames += len(clip.labels)
        seconds = waited(device) - begin
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else 0.0
    return frames / seconds, peak


def waited(device: torch.device) -> float:
    """The time once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """Within it, CUDA raises where the host waits for it."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@torch.inference_mode()
def agrees(propagator: AudioInsertPropagator, device: torch.device, size: tuple[int, int]) -> bool:
    """Whether the device gives the CPU's labels, and whether its steps run without waiting."""
    cpu = torch.device("cpu")
    expected = labels_of(propagator.to(cpu), Clip(1, size, cpu), 5)
    clip = Clip(1, size, device)
    found = labels_of(propagator.to(device), clip, 5)
    share = float((found == expected).float().mean())
    state = propagator.start(clip.frame(0), clip.sound, clip.labels)
    frames = [clip.frame(t) for t in range(1, 8)]
    try:
        with values_known(), no_waiting(device):
            for frame in frames:
                _, state = propagator.step(frame, clip.sound, state)
    except RuntimeError as error:
        print(f"a step waits for the device: {error}")
        return False
    print(f"labels equal to the CPU's on {100 * share:.3f} % of pixels; no step waits")
    return share >= SAME


def measure(plan: Plan, device: torch.device, tiny: bool) -> None:
    print("| model | frames | segments | precision | frames/s | peak MiB | as float32, % |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, propagator in models(tiny).items():
        for (size_name, size), segments in product(plan.sizes.items(), plan.segments):
            clip, expected = Clip(segments, size, device), None
            for dtype_name, dtype in DTYPES.items():
                own = AudioInsertPropagator(propagator.config).eval()
                own.load_state_dict(propagator.state_dict())
                own.to(device, dtype)
                row = f"| {name} | {size_name} | {segments} | {dtype_name} "
                try:
                    labels = labels_of(own, clip, 3)
                    expected = labels if expected is None else expected
                    same = 100 * float((labels == expected).float().mean())
                    speed, peak = rate(own, clip, plan, device)
                    print(f"{row}| {speed:.1f} | {peak:.0f} | {same:.2f} |", flush=True)
                except torch.OutOfMemoryError:
                    print(f"{row}| out of memory | | |", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="such as cuda or cuda:1")
    parser.add_argument("--tiny", action="store_true", help="small frames, to try the script out")
    parser.add_argument("--no-tests", action="store_true", help="measure only")
    options = parser.parse_args(arguments)
    device, plan = torch.device(options.device), TINY if options.tiny else FULL
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; --device cpu --tiny tries the script out.")
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{kind}, torch {torch.__version__}")
    failed = 0
    if not (options.no_tests or options.tiny):
        failed |= subprocess.call([sys.executable, "-m", "pytest", "-q", "-n", "0", *TESTS])
    size = next(iter(plan.sizes.values()))
    for name, propagator in models(options.tiny).items():
        print(name, end=": ")
        failed |= not agrees(propagator, device, size)
    begin = time.perf_counter()
    measure(plan, device, options.tiny)
    print(f"measured in {time.perf_counter() - begin:.0f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
