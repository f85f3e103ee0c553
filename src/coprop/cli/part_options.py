"""Options that name the parts of a pipeline, and the parts that they describe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coprop.cli.common import checked_device
from coprop.cli.model_option import model_made
from coprop.errors import CheckpointError, CoPropError
from coprop.utils.brief import first_line
from coprop.utils.callables import names_function

if TYPE_CHECKING:
    import torch

    from coprop.assembly.names import Slot
    from coprop.cli.live import LiveOptions
    from coprop.cli.run import RunOptions
    from coprop.control_points.events.words import Words
    from coprop.keyframes.predictions import Predictions
    from coprop.pipeline import CoProp

_LISTS = ("audioset", "avss")  # of words, by name
_OF_FILES = (".txt", ".csv", ".lst", ".list")  # what a word never ends with


def _part(slot: Slot) -> Callable[[str | None], str | None]:
    """Refuses, while the command line is read, what no part can be named."""

    def check(name: str | None) -> str | None:
        if name is None:
            return None
        from coprop.assembly.names import part_name

        try:
            part_name(slot, name)
        except CoPropError as error:
            raise typer.BadParameter(str(error)) from error
        return name

    return check


DetectorOption = Annotated[
    str | None,
    typer.Option(
        "--method",
        "--detector",
        metavar="NAME",
        show_default="novelty",
        callback=_part("detector"),
        help="How control points are found: novelty, the default network; cosine, the paper's "
        "baseline; events, by the words that YAMNet hears; events:MODEL or MODEL, by a PE-A-Frame "
        "in a folder or on the hub; rcpg:MODEL, by a language model that hears. coprop models "
        "lists names.",
    ),
]
SegmenterOption = Annotated[
    str | None,
    typer.Option(
        "--segmenter",
        metavar="NAME",
        show_default="default",
        callback=_part("segmenter"),
        help="What masks keyframes: default; text, the default told words in place of sound; "
        "text:FINDER+MASKER, or a model in a folder or on the hub.",
    ),
]
PropagatorOption = Annotated[
    str | None,
    typer.Option(
        "--propagator",
        metavar="NAME",
        show_default="default",
        callback=_part("propagator"),
        help="What carries masks on: default; a SAM 2 or EdgeTAM in a folder or on the hub; "
        "aot:FILE, an official checkpoint of AOT.",
    ),
]
WordsOption = Annotated[
    str | None,
    typer.Option(
        "--words",
        metavar="LIST|FILE",
        show_default="audioset",
        help="What the detector events listens for: words with commas between them, a file with "
        "one a line, avss (AVSBench's classes) or audioset. Without --detector it means events.",
    ),
]
OfflineOption = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Download nothing and make no connection: names stand for what is on disk. "
        "HF_HUB_OFFLINE=1 does the same for the hub.",
    ),
]


def words_of(given: str | None) -> Words | None:
    """The words that an option gives.

    Args:
        given: the name of a list, words with commas between them, or a file with one a line.

    Raises:
        typer.BadParameter: no such file, one that cannot be read, or no words.
    """
    if given is None or given in _LISTS:
        return given
    if "," not in given and (Path(given).is_file() or _looks_like_a_file(given)):
        words = _lines(Path(given))
    else:
        words = [word.strip() for word in given.split(",")]
    words = [word for word in words if word]
    if not words:
        raise _bad_words(f"there is no word in {given!r}; give words with commas between them.")
    return words


def _looks_like_a_file(given: str) -> bool:
    return given.lower().endswith(_OF_FILES) or "/" in given or "\\" in given


def _lines(path: Path) -> list[str]:
    from coprop.storage.files import MOST_BYTES

    try:
        if path.stat().st_size > MOST_BYTES:
            raise _bad_words(f"{path} is larger than lists of words are.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = first_line(error)
        raise _bad_words(
            f"{path} cannot be read as a list of words: {reason}. Give a text file in UTF-8 with "
            "one a line, or words with commas between them."
        ) from error
    return [line.strip() for line in text.splitlines() if not line.startswith("#")]


def _bad_words(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="--words")


def detector_for(
    name: str | None,
    threshold: float | None,
    min_gap_s: float | None,
    words: str | None = None,
    *,
    segmenter: Any = None,
    device: torch.device | None = None,
    offline: bool = False,
) -> Any:
    """The detector that the options describe; None stands for the detector's own value.

    Args:
        name: of the detector; None for the one that fits.
        threshold, min_gap_s: of it.
        words: what it listens for, as `words_of` takes them.
        segmenter: beside it, which may have to be told words.
        device: where a model computes.
        offline: whether nothing may be fetched.
    """
    from coprop.assembly.loading import PartOptions
    from coprop.assembly.parts import load_part
    from coprop.assembly.told import usual_detector, with_words

    options = PartOptions(
        words=words_of(words),
        threshold=threshold,
        min_gap_s=min_gap_s,
        device=device,
        local_files_only=offline,
    )
    name = usual_detector(segmenter, options.words) if name is None else name
    return with_words(load_part("detector", name, options), segmenter)


def pipeline_for(options: RunOptions | LiveOptions, predictions: Predictions | None) -> CoProp:
    """The pipeline that the options of ``coprop run``, or of ``coprop live``, describe.

    Raises:
        typer.BadParameter: options that exclude one another, or a device that is not there.
        CoPropError: parts that cannot be had.
    """
    from coprop.assembly.loading import PartOptions
    from coprop.assembly.parts import load_masking
    from coprop.pipeline import DEFAULT_MAX_SEGMENT_S, CoProp
    from coprop.utils.precision import as_dtype

    _check_one_model(options, predictions)
    device = checked_device(options.device)
    dtype: Any = options.precision.value
    named = PartOptions(
        device=device, dtype=as_dtype(dtype, device), local_files_only=options.offline
    )
    segmenter = predictions if options.segmenter is None else options.segmenter
    segmenter, propagator = load_masking(segmenter, options.propagator, named)
    parts: dict[str, Any] = {"segmenter": segmenter}
    if propagator is not None:
        parts["propagator"] = propagator
    numbers = (options.threshold, options.min_gap, options.words)
    if options.model is None or options.method or any(each is not None for each in numbers):
        parts["detector"] = detector_for(
            options.method,
            *numbers,
            segmenter=segmenter,
            device=device,
            offline=options.offline,
        )
    given, at_once = options.max_segment, options.segments_at_once
    if options.model is not None and names_function(options.model):
        return model_made(
            options.model,
            {name: part for name, part in parts.items() if part is not None},
            max_segment_s=given,
            segments_at_once=at_once,
            device=device,
            dtype=dtype,
        )
    usual = DEFAULT_MAX_SEGMENT_S if options.model is None else "saved"
    parts["max_segment_s"] = usual if given is None else given or None
    return CoProp.from_pretrained(
        options.model, device=device, dtype=dtype, segments_at_once=at_once or "auto", **parts
    )


def _check_one_model(options: RunOptions | LiveOptions, predictions: Predictions | None) -> None:
    if options.model == "":
        raise CheckpointError(
            "--model takes a folder, an id on the hub or module:factory, got an empty name."
        )
    made = options.model is not None and names_function(options.model)
    if predictions is not None and made:
        raise typer.BadParameter(
            "predictions take the place of the model that a function makes; give one of them.",
            param_hint="--predictions",
        )
    if predictions is not None and options.segmenter is not None:
        raise typer.BadParameter("it takes the place of --segmenter.", param_hint="--predictions")
    if options.segmenter is not None and made:
        raise typer.BadParameter(
            "it takes the place of the model that a function makes; give one of them.",
            param_hint="--segmenter",
        )
