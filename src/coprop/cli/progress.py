"""A progress bar on stderr for the `Progress` callback."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from coprop.utils.logs import verbosity

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_STEPS = {
    "audio": "Reading the sound",
    "control points": "Finding control points",
    "frames": "Segmenting frames",
    "videos": "Videos",
}
_OUTER = ("videos", "files", "clips")  # these go on while the steps of each of them come and go


class ProgressBars:
    """One bar for each step of the work; a context manager and a `Progress` callback.

    A step that is there again, as that of the next video, begins anew in its bar.

    Args:
        shown: draw the bars. They are never drawn where stderr is not a terminal, nor among the
            lines of --verbose.
    """

    def __init__(self, *, shown: bool) -> None:
        drawn = shown and sys.stderr.isatty() and not verbosity()
        self._bars = _rich_bars() if drawn else None
        self._tasks: dict[str, TaskID] = {}
        self._completed: dict[str, int] = {}

    def __enter__(self) -> ProgressBars:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._bars is not None:
            if kind is None:
                self._finish_others(None)
            self._bars.stop()

    def __call__(self, step: str, completed: int, total: int | None) -> None:
        again = completed < self._completed.get(step, 0)
        self._completed[step] = completed
        if self._bars is None:
            return
        if step not in self._tasks:
            self._finish_others(step)
            self._tasks[step] = self._bars.add_task(_STEPS.get(step, step), total=total)
        elif again:
            self._bars.reset(self._tasks[step])
        self._bars.update(self._tasks[step], completed=completed, total=total)

    def completed(self, step: str) -> int:
        """How far a step has come."""
        return self._completed.get(step, 0)

    def _finish_others(self, step: str | None) -> None:
        """Fills the bars of earlier steps, whose length was not known until now."""
        for name, task in self._tasks.items():
            if self._bars is not None and name not in (step, *_OUTER):
                done = max(self._completed[name], 1)
                self._bars.update(task, completed=done, total=done)


def _rich_bars() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
