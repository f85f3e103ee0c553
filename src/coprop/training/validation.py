"""Figures of a pipeline in the middle of its training: those of ``coprop eval``, on a few clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from coprop.data.labelled import LabelledClip, LabelledDataset
from coprop.evaluation.methods import Method, detected, every_frame_alone, propagated, true_points
from coprop.evaluation.scores import ScoreOptions, score, told_with
from coprop.evaluation.summary import summarise
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.pipeline import CoProp
from coprop.propagation.propagator import AudioInsertPropagator
from coprop.storage.folders import replacing_folder
from coprop.training.initial_weights import PROPAGATOR, SEGMENTER
from coprop.types import ControlPoints

if TYPE_CHECKING:
    from accelerate import Accelerator


class Validation:
    """A pipeline of which one model is being trained.

    Args:
        pipeline: with the very models that are trained.
        propagating: score the pipeline with the true control points, where the dataset knows them,
            and else its own detector's; False scores the keyframe model on every frame.
        dataset: the clips; None for no validation.
        accelerator: the processes that share the clips.
    """

    def __init__(
        self,
        pipeline: CoProp,
        *,
        propagating: bool,
        dataset: LabelledDataset | None,
        accelerator: Accelerator,
    ) -> None:
        self.pipeline = pipeline
        self.dataset = dataset
        self._accelerator = accelerator
        self._method = _propagating(pipeline) if propagating else every_frame_alone(pipeline)

    def figures(self) -> dict[str, float]:
        """The figures of all frames; docs/metrics.md defines them. All processes take part."""
        from accelerate.utils import gather_object

        if self.dataset is None:
            return {}
        options, classes = ScoreOptions(), self.dataset.num_classes
        processes = self._accelerator.num_processes
        rows = []
        for index in range(self._accelerator.process_index, len(self.dataset), processes):
            clip = self.dataset[index]
            with told_with(clip):
                found = score(self._method.predict(clip), clip, options, classes)
            rows.append((index, found))
        rows = sorted(gather_object(rows), key=lambda row: row[0])
        figures = summarise([scores for _, scores in rows], options, classes)["all frames"]
        return {n: float(v) for n, v in figures.items() if v is not None and n != "frames"}

    def save(self, folder: Path) -> None:
        """Writes both models into a folder that `CoProp.from_pretrained` takes, whole or not.

        Raises:
            OutputError: it cannot be written.
        """
        models = {SEGMENTER: self.pipeline.segmenter, PROPAGATOR: self.pipeline.propagator}
        with replacing_folder(folder) as part:
            for name, model in models.items():
                if isinstance(model, KeyframeSegmenter | AudioInsertPropagator):
                    model.save_pretrained(part / name)


def _propagating(pipeline: CoProp) -> Method:
    find = detected(pipeline.detector)

    def points_of(clip: LabelledClip) -> ControlPoints:
        return find(clip) if clip.change_times_s is None else true_points(clip)

    return propagated(pipeline, points_of, "coprop")
