"""Runs methods over a dataset, clip by clip, in one process or several; goes on after a stop."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from coprop.data.labelled import LabelledClip, LabelledDataset, note_name
from coprop.errors import CoPropError
from coprop.evaluation.disturbances import (
    OTHER,
    OWN,
    Disturbance,
    OtherSounds,
    disturbances,
    sounds_named,
)
from coprop.evaluation.methods import Method
from coprop.evaluation.scores import ScoreOptions, disturbed_columns, score, told_with
from coprop.evaluation.store import RESULTS, TABLE, TIMINGS, EvaluationFolder, to_json
from coprop.evaluation.summary import summarise
from coprop.evaluation.table import markdown
from coprop.storage.locks import WriterLock
from coprop.types import Progress


class Processes(Protocol):
    """The processes that share the work; accelerate's ``PartialState`` is one such."""

    @property
    def process_index(self) -> int:
        """This one's number, from 0."""
        ...

    @property
    def num_processes(self) -> int:
        """How many there are."""
        ...

    def wait_for_everyone(self) -> None:
        """Returns when all processes have come here."""
        ...


class OneProcess:
    """No other process takes part."""

    process_index = 0
    num_processes = 1

    def wait_for_everyone(self) -> None:
        """Returns at once."""


def evaluate(
    dataset: LabelledDataset,
    methods: Sequence[Method],
    folder: EvaluationFolder,
    *,
    settings: dict[str, Any],
    options: ScoreOptions | None = None,
    sounds: Sequence[str] = (OWN,),
    force: bool = False,
    processes: Processes | None = None,
    progress: Progress | None = None,
) -> dict[str, Any] | None:
    """Scores every clip that the folder has no row of, and writes the results when all are there.

    The results do not depend on the number of processes, nor on how often the evaluation was
    stopped: each clip is scored by itself, and sums are exact.

    Args:
        dataset: the clips.
        methods: what is compared.
        folder: where rows and results go; rows of an earlier, stopped run are kept.
        settings: what makes this evaluation what it is; a folder takes no rows of others.
        options: of the scores.
        sounds: what is heard, of `coprop.evaluation.disturbances.HeardSound`. Every method is run
            once with the clip's own sound and once more with each of the others.
        force: forget what an earlier evaluation left in the folder.
        processes: those that share the clips.
        progress: called as ``("clips", done, total)``.

    Returns:
        what results.json holds, in the first process; None in others.

    Raises:
        CoPropError: an empty dataset, a clip that cannot be read, with its name, two clips of one
            name, an unknown sound, or no clip whose sound another could have.
        OutputError: the folder belongs to another evaluation, is damaged, cannot be written, or is
            being written by others.
    """
    if not len(dataset):
        raise CoPropError(f"{dataset.name} has no clips to evaluate.")
    options, processes = options or ScoreOptions(), processes or OneProcess()
    sounds = sounds_named(sounds)
    names = [method.name for method in methods]
    settings = {**settings, "methods": names, "sounds": list(sounds), **asdict(options)}
    work = _Evaluation(dataset, methods, folder, settings, options)
    first = processes.process_index == 0
    with WriterLock.of_folder(folder.path) if first else nullcontext():
        if first and force:
            folder.clear()
        processes.wait_for_everyone()
        folder.check(settings)
        done = folder.rows()
        disturbed = disturbances(sounds, dataset) if len(done) < len(dataset) else {}
        processes.wait_for_everyone()  # nobody writes while others still look
        if first:
            folder.open(settings)
        processes.wait_for_everyone()
        work.score_missing(done, disturbed, processes, progress)
        processes.wait_for_everyone()
        return work.write_results() if first else None


@dataclass(frozen=True)
class _Evaluation:
    """What one call of `evaluate` does."""

    dataset: LabelledDataset
    methods: Sequence[Method]
    folder: EvaluationFolder
    settings: dict[str, Any]
    options: ScoreOptions

    def score_missing(
        self,
        done: Mapping[int, dict[str, Any]],
        disturbed: dict[str, Disturbance],
        processes: Processes,
        progress: Progress | None,
    ) -> None:
        """Scores this process's share of the clips that have no row."""
        total = len(self.dataset)
        missing = [i for i in range(total) if i not in done]
        mine = missing[processes.process_index :: processes.num_processes]
        index_of = {row["clip"]: index for index, row in done.items()}
        for left, index in zip(reversed(range(len(mine))), mine, strict=True):
            clip = self.dataset[index]
            note_name(index_of, clip.name, index, self.dataset.name)
            with told_with(clip):
                row = self._row(index, clip, disturbed)
            self.folder.append(row, processes.process_index)
            if progress is not None:
                progress("clips", total - left, total)

    def _row(
        self, index: int, clip: LabelledClip, disturbed: dict[str, Disturbance]
    ) -> dict[str, Any]:
        """A clip's scores by method, and the seconds that each method took."""
        scores: dict[str, Any] = {}
        seconds: dict[str, float] = {}
        clips = {name: disturb(clip) for name, disturb in disturbed.items()}
        for method in self.methods:
            began = time.perf_counter()
            found = score(method.predict(clip), clip, self.options, self.dataset.num_classes)
            seconds[method.name] = time.perf_counter() - began
            for name, other in clips.items():
                prediction = None if other is None else method.predict(other)
                found["frames"] |= disturbed_columns(prediction, clip, name)
            scores[method.name] = found
        row: dict[str, Any] = {"index": index, "clip": clip.name, "scores": scores}
        other_sounds = disturbed.get(OTHER)
        if isinstance(other_sounds, OtherSounds):
            row["other_clip"] = other_sounds.partner_of[clip.name]
        return {**row, "seconds": seconds}

    def write_results(self) -> dict[str, Any]:
        """Sums up the rows of all processes."""
        found = self.folder.rows()
        rows = [found[i] for i in range(len(self.dataset)) if i in found]
        index_of: dict[str, int] = {}
        for index, row in found.items():  # of other processes, too
            note_name(index_of, row["clip"], index, self.dataset.name)
        try:
            results, timings = self._results(rows), self._timings(rows)
            texts = {
                RESULTS: to_json(results),
                TIMINGS: to_json(timings),
                TABLE: markdown(results, timings),
            }
        except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            # Only rows that were read back can be wrong: of other lengths or classes, for instance.
            raise self.folder.damaged(error) from error
        for name, text in texts.items():
            self.folder.write(name, text)
        return results

    def _results(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {
            "settings": self.settings,
            "dataset": {
                "name": self.dataset.name,
                "clips": len(rows),
                "classes": self.dataset.num_classes,
            },
            "methods": self._figures(rows),
            "clips": [
                {
                    **{name: row[name] for name in ("clip", "other_clip") if name in row},
                    "methods": {k: v["all frames"] for k, v in self._figures([row]).items()},
                }
                for row in rows
            ],
        }

    def _figures(self, rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        classes = self.dataset.num_classes
        return {
            name: summarise([row["scores"][name] for row in rows], self.options, classes)
            for name in self.settings["methods"]
        }

    def _timings(self, rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
        names = self.settings["methods"]
        frames = sum(row["scores"][names[0]]["num_frames"] for row in rows)
        seconds = {name: sum(row["seconds"][name] for row in rows) for name in names}
        return {
            name: {"seconds": round(s, 3), "seconds_per_frame": round(s / frames, 5)}
            for name, s in seconds.items()
        }
