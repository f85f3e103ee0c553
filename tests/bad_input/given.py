"""Sounds and paths in the forms in which people bring them, and parts that return rubbish."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from bad_input.case import INF, NAN, Case, Door, Expect
from coprop import ControlPointDetector, ControlPoints, CoProp
from coprop.control_points.language_models.base import Answer
from coprop.control_points.rcpg import RCPGDetector
from coprop.control_points.rcpg.examples import ExampleStore
from coprop.control_points.rcpg.trace import Trace
from coprop.data.checksums import verify
from coprop.data.control_point_labels import read_control_points
from coprop.encoders.yamnet import YAMNet
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.media.audio_file import AudioFile
from coprop.media.reader import VideoFile
from coprop.media.writer import ResultWriter
from coprop.propagation import AudioInsertPropagator
from pipeline_samples import Shifter, changes_at, clip_of, left_half, noise
from tools.benchmark.library import Library
from tools.benchmark.manifest import read_manifest

OK, BAD, ODD = Expect.ACCEPTED, Expect.REFUSED, Expect.EITHER
SOUND = noise(0.6)
WAVE = SOUND.samples


class _Indexed:
    def __init__(self, **values: Any) -> None:
        self.values = values

    def __getitem__(self, key: Any) -> Any:
        return self.values[key]


SOUNDS: list[tuple[str, Expect, Any]] = [
    ("an Audio", OK, SOUND),
    ("a pair", OK, (WAVE, 16_000)),
    ("a pair of a list", OK, [WAVE.tolist(), 16_000]),
    ("a pair of stereo", OK, (np.stack([WAVE, WAVE]), np.int64(16_000))),
    ("a pair of a tensor", OK, (torch.tensor(WAVE)[None], 16_000.0)),
    ("a pair of int16", OK, ((WAVE * 1000).astype(np.int16), 16_000)),
    ("a dict", OK, {"array": WAVE, "sampling_rate": 16_000, "path": "a.wav"}),
    ("a decoder", OK, _Indexed(array=WAVE, sampling_rate=16_000)),
    ("an empty waveform", ODD, (WAVE[:0], 16_000)),
    ("the pair the other way round", BAD, (16_000, WAVE)),
    ("three things", BAD, (WAVE, 16_000, 1)),
    ("one thing", BAD, (WAVE,)),
    ("two numbers", BAD, (0.1, 0.2)),
    ("two waveforms", BAD, (WAVE, WAVE)),
    ("a rate of NaN", BAD, (WAVE, NAN)),
    ("a rate of 0", BAD, (WAVE, 0)),
    ("a rate of words", BAD, (WAVE, "16k")),
    ("NaN in a pair", BAD, (WAVE * NAN, 16_000)),
    ("an infinite pair", BAD, (WAVE + INF, 16_000)),
    ("a complex pair", BAD, (WAVE * 1j, 16_000)),
    ("sparse", BAD, (torch.tensor(WAVE).to_sparse(), 16_000)),
    ("masked", BAD, (np.ma.masked_less(WAVE, 0), 16_000)),
    ("a dict without rate", BAD, {"array": WAVE}),
    ("a dict of words", BAD, {"array": "a", "sampling_rate": 16_000}),
    ("an array", BAD, WAVE),
    ("a tensor", BAD, torch.tensor(WAVE)),
    ("a number", BAD, 5),
    ("nothing", BAD, None),
    ("a class", BAD, type(SOUND)),
    ("bytes", BAD, b"RIFF"),
]


def _pipeline() -> CoProp:
    return CoProp.wrap(
        lambda frames, audio: left_half(frames), detector=changes_at(0.3), propagator=Shifter()
    )


HEARING: dict[str, Callable[[Any], Any]] = {
    "novelty": lambda sound: ControlPointDetector.novelty()(sound),
    "cosine": lambda sound: ControlPointDetector.cosine()(sound, windows=2),
    "detect": lambda sound: _pipeline().detect(sound),
    "rcpg": lambda sound: ControlPointDetector.rcpg(_Model("[1,0]"))(sound, windows=2),
    "pipeline": lambda sound: _pipeline()(clip_of(2), sound, fps=5),
    "stream": lambda sound: list(_pipeline().stream(clip_of(2), sound, fps=5)),
}


def _sound(rng: Random) -> Case:
    (words, expect, sound), (name, call) = rng.choice(SOUNDS), rng.choice([*HEARING.items()])
    if name in ("pipeline", "stream") and words == "bytes":
        expect = ODD
    return Case(f"{name}: {words}", expect, lambda folder: call(sound))


class _Place:
    def __init__(self, path: Any) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        return self.path


PATHS: list[tuple[str, Callable[[Path], Any]]] = [
    ("a number", lambda folder: 5),
    ("nothing", lambda folder: None),
    ("bytes", lambda folder: b"a"),
    ("a list", lambda folder: []),
    ("a NUL", lambda folder: "a\0b"),
    ("a NUL in a path object", lambda folder: _Place("a\0b")),
    ("bytes in a path object", lambda folder: _Place(b"a")),
    ("too long", lambda folder: "x" * 5000),
    ("a name too long", lambda folder: folder / ("x" * 300)),
    ("not there", lambda folder: _Place(str(folder / "absent"))),
    ("surrogates", lambda folder: str(folder / "\udcff\ud800")),
    ("below a file", lambda folder: folder / "file" / "a"),
    ("a loop", lambda folder: folder / "loop"),
]
READING: dict[str, Callable[[Any], Any]] = {
    "VideoFile": VideoFile,
    "AudioFile": AudioFile,
    "ExampleStore.load": ExampleStore.load,
    "Trace.load": Trace.load,
    "read_manifest": read_manifest,
    "Library": lambda path: Library(path, "train"),
    "verify": verify,
    "read_control_points": read_control_points,
    "KeyframeSegmenter": KeyframeSegmenter.from_pretrained,
    "AudioInsertPropagator": AudioInsertPropagator.from_pretrained,
    "from_checkpoint": AudioInsertPropagator.from_checkpoint,
}
OPTIONAL: dict[str, Callable[[Any], Any]] = {
    "CoProp": CoProp.from_pretrained,
    "YAMNet": YAMNet.from_pretrained,
}


def _path(rng: Random) -> Case:
    words, make = rng.choice(PATHS)
    doors = READING if words == "nothing" else {**READING, **OPTIONAL, "writer": ResultWriter}
    name, call = rng.choice([*doors.items()])
    fits = name == "writer" and words in ("not there", "surrogates")

    def run(folder: Path) -> Any:
        (folder / "file").touch()
        (folder / "loop").symlink_to(folder / "loop")
        call(make(folder))

    return Case(f"{name}: {words}", ODD if fits else BAD, run)


class _Model:
    """A language model that answers anything."""

    name, max_audio_s = "rubbish", 30.0

    def __init__(self, text: Any, probabilities: Any = None, change: Any = None) -> None:
        self.reply, self.change = Answer(text, probabilities), change

    def answer(self, dialogues: Any) -> Any:
        return self.answer_flags(dialogues, 0)

    def answer_flags(self, dialogues: Any, windows: int) -> Any:
        answers = [self.reply for _ in dialogues]
        return answers if self.change is None else self.change(answers)


MODELS: list[tuple[str, Expect, Any]] = [
    ("a right one", OK, _Model("[1,0,1]", (1.0, 0.2, 0.7))),
    ("probabilities of numpy", OK, _Model("[1,0,1]", tuple(np.array([1, 0.2, 0.7])))),
    ("too few probabilities", BAD, _Model("[1,0,1]", (1.0,))),
    ("probabilities of NaN", BAD, _Model("[1,0,1]", (1.0, NAN, 0.5))),
    ("probabilities of words", BAD, _Model("[1,0,1]", ("1", "0", "1"))),
    ("a number as probabilities", BAD, _Model("[1,0,1]", 0.5)),
    ("no text", BAD, _Model(None)),
    ("bytes", BAD, _Model(b"[1,0,1]")),
    ("None", BAD, _Model("", change=lambda answers: None)),
    ("words", BAD, _Model("", change=lambda answers: ["[1,0,1]"] * len(answers))),
    ("no answers", BAD, _Model("", change=lambda answers: [])),
    ("one more", BAD, _Model("", change=lambda answers: [*answers, *answers])),
    ("no list", BAD, _Model("I hear a dog")),
]


def _answers(rng: Random) -> Case:
    words, expect, model = rng.choice(MODELS)
    steps = rng.choice((1, 3))

    def run(folder: Path) -> Any:
        return ControlPointDetector.rcpg(model, steps=steps, on_failure="raise", retries=1)(  # type: ignore[arg-type]
            SOUND, windows=3
        )

    return Case(f"a model's answers in {steps} steps: {words}", expect, run)


def _points(count: int) -> ControlPoints:
    return ControlPoints(np.arange(count) / 10, np.ones(count), np.ones(count, bool))


FALLBACKS: list[tuple[str, Expect, Callable[[int], Any]]] = [
    ("as many windows", OK, _points),
    ("one less", BAD, lambda windows: _points(windows - 1)),
    ("one more", BAD, lambda windows: _points(windows + 1)),
    ("None", BAD, lambda windows: None),
    ("an array", BAD, lambda windows: np.ones(windows)),
]


def _fallback(rng: Random) -> Case:
    (words, expect, make), windows = rng.choice(FALLBACKS), rng.choice((2, 3, 9))

    def run(folder: Path) -> Any:
        fallback = lambda audio, *, windows: make(windows)  # noqa: E731
        model = _Model("no list")
        return RCPGDetector(model, steps=1, retries=0, fallback=fallback)(SOUND, windows=windows)  # type: ignore[arg-type]

    return Case(f"a fallback for {windows} windows: {words}", expect, run)


DOORS = {
    "sound": Door(_sound, 1.5),
    "path": Door(_path, 2.0),
    "answers": Door(_answers, 1.0),
    "fallback": Door(_fallback, 0.6),
}
