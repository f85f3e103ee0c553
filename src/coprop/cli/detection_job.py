"""What ``coprop detect`` does: files in, a table or rows of JSON out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from coprop.brief import text_of
from coprop.cli.common import say
from coprop.cli.listening import Listened, listen, media_files
from coprop.cli.progress import ProgressBars
from coprop.cli.rows import RowFile
from coprop.errors import CoPropError
from coprop.files import one_a_line

if TYPE_CHECKING:
    from coprop.control_points.detector import ControlPointDetector
    from coprop.control_points.rcpg import RCPGDetector
    from coprop.types import ControlPoints


@dataclass
class DetectionJob:
    """What is to be done, and where the results go.

    Args:
        inputs: files and folders.
        windows: N for N equal windows of each file.
        detector: what finds the control points.
        about: of the detector, as each result tells it.
        settings: what else results depend on.
        trace: the file or folder for traces; None for none.
        out: the JSON-lines file for results; None to print them.
        as_json: print JSON.
    """

    inputs: list[Path]
    windows: int | None
    detector: ControlPointDetector | RCPGDetector
    about: dict[str, Any]
    settings: dict[str, Any]
    trace: Path | None
    out: Path | None
    as_json: bool

    def run(self) -> int:
        """Does it; how many of several files could not be read.

        Raises:
            CoPropError: a single file that cannot be read, or what the detector raises.
        """
        files = media_files(self.inputs)
        if self.out is None:
            return self._work(files, None)
        with RowFile(self.out, {**self.about, **self.settings}) as rows:
            return self._work(files, rows)

    def _work(self, files: list[Path], rows: RowFile | None) -> int:
        single = len(self.inputs) == 1 and not self.inputs[0].is_dir()
        left = [file for file in files if rows is None or str(file.resolve()) not in rows.done]
        failures: list[Path] = []

        def failed(file: Path, error: CoPropError) -> None:
            if single:
                raise error
            failures.append(file)
            say(f"coprop: {error}", err=True)

        with ProgressBars(shown=True) as bars:
            done = 0
            for found in self._listen(left, failed, bars):
                content = self._content(found)
                self._write_trace(found, files)
                if rows is not None:
                    rows.append(str(found.path.resolve()), content)
                else:
                    self._print(content, single=single, first=done == 0)
                done += 1
                if not single:
                    bars("files", done + len(failures), len(left))
        if rows is not None:
            self._print_summary(done, len(files) - len(left), failures)
        return len(failures)

    def _listen(
        self, files: list[Path], failed: Callable[[Path, CoPropError], None], bars: ProgressBars
    ) -> Iterator[Listened]:
        track = self.settings.get("audio_track")
        return listen(files, self.detector, self.windows, failed, bars, audio_track=track)

    def _content(self, found: Listened) -> dict[str, Any]:
        content = {
            "file": found.path.name,
            "duration_s": round(found.duration_s, 3),
            **self.about,
        }
        if found.points.categories is not None:
            content["categories"] = [list(words) for words in found.points.categories]
        if found.trace is not None:
            if found.trace.notes:
                content["notes"] = list(found.trace.notes)
            for note in found.trace.notes:
                say(f"coprop: {note}", err=True)
        return {**content, **_content(found.points, self.windows)}

    def _write_trace(self, found: Listened, files: list[Path]) -> None:
        if self.trace is None or found.trace is None:
            return
        if len(files) == 1 and not self.inputs[0].is_dir() and not self.trace.is_dir():
            found.trace.save(self.trace)
        else:
            found.trace.save(self.trace / _trace_name(found.path, self.inputs))

    def _print(self, content: dict[str, Any], *, single: bool, first: bool) -> None:
        if not self.as_json:
            typer.echo(("" if first else "\n") + _table(content))
        else:
            typer.echo(one_a_line(content) if single else json.dumps(content))

    def _print_summary(self, done: int, before: int, failures: list[Path]) -> None:
        content = {
            "out": str(self.out),
            "files": done,
            "done_before": before,
            "failed": [str(file) for file in failures],
        }
        if self.as_json:
            typer.echo(json.dumps(content, indent=2))
        else:
            earlier = f", {before} done before" if before else ""
            unread = f", {len(failures)} that cannot be read" if failures else ""
            say(f"Written to {self.out}: {done} files{earlier}{unread}.")


def _trace_name(path: Path, inputs: list[Path]) -> str:
    """Below its folder's name where the file lies in one of the folders, else its own name."""
    for folder in inputs:
        if folder.is_dir() and path.is_relative_to(folder):
            return f"{path.relative_to(folder)}.json"
    same = [p for p in inputs if p.name == path.name]
    number = f"{same.index(path) + 1}_" if len(same) > 1 else ""
    return f"{number}{path.name}.json"


def _content(points: ControlPoints, windows: int | None) -> dict[str, Any]:
    rows = [
        {"time_s": round(float(time), 3), "score": round(float(score), 4)}
        for time, score in zip(points.times_s, points.scores, strict=True)
    ]
    content = {"control_points": [rows[i] for i in np.flatnonzero(points.flags)]}
    if windows is None:
        return content
    flags = [int(flag) for flag in points.flags]
    return {**content, "windows": [{**row, "flag": f} for row, f in zip(rows, flags, strict=True)]}


def _table(content: dict[str, Any]) -> str:
    head = f"{content['file']}: {content['duration_s']:.2f} s, {', '.join(_how(content))}"
    named = "categories" in content
    heard = [f"  {', '.join(words) or '-'}" for words in content.get("categories", ())]
    if "windows" in content:
        # A window in which nothing changes says nothing anew.
        own = iter(heard)
        rows = [
            f"{i:>6} {row['time_s']:>10.2f} {row['score']:>8.3f} {row['flag']:>5}"
            + (next(own, "") if row["flag"] else "")
            for i, row in enumerate(content["windows"])
        ]
        title = "window     time_s    score  flag"
    else:
        rows = [
            f"{row['time_s']:>10.2f} {row['score']:>8.3f}" + (heard[i] if heard else "")
            for i, row in enumerate(content["control_points"])
        ]
        title = "    time_s    score"
    return text_of([head, "", title + ("  heard" if named else ""), *rows])


def _how(content: dict[str, Any]) -> Iterator[str]:
    yield content["method"]
    if "threshold" in content:
        yield f"threshold {content['threshold']:g}"
    else:
        yield f"{content['steps']} step{'s' if content['steps'] > 1 else ''}"
        yield f"asked {content['llm']}"
