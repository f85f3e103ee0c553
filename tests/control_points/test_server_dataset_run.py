"""A dataset of a thousand sounds through a server, with the client killed on the way."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_server import Asked, ChatServer, Reply, completion
from numpy.typing import NDArray

from started import Started

SOUNDS, WINDOWS, AT_ONCE = 240, 5, 8
CLIENT = """
import json, signal, sys
import numpy as np
from coprop.control_points.rcpg.cache import CachedModel
from coprop.control_points.language_models.server import ServerModel
from coprop.control_points.rcpg import RCPGDetector
from coprop.types import Audio

url, folder, sounds, windows, at_once = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])

def sound(number):
    rng = np.random.default_rng(number)
    return Audio(rng.uniform(-1, 1, 3200).astype(np.float32), 16_000)

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
llm = CachedModel(ServerModel(url, "tiny", concurrency=at_once), folder)
detector = RCPGDetector(llm, steps=1)
tracks = (sound(number) for number in range(sounds))
for points in detector.detect_all(tracks, windows=windows):
    print(json.dumps([points.flags.tolist(), points.scores.tolist()]), flush=True)
"""


def flags_of(samples: NDArray[np.float32]) -> list[int]:
    """What the server holds to be true of a sound."""
    digest = hashlib.sha256(samples.tobytes()).digest()
    return [1, *(byte % 2 for byte in digest[1:WINDOWS])]


class Counting:
    """Answers, and counts what was asked; from the given number on, holds its answers back."""

    def __init__(self) -> None:
        self.asked: Counter[bytes] = Counter()
        self.hold_from = SOUNDS * 10
        self.holding, self.released = threading.Event(), threading.Event()
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Reply:
        (samples,) = asked.sounds
        with self._lock:
            self.asked[samples.tobytes()] += 1
            held = sum(self.asked.values()) >= self.hold_from
        if held:
            self.holding.set()
            self.released.wait()
        flags = flags_of(samples)
        tokens = [token for flag in flags for token in (_token(flag), {"token": ",", "logprob": 0})]
        tokens = [{"token": "[", "logprob": 0}, *tokens[:-1], {"token": "]", "logprob": 0}]
        return Reply(completion(str(flags).replace(" ", ""), {"content": tokens}))


def _token(flag: int) -> dict[str, Any]:
    listed = [{"token": str(f), "logprob": np.log([0.2, 0.6][f == flag]).item()} for f in (0, 1)]
    return {"token": str(flag), "logprob": listed[flag]["logprob"], "top_logprobs": listed}


def run(url: str, folder: Path) -> Started:
    return Started([url, str(folder), *map(str, (SOUNDS, WINDOWS, AT_ONCE))], code=CLIENT)


def run_until(count: int, sign: signal.Signals, answers: Counting, url: str, folder: Path) -> int:
    """Kills a run when the server has been asked so often; how the run ended."""
    answers.holding.clear()
    answers.released.clear()
    answers.hold_from = count
    client = run(url, folder)
    assert answers.holding.wait(120)
    client.send_signal(sign)
    if sign == signal.SIGKILL:
        client.wait(60)
    answers.hold_from = SOUNDS * 10
    answers.released.set()
    client.communicate(timeout=60)
    return int(client.wait(0))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    answers = Counting()
    with ChatServer(answers) as server:
        ended = run_until(80, signal.SIGTERM, answers, server.url, tmp_path)
        assert ended == 143
        first = Counter(answers.asked)
        assert set(first.values()) == {1}
        assert 80 <= len(first) < 160  # what was under way was waited for
        ended = run_until(160, signal.SIGKILL, answers, server.url, tmp_path)
        assert ended == -signal.SIGKILL
        assert all(answers.asked[sound] == 1 for sound in first)  # and was kept
        second = Counter(answers.asked)
        assert set(second.values()) == {1}
        client = run(server.url, tmp_path)
        lines, _ = client.communicate(timeout=120)
        assert client.returncode == 0
        assert server.most_at_once <= AT_ONCE
    again = [sound for sound, times in answers.asked.items() if times > 1]
    assert 1 <= len(again) <= AT_ONCE  # under way at the kill
    assert set(again) <= set(second) - set(first)
    assert all(answers.asked[sound] == 2 for sound in again)
    assert len(answers.asked) == SOUNDS
    results = [json.loads(line) for line in lines.splitlines()]
    assert len(results) == SOUNDS
    for number, (flags, scores) in enumerate(results):
        rng = np.random.default_rng(number)
        wanted = flags_of(rng.uniform(-1, 1, 3200).astype(np.float32))
        assert flags == [flag == 1 for flag in wanted]
        assert scores[1:] == pytest.approx([[0.25, 0.75][flag] for flag in wanted[1:]])
