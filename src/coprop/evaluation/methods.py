"""What is compared: a model on every frame alone, and in the pipeline with several detectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from coprop.control_points.detector import ControlPointDetector
from coprop.control_points.events.detector import EventDetector
from coprop.control_points.rcpg import RCPGDetector
from coprop.data.labelled import LabelledClip
from coprop.errors import CoPropError
from coprop.keyframes.grounded import GroundedNetwork
from coprop.keyframes.model import KeyframeModel
from coprop.keyframes.naming import name_sounds
from coprop.keyframes.predictions import PredictionRun
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.keyframes.text_guided import WordGuided
from coprop.media.clip import Clip
from coprop.pipeline import CoProp, Detector
from coprop.tracks_first import tracks_first
from coprop.types import ControlPoints, FrameMask
from coprop.utils.callables import function_named, names_function
from coprop.utils.precision import Precision

DEFAULT_MODEL = "default"
"""The name of the checkpoint that comes with coprop."""

AS_THEY_ARE = "predictions as they are"
"""What the method "alone" is called of predictions."""

_NO_MODEL = ("text", "events-text", "events-both", "tracks")  # guide a network, or look with it

PointsFunction = Callable[[LabelledClip], ControlPoints]
"""Gives a clip's control points: found in its sound, or known."""


@dataclass(frozen=True)
class Prediction:
    """What a method says of one clip.

    Args:
        masks: of its frames, one after another.
        change_times_s: where it holds that the sounding objects change, in seconds; None for a
            method that does not look for changes.
    """

    masks: Iterator[FrameMask]
    change_times_s: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Method:
    """A named way from a clip to its masks."""

    name: str
    predict: Callable[[LabelledClip], Prediction]


def methods_named(names: Sequence[str], pipeline: CoProp) -> list[Method]:
    """The methods of these names, for a pipeline.

    Args:
        names: out of `METHODS`.
        pipeline: whose parts are used.

    Raises:
        CoPropError: an unknown name, none, or one twice.
    """
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names or len(set(names)) < len(names):
        raise CoPropError(
            f"methods are one or more of {', '.join(METHODS)}, each once; got {', '.join(names)}."
        )
    return [METHODS[name](pipeline) for name in names]


def constant(label: int, name: str) -> Method:
    """One label everywhere, whatever the clip: the trivial answers that a model must beat."""

    def masks(clip: LabelledClip) -> Iterator[FrameMask]:
        for frame in clip.frames:
            shape = frame.image.shape[:2]
            probabilities = np.zeros((2, *shape), dtype=np.float32)
            probabilities[label] = 1
            labels = np.full(shape, label, dtype=np.uint8)
            yield FrameMask(frame.index, frame.time_s, labels, probabilities, (0, 1), False)

    return Method(name, lambda clip: Prediction(masks(clip)))


def every_frame_alone(pipeline: CoProp) -> Method:
    """The pipeline's keyframe model asked for each frame, as it is used without coprop.

    No rule of the pipeline's applies: the model is asked in silence too.
    """

    def predict(clip: LabelledClip) -> Prediction:
        return Prediction(pipeline.every_frame(Clip(clip.frames, clip.audio)))

    return Method("every frame alone", predict)


def propagated(pipeline: CoProp, points_of: PointsFunction, name: str) -> Method:
    """The pipeline with the control points of a function."""

    def predict(clip: LabelledClip) -> Prediction:
        points = points_of(clip)
        tracked = pipeline.track(Clip(clip.frames, clip.audio), points)
        return Prediction((mask for _, mask in tracked), points.change_times_s)

    return Method(name, predict)


def text_guided(pipeline: CoProp) -> Method:
    """The pipeline with keyframes guided by words for what is heard (paper table 4).

    The words are the detector's own, where it gives any, or else those of an `AudioSetNamer`.

    Raises:
        CoPropError: a pipeline whose keyframe model takes no words.
    """
    found = detected(pipeline.detector)

    def points_of(clip: LabelledClip) -> ControlPoints:
        points = found(clip)
        return points if points.categories is not None else name_sounds(points, clip.audio)

    guided = _with_segmenter(pipeline, _by_text("text", pipeline.segmenter))
    return propagated(guided, points_of, "coprop, guided by text")


def guided_by_events(pipeline: CoProp, guide: str) -> Method:
    """The pipeline at the control points of an event detector, guided in one of three ways.

    All three have the same control points and words: the pipeline's own detector's, if that is
    `ControlPointDetector.events`, or else those of the events that YAMNet hears.

    Args:
        pipeline: whose parts are used.
        guide: "sound", the pipeline's keyframe model as it is; "text", the words alone; or "both".

    Raises:
        CoPropError: a pipeline whose keyframe model cannot be guided so.
    """
    model: KeyframeModel = pipeline.segmenter
    if guide == "text":
        model = _by_text("events-text", model)
    elif guide == "both":
        model = _grounded("events-both", model).text_and_sound_guided()
    elif isinstance(model, WordGuided):
        raise CoPropError(
            f"the method events is guided by sound, and {type(model).__name__} takes words alone; "
            "evaluate it by the method events-text."
        )
    own = pipeline.detector
    events = own if isinstance(own, EventDetector) else ControlPointDetector.events()
    told = {"sound": "by sound", "text": "by text", "both": "by text and sound"}[guide]
    name = f"coprop, events, guided {told}"
    return propagated(_with_segmenter(pipeline, model), detected(events), name)


def tracked_first(pipeline: CoProp) -> Method:
    """All that is seen, tracked, among which the sound of each segment chooses.

    Raises:
        CoPropError: a pipeline whose keyframe model is not the default.
    """
    _grounded("tracks", pipeline.segmenter)
    points_of = detected(pipeline.detector)

    def predict(clip: LabelledClip) -> Prediction:
        points = points_of(clip)
        tracked = tracks_first(pipeline, Clip(clip.frames, clip.audio), points)
        return Prediction((mask for _, mask in tracked), points.change_times_s)

    return Method("tracks first", predict)


def _with_segmenter(pipeline: CoProp, segmenter: KeyframeModel) -> CoProp:
    """The same pipeline with another keyframe model, whose segments nobody names."""
    other = copy(pipeline)
    other.segmenter = segmenter
    other.namer = None
    return other


def _by_text(method: str, model: KeyframeModel) -> KeyframeModel:
    """A keyframe model that words guide: itself, or the default's by its words."""
    if isinstance(model, WordGuided):
        return model
    return _grounded(method, model).text_guided()


def _grounded(method: str, model: KeyframeModel) -> KeyframeSegmenter:
    if isinstance(model, KeyframeSegmenter) and isinstance(model.network, GroundedNetwork):
        return model
    raise CoPropError(
        f"the method {method} is for the default segmenter, which knows things by name. Evaluate "
        "another model guided by words as --model module:factory, a factory that returns "
        "CoProp.wrap(TextGuidedSegmenter(fn), detector=...), with the method coprop."
    )


def detected(detector: Detector) -> PointsFunction:
    """Control points of a detector; one flag for each frame in datasets that count so."""

    def points_of(clip: LabelledClip) -> ControlPoints:
        if isinstance(detector, ControlPointDetector | EventDetector | RCPGDetector):
            return detector(clip.audio, windows=clip.windows)
        return detector(clip.audio)

    return points_of


def true_points(clip: LabelledClip) -> ControlPoints:
    """The control points that the dataset gives, and the categories, where it names them.

    Where it names those of the clip alone, they are taken to be heard throughout.

    Raises:
        CoPropError: the dataset does not tell.
    """
    if clip.change_times_s is None:
        raise CoPropError(
            f"{clip.name} has no annotated changes, so the method true cannot be run on it; leave "
            "it out, or give control points."
        )
    times_s = np.array([0.0, *clip.change_times_s])
    ones = np.ones(len(times_s))
    words = clip.heard
    if words is None and clip.categories:
        words = (clip.categories,) * len(times_s)
    return ControlPoints(times_s, ones, ones.astype(bool), words)


METHODS: dict[str, Callable[[CoProp], Method]] = {
    "nothing": lambda _: constant(0, "nothing masked"),
    "everything": lambda _: constant(1, "everything masked"),
    "alone": every_frame_alone,
    "coprop": lambda p: propagated(p, detected(p.detector), "coprop"),
    "cosine": lambda p: propagated(p, detected(ControlPointDetector.cosine()), "coprop, cosine"),
    "novelty": lambda p: propagated(p, detected(ControlPointDetector.novelty()), "coprop, novelty"),
    "true": lambda p: propagated(p, true_points, "coprop, true control points"),
    "text": text_guided,
    "events": lambda p: guided_by_events(p, "sound"),
    "events-text": lambda p: guided_by_events(p, "text"),
    "events-both": lambda p: guided_by_events(p, "both"),
    "tracks": tracked_first,
}
"""The methods that the command line offers, by name."""


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
        own = copy(pipeline)
        own.segmenter = run[clip.name]
        return METHODS[name](own).predict(clip)

    return Method(AS_THEY_ARE if name == "alone" else method.name, predict)


def load_model(name: str, device: torch.device, dtype: Precision = "float32") -> CoProp:
    """The pipeline that a name stands for, on a device.

    Args:
        name: "default"; a pipeline in a folder or on the hub; or ``module:factory``, a function
            without arguments that returns a `CoProp`, or a model or adapter for `CoProp.wrap`.
            Modules are looked for in the current folder too.
        device: where it runs. A `CoProp` that a factory made stays where it is, and as it is.
        dtype: what it computes in.

    Raises:
        CoPropError: no such folder, module or function, or it returns something else.
    """
    if name == DEFAULT_MODEL:
        return CoProp.from_pretrained(device=device, dtype=dtype)
    if not names_function(name):
        return CoProp.from_pretrained(name, device=device, dtype=dtype)
    made = function_named(name, "--model")()
    if isinstance(made, CoProp):
        return made
    if isinstance(made, nn.Module):
        made = made.to(device)
    if not callable(made):
        raise CoPropError(
            f"{name}() returned {type(made).__name__}; it must return a CoProp, or a model or "
            "adapter that CoProp.wrap() takes."
        )
    return CoProp.wrap(made, device=device, dtype=dtype)
