"""Kills the commands at random moments, goes on, and compares with what nothing disturbed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import avsbench_folders

from small_clips import write_clip

MODULES = Path(__file__).parents[1] / "evaluation"
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
_ENDS_S = 300  # seconds; most commands take ten on a free core, and two minutes where many compute
_TIMINGS = {"timings.json", "results.md", "settings.json"}
_MODEL = '{"embedding_dim":32,"num_layers":1,"decoder_dim":32,"insert_dim":32}'
_TRAINING = {
    **{"start": "random", "audio_weights": "random", "model": _MODEL, "steps": "6"},
    **{"size": "[33,49]", "batch_size": "1", "checkpoint_every": "2", "validate_every": "0"},
}


@dataclass(frozen=True)
class Command:
    """A command that can be repeated.

    Args:
        line: what it is given, with places in braces.
        again: what it is given beside that when it is repeated.
        outcome: the files that it leaves, by name, without timings.
    """

    line: tuple[str, ...]
    again: tuple[str, ...]
    outcome: Callable[[Path], dict[str, bytes]]


def _files(folder: Path) -> dict[str, bytes]:
    kept = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in _TIMINGS)
    return {str(p.relative_to(folder)): p.read_bytes() for p in kept if "rows" not in p.parts}


def _models(folder: Path) -> dict[str, bytes]:
    """The log without seconds, and the trained models."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    for row in rows:
        row.pop("seconds", None)
    return {"log": json.dumps(rows).encode(), **_files(folder / "final")}


COMMANDS = {
    "run": Command(("run", "{clip}", "--out", "{out}", "--quiet"), ("--force",), _files),
    "detect": Command(("detect", "{sounds}", "--out", "{out}/rows.jsonl"), (), _files),
    "eval": Command(
        ("eval", "--dataset", "ms3", "--root", "{data}", "--out", "{out}", "--methods",
         "alone,true",
         "--model", "small_dataset:build_slowly", "--quiet"), (), _files,
    ),
    "train": Command(
        ("train", "propagator", "--config", "propagator_composed", "--dataset", "ms3", "--root",
         "{data}", "--out", "{out}", "--device", "cpu", "--quiet",
         *(part for key, value in _TRAINING.items() for part in ("--set", f"{key}={value}"))),
        ("--resume", "automatic"), _models,
    ),
}  # fmt: skip


def _places(folder: Path) -> dict[str, str]:
    data = avsbench_folders.build_ms3(folder)
    clip = write_clip(folder / "clip.mp4", frames=4)
    return {"data": str(data), "clip": str(clip), "sounds": str(data / "ms3_data/audio_wav/test")}


def _start(command: Command, places: dict[str, str], *, again: bool) -> subprocess.Popen[bytes]:
    line = [*command.line, *(command.again if again else ())]
    for key, value in places.items():
        line = [part.replace(f"{{{key}}}", value) for part in line]
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.Popen(
        [sys.executable, "-m", "coprop", *line],
        cwd=MODULES,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": source},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _whole(command: Command, places: dict[str, str], *, again: bool) -> tuple[str, float]:
    """Lets it end; what is wrong, and how long it took."""
    began = time.monotonic()
    process = _start(command, places, again=again)
    _, said = process.communicate(timeout=300)
    wrong = (
        "" if process.returncode == 0 else f"exit code {process.returncode}: {said.decode()[-300:]}"
    )
    return wrong, time.monotonic() - began


def _killed(
    command: Command, places: dict[str, str], rng: random.Random, usual_s: float, *, again: bool
) -> tuple[str, str]:
    """Kills it once, often in its first second; what was done, and what is wrong."""
    number = rng.choice(_SIGNALS)
    after_s = rng.uniform(0, min(1.0, usual_s) if rng.random() < 0.25 else usual_s)
    before = _parts(places)
    process = _start(command, places, again=again)
    time.sleep(after_s)
    listening = _listens(process)
    process.send_signal(number)
    try:
        _, said = process.communicate(timeout=_ENDS_S)
    except subprocess.TimeoutExpired:  # a fault like any other: the trials after it count too
        process.kill()
        process.communicate()
        return f"{number.name} after {after_s:.2f} s", f"goes on for {_ENDS_S} s after it"
    code, text = process.returncode, said.decode()
    words = f"{number.name} after {after_s:.2f} s, exit code {code}"
    if "Traceback" in text and listening:
        return words, "traceback: " + " ".join(text.splitlines()[-1:])
    accepted = [0, -9] if number == signal.SIGKILL else [0, 130]
    if not listening:
        accepted.append(-number)
    if code not in accepted:
        return words, f"exit code {code}: {text[-200:]}"
    # What an earlier kill left may still be there where this one came early.
    left = set() if number == signal.SIGKILL else _parts(places) - before
    return words, f"half-written: {left}" if left else ""


def _listens(process: subprocess.Popen[bytes]) -> bool:
    """Whether anything of coprop runs yet: Python by itself does not answer SIGTERM."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return False
    caught = next((line for line in status.splitlines() if line.startswith("SigCgt:")), "SigCgt: 0")
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def _parts(places: dict[str, str]) -> set[Path]:
    return set(Path(places["out"]).rglob("*.part"))


def _trial(
    name: str,
    seed: str,
    kills: int,
    given: dict[str, str],
    expected: dict[str, bytes],
    usual_s: float,
) -> list[str]:
    """A number of kills of one command, one after another, then its end; what is wrong."""
    rng, command, faults, done = random.Random(seed), COMMANDS[name], [], []
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        places = {**given, "out": f"{folder}/out"}
        for number in range(kills):
            words, wrong = _killed(command, places, rng, usual_s, again=number > 0)
            done.append(words)
            if wrong:
                faults.append(f"{seed}: {words}: {wrong}")
        wrong, _ = _whole(command, places, again=True)
        found = {} if wrong else command.outcome(Path(places["out"]))
        if not wrong and found != expected:
            differ = {k for k in found.keys() | expected.keys() if found.get(k) != expected.get(k)}
            wrong = f"another outcome: {sorted(differ)[:5]}"
        return [*faults, f"{seed}: {'; '.join(done)}, then {wrong}"] if wrong else faults


def _shared_out(kills: int, seed: int, names: list[str]) -> Iterator[tuple[str, str, int]]:
    """Trials of one, two or three kills each, of the commands in turn."""
    rng, number = random.Random(seed), 0
    while kills > 0:
        count, name = min(rng.choice((1, 2, 3)), kills), names[number % len(names)]
        yield name, f"{name}/{seed}/{number}", count
        kills, number = kills - count, number + 1


def kill_all(kills: int, seed: int, workers: int = 2, names: list[str] | None = None) -> int:
    """Tries so many kills in all, prints what went wrong; how many faults there were."""
    names, faults = names or list(COMMANDS), []
    with (
        tempfile.TemporaryDirectory(prefix="kills-") as folder,
        ThreadPoolExecutor(workers) as pool,
    ):
        given = _places(Path(folder))

        def undisturbed(name: str) -> tuple[dict[str, bytes], float]:
            places = {**given, "out": f"{folder}/{name}"}
            wrong, seconds = _whole(COMMANDS[name], places, again=False)
            if wrong:
                raise RuntimeError(f"{name} fails undisturbed: {wrong}")
            return COMMANDS[name].outcome(Path(places["out"])), seconds

        whole = dict(zip(names, pool.map(undisturbed, names), strict=True))
        trials = [
            pool.submit(_trial, name, trial, count, given, *whole[name])
            for name, trial, count in _shared_out(kills, seed, names)
        ]
        for trial in trials:
            for fault in trial.result():
                faults.append(fault)
                print(fault, flush=True)
    print(f"{kills} kills in {len(trials)} trials of {', '.join(names)}: {len(faults)} faults")
    return len(faults)
