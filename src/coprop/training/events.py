"""Curves for TensorBoard, written at once and by the thread that trains."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from coprop.extras import needs
from coprop.files import output_errors


class EventFile:
    """A file of events that TensorBoard reads.

    tensorboardX's own ``SummaryWriter`` writes from a thread of its own: on a full disk the thread
    ends, and the next points wait for it for ever. Here an error comes back from the call.

    tensorboardX is small; TensorBoard itself brings a web server and gRPC, which a machine that
    trains need not have.

    Args:
        folder: where the file is made.
        first_step: points of this step and later that earlier files hold no longer count.

    Raises:
        MissingPackageError: tensorboardX is not installed.
        OutputError: it cannot be written.
    """

    def __init__(self, folder: Path, *, first_step: int) -> None:
        with needs("tensorboardX", "coprop[train]", "training"):
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._folder = folder
        with output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(os.fspath(folder / "events"))
            start = SessionLog(status=SessionLog.START)
            self._writer.write_event(
                Event(wall_time=time.time(), step=first_step, session_log=start)
            )
            self._writer.flush()

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each of these curves.

        Raises:
            OutputError: the file cannot be written.
        """
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        with output_errors(self._folder):
            for name, value in values.items():
                summary = scalar(name, value)
                self._writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
            self._writer.flush()

    def close(self) -> None:
        """Closes the file."""
        with output_errors(self._folder):
            self._writer.close()
