"""A collection from beginning to end: which videos, by whom, and what is written of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coprop.batch.index import write_index
from coprop.batch.inputs import Inputs, Source, shard_of
from coprop.batch.rows import Outcome, Status, failed_row
from coprop.batch.segment import Segment
from coprop.types import Progress

Runner = Callable[[Sequence[Path]], Iterator[Outcome]]
"""Does videos, and yields what became of each as it is known."""


@dataclass
class Collection:
    """Many videos and one folder.

    Args:
        segment: what is done with each.
        inputs: the videos.
        shard: (i, N) for every N-th of them, beginning with the i-th from 1; None for all.
    """

    segment: Segment
    inputs: Inputs
    shard: tuple[int, int] | None = None
    outcomes: list[Outcome] = field(default_factory=list, init=False)
    notes: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        sources, self._failures = self.inputs.sources, self.inputs.failures
        if self.shard is not None:
            sources = shard_of(sources, self.shard)
            self._failures = self._failures if self.shard[0] == 1 else []
        self.sources: list[Source] = sources
        self._copies = {str(source.path): source.copies for source in sources}

    @property
    def total(self) -> int:
        """How many videos there are, with what cannot be one."""
        return len(self.sources) + len(self._failures)

    @property
    def failed(self) -> list[Outcome]:
        """What could not be done, in the order of the videos."""
        place = {str(source.path): number for number, source in enumerate(self.sources)}
        found = [outcome for outcome in self.outcomes if outcome.status is Status.failed]
        return sorted(found, key=lambda outcome: place.get(outcome.path, -1))

    def counted(self, status: Status) -> int:
        """How many videos that became of."""
        return sum(outcome.status is status for outcome in self.outcomes)

    def run(
        self,
        runner: Runner,
        *,
        told: Callable[[dict[str, Any], Outcome], None] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Does the videos; the index is written at the end, also after an interrupt.

        Args:
            runner: how they are done.
            told: called with the row and the outcome of each as it is known.
            progress: called as ``("videos", done, total)``.

        Raises:
            CoPropError: the models cannot be loaded, or the folder cannot be written.
        """
        self.segment.open()
        if progress is not None:
            progress("videos", 0, self.total)
        try:
            for path, error in self._failures:
                self._note(Outcome.failure(path, error), told, progress)
            for outcome in runner([source.path for source in self.sources]):
                self._note(outcome, told, progress)
        finally:
            self._write_index()

    def _note(self, outcome: Outcome, told: Any, progress: Progress | None) -> None:
        self.outcomes.append(outcome)
        if progress is not None:
            progress("videos", len(self.outcomes), self.total)
        if told is not None:
            row = None
            if outcome.status is not Status.failed and outcome.id is not None:
                row = self.segment.folder.row(outcome.id)
            row = row or failed_row(outcome)
            told({**row, "path": outcome.path, "paths": self._paths(outcome)}, outcome)

    def _paths(self, outcome: Outcome) -> list[str]:
        return sorted({outcome.path, *map(str, self._copies.get(outcome.path, ()))})

    def _write_index(self) -> None:
        found = [(outcome, self._copies.get(outcome.path, ())) for outcome in self.outcomes]
        if note := write_index(self.segment.folder, found):
            self.notes.append(note)
