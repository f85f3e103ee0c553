"""The default on composed clips it was not trained on, beside trivial answers.

    python benchmarks/composed_clips.py SOURCES [--clips 40] [--fps 5] [--out FILE.json]

SOURCES is made by scripts/build_sources.py; only its test split is used. Of every clip the sounding
objects, their masks and the change times are known. Printed, as means over all frames:

- J: intersection over union of the sounding objects' mask; 1 where both are empty.
- alignment: share of frames in which the objects covered at least half are the sounding ones, and
  at most a fifth of the mask lies outside them.
- silent area: share of the frame that is masked where nothing visible sounds.
- control point F1: changes found within 0.25 s, one to one.

The rows: nothing masked, everything masked, the keyframe segmenter on every frame alone, and the
pipeline with the true control points, with the cosine baseline's, with its own and one keyframe a
segment (as in the paper), and as it is (a keyframe every two seconds at least).
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from coprop import ControlPointDetector, ControlPoints, CoProp
from coprop.data.composer import ComposedClip, compose_clip
from coprop.data.library import Library
from coprop.metrics.functional import aligned_by_identity, control_point_scores, frame_jaccard
from coprop.types import AudioTrack

Masks = Iterator[NDArray[np.bool_]]
Method = Callable[[ComposedClip, list[NDArray[np.uint8]]], tuple[Masks, tuple[float, ...] | None]]


def pipeline_masks(pipeline: CoProp, clip: ComposedClip, images: list[NDArray[np.uint8]]) -> Masks:
    for mask in pipeline.stream(np.stack(images), clip.audio, fps=clip.fps):
        yield mask.labels > 0


def variant(
    pipeline: CoProp,
    detector: Callable[[AudioTrack], ControlPoints],
    max_segment_s: float | None = 2.0,
) -> CoProp:
    return CoProp(
        pipeline.keyframes,
        detector=detector,
        propagator=pipeline.propagator,
        max_segment_s=max_segment_s,
    )


def every_frame(pipeline: CoProp, clip: ComposedClip, images: list[NDArray[np.uint8]]) -> Masks:
    """Each frame segmented with the sound around it, as models without a pipeline do."""
    from coprop.windows import AudioWindows

    windows = AudioWindows(clip.audio, pipeline.keyframes.sample_rate, pipeline.keyframes.window_s)
    for index, image in enumerate(images):
        frame = torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0) / 255
        logits = pipeline.keyframes(frame, windows.centred(index / clip.fps))
        yield (logits[0, 0] > 0).numpy()


def true_points(clip: ComposedClip) -> ControlPoints:
    times = np.array([0.0, *clip.schedule.change_times_s])
    return ControlPoints(times, np.ones(len(times)), np.ones(len(times), dtype=bool))


def methods(pipeline: CoProp) -> dict[str, Method]:
    own, cosine = pipeline.detector, ControlPointDetector.cosine()

    def run(
        detector: Callable[[AudioTrack], ControlPoints], max_segment_s: float | None = 2.0
    ) -> Method:
        return lambda clip, images: (
            pipeline_masks(variant(pipeline, detector, max_segment_s), clip, images),
            detector(clip.audio).change_times_s,
        )

    return {
        "empty": lambda clip, images: ((np.zeros(i.shape[:2], bool) for i in images), None),
        "everything": lambda clip, images: ((np.ones(i.shape[:2], bool) for i in images), None),
        "every frame alone": lambda clip, images: (every_frame(pipeline, clip, images), None),
        "coprop, true control points": lambda clip, images: (
            pipeline_masks(variant(pipeline, lambda _: true_points(clip)), clip, images),
            None,
        ),
        "coprop, cosine": run(cosine),
        "coprop, one keyframe a segment": run(own, None),
        "coprop": run(own),
    }


def scores(
    clip: ComposedClip, truth: list[NDArray[np.bool_]], masks: Masks
) -> dict[str, list[float]]:
    rows: dict[str, list[float]] = {"J": [], "alignment": [], "silent area": []}
    for index, (objects, mask) in enumerate(zip(truth, masks, strict=True)):
        sounding = clip.sounding(index / clip.fps)
        target = objects[sounding].any(axis=0)
        prediction, wanted = torch.from_numpy(mask)[None], torch.from_numpy(target)[None]
        rows["J"].append(float(frame_jaccard(prediction.float(), wanted, empty="strict")))
        aligned = aligned_by_identity(
            prediction, torch.from_numpy(objects)[None], torch.from_numpy(sounding)[None]
        )
        rows["alignment"].append(float(aligned))
        if not target.any():
            rows["silent area"].append(float(mask.mean()))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--only", default="", help="the rows whose names match this expression")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()

    library = Library(arguments.sources, "test")
    table = methods(CoProp.from_pretrained())
    names = [name for name in table if re.search(arguments.only, name)]
    totals: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for number in range(arguments.clips):
        clip = compose_clip(
            library, np.random.default_rng((arguments.seed, number)), fps=arguments.fps
        )
        rendered = list(clip.frames())
        images, truth = [image for _, image, _ in rendered], [masks for *_, masks in rendered]
        for name in names:
            began = time.perf_counter()
            masks, points = table[name](clip, images)
            rows = scores(clip, truth, masks)
            rows["seconds per frame"] = [(time.perf_counter() - began) / len(images)]
            if points is not None:
                f1 = control_point_scores(points, clip.schedule.change_times_s, tolerance_s=0.25)[2]
                rows["control point F1"] = [float(f1)]
            for key, values in rows.items():
                totals[name].setdefault(key, []).extend(values)
        print(f"clip {number + 1} of {arguments.clips}", flush=True)
    means = {
        name: {key: round(float(np.mean(values)), 4) for key, values in rows.items()}
        for name, rows in totals.items()
    }
    columns = ["J", "alignment", "silent area", "control point F1", "seconds per frame"]
    print(f"{'':32}" + "".join(f"{column:>19}" for column in columns))
    for name, row in means.items():
        cells = [f"{row[c]:19.3f}" if c in row else f"{'-':>19}" for c in columns]
        print(f"{name:32}" + "".join(cells))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(means, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
