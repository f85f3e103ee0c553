"""Are short sounds masked, and from when to when? Bursts over backgrounds, wrapped and default.

    python -m tools.bench.bursts [--fast]

A still picture of the macaw of examples/clip.mp4 is shown while pieces of its call sound, 0.05 to
1 s long and 0.7 or 2 s apart, over digital silence or white noise. For each row: the share of
bursts that are masked, and how much later than the first frame at or after a burst's onset the mask
begins, and than its end the mask ends (median and worst, in seconds; an end within a frame's
duration is 0).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from coprop import Audio, CoProp
from coprop.media.audio_file import AudioFile
from coprop.media.reader import VideoFile

CLIP = Path(__file__).parents[2] / "examples" / "clip.mp4"
CALL_S, CALL_FRAME_S = (5.3, 7.8), 6.5  # the macaw calls in this part of the clip
LENGTHS_S = (0.05, 0.1, 0.2, 0.4, 1.0)
PAUSES_S = (0.7, 2.0)
BACKGROUNDS_DB = (None, -50.0, -40.0, -30.0)
FRAME_RATES = (10, 30)
BURSTS = 3
LEAD_S = 0.813  # off every frame grid


@dataclass
class Row:
    """What happened to bursts of one kind."""

    total: int = 0
    masked: int = 0
    onsets_s: list[float] = field(default_factory=list)
    offsets_s: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        errors = " | ".join(
            f"{np.median(e):.3f} / {max(e, key=abs):.3f}" if e else "–"
            for e in (self.onsets_s, self.offsets_s)
        )
        return f"{self.masked / self.total:.2f} | {errors}"


def material() -> tuple[NDArray[np.uint8], NDArray[np.float32], int]:
    """The picture (H, W, 3) and the call, peak 0.7, with its sample rate."""
    frame = next(f for f in VideoFile(CLIP) if f.time_s >= CALL_FRAME_S)
    with AudioFile(CLIP, 44_100) as track:
        call = track.read(*(round(t * track.sample_rate) for t in CALL_S))
        return frame.image, 0.7 * call / np.abs(call).max(), track.sample_rate


def sound(
    call: NDArray[np.float32], rate: int, length_s: float, pause_s: float, level_db: float | None
) -> tuple[Audio, list[float]]:
    """Bursts over a background, and their onsets in seconds."""
    onsets = [LEAD_S + i * (length_s + pause_s) for i in range(BURSTS)]
    samples = np.zeros(round((onsets[-1] + length_s + 1.0) * rate))
    if level_db is not None:
        noise = np.random.default_rng(0).standard_normal(len(samples))
        samples += 10 ** (level_db / 20) * noise
    loudest = int(np.argmax(np.convolve(call**2, np.ones(rate // 20), "valid")))
    start = min(loudest, len(call) - round(length_s * rate))
    piece = call[start : start + round(length_s * rate)]
    for onset in onsets:
        first = round(onset * rate)
        samples[first : first + len(piece)] += piece
    return Audio(np.clip(samples, -1, 1).astype(np.float32), rate), onsets


def score(
    row: Row, masked: NDArray[np.bool_], fps: int, onsets: list[float], length: float
) -> None:
    """Adds a clip's bursts: each is looked for until the middle of the pause after it."""
    times = np.arange(len(masked)) / fps
    edges = [*(o - 0.35 for o in onsets), np.inf]
    for onset, low, high in zip(onsets, edges[:-1], edges[1:], strict=True):
        row.total += 1
        inside = np.flatnonzero(masked & (times >= low) & (times < high))
        if not inside.size:
            continue
        row.masked += 1
        due = np.ceil(onset * fps - 1e-9) / fps
        row.onsets_s.append(float(times[inside[0]] - due))
        late = float(times[inside[-1]] - (onset + length))
        row.offsets_s.append(late if late > 0 else min(late + 1 / fps, 0.0))


def saturated(frames: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    """A wrapped function that masks what is colourful, whatever it hears."""
    return 20 * (frames.amax(1, keepdim=True) - frames.amin(1, keepdim=True) - 0.35)


def kinds(fast: bool) -> Iterator[tuple[float, float, float | None, int]]:
    for length in LENGTHS_S[1:3] if fast else LENGTHS_S:
        for pause in PAUSES_S:
            for level in BACKGROUNDS_DB[::3] if fast else BACKGROUNDS_DB:
                for fps in FRAME_RATES:
                    yield length, pause, level, fps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="two lengths and backgrounds only")
    fast = parser.parse_args().fast
    image, call, rate = material()
    pipelines = {"wrap": CoProp.wrap(saturated), "default": CoProp.from_pretrained()}
    tables: dict[str, dict[str, Row]] = {name: {} for name in pipelines}
    for length, pause, level, fps in kinds(fast):
        audio, onsets = sound(call, rate, length, pause, level)
        frames = np.broadcast_to(image, (round(audio.duration_s * fps), *image.shape))
        for name, pipeline in pipelines.items():
            masks = pipeline.stream(frames, audio, fps=fps)
            masked = np.array([bool(mask.labels.any()) for mask in masks])
            quiet = "digital silence" if level is None else f"{level:.0f} dB"
            for key in (f"{length} s", f"pause {pause} s", quiet, f"{fps} fps", "all"):
                score(tables[name].setdefault(key, Row()), masked, fps, onsets, length)
    print("| | bursts | share masked | onset error, s | offset error, s |")
    print("| --- | --- | --- | --- | --- |")
    for name, rows in tables.items():
        for kind in sorted(rows):
            print(f"| {name} | {kind} | {rows[kind]} |", flush=True)


if __name__ == "__main__":
    main()
