"""What a training leaves behind in its folder: settings, checkpoints, the log and events."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from coprop.errors import CoPropError, OutputError
from coprop.media.atomic import output_errors, replacing

CHECKPOINTS, EVENTS, FINAL = "checkpoints", "events", "final"
LOG, SETTINGS, KEY_FRAMES = "log.jsonl", "settings.json", "key_frames.json"

_FREE = {
    *("description", "accumulation", "workers", "cached_clips", "checkpoint_every", "keep"),
    *("log_every", "validate_every", "validate_split", "validate_clips"),
}
"""Settings that may differ between the parts of one training, as its weights do not depend on
them."""


class RunFolder:
    """The folder of one training.

    Args:
        path: of the folder; it is made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def final(self) -> Path:
        """Where the models go in the end."""
        return self.path / FINAL

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of a step is."""
        return self.path / CHECKPOINTS / f"step_{step:07d}.pt"

    def checkpoints(self) -> list[Path]:
        """All that are there, in order."""
        folder = self.path / CHECKPOINTS
        return sorted(p for p in folder.glob("*.pt") if re.fullmatch(r"step_\d+\.pt", p.name))

    def check(self, settings: Mapping[str, Any], *, resume: bool) -> None:
        """Refuses a folder in which this training cannot go on or begin.

        Raises:
            OutputError: it holds a training and ``resume`` is False, or one with other settings.
        """
        path = self.path / SETTINGS
        if not path.exists():
            return
        if not resume:
            raise OutputError(
                f"{self.path} holds a training already; go on with it (--resume automatic), or "
                "give another folder."
            )
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be read: {error}; give another folder.") from error
        differ = sorted(
            name for name in {*before, *settings} - _FREE if before.get(name) != settings.get(name)
        )
        if differ:
            shown = [f"{n} was {before.get(n)!r}, is {settings.get(n)!r}" for n in differ[:4]]
            raise OutputError(
                f"{self.path} holds a training with other settings ({'; '.join(shown)}); give it "
                "the same ones, or another folder."
            )

    def open(self, settings: Mapping[str, Any]) -> None:
        """Makes the folder and writes the settings.

        Raises:
            OutputError: it cannot be written.
        """
        with output_errors(self.path):
            (self.path / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        self.write(SETTINGS, settings)

    def write(self, name: str, content: Any) -> None:
        """Writes a file of JSON, whole or not at all."""
        with replacing(self.path / name) as part:
            part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def read(self, name: str) -> Any:
        """A file of JSON; None where it is not there.

        Raises:
            CoPropError: it is damaged.
        """
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise CoPropError(f"{path} cannot be read: {error}; remove it.") from error

    def prune(self, keep: int) -> None:
        """Removes all but the last checkpoints."""
        for path in self.checkpoints()[:-keep]:
            path.unlink(missing_ok=True)


class Recorder:
    """Writes each step to ``log.jsonl``, and some to event files that TensorBoard reads.

    What was logged beyond the step from which a training goes on is forgotten, so that the log
    of a training that was killed is that of one that was not.

    Args:
        folder: of the training.
        done: steps done before.
    """

    def __init__(self, folder: RunFolder, done: int) -> None:
        # Loaded here, as nothing else needs it. It is small; TensorBoard itself brings a web
        # server and gRPC, which a machine that trains need not have.
        from tensorboardX import SummaryWriter

        path = folder.path / LOG
        kept = [line for line in _complete_lines(path) if json.loads(line)["step"] <= done]
        with replacing(path) as part:
            part.write_text("".join(kept), encoding="utf-8")
        self._log = path.open("a", encoding="utf-8")
        self._events = SummaryWriter(str(folder.path / EVENTS), purge_step=done + 1)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._log.close()
        self._events.close()

    def row(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds a line to the log."""
        self._log.write(json.dumps({"step": step, **values}) + "\n")
        self._log.flush()

    def points(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each of these curves."""
        for name, value in values.items():
            self._events.add_scalar(name, value, step)
        self._events.flush()


def _complete_lines(path: Path) -> list[str]:
    """The lines of a log, without one that a kill cut short."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [line for line in lines if line.endswith("}\n")]
