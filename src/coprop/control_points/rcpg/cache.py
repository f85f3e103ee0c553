"""Keeps what a language model answered on disk, so that nothing is asked twice."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

import lmdb
import numpy as np

from coprop.control_points.language_models.base import Answer, Dialogue, LanguageModel
from coprop.errors import CoPropError, LanguageModelError, OutputError
from coprop.files import parse_json
from coprop.paths import AnyPath, as_path

_VERSION = 1
_MOST_BYTES = 1 << 33  # address space, not disk: the file grows with what is in it
_MOST_READERS = 1024


class CachedModel:
    """A `LanguageModel` that looks up its answers in a folder before it asks another.

    An answer is found again where the model's name, the number of windows, every word that was said
    and every sample that was heard are the same. Each answer is on disk before the next is asked
    for; a batch's as soon as the model returns the batch. Several threads and processes on one
    machine may use a folder at once. An entry that cannot be read counts as missing.

    The folder holds an LMDB database: committed answers survive a kill or a loss of power. It must
    lie on a local disk.

    Args:
        llm: who is asked.
        directory: the folder; made if needed.
        batch_size: how many dialogues the model is asked in one call.

    Raises:
        CoPropError: a batch size below 1.
        OutputError: the folder cannot be used as a cache.
    """

    def __init__(self, llm: LanguageModel, directory: AnyPath, *, batch_size: int = 8) -> None:
        if batch_size < 1:
            raise CoPropError(f"batch_size must be at least 1, got {batch_size}.")
        self.llm = llm
        self.directory = as_path("directory", directory)
        self.batch_size = batch_size
        self._store = _open_store(self.directory)

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
        store = self._own_store()
        known: dict[bytes, Answer | None] = {key: store.get(key) for key in dict.fromkeys(keys)}
        missing = {k: d for k, d in zip(keys, dialogues, strict=True) if known[k] is None}
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
            store.put(new)
            known |= new
        return [answer for key in keys if (answer := known[key]) is not None]

    def _own_store(self) -> _Store:
        """The store; opened anew in a process that was forked, which LMDB asks for."""
        if self._store.process != os.getpid():
            self._store = _open_store(self.directory)
        return self._store


class _Store:
    """Answers by key, in an LMDB database."""

    def __init__(self, directory: Path) -> None:
        self.process = os.getpid()
        self._directory = directory
        with _cache_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
            self._database = lmdb.open(
                str(directory), map_size=_MOST_BYTES, max_readers=_MOST_READERS
            )
            self._database.reader_check()  # gives back what killed processes held
            used = (self._database.info()["last_pgno"] + 1) * self._database.stat()["psize"]
            if (directory / "data.mdb").stat().st_size < used:
                raise lmdb.CorruptedError("data.mdb is shorter than what it says it holds")

    def close(self) -> None:
        self._database.close()

    def get(self, key: bytes) -> Answer | None:
        with _cache_errors(self._directory), self._database.begin() as transaction:
            kept = transaction.get(key)
        return None if kept is None else _answer_of(bytes(kept))

    def put(self, answers: dict[bytes, Answer]) -> None:
        """Keeps answers; they are on disk when this returns."""
        with _cache_errors(self._directory), self._database.begin(write=True) as transaction:
            for key, answer in answers.items():
                row = {"text": answer.text, "probabilities": answer.probabilities}
                transaction.put(key, json.dumps(row).encode())


@contextmanager
def _cache_errors(directory: Path) -> Iterator[None]:
    """Turns LMDB's and the system's errors into one that names the folder."""
    try:
        yield
    except (lmdb.Error, OSError) as error:
        raise OutputError(
            f"{directory} cannot be used to keep answers: {error}. Give another folder, on a local "
            "disk with free space; a damaged one can be removed, and what it held is then asked "
            "again."
        ) from error


_stores: WeakValueDictionary[tuple[int, Path], _Store] = WeakValueDictionary()
_opening = threading.Lock()


def _open_store(directory: Path) -> _Store:
    """The process's only store of a folder: LMDB must not open one twice in a process."""
    with _opening:
        key = (os.getpid(), directory.resolve())
        store = _stores.get(key)
        if store is None:
            for (process, path), other in list(_stores.items()):
                if path == key[1] and process != key[0]:  # came along in a fork
                    other.close()
            store = _stores[key] = _Store(directory)
        return store


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


def _answer_of(kept: bytes) -> Answer | None:
    """The answer; None where it is none."""
    try:
        row = parse_json(kept)
        text, probabilities = row["text"], row["probabilities"]
        if not isinstance(text, str):
            return None
        listed = None if probabilities is None else tuple(float(p) for p in probabilities)
        return Answer(text, listed)
    except (ValueError, KeyError, TypeError):
        return None
