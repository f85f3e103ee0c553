"""What ``coprop detect`` does: files in, a table or rows of JSON out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from coprop.cli.common import say, say_error
from coprop.cli.listening import Listened, listen, media_files
from coprop.cli.progress import ProgressBars
from coprop.errors import CoPropError
from coprop.storage.files import one_a_line
from coprop.storage.json_lines import JsonLines, refuse_other_settings
from coprop.utils.brief import counted, text_of
from coprop.utils.paths import real_path

if TYPE_CHECKING:
    from coprop.cli.detect import DetectOptions
    from coprop.control_points.detector import ControlPointDetector
    from coprop.control_points.events.detector import EventDetector
    from coprop.control_points.rcpg import RCPGDetector
    from coprop.types import ControlPoints

_NO_ROW = "is no row of this command, so nothing is added to it"


class DetectionJob:
    """What is to be done, and where the results go.

    Args:
        options: of the command.
        detector: what finds the control points.
        about: of the detector, as each result tells it.

    Raises:
        MediaError: a folder without any video or sound.
    """

    def __init__(
        self,
        options: DetectOptions,
        detector: ControlPointDetector | EventDetector | RCPGDetector,
        about: dict[str, Any],
    ) -> None:
        self.options, self.detector, self.about = options, detector, about
        self.files = media_files(options.files)
        self.single = len(options.files) == 1 and not options.files[0].is_dir()
        self._printed = False  # tables of several files have an empty line between them

    def run(self) -> int:
        """Does it; how many of several files could not be read.

        Raises:
            CoPropError: a single file that cannot be read, or what the detector raises.
            OutputError: the file for results holds something else, or rows of other settings, or
                another process is adding to it.
        """
        if self.options.out is None:
            return len(self._work(self.files, self._print))
        rows = JsonLines(
            self.options.out, remedy="Choose another file.", fault=_NO_ROW, begins='{"path": '
        )
        settings = {**self.about, **_settings(self.options)}
        with rows.lock():
            done = {_path_of(row, rows, number, settings) for number, row in rows}
            left = [file for file in self.files if str(real_path(file)) not in done]
            failures = self._work(
                left,
                lambda file, content: rows.append(
                    {"path": str(real_path(file)), **content, "settings": settings}
                ),
            )
        self._print_summary(len(left), failures)
        return len(failures)

    def _work(self, files: list[Path], write: Callable[[Path, dict[str, Any]], None]) -> list[Path]:
        """Writes what is found in each file; those that could not be read."""
        failures: list[Path] = []

        def failed(file: Path, error: CoPropError) -> None:
            if self.single:
                raise error
            failures.append(file)
            say_error(error)

        windows, track = self.options.windows, self.options.audio_track
        with ProgressBars(shown=True) as bars:
            heard = listen(files, self.detector, windows, failed, bars, audio_track=track)
            for number, found in enumerate(heard, 1):
                content = self._content(found)
                self._write_trace(found)
                write(found.path, content)
                if not self.single:
                    bars("files", number + len(failures), len(files))
        return failures

    def _content(self, found: Listened) -> dict[str, Any]:
        content = {"file": found.path.name, "duration_s": round(found.duration_s, 3), **self.about}
        if found.points.categories is not None:
            content["categories"] = [list(words) for words in found.points.categories]
        if found.points.probabilities is not None:
            known = found.points.probabilities
            content["probabilities"] = [[round(p, 4) for p in own] for own in known]
        if found.trace is not None:
            if found.trace.notes:
                content["notes"] = list(found.trace.notes)
            for note in found.trace.notes:
                say(f"coprop: {note}", err=True)
        return {**content, **_content(found.points, self.options.windows)}

    def _write_trace(self, found: Listened) -> None:
        trace, inputs = self.options.trace, self.options.files
        if trace is None or found.trace is None:
            return
        if len(self.files) > 1 or inputs[0].is_dir() or trace.is_dir():
            trace = trace / _trace_name(found.path, inputs)
        found.trace.save(trace)

    def _print(self, _: Path, content: dict[str, Any]) -> None:
        if not self.options.as_json:
            typer.echo(("\n" if self._printed else "") + _table(content))
            self._printed = True
        else:
            typer.echo(one_a_line(content) if self.single else json.dumps(content))

    def _print_summary(self, asked: int, failures: list[Path]) -> None:
        done, before = asked - len(failures), len(self.files) - asked
        content = {
            "out": str(self.options.out),
            "files": done,
            "done_before": before,
            "failed": [str(file) for file in failures],
        }
        if self.options.as_json:
            typer.echo(json.dumps(content, indent=2))
        else:
            earlier = f", {before} done before" if before else ""
            written = counted(done, "file")
            unread = f", {len(failures)} that cannot be read" if failures else ""
            say(f"Written to {self.options.out}: {written}{earlier}{unread}.")


def _settings(options: DetectOptions) -> dict[str, Any]:
    """What results depend on, beside the detector."""
    settings = {name: getattr(options, name) for name in ("windows", "min_gap", "on_failure")}
    track = options.audio_track
    return settings if track is None else {**settings, "audio_track": track}


def _path_of(row: dict[str, Any], rows: JsonLines, number: int, settings: dict[str, Any]) -> str:
    """Of which file a row is that an earlier call has written."""
    path = row.get("path")
    if not isinstance(path, str) or not isinstance(row.get("settings"), dict):
        raise rows.damaged(number, "it has no path and settings")
    if not isinstance(row.get("control_points"), list):
        raise rows.damaged(number, "it has no control points")
    refuse_other_settings(
        row["settings"],
        settings,
        held=f"{rows.path} holds rows of",
        remedy="Choose another file, or remove it to start anew.",
    )
    return path


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
    heard = [f"  {', '.join(words) or '-'}" for words in _heard(content)]
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


def _heard(content: dict[str, Any]) -> Iterator[list[str]]:
    """The words from each control point on, with their probabilities where these are known."""
    words, known = content.get("categories", ()), content.get("probabilities")
    for number, own in enumerate(words):
        given = [""] * len(own) if known is None else [f" {p:.2f}" for p in known[number]]
        yield [word + probability for word, probability in zip(own, given, strict=True)]


def _how(content: dict[str, Any]) -> Iterator[str]:
    yield content["method"]
    if "threshold" in content:
        yield f"threshold {content['threshold']:g}"
    else:
        yield f"{content['steps']} step{'s' if content['steps'] > 1 else ''}"
        yield f"asked {content['llm']}"
