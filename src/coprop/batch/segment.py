"""A video in, a row and a folder of files out: what every engine of collections calls."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from coprop.batch.content import content_id
from coprop.batch.folder import CollectionFolder
from coprop.batch.rows import Outcome, Status, done_row
from coprop.batch.tables import column_of, with_columns
from coprop.errors import CoPropError, LockedError, MediaError, OutputError
from coprop.export.targets import FOLDER, TARGETS, checked_target
from coprop.utils.brief import one_line
from coprop.utils.checks import check_function, check_progress, index, shown
from coprop.utils.paths import AnyPath, as_path

if TYPE_CHECKING:
    from coprop.pipeline import CoProp
    from coprop.types import Progress

Batch = TypeVar("Batch")
_LOOK_S = 0.5  # between two looks at a video that another process is working on
_MISSING = ("None", "nan", "<NA>")  # values of rows that have none, in any kind of table
_log = logging.getLogger(__name__)


class Segment:
    """Segments videos into the folder of a collection; for ``map_batches`` and its like.

    An instance holds the models, which are loaded with its first video, and can be pickled. It
    is called with a batch that has a column of paths, as Ray Data, Spark's ``mapInPandas``, pandas,
    pyarrow and Hugging Face ``datasets`` have them, and returns it with the columns ``id``,
    ``status`` ("done", "done before" or "failed"), ``folder``, ``error``, ``num_frames``,
    ``duration_s`` and ``seconds``. ::

        ray.data.from_items([{"path": "a.mp4"}]).map_batches(
            Segment, fn_constructor_kwargs={"out": "/shared/out"}, batch_size=1, concurrency=2
        )

    What is complete in the folder is not done again; what fails is said in the row, and the work
    goes on. Any number of them may share a folder, on a file system that their machines share.

    Args:
        out: the folder of the collection; made if it is not there.
        pipeline: a function without arguments that makes the pipeline; by default
            `coprop.CoProp.from_pretrained`.
        exports: names of `coprop.export.TARGETS`, written for each video, into ``exports``.
        settings: what results depend on, values of JSON by name; a folder takes no results of
            other settings. By default what ``repr`` says of the pipeline's function.
        video_track, audio_track: as of `coprop.CoProp`.
        column: the name of the column with the paths.
        force: do again what is complete, and begin anew where the folder has other settings.

    Raises:
        CoPropError: an argument that cannot be used.
    """

    def __init__(
        self,
        out: AnyPath,
        *,
        pipeline: Callable[[], CoProp] | None = None,
        exports: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        video_track: int | None = None,
        audio_track: int | None = None,
        column: str = "path",
        force: bool = False,
    ) -> None:
        if pipeline is not None:
            wanted = "a function without arguments that makes a CoProp, as lambda: mine does of one"
            check_function("pipeline", pipeline, (), wanted)
        self.exports = _checked_exports(exports)
        self.out = as_path("out", out, error=OutputError).absolute()
        self.column, self.force = column, force
        tracks = {"video_track": video_track, "audio_track": audio_track}
        self._tracks: dict[str, Any] = {
            name: None if track is None else index(name, track) for name, track in tracks.items()
        }
        self._make = pipeline
        self._pipeline: CoProp | None = None
        given = (
            {"pipeline": _name_of(pipeline)} if settings is None else _checked_settings(settings)
        )
        chosen = {name: track for name, track in self._tracks.items() if track is not None}
        self.settings = {**given, **chosen, "exports": list(self.exports)}
        self._opened = False

    def __getstate__(self) -> dict[str, Any]:
        """Without the models: each process loads its own."""
        return {**vars(self), "_pipeline": None}

    @property
    def folder(self) -> CollectionFolder:
        """Where results go."""
        return CollectionFolder(self.out, self.settings)

    @property
    def pipeline(self) -> CoProp:
        """The pipeline, made when it is first asked for.

        Raises:
            CoPropError: it cannot be.
        """
        if self._pipeline is None:
            from coprop.pipeline import CoProp

            began = time.perf_counter()
            made = (self._make or CoProp.from_pretrained)()
            if not isinstance(made, CoProp):
                raise CoPropError(
                    f"pipeline is a function that makes a CoProp, but it returned {shown(made)}."
                )
            self._pipeline = made
            _log.info("models loaded in %.1f s", time.perf_counter() - began)
        return self._pipeline

    def open(self) -> None:
        """Makes the folder, or looks whether it is of these settings.

        Raises:
            OutputError: it is not, or cannot be written.
        """
        if not self._opened:
            self.folder.open(force=self.force)
            self._opened = True

    def __call__(self, batch: Batch) -> Batch:
        """Segments the videos of a batch.

        Raises:
            CoPropError: a batch without the column, models that cannot be loaded, or a folder
                that cannot be written.
        """
        found = [self._row(self._named(path)) for path in column_of(batch, self.column)]
        names = ("id", "status", "folder", "error", "num_frames", "duration_s", "seconds")
        return with_columns(batch, {name: [row[name] for row in found] for name in names})

    def _named(self, given: object) -> Outcome:
        """What became of a row; one without a path fails by itself, others go on."""
        try:
            found = as_path(self.column, given, error=MediaError)
        except MediaError as error:
            if not isinstance(given, str) and str(given) not in _MISSING:
                raise
            return _noted(Outcome(str(given), None, Status.failed, str(error)))
        return self.one(found)

    def one(self, path: AnyPath, *, wait: bool = True, progress: Progress | None = None) -> Outcome:
        """Segments a video, if its result is not there.

        Args:
            path: its file.
            wait: for another process that is at work on the same content; else the outcome says
                "elsewhere".
            progress: of reading and of frames.

        Raises:
            MediaError: what was given is no path.
            OutputError: the folder cannot be written, so that going on has no use.
            CoPropError: the models cannot be loaded.
        """
        path = as_path("path", path, error=MediaError).absolute()
        check_progress(progress)
        self.open()
        try:
            id = content_id(path)
        except CoPropError as error:
            return _noted(_failed(path, None, error))
        if self._is_complete(id):
            return _noted(Outcome(str(path), id, Status.before))
        _ = self.pipeline  # what is wrong with it is no fault of the video's
        while (outcome := self._attempt(id, path, progress)).status is Status.elsewhere:
            if not wait:
                return outcome
            time.sleep(_LOOK_S)
        return _noted(outcome)

    def _is_complete(self, id: str) -> bool:
        return not self.force and self.folder.row(id) is not None

    def _attempt(self, id: str, path: Path, progress: Progress | None) -> Outcome:
        began = time.perf_counter()
        try:
            with self.folder.writing(id) as (part, complete):
                if self._is_complete(id):  # by another, just now
                    return Outcome(str(path), id, Status.before)
                content, duration_s = self._segment(path, part, progress)
                self._export(path, part, progress)
                seconds = time.perf_counter() - began
                complete(done_row(id, path, content, duration_s, self.exports, seconds))
        except LockedError:
            return Outcome(str(path), id, Status.elsewhere)
        except OutputError:
            raise
        except Exception as error:
            return _failed(path, id, error, time.perf_counter() - began)
        return Outcome(str(path), id, Status.done, seconds=round(seconds, 3))

    def _segment(
        self, path: Path, part: Path, progress: Progress | None
    ) -> tuple[dict[str, Any], float | None]:
        from coprop.media.clip import Clip
        from coprop.results.writing import save

        with Clip(path, **self._tracks, progress=progress) as clip:
            points = self.pipeline.detect(clip.audio)
            with closing(self.pipeline.track(clip, points, progress=progress)) as tracked:
                content = save(part, clip, tracked, points, tracked.segments)
            return content, clip.duration_s

    def _export(self, path: Path, part: Path, progress: Progress | None) -> None:
        from coprop.result import Result

        if self.exports:
            result = Result.load(part, path, **self._tracks)
            for name in self.exports:
                result.export(name, part / FOLDER / TARGETS[name].file, progress=progress)

    def _row(self, outcome: Outcome) -> dict[str, Any]:
        row = None if outcome.id is None else self.folder.row(outcome.id)
        done = row is not None and outcome.status is not Status.failed
        about = row if row is not None and done else {}
        return {
            **outcome.to_dict(),
            "folder": str(self.folder.result_of(str(outcome.id))) if done else None,
            "num_frames": about.get("num_frames"),
            "duration_s": about.get("duration_s"),
        }


def _noted(outcome: Outcome) -> Outcome:
    _log.info("%s (%s): %s", one_line(outcome.path), outcome.id, _told(outcome))
    return outcome


def _failed(path: Path, id: str | None, error: Exception, seconds: float = 0.0) -> Outcome:
    """What is no fault of coprop's input says its kind, too; one bad video stops no other."""
    text = str(error) if isinstance(error, CoPropError) else f"{type(error).__name__}: {error}"
    _log.debug("%s", one_line(str(path)), exc_info=error)
    return Outcome(str(path), id, Status.failed, text, round(seconds, 3))


def _told(outcome: Outcome) -> str:
    if outcome.status is Status.done:
        return f"done in {outcome.seconds:.1f} s"
    return f"{outcome.status.value}: {outcome.error}" if outcome.error else "done before"


def _checked_exports(names: object) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise CoPropError(f"exports must be a list of names, as ['coco'], got {shown(names)}.")
    found = tuple(names)
    for name in found:
        checked_target(name)
    return tuple(dict.fromkeys(found))


def _checked_settings(settings: object) -> dict[str, Any]:
    """As they are read back, so that a tuple and a list are the same."""
    if not isinstance(settings, Mapping):
        raise CoPropError(f"settings must be values by name, got {shown(settings)}.")
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise CoPropError(f"settings must be values that JSON can hold: {error}.") from error
    return found


def _name_of(function: Any) -> str:
    """What tells a function from others, the same in every process: no address in memory."""
    if function is None:
        return "default"
    if isinstance(function, partial):
        given = [*map(repr, function.args), *(f"{k}={v!r}" for k, v in function.keywords.items())]
        return f"{_name_of(function.func)}({', '.join(given)})"
    named: Any = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
