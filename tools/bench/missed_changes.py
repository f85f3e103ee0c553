"""What the audio insert gives where control points are missing.

    python -m tools.bench.missed_changes BENCHMARK --out DIR [--split validation] [--missing 0 0.33]

BENCHMARK is what ``tools.benchmark compose`` wrote. The default segments its clips with one
keyframe a segment, at the control points that it finds but for a random share of them, the first
excepted, once with its propagator as it is and once without its audio modules. Printed for each:
strict J of all, key and normal frames, alignment of masks, and the share of the frame that is
masked while nothing sounds. Evaluations are kept in DIR, and go on where they were stopped.
"""

from __future__ import annotations

import argparse
import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from coprop import AudioInsertPropagator, CoProp
from coprop.data.benchmark_reader import ComposedBenchmark
from coprop.evaluation.methods import PointsFunction, detected, propagated
from coprop.evaluation.runner import evaluate
from coprop.evaluation.store import RESULTS, EvaluationFolder
from coprop.types import ControlPoints

_COLUMNS = (
    ("all frames", "jaccard_strict"),
    ("key frames", "jaccard_strict"),
    ("normal frames", "jaccard_strict"),
    ("all frames", "alignment_mask"),
    ("all frames", "silent_area"),
)


def fewer(points: ControlPoints, missing: float, seed: int) -> ControlPoints:
    """Control points without a share of them, in [0, 1], and without words; the first stays."""
    later = np.flatnonzero(points.flags)[1:]
    gone = np.random.default_rng(seed).permutation(later)[: round(missing * len(later))]
    flags = points.flags.copy()
    flags[gone] = False
    return ControlPoints(points.times_s, points.scores, flags)


def with_fewer(found: PointsFunction, missing: float) -> PointsFunction:
    """Control points as found, without a share of each clip's own; the same at each asking."""
    return lambda clip: fewer(found(clip), missing, zlib.crc32(clip.name.encode()))


def deaf(propagator: AudioInsertPropagator) -> AudioInsertPropagator:
    """The same propagator without its audio modules."""
    plain = AudioInsertPropagator(replace(propagator.config, insert_levels=(), sound_gate=False))
    own = plain.state_dict()
    plain.load_state_dict({name: propagator.state_dict()[name] for name in own})
    return plain.eval()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", default="test", help="of the benchmark")
    parser.add_argument("--missing", type=float, nargs="+", default=[0.0, 1 / 3, 2 / 3])
    arguments = parser.parse_args()
    pipeline = CoProp.from_pretrained(max_segment_s=None)
    hearing = pipeline.propagator
    assert isinstance(hearing, AudioInsertPropagator)  # the default's is one
    dataset, found = (
        ComposedBenchmark(arguments.benchmark, arguments.split),
        detected(pipeline.detector),
    )
    print(" | ".join(["missing", "insert", *(f"{name}, {frames}" for frames, name in _COLUMNS)]))
    for missing in arguments.missing:
        for told, propagator in (("with", hearing), ("without", deaf(hearing))):
            pipeline.propagator = propagator
            folder = arguments.out / f"{missing:.2f}_{told}"
            evaluate(
                dataset,
                [propagated(pipeline, with_fewer(found, missing), "coprop")],
                EvaluationFolder(folder),
                settings={
                    "dataset": dataset.name,
                    "num_clips": len(dataset),
                    "model": f"the default {told} audio insert",
                    "missing": missing,
                },
            )
            content = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
            summary = content["methods"]["coprop"]
            figures = [f"{summary[frames][name]:.3f}" for frames, name in _COLUMNS]
            print(" | ".join([f"{missing:.2f}", told, *figures]), flush=True)


if __name__ == "__main__":
    main()
