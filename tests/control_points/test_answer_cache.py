from __future__ import annotations

import multiprocessing
import os
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from coprop.control_points.language_models.base import Answer, Dialogue, Turn
from coprop.control_points.rcpg.cache import CachedModel
from coprop.errors import CoPropError, LanguageModelError, OutputError
from scripted_models import Scripted, Served
from started import Started


def dialogue(text: str, level: float = 0.1) -> Dialogue:
    return (Turn("user", text, (np.full(1600, level, np.float32),)),)


def echo(asked: Dialogue, windows: int | None) -> Answer:
    if windows is None:
        return Answer(asked[-1].text.upper())
    return Answer("[1" + ",0" * (windows - 1) + "]", tuple([0.25] * windows))


def words(model: CachedModel, *texts: str) -> list[str]:
    return [answer.text for answer in model.answer([dialogue(text) for text in texts])]


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    llm = Scripted(echo)
    model = CachedModel(llm, tmp_path / "deep" / "cache")
    assert words(model, "a", "b") == ["A", "B"]
    assert words(model, "b", "c", "a", "c") == ["B", "C", "A", "C"]
    assert [asked[0].text for asked in llm.asked] == ["a", "b", "c"]
    assert (model.name, model.max_audio_s, model.concurrency) == ("scripted", 30.0, 1)
    assert CachedModel(Served(echo), tmp_path / "other").concurrency == 3


def test_probabilities_are_kept(tmp_path: Path) -> None:
    llm = Scripted(echo)
    first = CachedModel(llm, tmp_path).answer_flags([dialogue("a")], 3)
    assert CachedModel(llm, tmp_path).answer_flags([dialogue("a")], 3) == first
    assert first == [Answer("[1,0,0]", (0.25, 0.25, 0.25))]
    assert len(llm.calls) == 1


def test_everything_that_an_answer_depends_on_is_in_its_key(tmp_path: Path) -> None:
    llm = Scripted(echo)
    model = CachedModel(llm, tmp_path)
    model.answer([dialogue("a")])
    model.answer_flags([dialogue("a")], 3)
    model.answer_flags([dialogue("a")], 4)
    model.answer([dialogue("a", level=0.2)])
    model.answer([(*dialogue("a"), Turn("assistant", "A"), Turn("user", "a"))])
    model.answer([(Turn("user", "a"),)])
    CachedModel(Scripted(echo, name="other"), tmp_path).answer([dialogue("a")])
    assert len(llm.calls) == 6
    model.answer([dialogue("a")])
    assert len(llm.calls) == 6


def test_a_batch_is_asked_in_parts_and_each_is_kept_at_once(tmp_path: Path) -> None:
    def stops(asked: Dialogue, windows: int | None) -> Answer:
        if asked[-1].text == "5":
            raise KeyboardInterrupt
        return echo(asked, windows)

    llm = Scripted(stops)
    model = CachedModel(llm, tmp_path, batch_size=2)
    with pytest.raises(KeyboardInterrupt):
        words(model, *"0123456")
    again = Scripted(echo)
    assert words(CachedModel(again, tmp_path), *"0123456") == list("0123456")
    assert [asked[0].text for asked in again.asked] == ["4", "5", "6"]


def change(folder: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "answers.sqlite")) as database, database:
        database.execute(sql, values)


def test_a_damaged_entry_is_asked_again(tmp_path: Path) -> None:
    llm = Scripted(echo)
    model = CachedModel(llm, tmp_path)
    words(model, "a")
    damages = (b"", b"{", b"[]", b'{"text": 3, "probabilities": null}', b"\xff", "text", 3)
    for damage in damages:
        change(tmp_path, "UPDATE answers SET answer = ?", damage)
        assert words(model, "a") == ["A"]
    assert len(llm.calls) == 1 + len(damages)


def test_a_folder_that_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "answers.sqlite").write_bytes(b"no database" * 1000)
    (tmp_path / "file").write_text("")
    (tmp_path / "folders" / "answers.sqlite").mkdir(parents=True)
    CachedModel(Scripted(echo), tmp_path / "no text")
    database = tmp_path / "no text" / "answers.sqlite"
    table = b"CREATE TABLE answers "
    assert table in database.read_bytes()
    database.write_bytes(database.read_bytes().replace(table + b"(", table + b"\xc5"))
    for folder in ("damaged", "file", "folders", "no text"):
        with pytest.raises(OutputError, match="cannot be used to keep answers"):
            CachedModel(Scripted(echo), tmp_path / folder)


def test_answers_of_an_earlier_version_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"what LMDB wrote")
    with pytest.raises(OutputError, match=r"data\.mdb, kept by an earlier version.*another folder"):
        CachedModel(Scripted(echo), tmp_path)
    (tmp_path / "data.mdb").unlink()
    assert words(CachedModel(Scripted(echo), tmp_path), "a") == ["A"]


def test_a_database_that_was_cut_short(tmp_path: Path) -> None:
    model = CachedModel(Scripted(echo), tmp_path)
    words(model, *(str(number) * 200 for number in range(60)))
    data = tmp_path / "answers.sqlite"
    os.truncate(data, data.stat().st_size // 2)
    with pytest.raises(OutputError, match=r"malformed.*can be removed"):
        words(model, "a")
    with pytest.raises(OutputError, match=r"malformed.*can be removed"):
        CachedModel(Scripted(echo), tmp_path)


def test_a_database_of_another_program(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE answers (something TEXT)")
    with pytest.raises(OutputError, match="no such column: answer"):
        words(CachedModel(Scripted(echo), tmp_path), "a")


def test_a_full_disk_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = CachedModel(Scripted(lambda asked, windows: "x" * 5000), tmp_path)
    connect = sqlite3.connect

    def small(*given: object, **options: object) -> sqlite3.Connection:
        database = connect(*given, **options)  # type: ignore[call-overload]
        database.execute("PRAGMA max_page_count = 16")
        return database  # type: ignore[no-any-return]

    monkeypatch.setattr(sqlite3, "connect", small)
    with pytest.raises(OutputError, match=r"disk is full.*free space"):
        words(model, *map(str, range(40)))


def test_a_folder_that_another_process_is_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CachedModel(Scripted(echo), tmp_path)
    monkeypatch.setattr("coprop.control_points.rcpg.cache._LONGEST_WAIT_S", 0.05)
    with closing(sqlite3.connect(tmp_path / "answers.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OutputError, match="locked"):
            words(model, "a")
    assert words(model, "a") == ["A"]


def test_wrong_numbers_of_answers(tmp_path: Path) -> None:
    class Forgetful(Scripted):
        def answer(self, dialogues):  # type: ignore[no-untyped-def]
            return super().answer(dialogues)[1:]

    with pytest.raises(LanguageModelError, match="gave 1 answers to 2 dialogues"):
        words(CachedModel(Forgetful(echo), tmp_path), "a", "b")
    for wrong in (0, 1.5, "8", None):
        with pytest.raises(CoPropError, match="batch_size must be at least 1"):
            CachedModel(Scripted(echo), tmp_path, batch_size=wrong)  # type: ignore[arg-type]


def test_several_threads_and_models_on_one_folder(tmp_path: Path) -> None:
    models = [CachedModel(Scripted(echo), tmp_path) for _ in range(3)]

    def ask(number: int) -> list[str]:
        return words(models[number % 3], f"word {number % 20}")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(120))) == [[f"WORD {n % 20}"] for n in range(120)]
    llm = Scripted(echo)
    words(CachedModel(llm, tmp_path), *(f"word {n}" for n in range(20)))
    assert llm.calls == []


OTHER_PROCESS = """
import sys
from coprop.control_points.rcpg.cache import CachedModel
from scripted_models import Scripted
from test_answer_cache import echo, words
model = CachedModel(Scripted(echo), sys.argv[1])
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    assert words(model, f"word {number}") == [f"WORD {number}"]
"""


def test_two_processes_on_one_folder(tmp_path: Path) -> None:
    spans = (("0", "60"), ("30", "90"))
    processes = [Started([str(tmp_path), *span], code=OTHER_PROCESS) for span in spans]
    for process in processes:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    llm = Scripted(echo)
    words(CachedModel(llm, tmp_path), *(f"word {number}" for number in range(90)))
    assert llm.calls == []


def _ask_in_a_fork(model: CachedModel, results: object) -> None:
    results.put(words(model, "before", "in the fork"))  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_forked_process_uses_the_folder_too(tmp_path: Path) -> None:
    llm = Scripted(echo)
    model = CachedModel(llm, tmp_path)
    words(model, "before")
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=_ask_in_a_fork, args=(model, results))
    process.start()
    assert results.get(timeout=60) == ["BEFORE", "IN THE FORK"]
    process.join(60)
    assert process.exitcode == 0
    words(model, "in the fork", "after")
    assert [asked[0].text for asked in llm.asked] == ["before", "after"]


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match=r"llm must be a LanguageModel.*str has no answer"):
        CachedModel("http://localhost:8000", tmp_path)  # type: ignore[arg-type]
