"""The options of commands that take a model's predictions in place of the model."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from coprop.cli.common import option_name, path_option

if TYPE_CHECKING:
    from coprop.cli.evaluate import EvalOptions
    from coprop.cli.retime import RetimeOptions
    from coprop.cli.run import RunOptions
    from coprop.keyframes.predictions import PredictionRun, Predictions


_RAREST = 0.001  # predictions a second: one in a quarter of an hour


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
    typer.Option(
        min=_RAREST,
        metavar="N",
        show_default=False,
        help="How many predictions there are a second.",
    ),
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


def run_of(options: EvalOptions | RetimeOptions | RunOptions) -> PredictionRun | None:
    """The predictions of a whole run; None where the options name none.

    Raises:
        typer.BadParameter: an option of predictions where there are none.
        PredictionError: see `PredictionRun`.
    """
    from coprop.keyframes.predictions import PredictionRun

    if options.predictions is None:
        _refuse_others(options)
        return None
    layout = getattr(options, "layout", None)
    chosen = None if layout is None else layout.value
    return PredictionRun(options.predictions, layout=chosen, **_given(options))


def predictions_for(options: RunOptions) -> Predictions | None:
    """The predictions of one video; of a run those of the clip that has the video's name.

    Raises:
        typer.BadParameter: an option of predictions where there are none, or two that say how
            often there is one.
        PredictionError: see `Predictions` and `PredictionRun`.
    """
    from coprop.keyframes.predictions import Predictions
    from coprop.keyframes.predictions.sources import holds_folders

    path, every = options.predictions, options.every
    if every is not None and options.per_second is not None:
        raise typer.BadParameter(
            "--every says how often there is a prediction, too; give one of them.",
            param_hint="--per-second",
        )
    if path is None or (every is None and options.per_second is None and holds_folders(path)):
        run = run_of(options)
        return None if run is None else run[options.video.stem]
    return Predictions(
        path,
        every=None if every is None else cast(Any, every.value),
        fps=options.per_second,
        **_given(options),
    )


def _refuse_others(options: EvalOptions | RetimeOptions | RunOptions) -> None:
    for name in ("layout", "values", "every", "per_second", "max_distance", "missing"):
        if getattr(options, name, None) is not None:
            raise typer.BadParameter("it needs --predictions.", param_hint=option_name(name))


def _given(options: EvalOptions | RetimeOptions | RunOptions) -> dict[str, Any]:
    """The arguments for what was given; the rest have their defaults."""
    values, missing = options.values, options.missing
    given = {
        "values": None if values is None else values.value,
        "max_distance_s": options.max_distance,
        "missing": None if missing is None else missing.value,
    }
    return {name: value for name, value in given.items() if value is not None}
