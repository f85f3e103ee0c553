"""The options of commands that ask a language model, and the model that they describe."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coprop.cli.common import checked_device

if TYPE_CHECKING:
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
    typer.Option(
        metavar="FILE",
        readable=False,
        show_default=False,
        help="Annotated examples to show the model, as coprop examples writes them.",
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        readable=False,
        show_default=False,
        help="Keep the model's answers here, and ask nothing twice.",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default="cpu",
        help="Where the language model of --llm computes, if it is no server's: cpu, cuda, cuda:1, "
        "mps. What works without --llm runs on the CPU.",
    ),
]


def opened_model(
    llm: str, *, served_name: str | None, device: str | None, cache: Path | None
) -> LanguageModel:
    """The language model that the options describe.

    Raises:
        typer.BadParameter: a device that is not there, or an option that the model has no use for.
        CoPropError: it cannot be reached or loaded.
    """
    from coprop.control_points import language_models
    from coprop.control_points.rcpg.cache import CachedModel

    served = llm.startswith(("http://", "https://"))
    if served and device is not None:
        raise typer.BadParameter(
            "a server computes where it likes; leave it out.", param_hint="--device"
        )
    if not served and served_name is not None:
        raise typer.BadParameter(
            "names one of a server's models, and --llm is no URL.", param_hint="--llm-model"
        )
    if device is not None:
        checked_device(device)
    model = language_models.language_model(llm, served_name=served_name, device=device)
    return model if cache is None else CachedModel(model, cache)
