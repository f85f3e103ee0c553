"""Options for a part of a video, and for masks and boxes that are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from coprop.errors import CoPropError, MediaError
from coprop.prompts import Prompt
from coprop.utils.brief import first_line
from coprop.utils.paths import from_home

StartOption = Annotated[
    float | None,
    typer.Option(
        "--start",
        min=0.0,
        metavar="SECONDS",
        show_default="its beginning",
        help="Where to begin in the video; times and frame numbers stay the video's.",
    ),
]
EndOption = Annotated[
    float | None,
    typer.Option(
        "--end",
        min=0.0,
        metavar="SECONDS",
        show_default="its end",
        help="Where to end in the video.",
    ),
]
PromptOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt",
        metavar="TIME=MASK.PNG",
        show_default=False,
        help="What sounds from a time on, in seconds, as a picture of the frame's size: 0 is "
        "background. It holds to the end of its segment. May be given several times.",
    ),
]
BoxOption = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="TIME=X0,Y0,X1,Y1",
        show_default=False,
        help="The same as a box, in pixels from the upper left. May be given several times.",
    ),
]


def check_part(start: float | None, end: float | None) -> None:
    """Refuses a part that ends before it begins.

    Raises:
        typer.BadParameter: it does.
    """
    if end is not None and end <= (start or 0.0):
        raise typer.BadParameter(
            f"{end:g} s is not after the start, at {start or 0.0:g} s.", param_hint="--end"
        )


def prompts_of(masks: list[str] | None, boxes: list[str] | None) -> list[Prompt]:
    """The prompts that the options describe.

    Raises:
        typer.BadParameter: an option of another form.
        MediaError: a picture that cannot be read.
    """
    prompts = []
    for given in masks or ():
        time_s, path = _parted(given, "--prompt", "2.0=mask.png")
        prompts.append(_prompt("--prompt", time_s, mask=_picture(Path(from_home(path)))))
    for given in boxes or ():
        time_s, sides = _parted(given, "--box", "2.0=10,10,60,40")
        try:
            box = tuple(float(side) for side in sides.split(","))
        except ValueError as error:
            raise typer.BadParameter(
                f"{given!r} is no box; give it as 2.0=10,10,60,40.", param_hint="--box"
            ) from error
        prompts.append(_prompt("--box", time_s, boxes=[box]))
    return prompts


def pictures_of(masks: list[str] | None) -> list[Path]:
    """The files that the options for masks name.

    Raises:
        typer.BadParameter: an option of another form.
    """
    return [Path(from_home(_parted(given, "--prompt", "2.0=mask.png")[1])) for given in masks or ()]


def _prompt(hint: str, time_s: float, **given: Any) -> Prompt:
    try:
        return Prompt(time_s, **given)
    except CoPropError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from error


def _parted(given: str, hint: str, example: str) -> tuple[float, str]:
    time, _, rest = given.partition("=")
    try:
        time_s = float(time)
    except ValueError as error:
        raise typer.BadParameter(
            f"{given!r} does not begin with a time in seconds; give it as {example}.",
            param_hint=hint,
        ) from error
    if not rest:
        raise typer.BadParameter(
            f"{given!r} is a time alone; give it as {example}.", param_hint=hint
        )
    return time_s, rest


def _picture(path: Path) -> Any:
    """(H, W) labels of a palette or grey picture, or what is not black in another.

    What is transparent is background, whatever colour it has there.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if picture.format == "JPEG":  # its values are others than those that were saved
                raise MediaError(f"{path} is a JPEG, which keeps no labels; give a PNG.")
            if picture.mode == "LA":
                grey, alpha = np.moveaxis(np.asarray(picture), 2, 0)
                return np.where(alpha > 0, grey, 0).astype(grey.dtype)
            if picture.mode in ("P", "L", "1") or picture.mode.startswith("I"):
                return np.asarray(picture)
            pixels = np.asarray(picture.convert("RGBA"))
            return pixels[..., :3].any(axis=2) & (pixels[..., 3] > 0)
    except CoPropError:
        raise
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        raise MediaError(
            f"{path} cannot be read as a mask: {first_line(error)}. Give a PNG."
        ) from error
