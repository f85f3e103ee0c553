"""The options of commands that ask a language model, and the model that they describe."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coprop.cli.common import checked_device, option_name, path_option

if TYPE_CHECKING:
    from coprop.cli.compare_detectors import ComparisonOptions
    from coprop.cli.detect import DetectOptions
    from coprop.control_points.language_models.base import LanguageModel


class Steps(str, Enum):
    """How many prompts a track takes."""

    one = "1"
    three = "3"


class OnFailure(str, Enum):
    """What follows when no answer can be used."""

    novelty = "novelty"
    error = "raise"


LlmOption = Annotated[
    str | None,
    typer.Option(
        "--llm",
        metavar="PATH_OR_URL",
        show_default=False,
        help="Ask this language model: a server's URL, a folder, or a name on the hub, such as "
        "Qwen/Qwen2-Audio-7B-Instruct.",
    ),
]
LlmModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", show_default="the only one", help="Which of the server's models to ask."
    ),
]
ExamplesOption = Annotated[
    Path | None,
    path_option(
        metavar="FILE", help="Annotated examples to show the model, as coprop examples writes them."
    ),
]
CacheOption = Annotated[
    Path | None,
    path_option(metavar="DIR", help="Keep the model's answers here, and ask nothing twice."),
]
LlmDeviceOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default="cpu",
        help="Where the language model of --llm computes, if it is no server's: cpu, cuda, cuda:1, "
        "mps. What works without --llm runs on the CPU.",
    ),
]


def opened_model(options: DetectOptions | ComparisonOptions) -> LanguageModel | None:
    """The language model that the options describe, if any.

    Raises:
        typer.BadParameter: a device that is not there, or an option that the model has no use for.
        CoPropError: it cannot be reached or loaded.
    """
    from coprop.control_points import language_models
    from coprop.control_points.rcpg.cache import CachedModel

    if options.llm is None:
        return None
    if not options.llm:
        raise typer.BadParameter(
            "it is empty; give a server's URL, a folder, or a model's id on the hub.",
            param_hint="--llm",
        )
    served = options.llm.startswith(("http://", "https://"))
    if served and options.offline:
        raise typer.BadParameter(
            "no connection is made with it, and --llm is a server's URL; leave one of them out.",
            param_hint="--offline",
        )
    if served:
        refuse_given(options, ("device",), "a server computes where it likes; leave it out.")
    else:
        refuse_given(
            options, ("llm_model",), "names one of a server's models, and --llm is no URL."
        )
    if options.device is not None:
        checked_device(options.device)
    model = language_models.language_model(
        options.llm, served_name=options.llm_model, device=options.device
    )
    return model if options.cache is None else CachedModel(model, options.cache)


def refuse_given(
    options: DetectOptions | ComparisonOptions, names: Collection[str], why: str
) -> None:
    """Refuses options, fields of a dataclass, that have another value than their default.

    Raises:
        typer.BadParameter: the first of them, and why.
    """
    for field in fields(options):
        if field.name in names and getattr(options, field.name) != field.default:
            raise typer.BadParameter(why, param_hint=option_name(field.name))
