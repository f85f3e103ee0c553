"""A model in another interpreter: what it is asked, what it answers, and what is left of it."""

from __future__ import annotations

import copy
import gc
import logging
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from coprop import CoProp, CoPropError, ProcessModel
from coprop.errors import ModelOutputError
from coprop.keyframes.model import KeyframeModel
from coprop.keyframes.process.network import _tensor
from tests.pipeline_samples import Shifter, changes_at, clip_of, noise

HERE = Path(__file__).parent
SHARED = Path("/dev/shm")
FAIL, LEAVE, SLEEP, HOLD, START = 1, 2, 3, 4, 5
PARTS: dict[str, Any] = {"detector": changes_at(), "propagator": Shifter(), "namer": None}
FRAMES, AUDIO = torch.rand(2, 3, 12, 16), torch.full((2, 16_000), 0.1)


def made(factory: str, **options: Any) -> ProcessModel:
    options = {"cwd": HERE, "timeout_s": 60, "python": sys.executable, **options}
    return ProcessModel(factory=f"other_models:{factory}", **options)


def told(deed: int = 0) -> Tensor:
    return torch.full((1, 3, 2, 2), float(deed))


def ask(model: ProcessModel, deed: int = 0) -> int:
    """A number that the model of `other_models.asked` answers, its process's by default."""
    return int(model(told(deed), AUDIO[:1]).flatten()[0])


def is_gone(process: int, within_s: float = 10.0) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z" and process not in _children():
            return True  # nobody here has to reap it
        time.sleep(0.02)
    return False


def _children() -> set[int]:
    found = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # of a thread that just ended
            found |= {int(number) for number in path.read_text().split()}
    return found


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Neither descriptors, threads, processes nor shared memory are left."""

    def now() -> tuple[set[str], int, set[int], set[Path]]:
        gc.collect()
        return _descriptors(), threading.active_count(), _children(), set(SHARED.iterdir())

    before = now()
    yield
    assert now() == before


def _descriptors(process: int | str = "self") -> set[str]:
    found = set()
    for path in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the folder itself
            found.add(f"{path.name} {path.readlink()}")
    return found


@pytest.fixture
def asked() -> Iterator[ProcessModel]:
    with made("asked") as model:
        yield model


def test_logits_are_those_of_the_function(nothing_left: None) -> None:
    with made("red") as model:
        assert isinstance(model, KeyframeModel)
        assert (model.sample_rate, model.window_s, model.audio_span) == (16_000, 1.0, "frame")
        assert repr(model).startswith(f"ProcessModel(other_models:red in {sys.executable}: ")
        assert torch.equal(model(FRAMES, AUDIO), 20 * (FRAMES[:, :1] - 0.5))
        assert bool((model(FRAMES, 0 * AUDIO) == -20).all())
        assert torch.equal(model(FRAMES[:1], AUDIO[:1]), 20 * (FRAMES[:1, :1] - 0.5))


def test_options_are_those_of_functions() -> None:
    with made("red", size=(4, 4), window_s=0.5, outputs="logits") as model:
        assert model.window_s == 0.5
        assert model(FRAMES, AUDIO).shape == (2, 1, 12, 16)
        assert "frames at 4 x 4" in repr(model)


def test_in_a_pipeline_which_closes_it(nothing_left: None) -> None:
    clip, sound = clip_of(10), noise(2.0)
    clip[:, :, :8, 0] = 255
    with CoProp.wrap(made("red"), **PARTS) as pipeline:
        result = pipeline(clip, sound, fps=5)
        process = pipeline.segmenter._client._running._process.pid  # type: ignore[attr-defined]
        assert result.labels[0, :, :8].all()
        assert not result.labels[0, :, 8:].any()
    assert is_gone(process)


def test_it_is_started_once(asked: ProcessModel) -> None:
    process = ask(asked)
    assert process != os.getpid()
    assert {ask(asked) for _ in range(5)} == {process}


def test_prints_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "coprop.keyframes.process"), made("talkative") as model:
        assert torch.equal(model(FRAMES, AUDIO), 20 * (FRAMES[:, :1] - 0.5))
        assert torch.equal(model(FRAMES, AUDIO), 20 * (FRAMES[:, :1] - 0.5))
    lines = [record.getMessage().rpartition("python: ")[2] for record in caplog.records]
    wanted = ("the factory prints", "Python prints", "the shell prints", "C prints")
    for line in (*wanted, "and to the descriptor", "without an end of line"):
        assert any(line in found for found in lines), line


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("refusing", "raised FileNotFoundError: no weights in best.pth; its traceback ends:"),
        ("leaving", "raised SystemExit: usage: train.py"),
        ("number", "raised TypeError: the factory returned no model but int."),
        ("nobody", "raised AttributeError: module 'other_models' has no attribute 'nobody'."),
    ],
)
def test_a_factory_that_fails(factory: str, message: str, nothing_left: None) -> None:
    with pytest.raises(ModelOutputError) as caught:
        made(factory)
    first, _, _ = str(caught.value).partition("\n")
    assert message in first
    assert first.startswith(f"other_models:{factory} in {sys.executable} ")


def test_an_error_has_the_last_lines_of_its_traceback(asked: ProcessModel) -> None:
    process = ask(asked)
    with pytest.raises(ModelOutputError) as caught:
        ask(asked, FAIL)
    lines = str(caught.value).splitlines()
    assert "raised ValueError: cannot take (1, 3, 2, 2); its traceback ends:" in lines[0]
    assert lines[-2].strip().startswith(f'File "{HERE / "other_models.py"}", line ')
    assert "raise ValueError" in str(caught.value)
    assert "worker.py" not in str(caught.value)
    assert ask(asked) == process  # it goes on


def test_a_crash(nothing_left: None) -> None:
    wanted = "ended with exit code 3; its last lines:\n  about to leave"
    with made("asked") as model:
        process = ask(model)
        with pytest.raises(ModelOutputError, match=wanted):
            ask(model, LEAVE)
        assert is_gone(process, 0.1)
        assert ask(model) != process  # it is started again


@pytest.mark.parametrize("while_asked", [False, True])
def test_a_kill(while_asked: bool, nothing_left: None) -> None:
    with made("asked") as model:
        process = ask(model)
        child = ask(model, START)
        delay = 0.3 if while_asked else 0.0
        timer = threading.Timer(delay, os.kill, (process, signal.SIGKILL))
        timer.start()
        if not while_asked:
            timer.join()
        with pytest.raises(ModelOutputError, match="was killed by SIGKILL"):
            ask(model, SLEEP if while_asked else 0)
        timer.join()
        assert is_gone(process, 0.1)
        assert is_gone(child)
        assert ask(model) != process


@pytest.mark.parametrize(("deed", "where"), [(SLEEP, "in sleep"), (HOLD, "in hold")])
def test_a_hang(deed: int, where: str, nothing_left: None) -> None:
    with made("asked", timeout_s=1) as model:
        process, child = ask(model), ask(model, START)
        began = time.monotonic()
        with pytest.raises(ModelOutputError, match="did not answer within timeout_s=1 s") as caught:
            ask(model, deed)
        assert time.monotonic() - began < 10
        assert where in str(caught.value)
        assert is_gone(process, 0.1)
        assert is_gone(child)


def test_a_stopped_worker_is_a_hang(nothing_left: None) -> None:
    with made("asked", timeout_s=0.5) as model:
        process = ask(model)
        os.kill(process, signal.SIGSTOP)
        with pytest.raises(ModelOutputError, match="did not answer within"):
            ask(model)
        assert is_gone(process, 0.1)


@pytest.mark.parametrize(
    ("factory", "message"),
    [("wide", r"\(1, 1, 12, 32\)"), ("lost", "finite|NaN"), ("pair", "tuple")],
)
def test_wrong_logits(factory: str, message: str, nothing_left: None) -> None:
    pipeline = CoProp.wrap(made(factory), **PARTS)
    with pipeline, pytest.raises(ModelOutputError, match=message):
        pipeline(clip_of(2), noise(0.4), fps=5)


def test_what_cannot_be_handed_over(nothing_left: None) -> None:
    with made("thing") as model, pytest.raises(ModelOutputError, match="TypeError: a object"):
        model(FRAMES, AUDIO)


def test_closing_ends_what_the_model_has_started(nothing_left: None) -> None:
    model = made("asked")
    process, child = ask(model), ask(model, START)
    model.close()
    assert is_gone(process, 0.1)
    assert is_gone(child)
    model.close()
    with pytest.raises(CoPropError, match="has been closed; make another ProcessModel"):
        ask(model)


def test_it_ends_with_the_last_reference(nothing_left: None) -> None:
    model = made("asked")
    process = ask(model)
    del model
    gc.collect()
    assert is_gone(process, 0.1)


def test_ctrl_c_ends_it_and_the_next_call_starts_another(nothing_left: None) -> None:
    with made("asked") as model:
        process = ask(model)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            ask(model, SLEEP)
        assert is_gone(process, 0.1)
        assert ask(model) not in (process, os.getpid())


def test_nothing_is_left_where_coprop_is_killed(nothing_left: None) -> None:
    """In the middle of a call that would not end."""
    reader, writer = os.pipe()
    if (coprop := os.fork()) == 0:
        try:
            model = made("asked")
            os.write(writer, f"{ask(model)} {ask(model, START)}\n".encode())
            ask(model, SLEEP)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as file:
        process, child = map(int, file.readline().split())
    time.sleep(0.2)
    os.kill(coprop, signal.SIGKILL)
    os.waitpid(coprop, 0)
    assert is_gone(process)
    assert is_gone(child)


def test_a_fork_starts_its_own(asked: ProcessModel) -> None:
    process = ask(asked)
    reader, writer = os.pipe()
    if (fork := os.fork()) == 0:  # the child
        try:
            os.write(writer, str(ask(asked)).encode())
            asked.close()
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(fork, 0)
    with os.fdopen(reader) as file:
        other = int(file.read())
    assert other not in (process, fork, os.getpid())
    assert is_gone(other)
    assert ask(asked) == process


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_a_copy_starts_its_own(
    asked: ProcessModel, copied: Callable[[ProcessModel], ProcessModel], nothing_left: None
) -> None:
    with copied(asked) as other:
        assert other._client._running is None  # it is started when it is asked
        assert repr(other) == repr(asked)
        assert ask(other) != ask(asked)


def test_threads_take_turns() -> None:
    with made("red") as model:
        wrong: list[float] = []

        def work(seed: int) -> None:
            frames = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
            for _ in range(20):
                found = model(frames, AUDIO[:1])
                wrong.append(float((found - 20 * (frames[:, :1] - 0.5)).abs().max()))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == [0.0] * 60


def test_nothing_grows(asked: ProcessModel) -> None:
    frames, audio = torch.zeros(1, 3, 128, 128), torch.zeros(1, 16_000)

    def now() -> tuple[set[str], set[str], int]:
        memory = asked._client._running._memory  # type: ignore[union-attr]
        size = os.fstat(memory).st_size  # type: ignore[arg-type]
        return _descriptors(), _descriptors(process), size

    process = int(asked(frames, audio).flatten()[0])
    before = now()
    resident = _resident(process)
    for _ in range(200):
        asked(frames, audio)
    assert now() == before
    assert _resident(process) - resident < 200 * frames.nbytes / 10


def _resident(process: int) -> int:
    pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_large_arrays_cross_whole() -> None:
    frames = torch.rand(3, 3, 300, 400)
    with made("red") as model:
        expected = 20 * (frames[:, :1] - 0.5)
        assert torch.equal(model(frames, torch.ones(3, 99)), expected)
        assert torch.equal(model(frames[:1], torch.ones(1, 99)), expected[:1])
        assert torch.equal(model(frames, torch.ones(3, 99)), expected)


@pytest.mark.parametrize(("missing", "shared"), [("memfd_create", True), ("preadv", False)])
def test_systems_without_such_memory(
    missing: str, shared: bool, monkeypatch: pytest.MonkeyPatch, nothing_left: None
) -> None:
    monkeypatch.delattr(os, missing)
    with made("red") as model:
        assert (model._client._running._memory is not None) is shared  # type: ignore[union-attr]
        assert torch.equal(model(FRAMES, AUDIO), 20 * (FRAMES[:, :1] - 0.5))


def test_numpy_arrays_of_any_kind_come_back_as_numbers() -> None:
    array = np.arange(6, dtype=np.uint16).reshape(1, 1, 2, 3)
    assert _tensor(array).tolist() == array.tolist()
    assert _tensor(array.astype(np.longdouble)).dtype == torch.float64
