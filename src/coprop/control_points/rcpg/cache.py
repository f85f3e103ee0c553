"""Keeps what a language model answered on disk, so that nothing is asked twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from coprop.control_points.language_models.base import (
    Answer,
    Dialogue,
    LanguageModel,
    checked_model,
)
from coprop.errors import LanguageModelError, OutputError
from coprop.storage.files import parse_json
from coprop.utils.brief import first_line
from coprop.utils.checks import whole
from coprop.utils.paths import AnyPath, as_path

_VERSION = 1
_FILE = "answers.sqlite"
_EARLIER_FILE = "data.mdb"  # of LMDB, in which answers were kept at first
_LONGEST_WAIT_S = 60.0  # for another process that writes, which takes milliseconds


class CachedModel:
    """A `LanguageModel` that looks up its answers in a folder before it asks another.

    An answer is found again where the model's name, the number of windows, every word that was said
    and every sample that was heard are the same. Each answer is on disk before the next is asked
    for; a batch's as soon as the model returns the batch. Several threads and processes on one
    machine may use a folder at once. An entry that cannot be read counts as missing.

    The folder holds an SQLite database: committed answers survive a kill or a loss of power. It
    should lie on a local disk, as network file systems do not all lock files.

    Args:
        llm: who is asked.
        directory: the folder; made if needed.
        batch_size: how many dialogues the model is asked in one call.

    Raises:
        CoPropError: no language model, or a batch size below 1.
        OutputError: the folder cannot be used as a cache.
    """

    def __init__(self, llm: LanguageModel, directory: AnyPath, *, batch_size: int = 8) -> None:
        wanted = "at least 1, a whole number"
        self.batch_size = whole("batch_size", batch_size, wanted, low=1, high=sys.maxsize)
        self.llm = checked_model(llm)
        self.directory = as_path("directory", directory)
        self._store = _Store(self.directory)

    @property
    def name(self) -> str:
        """The model's own name."""
        return self.llm.name

    @property
    def max_audio_s(self) -> float:
        """The longest sound that the model hears to the end, in seconds."""
        return self.llm.max_audio_s

    @property
    def concurrency(self) -> int:
        """How many calls the model takes at a time."""
        return int(getattr(self.llm, "concurrency", 1))

    def answer(self, dialogues: Sequence[Dialogue]) -> list[Answer]:
        """The kept answers, and the model's own to dialogues that it was not asked before."""
        return self._answers(dialogues, None, self.llm.answer)

    def answer_flags(self, dialogues: Sequence[Dialogue], windows: int) -> list[Answer]:
        """As `answer`, for lists of ``windows`` flags."""
        return self._answers(dialogues, windows, lambda some: self.llm.answer_flags(some, windows))

    def _answers(
        self,
        dialogues: Sequence[Dialogue],
        windows: int | None,
        ask: Callable[[Sequence[Dialogue]], list[Answer]],
    ) -> list[Answer]:
        keys = [_key(self.llm.name, dialogue, windows) for dialogue in dialogues]
        known = self._store.get(keys)
        missing = {k: d for k, d in zip(keys, dialogues, strict=True) if k not in known}
        unknown = list(missing)
        for start in range(0, len(unknown), self.batch_size):
            batch = unknown[start : start + self.batch_size]
            answers = ask([missing[key] for key in batch])
            if len(answers) != len(batch):
                raise LanguageModelError(
                    f"{self.llm.name} gave {len(answers)} answers to {len(batch)} dialogues; "
                    "there must be one for each, in their order."
                )
            new = dict(zip(batch, answers, strict=True))
            self._store.put(new)
            known |= new
        return [known[key] for key in keys]


class _Store:
    """Answers by key, in an SQLite database.

    It is opened for each look, which takes a fraction of a millisecond: so threads, processes and
    forks need nothing of one another.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        if (directory / _EARLIER_FILE).exists() and not (directory / _FILE).exists():
            raise OutputError(
                f"{directory} holds answers in {_EARLIER_FILE}, kept by an earlier version in a "
                "form that is no longer read; give another folder, or remove that file, and they "
                "are asked again."
            )
        with self._errors():
            directory.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")  # fails here where nothing can be written
            database.execute(
                "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer BLOB NOT NULL)"
            )
            database.execute("COMMIT")

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Answer]:
        """The answers that are kept, and can be read."""
        find = "SELECT answer FROM answers WHERE key = ?"
        with self._open() as database:
            rows = {key: database.execute(find, (key,)).fetchone() for key in dict.fromkeys(keys)}
        answers = {key: _answer_of(row[0]) for key, row in rows.items() if row is not None}
        return {key: answer for key, answer in answers.items() if answer is not None}

    def put(self, answers: dict[bytes, Answer]) -> None:
        """Keeps answers; they are on disk when this returns."""
        rows = [
            (key, json.dumps({"text": each.text, "probabilities": each.probabilities}).encode())
            for key, each in answers.items()
        ]
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)
            database.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = self._directory / _FILE
        with (
            self._errors(),
            closing(
                sqlite3.connect(path, timeout=_LONGEST_WAIT_S, isolation_level=None)
            ) as database,
        ):
            database.execute("PRAGMA synchronous = FULL")  # some builds have another default
            yield database

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns SQLite's and the system's errors into one that names the folder."""
        try:
            yield
        # UnicodeDecodeError: of what SQLite says that quotes a damaged file.
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            raise OutputError(
                f"{self._directory} cannot be used to keep answers: {first_line(error)}. Give "
                f"another folder, on a local disk with free space; a damaged {_FILE} can be "
                "removed, and what it held is then asked again."
            ) from error


def _key(model: str, dialogue: Dialogue, windows: int | None) -> bytes:
    turns = [
        {
            "role": turn.role,
            "text": turn.text,
            "sounds": [
                hashlib.sha256(np.ascontiguousarray(sound, dtype=np.float32).data).hexdigest()
                for sound in turn.audios
            ],
        }
        for turn in dialogue
    ]
    content = {"version": _VERSION, "model": model, "windows": windows, "turns": turns}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()


def _answer_of(kept: object) -> Answer | None:
    """The answer; None where it is none."""
    if not isinstance(kept, bytes):
        return None
    try:
        row = parse_json(kept)
        text, probabilities = row["text"], row["probabilities"]
        if not isinstance(text, str):
            return None
        listed = None if probabilities is None else tuple(float(p) for p in probabilities)
        return Answer(text, listed)
    except (ValueError, KeyError, TypeError):
        return None
