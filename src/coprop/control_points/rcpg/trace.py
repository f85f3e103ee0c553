"""What was asked and answered on the way to a track's control points."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from coprop.errors import CoPropError, OutputError
from coprop.storage.files import output_errors, parse_json, replacing
from coprop.utils.brief import Brief, first_line
from coprop.utils.paths import AnyPath, as_path

_VERSION = 1


@dataclass(frozen=True)
class Step:
    """A question and its answer.

    Args:
        name: "describe", "categories", "control points" or "retry".
        prompt: the words of the question.
        sounds: what was to be heard with it, in words.
        answer: the model's words.
        problem: why the answer's list could not be used; None where it could, or was not needed.
        probabilities: the model's own, for each flag; None where it gave none.
    """

    name: str
    prompt: str
    sounds: tuple[str, ...]
    answer: str
    problem: str | None = None
    probabilities: tuple[float, ...] | None = None


@dataclass(frozen=True, repr=False)
class ChunkTrace(Brief):
    """The dialogue about one chunk of a track; a track that the model hears at once has one.

    Args:
        start_s: where the chunk begins, in seconds.
        end_s: where it ends.
        first_window: its first window, from 0.
        steps: the dialogue.
        flags: what came of it, for each of the chunk's windows; None where nothing did.
        categories: what the model heard, in words; None where it was not asked.
        examples: names of the examples that it was shown.
    """

    start_s: float
    end_s: float
    first_window: int
    steps: tuple[Step, ...]
    flags: tuple[int, ...] | None
    categories: tuple[str, ...] | None
    examples: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Trace(Brief):
    """How a track's control points came about; ``str()`` of it is readable text.

    Args:
        model: the language model.
        source: the track's file, where it has one.
        duration_s: of the track, in seconds.
        windows: N.
        flags: the control points, 0 or 1 for each window.
        notes: what did not go its usual way.
        chunks: the dialogues.
    """

    model: str
    source: str
    duration_s: float
    windows: int
    flags: tuple[int, ...]
    notes: tuple[str, ...]
    chunks: tuple[ChunkTrace, ...]

    def to_json(self) -> dict[str, Any]:
        """The trace as JSON can hold it."""
        return {"version": _VERSION, **asdict(self)}

    def save(self, path: AnyPath) -> None:
        """Writes the trace as a JSON file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        path = as_path("path", path, error=OutputError)
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            text = json.dumps(self.to_json(), indent=2, ensure_ascii=False)
            part.write_text(text + "\n", encoding="utf-8", errors="surrogatepass")

    @classmethod
    def load(cls, path: AnyPath) -> Trace:
        """Reads what `save` wrote.

        Raises:
            CoPropError: no such file, or another one.
        """
        path = as_path("path", path)
        try:
            text = path.read_text(encoding="utf-8", errors="surrogatepass")
            row = parse_json(text)
            if row.pop("version") != _VERSION:
                raise KeyError("version")
            chunks = tuple(_chunk(chunk) for chunk in row.pop("chunks"))
            return cls(**_tuples(row), chunks=chunks)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else first_line(error)
            raise CoPropError(
                f"{path} cannot be read as a trace ({reason}); give a file that Trace.save wrote."
            ) from error

    def __str__(self) -> str:
        head = f"{self.source or 'a track'} of {self.duration_s:.2f} s, {self.windows} windows"
        lines = [head, f"asked: {self.model}", ""]
        for chunk in self.chunks:
            lines += [*_chunk_text(chunk), ""]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, f"control points: {list(self.flags)}"])


def _chunk_text(chunk: ChunkTrace) -> list[str]:
    lines = [f"-- {chunk.start_s:.2f} to {chunk.end_s:.2f} s"]
    for step in chunk.steps:
        sounds = f" [{', '.join(step.sounds)}]" if step.sounds else ""
        lines += [f"{step.name}{sounds}", _said("  > ", step.prompt), _said("  < ", step.answer)]
        if step.problem is not None:
            lines.append(f"  ! {step.problem}")
        if step.probabilities is not None:
            rounded = ", ".join(f"{p:.2f}" for p in step.probabilities)
            lines.append(f"  probabilities: {rounded}")
    if chunk.categories is not None:
        lines.append(f"categories: {', '.join(chunk.categories) or 'none'}")
    if chunk.examples:
        lines.append(f"examples: {', '.join(chunk.examples)}")
    return [*lines, f"flags: {'none' if chunk.flags is None else list(chunk.flags)}"]


def _said(mark: str, text: str) -> str:
    return "\n".join(mark + line for line in text.splitlines() or [""])


def _chunk(row: dict[str, Any]) -> ChunkTrace:
    steps = tuple(Step(**_tuples(step)) for step in row.pop("steps"))
    return ChunkTrace(**_tuples(row), steps=steps)


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in row.items()}
