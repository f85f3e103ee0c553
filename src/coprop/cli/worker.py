"""``coprop worker``: the file that `coprop.ProcessModel` runs in another interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from coprop.cli.common import say


@dataclass(frozen=True)
class WorkerOptions:
    """The options of ``coprop worker``."""

    print: Annotated[bool, typer.Option("--print", help="Write the file to standard output.")] = (
        False
    )


def worker(options: WorkerOptions) -> None:
    """Write the worker file, for machines where coprop cannot be installed.

    It needs Python 3.7 or later with numpy, and is what a command given to ProcessModel starts.

    \b
    Example:
      coprop worker --print > coprop_worker.py
    """
    if not options.print:
        raise typer.BadParameter("coprop worker takes --print, which writes the worker file.")
    from coprop.keyframes.process.launch import WORKER

    say(*WORKER.read_text(encoding="utf-8").splitlines())
