"""The pipeline end to end and part by part, on one clip."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from coprop.bench.memory import peak_mib
from coprop.bench.stopwatch import Stopwatch, Watched, clock_of, counted, matrix_rate
from coprop.errors import CoPropError
from coprop.media.clip import Clip
from coprop.pipeline import CoProp
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.results.writing import save
from coprop.utils.paths import AnyPath

# What the network's methods are part of; `attention` is what is left of `propagate` without the
# decoder, and what memory is made of.
_STAGES = {
    "encode": "encoder",
    "propagate": "attention",
    "memorise": "attention",
    "memorise_reference": "attention",
}
PARTS = (
    *("decode", "detector", "keyframes", "names", "encoder", "attention", "decoder", "masks"),
    *("write",),
)
"""In the order of the table. `masks` is all that is left between reading and writing a frame: it is
brought to the networks' sizes, and their answers to the frame's."""


@dataclass(frozen=True)
class PartCost:
    """Of one part.

    Args:
        seconds: by the device's clock, in all.
        calls: how often it was at work.
        flop: floating-point operations in all.
    """

    seconds: float
    calls: int
    flop: float


@dataclass(frozen=True)
class BenchResult:
    """What `bench` found.

    Args:
        device, dtype, threads: where and in what was computed.
        clock: what ``seconds`` of parts and ``matrix_rate`` are told by.
        width, height: of the frames, in pixels.
        frames: how many there were.
        segments_at_once: as the pipeline had it.
        wall_s, cpu_s: end to end, from opening the clip to the last file.
        peak_mib: the largest resident set of the process then, where the system tells; and on CUDA
            its memory in use.
        matrix_rate: operations a second of a product of two matrices of 1024 x 1024.
        parts: what each took, one after another in one thread.
    """

    device: str
    dtype: str
    threads: int
    clock: str
    width: int
    height: int
    frames: int
    segments_at_once: int | str
    wall_s: float
    cpu_s: float
    peak_mib: float | None
    cuda_peak_mib: float | None
    matrix_rate: float
    parts: dict[str, PartCost]

    def share(self, part: str) -> float | None:
        """Of the matrix rate that a part reaches; None of one that multiplies no matrices."""
        cost = self.parts[part]
        if not cost.flop or not cost.seconds:
            return None
        return cost.flop / cost.seconds / self.matrix_rate

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds."""
        content = {name: value for name, value in vars(self).items() if name != "parts"}
        content["frames_per_s"] = self.frames / self.wall_s
        content["parts"] = {
            name: {
                "seconds": cost.seconds,
                "calls": cost.calls,
                "flop": cost.flop,
                "share_of_matrix_rate": self.share(name),
            }
            for name, cost in self.parts.items()
        }
        return content


def bench(pipeline: CoProp, video: AnyPath, *, frames: int) -> BenchResult:
    """Measures a pipeline on the first frames of a video.

    It goes through it three times: as `coprop run` does, into a folder that is removed; in one
    thread, with each part's time; and so once more, with each part's operations.

    Args:
        pipeline: with coprop's own propagator.
        video: its path; it has sound.
        frames: how many at most.

    Raises:
        CoPropError: another propagator.
        MediaError, AudioError: a video that cannot be read.
    """
    if not isinstance(pipeline.propagator, AudioInsertPropagator):
        raise CoPropError(
            "bench takes apart coprop's own propagator, got "
            f"{type(pipeline.propagator).__name__}; leave propagator= out."
        )
    device, dtype = pipeline.device, pipeline.dtype
    name, clock = clock_of(device)
    rate = matrix_rate(device, dtype)
    whole = _end_to_end(pipeline, video, frames)
    watch = Stopwatch(clock)
    _apart(pipeline, video, frames, watch)
    rate = max(rate, matrix_rate(device, dtype))
    with counted() as meter:
        operations = Stopwatch(meter)
        _apart(pipeline, video, frames, operations)
    return BenchResult(
        device=str(device),
        dtype=str(dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        clock=name,
        segments_at_once=pipeline.segments_at_once,
        matrix_rate=rate,
        parts={
            part: PartCost(watch.total[part], watch.calls[part], operations.total[part])
            for part in PARTS
            if part in watch.total
        },
        **whole,
    )


def _end_to_end(pipeline: CoProp, video: AnyPath, frames: int) -> dict[str, Any]:
    """As a user has it, with threads that read and write."""
    cuda = pipeline.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(pipeline.device)
    wall, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, Clip(video) as clip:
        points = pipeline.detect(clip.audio)
        with closing(pipeline.track(clip, points)) as tracked:
            out = Path(folder) / "out"
            content = save(out, clip, islice(tracked, frames), points, tracked.segments)
    return {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "frames": content["num_frames"],
        "width": content["width"],
        "height": content["height"],
        "peak_mib": peak_mib(),
        "cuda_peak_mib": (
            torch.cuda.max_memory_allocated(pipeline.device) / 2**20 if cuda else None
        ),
    }


def _apart(pipeline: CoProp, video: AnyPath, frames: int, watch: Stopwatch) -> None:
    """The same in one thread, each part watched."""
    from coprop.media.writer import ResultWriter

    with ExitStack() as opened:
        opened.enter_context(_watched(pipeline, watch))
        folder = opened.enter_context(tempfile.TemporaryDirectory())
        clip = opened.enter_context(Clip(video))
        with watch.part("detector"):
            points = pipeline.detect(clip.audio)
        clip.frames = Watched(clip.frames, watch, "decode")
        tracked = opened.enter_context(closing(pipeline.track(clip, points)))
        writer = opened.enter_context(ResultWriter(Path(folder) / "out", sound=clip.sound))
        for frame, mask in Watched(islice(tracked, frames), watch, "masks"):
            with watch.part("write"):
                writer.write(frame, mask)
        with watch.part("write"):
            writer.finish({}, audio=clip.audio, control_points=points, segments=tracked.segments)


@contextmanager
def _watched(pipeline: CoProp, watch: Stopwatch) -> Iterator[None]:
    """Within it, the parts of a pipeline are watched; afterwards it is as before."""
    propagator = pipeline.propagator
    if not isinstance(propagator, AudioInsertPropagator):  # `bench` has refused it
        yield
        return
    network, namer = propagator.network, pipeline.namer
    kept: list[tuple[Any, str, Any]] = []

    def put(owner: Any, name: str, part: str) -> None:
        own: Callable[..., Any] = getattr(owner, name)
        kept.append((owner, name, vars(owner).get(name)))
        owner.__dict__[name] = watch.of(part, own)

    try:
        for name, part in _STAGES.items():
            put(network, name, part)
        put(network.decoder, "forward", "decoder")
        put(pipeline.segmenter, "forward", "keyframes")
        if namer is not None:
            pipeline.namer = watch.of("names", namer)
        yield
    finally:
        pipeline.namer = namer
        for owner, name, own in kept:
            if own is None:
                del owner.__dict__[name]
            else:
                owner.__dict__[name] = own


def table(result: BenchResult) -> str:
    """What the command prints."""
    peak = "" if result.peak_mib is None else f"   {result.peak_mib:.0f} MiB at the peak"
    lines = [
        f"{result.frames} frames of {result.width} x {result.height}, {result.dtype}, on "
        f"{result.device}, {result.threads} thread(s), segments at once: "
        f"{result.segments_at_once}",
        "",
        f"end to end   {result.frames / result.wall_s:7.2f} frames/s   "
        f"{1000 * result.cpu_s / result.frames:7.1f} CPU ms a frame{peak}",
    ]
    if result.cuda_peak_mib is not None:
        lines.append(f"             {result.cuda_peak_mib:.0f} MiB of the GPU at the peak")
    lines += ["", f"{'part':10}  ms a frame  share  calls   GFLOP a frame  of the matrix rate"]
    total = sum(cost.seconds for cost in result.parts.values())
    for name, cost in result.parts.items():
        share = result.share(name)
        lines.append(
            f"{name:10}  {1000 * cost.seconds / result.frames:10.2f}  {cost.seconds / total:5.1%}  "
            f"{cost.calls:5d}   {cost.flop / result.frames / 1e9:13.3f}  "
            f"{'-' if share is None else f'{share:.0%}':>18}"
        )
    lines.append(
        f"\nThe matrix rate is {result.matrix_rate / 1e9:.1f} GFLOP in a second; seconds of parts "
        f"are {result.clock}."
    )
    return "\n".join(lines)
