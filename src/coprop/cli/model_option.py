"""The option ``--model`` of commands that take a pipeline's parts one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

if TYPE_CHECKING:
    import torch

    from coprop.pipeline import CoProp
    from coprop.utils.precision import Precision

ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default="the package's own",
        help="A whole pipeline, as save_pretrained writes it, in a folder or on the hub; a folder "
        "with keyframe_segmenter/ and propagator/; or module:factory, a function that returns a "
        "model, an adapter or a CoProp.",
    ),
]


def model_made(
    name: str,
    parts: Mapping[str, Any],
    *,
    max_segment_s: float | None,
    segments_at_once: int | None,
    device: torch.device,
    dtype: str,
) -> CoProp:
    """The pipeline around what a factory makes; where nothing else is given, it stays as it is.

    Args:
        name: of the factory, ``module:function``.
        parts: in place of the pipeline's own, by their attributes' names.
        max_segment_s: of the command line: 0 for no limit, None for the pipeline's own.
        segments_at_once: likewise.
        device: where it runs, except for a whole `CoProp`, which stays where it is.
        dtype: what it computes in.

    Raises:
        CoPropError: no such module or function, or it returns something else.
    """
    from coprop.evaluation.methods import load_model
    from coprop.utils.precision import as_dtype

    pipeline = load_model(name, device, cast("Precision", dtype))
    for part, value in parts.items():
        setattr(pipeline, part, value)
    if max_segment_s is not None:
        pipeline.max_segment_s = max_segment_s or None
    if segments_at_once is not None:
        pipeline.segments_at_once = segments_at_once
    if dtype != "float32":  # the default, which leaves a whole CoProp as it is
        pipeline.dtype = as_dtype(dtype, pipeline.device)
    return pipeline
