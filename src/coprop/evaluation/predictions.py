"""A run of predictions scored as it is and in time, as `methods` does with models."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from coprop.data.labelled import LabelledClip
from coprop.errors import CoPropError
from coprop.evaluation.methods import METHODS, Method, Prediction, methods_named
from coprop.keyframes.predictions import PredictionRun
from coprop.pipeline import CoProp

AS_THEY_ARE = "predictions as they are"
"""What the method "alone" is called of predictions."""

_NO_MODEL = ("text", "events-text", "events-both", "tracks")  # guide a network, or look with it


def methods_of_run(names: Sequence[str], run: PredictionRun, pipeline: CoProp) -> list[Method]:
    """The methods of these names, for each clip with its own predictions.

    Args:
        names: out of `METHODS`, but those that guide a network by words or track what it sees.
        run: the predictions.
        pipeline: whose parts are used, but the keyframe model.

    Raises:
        CoPropError: an unknown name, none, one twice, or one that needs a model. At a clip: it has
            no predictions, or not for all of its frames.
    """
    wrong = [name for name in names if name in _NO_MODEL]
    if wrong:
        raise CoPropError(
            f"the method {wrong[0]} needs a model, and predictions are none; leave it out."
        )
    return [
        _of_clips(name, method, run, pipeline)
        for name, method in zip(names, methods_named(names, pipeline), strict=True)
    ]


def _of_clips(name: str, method: Method, run: PredictionRun, pipeline: CoProp) -> Method:
    def predict(clip: LabelledClip) -> Prediction:
        own = copy.copy(pipeline)
        own.segmenter = run[clip.name]
        return METHODS[name](own).predict(clip)

    return Method(AS_THEY_ARE if name == "alone" else method.name, predict)
