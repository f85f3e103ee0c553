"""The options of commands that take a model's predictions in place of the model."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from coprop.cli.common import path_option

if TYPE_CHECKING:
    from coprop.keyframes.predictions import PredictionRun, Predictions


class ValuesName(str, Enum):
    """Of `coprop.keyframes.predictions.Values`."""

    mask = "mask"
    labels = "labels"
    probabilities = "probabilities"
    logits = "logits"


class EveryName(str, Enum):
    """Of `coprop.keyframes.predictions.Every`."""

    second = "second"
    frame = "frame"


class MissingName(str, Enum):
    """Of `coprop.keyframes.predictions.Missing`."""

    error = "error"
    empty = "empty"
    skip = "skip"


class LayoutChoice(str, Enum):
    """Of `coprop.keyframes.predictions.LayoutName`."""

    tpavi = "tpavi"
    avsegformer = "avsegformer"
    catr = "catr"
    cavp = "cavp"
    combo = "combo"


ValuesOption = Annotated[
    ValuesName | None,
    typer.Option(show_default="found out", help="What the predictions' values mean."),
]
EveryOption = Annotated[
    EveryName | None,
    typer.Option(
        show_default="what fits the video", help="How often there is a prediction: one for each."
    ),
]
PerSecondOption = Annotated[
    float | None,
    typer.Option(metavar="N", show_default=False, help="So many predictions a second."),
]
MaxDistanceOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        metavar="SECONDS",
        show_default="0.75",
        help="How far a prediction may be from a keyframe.",
    ),
]
MissingOption = Annotated[
    MissingName | None,
    typer.Option(
        show_default="error",
        help="What to do where no prediction is near: stop, mask nothing, or leave the keyframe "
        "out and carry the mask before on.",
    ),
]
LayoutOption = Annotated[
    LayoutChoice | None,
    typer.Option(show_default="found out", help="Whose test script has written the predictions."),
]


def predictions_option(help: str) -> Any:
    """The option that takes the predictions."""
    return path_option("--predictions", metavar="PATH", help=help, default="none")


def refuse_without_predictions(**given: object) -> None:
    """Refuses options of predictions where there are none.

    Raises:
        typer.BadParameter: naming the first of them.
    """
    for name, value in given.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise typer.BadParameter("it needs --predictions.", param_hint=option)


def run_of(
    path: Path,
    *,
    layout: LayoutChoice | None = None,
    values: ValuesName | None,
    max_distance: float | None,
    missing: MissingName | None,
) -> PredictionRun:
    """The predictions of a whole run.

    Raises:
        PredictionError: see `PredictionRun`.
    """
    from coprop.keyframes.predictions import PredictionRun

    given = _given(values, max_distance, missing)
    return PredictionRun(path, layout=None if layout is None else layout.value, **given)


def predictions_for(
    video: Path,
    path: Path,
    *,
    values: ValuesName | None,
    every: EveryName | None,
    per_second: float | None,
    max_distance: float | None,
    missing: MissingName | None,
) -> Predictions:
    """The predictions of one video; of a run those of the clip that has the video's name.

    Raises:
        PredictionError: see `Predictions` and `PredictionRun`.
    """
    from coprop.keyframes.predictions import Predictions
    from coprop.keyframes.predictions.sources import holds_folders

    if every is None and per_second is None and holds_folders(path):
        run = run_of(path, values=values, max_distance=max_distance, missing=missing)
        return run[video.stem]
    return Predictions(
        path,
        every=None if every is None else cast(Any, every.value),
        fps=per_second,
        **_given(values, max_distance, missing),
    )


def _given(
    values: ValuesName | None, max_distance: float | None, missing: MissingName | None
) -> dict[str, Any]:
    """The arguments for what was given; the rest have their defaults."""
    return {
        **({} if values is None else {"values": values.value}),
        **({} if max_distance is None else {"max_distance_s": max_distance}),
        **({} if missing is None else {"missing": missing.value}),
    }
