"""How well control points are found: in composed sound, in recordings, and in real clips.

    python -m tools.bench.control_points --sources SOURCES --clips 100 --short 60
    python -m tools.bench.control_points --sounding CLIPS/sounding.json --recordings DIR

Composed: clips (see tools.benchmark.composed_audio), and short sounds of 0.05 to 0.5 s over digital
silence, noise or hum, from one split of sources folders. Real: the clips that a JSON file tells the
sounding parts of, and every recording of a folder and of those in it. Their truth is by level,
by one rule: effective values in dB over 25 ms every 10 ms, mono at 16 kHz; Otsu's threshold of the
whole clip, or -60 dB of full scale where that is lower; pauses under 0.15 s closed, then sounds
under 0.05 s dropped; pauses under 0.6 s belong to what sounds; what is less than 0.1 s from the
clip's own ends is no change.

Prints F1 (precision, recall) within 0.25 s over all changes of a set, and for sets with truth by
level the share of the time sounding or heard in which both are so, the mean of the clips. The same
arguments print the same figures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.detector import ControlPointDetector
from coprop.control_points.novelty import novelty_scores
from coprop.media.audio_file import AudioFile
from coprop.metrics.functional import match_times
from coprop.silence import heard_spans, quiet_blocks, silence_edges_s
from coprop.types import Audio, AudioTrack
from tools.benchmark.composed_audio import Sound, compose, load_sounds

RATE, REAL_RATE = 22_050, 16_000
TOLERANCE_S = 0.25
END_S = 0.1
NEVER_HEARD_DB = -60.0  # a track of silence has a threshold, too
SOUND_NAMES = {".flac", ".mp3", ".mp4", ".ogg", ".wav"}
Spans = list[tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Example:
    """A sound, when its sources change, and when something sounds where that is known."""

    audio: Audio
    changes_s: NDArray[np.float64]
    sounding: Spans | None = None


def detectors() -> dict[str, Callable[[Audio], NDArray[np.float64]]]:
    def changes(detector: ControlPointDetector) -> Callable[[Audio], NDArray[np.float64]]:
        return lambda audio: np.array([t for t in detector(audio).change_times_s if t > 0])

    def network(audio: AudioTrack, _: int | None) -> NDArray[np.float64]:
        return novelty_scores(audio)

    return {
        "novelty(), the default": changes(ControlPointDetector.novelty()),
        "its network alone": changes(ControlPointDetector(network, threshold=0.5, min_gap_s=0.5)),
        "its level rule alone": lambda audio: silence_edges_s(quiet_blocks(audio)),
        "cosine()": changes(ControlPointDetector.cosine()),
        "a change every second": lambda audio: np.arange(1.0, audio.duration_s),
    }


def composed(sounds: Sequence[Sound], count: int) -> Iterator[Example]:
    for seed in range(count):
        clip = compose(sounds, RATE, seed)
        yield Example(clip.audio, np.array(clip.change_times_s))


def short_sounds(sounds: Sequence[Sound], count: int) -> Iterator[Example]:
    """Pieces of one recording or of two, 0.05 to 0.5 s long and 0.7 to 2.5 s apart, in 10 s."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        samples, changes = np.zeros(10 * RATE), []
        pair = [sounds[i].samples for i in rng.integers(len(sounds), size=2)]
        level_db, clock_s = rng.uniform(-24.0, -12.0), rng.uniform(0.7, 1.5)
        while True:
            length_s = float(np.exp(rng.uniform(np.log(0.05), np.log(0.5))))
            if clock_s + length_s > 9.3:
                break
            piece = loud_piece(pair[int(rng.random() < 0.3)], round(length_s * RATE), rng)
            begin = round(clock_s * RATE)
            samples[begin : begin + len(piece)] += 10 ** (level_db / 20) * piece
            changes += [clock_s, clock_s + len(piece) / RATE]
            clock_s += length_s + rng.uniform(0.7, 2.5)
        samples += 10 ** ((level_db - rng.uniform(12.0, 35.0)) / 20) * background(seed % 4, rng)
        yield Example(Audio(np.clip(samples, -1, 1).astype(np.float32), RATE), np.array(changes))


def loud_piece(
    samples: NDArray[np.float32], count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """``count`` samples with an effective value of 1 from where a recording is loud."""
    power = np.convolve(samples.astype(float) ** 2, np.ones(min(count, len(samples))), "valid")
    begin = int(rng.choice(np.flatnonzero(power >= 0.3 * power.max())))
    piece = samples[begin : begin + count].astype(float)
    fade = min(round(0.005 * RATE), len(piece) // 2)
    piece[:fade] *= np.linspace(0, 1, fade)
    piece[len(piece) - fade :] *= np.linspace(1, 0, fade)
    return np.asarray(piece / np.sqrt(np.mean(piece**2) + 1e-12))


def background(kind: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """10 s of nothing, white noise, noise that falls by 6 dB an octave, or mains hum."""
    count = 10 * RATE
    time = np.arange(count) / RATE
    noise = rng.standard_normal(count)
    if kind == 0:
        return np.zeros(count)
    if kind == 2:
        spectrum = np.fft.rfft(noise)
        noise = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)) / 10, 20.0), count)
    if kind == 3:
        noise = sum(np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 2, 3)) + 1e-3 * noise
    return np.asarray(noise / noise.std())


def clips(sounding: Path) -> Iterator[Example]:
    for name, clip in json.loads(sounding.read_text(encoding="utf-8"))["clips"].items():
        audio = read(sounding.parent / name)
        yield with_truth(audio, [(a, b) for a, b in clip["active_segments"]])


def recordings(folder: Path) -> Iterator[Example]:
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SOUND_NAMES):
        audio = read(path)
        if audio.duration_s >= 1.0:
            yield with_truth(audio, by_level(audio))


def read(path: Path) -> Audio:
    with AudioFile(path, REAL_RATE) as track:
        return Audio(track.read(0, track.num_samples), REAL_RATE)


def with_truth(audio: Audio, sounding: Spans) -> Example:
    joined = closed(sounding, 0.6)
    edges = np.array(joined).ravel()
    inside = (edges > END_S) & (edges < audio.duration_s - END_S)
    return Example(audio, edges[inside], joined)


def by_level(audio: Audio) -> Spans:
    """When something sounds, by the rule above."""
    frames = np.lib.stride_tricks.sliding_window_view(audio.samples, 400)[::160]
    levels_db = 10 * np.log10(np.mean(frames.astype(float) ** 2, axis=1) + 1e-10)
    counts, edges = np.histogram(levels_db, 256)
    middles = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts), np.cumsum(counts * middles)
    between = (sums[-1] * below / below[-1] - sums) ** 2
    between /= np.maximum(below * (below[-1] - below), 1)
    steps = np.diff(np.r_[0, levels_db > max(middles[between.argmax()], NEVER_HEARD_DB), 0])
    runs = zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True)
    spans = closed([(a * 0.01, b * 0.01 + 0.015) for a, b in runs], 0.15)
    return [(a, b) for a, b in spans if b - a >= 0.05 - 1e-9]


def closed(spans: Spans, shorter_s: float) -> Spans:
    """The spans without the pauses that are shorter."""
    out: Spans = []
    for start, end in spans:
        if out and start - out[-1][1] < shorter_s - 1e-9:
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return out


def score(find: Callable[[Audio], NDArray[np.float64]], examples: Sequence[Example]) -> str:
    hits = found = true = 0
    for example in examples:
        times_s, end_s = find(example.audio), example.audio.duration_s - END_S
        times_s = times_s[(times_s > END_S) & (times_s < end_s)]
        hits += int(match_times(times_s, example.changes_s, TOLERANCE_S).sum())
        found, true = found + len(times_s), true + len(example.changes_s)
    f1 = 2 * hits / max(found + true, 1)
    return f"{f1:.3f} ({hits / max(found, 1):.2f}, {hits / max(true, 1):.2f})"


def time_overlap(example: Example) -> float:
    """Of the time in which something sounds or is heard, the share in which both are so."""
    clock = np.arange(0, example.audio.duration_s, 0.01)
    heard = [(span.start_s, span.end_s) for span in heard_spans(quiet_blocks(example.audio))]
    both, either = np.ones(len(clock), dtype=bool), np.zeros(len(clock), dtype=bool)
    for spans in (example.sounding or [], heard):
        inside = np.zeros(len(clock), dtype=bool)
        for start, end in spans:
            inside |= (clock >= start) & (clock < end)
        both, either = both & inside, either | inside
    return float(both.sum() / max(either.sum(), 1))


def examples_of(options: argparse.Namespace) -> dict[str, list[Example]]:
    sets: dict[str, list[Example]] = {}
    if options.sources:
        sounds = [s for f in options.sources for s in load_sounds(f, options.split, RATE)]
        sets["composed"] = list(composed(sounds, options.clips))
        sets["short sounds"] = list(short_sounds(sounds, options.short))
    if options.sounding:
        sets["clips"] = list(clips(options.sounding))
    for folder in options.recordings:
        sets[folder.name] = list(recordings(folder))
    return {name: examples for name, examples in sets.items() if examples}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", type=Path, nargs="+", default=[])
    parser.add_argument("--split", default="test", choices=["train", "validation", "test"])
    parser.add_argument("--clips", type=int, default=200, help="composed clips")
    parser.add_argument("--short", type=int, default=60, help="clips of short sounds")
    parser.add_argument("--sounding", type=Path, help="JSON with what sounds when in real clips")
    parser.add_argument("--recordings", type=Path, nargs="+", default=[], help="folders of sounds")
    sets = examples_of(parser.parse_args())
    print("| | " + " | ".join(sets) + " |")
    print("| --- |" + " --- |" * len(sets))
    sizes = [f"{len(e)} / {sum(len(x.changes_s) for x in e)}" for e in sets.values()]
    print("| sounds / changes | " + " | ".join(sizes) + " |")
    for name, find in detectors().items():
        cells = [score(find, examples) for examples in sets.values()]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    shares = [
        f"{np.mean([time_overlap(x) for x in examples]):.2f}" if examples[0].sounding else "–"
        for examples in sets.values()
    ]
    print("| time heard, IoU | " + " | ".join(shares) + " |")


if __name__ == "__main__":
    main()
