"""What a training leaves behind in its folder: settings, checkpoints, the log and events."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from coprop.errors import CoPropError, OutputError
from coprop.files import differing, output_errors, read_json, replacing
from coprop.json_lines import JsonLines
from coprop.locks import WriterLock

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

    def lock(self) -> WriterLock:
        """Keeps other trainings out; a context manager.

        Raises:
            OutputError: another one is at work, or the folder cannot be written.
        """
        return WriterLock.of_folder(self.path)

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
            before = read_json(path)
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} is damaged: {error}; give another folder.") from error
        if not isinstance(before, dict):
            raise OutputError(f"{path} is damaged: it holds no settings; give another folder.")
        differ = differing(before, settings, _FREE)
        if differ:
            shown = [
                f"{n} was {_short(before.get(n))}, is {_short(settings.get(n))}" for n in differ[:4]
            ]
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
            return read_json(path)
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
        from coprop.training.events import EventFile  # loads tensorboardX

        self._log = JsonLines(
            folder.path / LOG,
            remedy="Remove that line to go on without it.",
            synced=False,  # a step is soon repeated; waiting for the disk at each one is slow
            finite=False,  # logs that hold NaN for a norm beyond fp16 are there
        )
        self._log.replace(_until(self._log, done))
        self._events = EventFile(folder.path / EVENTS, first_step=done + 1)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._events.close()

    def row(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds a line to the log; a number that is not finite, as a norm in fp16, becomes null."""
        self._log.append({"step": step, **{name: _finite(x) for name, x in values.items()}})

    def points(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each of these curves."""
        self._events.add(step, values)


def _until(log: JsonLines, done: int) -> Iterator[Mapping[str, Any]]:
    """The rows of the first steps."""
    for number, row in log:
        if type(row.get("step")) is not int:
            raise log.damaged(number, "it tells no step")
        if row["step"] <= done:
            yield row


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
