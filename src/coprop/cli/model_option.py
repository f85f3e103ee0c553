"""The option ``--model`` of commands that take a pipeline's parts one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from coprop.callables import names_function
from coprop.errors import CheckpointError

if TYPE_CHECKING:
    import torch

    from coprop.pipeline import CoProp, Detector
    from coprop.precision import Precision

PARTS = ("keyframe_segmenter", "propagator")

ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default="the package's own",
        help="A folder with keyframe_segmenter/ and propagator/, as save_pretrained writes them; "
        "or module:factory, a function that returns a model, an adapter or a CoProp.",
    ),
]


def model_made(
    name: str | None,
    *,
    detector: Detector | None,
    max_segment_s: float | None,
    device: torch.device,
    dtype: str,
) -> CoProp | None:
    """The pipeline around what a factory makes; None where the name means a folder, or nothing.

    Args:
        name: what was given.
        detector: in place of the pipeline's own, if there is one.
        max_segment_s: of the command line: 0 for no limit, None for the pipeline's own.
        device: where it runs, except for a whole `CoProp`, which stays where it is.
        dtype: what it computes in.

    Raises:
        CoPropError: no such module or function, or it returns something else.
    """
    from coprop.evaluation.methods import load_model
    from coprop.precision import as_dtype

    if name is None or not names_function(name):
        return None
    pipeline = load_model(name, device, cast("Precision", dtype))
    if detector is not None:
        pipeline.detector = detector
    if max_segment_s is not None:
        pipeline.max_segment_s = max_segment_s or None
    if dtype != "float32":  # the default, which leaves a whole CoProp as it is
        pipeline.dtype = as_dtype(dtype, pipeline.device)
    return pipeline


def folder_of_models(name: str | None, parts: tuple[str, ...] = PARTS) -> Path | None:
    """The folder that was given, with these parts in it; None for the package's own.

    Raises:
        CheckpointError: one of them is not there.
    """
    from coprop.weights import has_file

    if name is None:
        return None
    for part in parts:
        if not has_file(Path(name) / part / "config.json"):
            raise CheckpointError(
                f"{name} has no folder {part}. --model takes a folder with keyframe_segmenter and "
                "propagator, each with model.safetensors and config.json; or module:factory, a "
                "function that returns a model."
            )
    return Path(name)
