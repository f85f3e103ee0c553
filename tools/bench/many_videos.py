"""Many short videos in several processes, some of which are killed: is the result the same?

    python -m tools.bench.many_videos --out /tmp/collections --videos 200

makes videos of a second, each with a content of its own, and does them: with one worker; with
three, two of which are killed (SIGKILL) at random moments, and then the run itself, which is
resumed; with two; and with two through Ray. It compares all files, byte for byte but for the
field ``timings``, and prints videos a minute, and the memory of each worker on the way. The
propagator is the default's; the segmenter is a function and the detector the cosine baseline, which
take some seconds less a video.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from coprop import CoProp

RATE, FPS, FRAMES, SIZE = 16_000, 4, 4, (64, 48)
_LOOKED_AT = (20, 100, 200)  # after so many videos


def red(frames: Tensor, audio: Tensor) -> Tensor:
    """A segmenter: logits that are high where a frame is red."""
    return 20 * (frames[:, :1] - frames[:, 1:2] - 0.3)


def pipeline() -> CoProp:
    """The default's propagator between cheap other parts."""
    from coprop import ControlPointDetector, CoProp

    return CoProp.wrap(red, detector=ControlPointDetector.cosine(), namer=None)


def make_videos(folder: Path, count: int) -> list[Path]:
    """Videos of a second, with sound, of which no two are the same."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03d}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            _make_video(path, number)
    return paths


def _make_video(path: Path, number: int) -> None:
    rng = np.random.default_rng(number)
    times = np.arange(RATE * FRAMES // FPS) / RATE
    tone = 0.5 * np.sin(2 * np.pi * (200 + 5 * number) * times)
    sound = np.where(times < 0.5, tone, 0.5 * rng.uniform(-1, 1, len(times))).astype(np.float32)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        for index in range(FRAMES):
            image = np.full((SIZE[1], SIZE[0], 3), 60 + number % 60, dtype=np.uint8)
            left = 4 + (number + 3 * index) % 40
            image[10:35, left : left + 18] = (210, 30, 30)
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, FPS)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        samples = av.AudioFrame.from_ndarray(sound[None], "fltp", "mono")
        samples.sample_rate, samples.pts = RATE, 0
        container.mux(audio.encode(samples))
        container.mux(audio.encode(None))


def drive(videos: Path, out: Path, workers: int, ray: bool, made_by: str) -> None:
    """One run, in this process; prints a line of JSON a video, and one at the end."""
    from coprop.batch import Segment
    from coprop.batch.inputs import find_videos
    from coprop.batch.ray_pipeline import LOCAL, RayOptions, run_on_ray
    from coprop.batch.run import Collection
    from coprop.batch.workers import WorkerPool, one_after_another
    from coprop.utils.callables import function_named

    make, began = function_named(made_by, "--pipeline"), time.perf_counter()
    arguments = {"out": out, "pipeline": make}
    segment = Segment(**arguments)

    def told(row: dict[str, Any], outcome: Any) -> None:
        told.count += 1  # type: ignore[attr-defined]
        now = told.count  # type: ignore[attr-defined]
        line: dict[str, Any] = {"done": now, "s": round(time.perf_counter() - began, 2)}
        if now in _LOOKED_AT:
            line["workers_mib"] = _workers_mib(os.getpid(), ray)
        print(json.dumps({**line, "status": outcome.status.value}), flush=True)

    told.count = 0  # type: ignore[attr-defined]

    def runner(paths: Sequence[Path]) -> Iterator[Any]:
        if ray:
            yield from run_on_ray(paths, arguments, RayOptions(LOCAL, workers))
        elif workers == 1:
            yield from one_after_another(segment, paths, None)
        else:
            with WorkerPool([Segment(**arguments) for _ in range(workers)]) as pool:
                yield from pool.run(paths)

    collection = Collection(segment, find_videos([videos], out))
    collection.run(runner, told=told)
    print(json.dumps({"failed": len(collection.failed), "s": time.perf_counter() - began}))


def _workers_mib(driver: int, ray: bool) -> list[int]:
    """Memory in use of each worker, or of the process itself where it has none."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            words = (process / "cmdline").read_bytes()
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            own = parent == driver and b"spawn_main" in words
            if b"MapWorker" in words if ray else own:
                found.append(_mib(process))
    return sorted(found) or [_mib(Path(f"/proc/{driver}"))]


def _mib(process: Path) -> int:
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


def children(driver: int) -> list[int]:
    """The workers of a run."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == driver and b"spawn_main" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def start(
    videos: Path, out: Path, workers: int, *, ray: bool = False, made_by: str
) -> subprocess.Popen[str]:
    """Starts a run in a process of its own."""
    command = [sys.executable, "-m", "tools.bench.many_videos", "--drive", "--out", str(out)]
    command += ["--folder", str(videos), "--workers", str(workers), "--pipeline", made_by]
    return subprocess.Popen(
        command + ["--ray"] * ray, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def lines_of(run: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What a run prints, as it does."""
    assert run.stdout is not None
    for line in run.stdout:
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def disturbed(
    videos: Path, out: Path, count: int, seed: int, *, workers: int, kills: int, made_by: str
) -> list[str]:
    """A run of which some workers are killed at random moments, and then the run itself.

    Returns:
        what was killed when.
    """
    chance = random.Random(seed)
    at = sorted(chance.sample(range(1, max(count * 3 // 4, kills + 1)), kills + 1))
    run, told, first = start(videos, out, workers, made_by=made_by), [], None
    for line in lines_of(run):
        first = first or line
        if not at or line.get("done") != at[0]:
            continue
        at.pop(0)
        # No longer than a video takes: the rest would be done, and nothing left to kill.
        a_video_s = (line["s"] - first["s"]) / max(line["done"] - first["done"], 1)
        time.sleep(chance.uniform(0, a_video_s))
        if at:
            os.kill(chance.choice(children(run.pid)), signal.SIGKILL)
            told.append(f"a worker after {line['done']} videos")
        else:
            run.kill()
            told.append(f"the run after {line['done']} videos")
    run.wait()
    return told


def differences(one: Path, other: Path) -> list[str]:
    """Names of the files that are not the same in both folders, but for timings."""
    names = {path.relative_to(folder) for folder in (one, other) for path in folder.rglob("*")}
    return [str(name) for name in sorted(names) if content(one / name) != content(other / name)]


def content(path: Path) -> object:
    """What is compared of a file; None of one that is not there."""
    if not path.exists() or path.is_dir():
        return path.is_dir() or None
    if path.name == "video.json":
        return _timeless(json.loads(path.read_text("utf-8")))
    if path.name == "index.jsonl":
        return [_timeless(json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return _timeless(pq.read_table(path).to_pylist())
    if path.suffix == ".mp4":  # x264 writes the same pictures in other bytes from run to run
        return _decoded(path)
    return path.read_bytes()


def _decoded(path: Path) -> list[tuple[int | None, bytes]]:
    """Pictures and sound, each piece with its time."""
    with av.open(str(path)) as container:
        return [
            (frame.pts, frame.to_ndarray().tobytes())
            for frame in container.decode()
            if isinstance(frame, av.VideoFrame | av.AudioFrame)
        ]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key != "timings"}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def _measured(run: subprocess.Popen[str], name: str) -> None:
    told, memory = [], {}
    for line in lines_of(run):
        told.append(line)
        if "workers_mib" in line:
            memory[line["done"]] = line["workers_mib"]
    first, last = told[0], [line for line in told if "done" in line][-1]
    a_minute = 60 * (last["done"] - first["done"]) / max(last["s"] - first["s"], 1e-9)
    print(f"{name}: {last['done']} videos, {told[-1].get('failed')} failed, {last['s']:.0f} s")
    print(f"  {a_minute:.1f} videos a minute from the first on; MiB of workers {memory}")


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", default="one,killed,two,ray")
    parser.add_argument("--pipeline", default="tools.bench.many_videos:pipeline")
    parser.add_argument("--drive", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--ray", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        drive(given.folder, given.out, given.workers, given.ray, given.pipeline)
        return
    videos, parts = given.out / "videos", given.parts.split(",")
    make_videos(videos, given.videos)
    for part in parts:
        out = given.out / part
        if part == "killed":
            how = (videos, out, given.videos, given.seed)
            told = disturbed(*how, workers=3, kills=2, made_by=given.pipeline)
            print("killed:", ", ".join(told))
            _measured(start(videos, out, 3, made_by=given.pipeline), "resumed")
        else:
            workers = 1 if part == "one" else 2
            run = start(videos, out, workers, ray=part == "ray", made_by=given.pipeline)
            _measured(run, part)
        if part != "one" and (given.out / "one").exists():
            named = differences(given.out / "one", out) or "nothing"
            print(f"  {part} differs from one in: {named}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
