"""``coprop demo``: a page on which a video is dropped, and marked by what sounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from coprop.cli.common import DebugOption, DeviceOption, checked_device, reported, say

EXAMPLE = Path(__file__).parents[3] / "examples" / "clip.mp4"
"""In a checkout of the project; an installed package has none."""


@dataclass(frozen=True)
class DemoOptions:
    """The options of ``coprop demo``."""

    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where to listen: 127.0.0.1 for this machine alone, 0.0.0.0 for its network, too.",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65_535,
            metavar="N",
            show_default="the first free one from 7860",
            help="Port to listen on.",
        ),
    ] = None
    share: Annotated[
        bool,
        typer.Option(
            "--share", help="Show the page on the internet, too, through gradio's servers."
        ),
    ] = False
    max_minutes: Annotated[
        float, typer.Option(min=0.01, metavar="MINUTES", help="How long a video may last.")
    ] = 5.0
    device: DeviceOption = ""
    debug: DebugOption = False


def demo(options: DemoOptions) -> None:
    """A page in the browser: drop a video or record one, and see and hear what sounds in it.

    Needs the extra: pip install "coprop[demo]". Visitors wait for one another; what they bring and
    what is made of it is removed when they leave, and when the page ends. Nothing is fetched from
    the internet and nothing is sent there, unless --share is given.

    \b
    Examples:
      coprop demo
      coprop demo --host 0.0.0.0 --port 8000 --max-minutes 2
    """
    with reported(debug=options.debug, interrupted=lambda: "the page is closed."):
        from coprop.demo.choices import offline_choices
        from coprop.demo.server import Server

        choices = offline_choices(checked_device(options.device))
        with Server(
            choices,
            host=options.host,
            port=options.port,
            share=options.share,
            max_minutes=options.max_minutes,
            example=EXAMPLE if EXAMPLE.is_file() else None,
        ) as server:
            say(f"The page is at {server.url} (Ctrl-C ends it)")
            if server.share_url is not None:
                say(f"and for everybody who knows the address at {server.share_url}")
            server.wait()
