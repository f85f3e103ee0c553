"""How well words are heard, and when: the events detector against the default one.

    python -m tools.bench.events --benchmark FOLDER/validation --sounding CLIPS/sounding.json

Of a split of the open benchmark: F1 (precision, recall) within 0.25 s; and of the segments in
which something known sounds for half of the time or more, how often the first word is one that is
heard of it, and how often any is. Of real clips: F1 by `tools.bench.control_points`, and with
--words what was heard when in every video beside the file.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coprop.control_points.detector import ControlPointDetector
from coprop.data.benchmark_record import ClipRecord, read_record
from coprop.keyframes.groups import sounding_groups
from coprop.silence import is_silent, quiet_blocks
from coprop.types import Audio, ControlPoints, Segment, WindowDetector
from tools.bench.control_points import Example, clips, read, score


def changes(points: ControlPoints) -> NDArray[np.float64]:
    return np.array(points.change_times_s)


def f1(detector: WindowDetector, examples: list[Example]) -> str:
    return score(lambda audio: changes(detector(audio, windows=None)), examples)


def benchmark(folder: Path) -> Iterator[tuple[Audio, ClipRecord]]:
    for clip in sorted(p for p in folder.iterdir() if (p / "clip.json").is_file()):
        yield read(clip / "audio.wav"), read_record(clip / "clip.json")


def words_right(
    audio: Audio, record: ClipRecord, points: ControlPoints
) -> Iterator[tuple[bool, bool]]:
    """Of each segment in which something known sounds: is the first word right, is any."""
    quiet = quiet_blocks(audio)
    groups = sounding_groups()
    for span in points.spans(audio.duration_s):
        sounding = {
            name
            for own in (*record.objects, *record.off_screen)
            if own.group in groups and _share(own.sounding_s, span) >= 0.5
            for name in groups[own.group].audioset
        }
        if sounding and not is_silent(quiet, span):
            right = [category.name in sounding for category in span.categories]
            yield right[:1] == [True], any(right)


def _share(spans: tuple[tuple[float, float], ...], segment: Segment) -> float:
    """The largest share of a segment that one of the spans takes."""
    length = max(segment.end_s - segment.start_s, 1e-9)
    inside = [min(b, segment.end_s) - max(a, segment.start_s) for a, b in spans]
    return max(inside, default=0.0) / length


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmark", type=Path, help="folder of clips of one split")
    parser.add_argument("--sounding", type=Path, help="JSON with what sounds when in real clips")
    parser.add_argument("--words", action="store_true", help="print what is heard when")
    parser.add_argument("--threshold", type=float, help="of words; by default YAMNet's own")
    options = parser.parse_args()
    events = ControlPointDetector.events(threshold=options.threshold)
    detectors: dict[str, WindowDetector] = {
        "novelty()": ControlPointDetector.novelty(),
        "events()": events,
    }
    if options.benchmark:
        found = list(benchmark(options.benchmark))
        examples = [Example(a, np.array(record.change_times_s)) for a, record in found]
        for name, detector in detectors.items():
            print(f"benchmark, {name}: {f1(detector, examples)}", flush=True)
        right = [r for a, record in found for r in words_right(a, record, events(a))]
        first, either = (sum(column) for column in zip(*right, strict=True))
        print(f"first word right: {first} of {len(right)}, any: {either}")
    if options.sounding:
        examples = list(clips(options.sounding))
        for name, detector in detectors.items():
            print(f"real clips, {name}: {f1(detector, examples)}", flush=True)
        for path in sorted(options.sounding.parent.glob("*.mp4")) if options.words else ():
            audio = read(path)
            for span in events(audio).spans(audio.duration_s):
                told = ", ".join(map(str, span.categories)) or "-"
                print(f"| {path.name} | {span.start_s:.2f} to {span.end_s:.2f} | {told} |")


if __name__ == "__main__":
    main()
