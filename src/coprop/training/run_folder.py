"""The folder of a training: its settings, checkpoints, log and events."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from coprop.errors import CheckpointError, CoPropError, OutputError
from coprop.storage.files import (
    differing,
    output_errors,
    read_json,
    remove_left,
    replacing,
)
from coprop.storage.json_lines import JsonLines, settings_in
from coprop.storage.locks import WriterLock
from coprop.training.recipes import present_names
from coprop.utils.brief import first_line
from coprop.utils.extras import needs

CHECKPOINTS, EVENTS, FINAL = "checkpoints", "events", "final"
LOG, SETTINGS, KEY_FRAMES = "log.jsonl", "settings.json", "key_frames.json"

_FREE = {
    *("description", "accumulation", "workers", "cached_clips", "checkpoint_every", "keep"),
    *("log_every", "validate_every", "validate_split", "validate_clips"),
}
"""Settings that may differ between the parts of one training, as its weights do not depend on
them."""

_MOST_TOLD = 4  # settings that differ, in one message
_MOST_SHOWN = 80  # characters of a setting's value there: a line of a terminal


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
        """Where the checkpoint of a step is.

        >>> RunFolder(Path("runs")).checkpoint(500).name
        'step_0000500.pt'
        """
        return self.path / CHECKPOINTS / f"step_{step:07d}.pt"

    def checkpoints(self) -> list[Path]:
        """All that are there, in order."""
        folder = self.path / CHECKPOINTS
        return sorted(p for p in folder.glob("*.pt") if re.fullmatch(r"step_\d+\.pt", p.name))

    def prune(self, keep: int) -> None:
        """Removes all but the last checkpoints."""
        for path in self.checkpoints()[:-keep]:
            path.unlink(missing_ok=True)

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
        before = present_names(settings_in(path, "Give another folder."))
        differ = [
            f"{name} was {_short(before.get(name))}, is {_short(settings.get(name))}"
            for name in differing(before, settings, _FREE)
        ]
        if differ:
            raise OutputError(
                f"{self.path} holds a training with other settings "
                f"({'; '.join(differ[:_MOST_TOLD])}); give it the same ones, or another folder."
            )

    def open(self, settings: Mapping[str, Any]) -> None:
        """Makes the folder and writes the settings.

        Raises:
            OutputError: it cannot be written.
        """
        with output_errors(self.path):
            (self.path / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        for folder in (self.path, self.path / CHECKPOINTS):
            remove_left(folder)
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
            raise CoPropError(f"{path} cannot be read: {first_line(error)}; remove it.") from error


def write_checkpoint(path: Path, step: int, parts: Mapping[str, Any]) -> None:
    """Writes the state of every part and the number of steps done; replaces a file that is there.

    Args:
        path: of the file.
        step: steps done.
        parts: names -> what has ``state_dict``.

    Raises:
        OutputError: the file cannot be written.
    """
    write_tensors(path, {"step": step, **{name: x.state_dict() for name, x in parts.items()}})


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Writes tensors, numbers and text by name, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing(path) as part:
        try:
            with part.open("wb") as file:
                torch.save(dict(content), file)
                file.flush()
                os.fsync(file.fileno())  # else a new name may come before its content to the disk
        except RuntimeError as error:  # how PyTorch tells that its writer failed
            raise OutputError(
                f"cannot write {path}: {first_line(error)}. A file that was there before stays; "
                "make room on the disk, and go on from there."
            ) from error


def read_checkpoint(path: Path, parts: Mapping[str, Any]) -> int:
    """Restores every part and returns the number of steps done; reads tensors, and runs no code.

    Raises:
        CheckpointError: a damaged file, or one of other models.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        step = content["step"]
        if type(step) is not int or step < 0:
            raise ValueError("it tells no number of steps")
        for name, part in parts.items():
            part.load_state_dict(content[name])
    except Exception as error:  # a damaged file makes PyTorch raise errors of every kind
        raise CheckpointError(
            f"{path} is not a checkpoint of this training, or it is damaged: {first_line(error)}. "
            "Remove it to go on from the one before."
        ) from error
    return step


class Recorder:
    """Writes each step to ``log.jsonl``, and some to event files that TensorBoard reads.

    What was logged beyond the step from which a training goes on is forgotten, so that the log
    of a training that was killed is that of one that was not.

    tensorboardX's own ``SummaryWriter`` writes from a thread of its own: on a full disk the thread
    ends, and the next points wait for it for ever. Its ``EventsWriter`` raises from the call.
    TensorBoard itself brings a web server and gRPC, which a machine that trains need not have.

    Args:
        folder: of the training.
        done: steps done before.

    Raises:
        MissingPackageError: tensorboardX is not installed.
        OutputError: the folder cannot be written, or its log is damaged.
    """

    def __init__(self, folder: RunFolder, done: int) -> None:
        with needs("tensorboardX", "coprop[train]", "training"):
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto.event_pb2 import SessionLog

        self._log = JsonLines(
            folder.path / LOG,
            remedy="Remove that line to go on without it.",
            synced=False,  # a step is soon repeated; waiting for the disk at each one is slow
            finite=False,  # logs that hold NaN for a norm beyond fp16 are there
        )
        self._log.replace(_until(self._log, done))
        self._events = folder.path / EVENTS
        with output_errors(self._events):
            self._events.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(os.fspath(self._events / "events"))
        # Earlier files may hold points of this step and later; with this they no longer count.
        self._write(done + 1, [{"session_log": SessionLog(status=SessionLog.START)}])

    def row(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds a line to the log; a number that is not finite, as a norm in fp16, becomes null."""
        self._log.append({"step": step, **{name: _finite(x) for name, x in values.items()}})

    def points(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each of these curves.

        Raises:
            OutputError: the file cannot be written.
        """
        from tensorboardX.summary import scalar

        self._write(step, [{"summary": scalar(name, value)} for name, value in values.items()])

    def close(self) -> None:
        """Closes the file of events.

        Raises:
            OutputError: the file cannot be written.
        """
        with output_errors(self._events):
            self._writer.close()

    def _write(self, step: int, events: list[dict[str, Any]]) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with output_errors(self._events):
            for event in events:
                self._writer.write_event(Event(wall_time=time.time(), step=step, **event))
            self._writer.flush()


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
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."
