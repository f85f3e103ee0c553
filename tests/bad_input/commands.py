"""Command lines, in this process and some in one of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from typer.testing import CliRunner

from bad_input.case import Case, Door, Expect
from bad_input.damage import damage_folder, kept_folder
from bad_input.folders import base
from bad_input.judge import Said
from coprop.cli import app
from small_clips import write_clip
from tools.benchmark.__main__ import app as composer

Option = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Values that are right, wrong, and that may be either; "" leaves the option out."""

_NUMBER = ("x", "nan", "-1", "0x10", "1,5", "[]")
_PATHS = ("{no}/nothing", "{file}", "x" * 300)
_COMMON: dict[str, Option] = {
    "--device": (("", "cpu"), ("gpu", "cuda:99", "cpu:x", "-1"), ("cpu:0", "meta")),
}
_SHARED: dict[str, Option] = {
    **_COMMON,
    "--method": (("", "cosine"), ("x", "1"), ()),
    "--threshold": (("", "0.5"), (*_NUMBER, "1.5"), ("0", "1")),
    "--min-gap": (("", "0.5"), _NUMBER, ("0", "1e9")),
}
_DATA: dict[str, Option] = {
    "--dataset": (("ms3", "s4"), ("x", "MS3", "1"), ()),
    "--split": (("test",), ("x", "../test"), ("",)),
    "--limit": (("1",), ("0", *_NUMBER), ()),
    "--subset": (("",), ("x", "m3"), ("moc",)),
    "--control-points": (("",), _PATHS, ()),
}
COMMANDS: dict[str, tuple[str, dict[str, Option], tuple[str, ...]]] = {
    "run": (
        "run {clip} --out {out} --quiet",
        {
            **_SHARED,
            "--max-segment": (("", "0", "2"), (*_NUMBER, "1e-9"), ("1e9", "inf", "1e999")),
            "--audio": (("", "{wav}"), _PATHS, ("{clip}",)),
            "--model": (("",), (*_PATHS, "{bases}"), ()),
            "--segmenter": (("", "default"), (*_PATHS, "x", "text:", "text:+"), ()),
            "--propagator": (("", "default"), (*_PATHS, "x", "aot:", "aot:{file}"), ()),
            "--words": (("",), (",", "{no}/words.txt", "blarg"), ("dog", "avss")),
            "--predictions": (("",), (*_PATHS, "{bases}/ms3"), ()),
            "--missing": (("",), ("x", "skip"), ()),
            "--export": (("", "csv", "coco", "muted"), ("x", "COCO", "csv,coco"), ()),
            "--json": (("",), (), ()),
        },
        ("run", "run {no}/clip.mp4 --out {out}", "run {file} --out {out}",
         "run {clip} --out {file}",
         "run {bases} --out {out}", "run {clip} {clip} --out {out}", "run {clip} --out",
         "run {clip} --out {out} --no-such", "run {wav} --out {out}", "run '' --out {out}"),
    ),
    "detect": (
        "detect {clip}",
        {
            **_SHARED,
            "--device": (("",), ("cpu",), ()),
            "--windows": (("", "5"), ("0", "2.5", *_NUMBER, "100000000"), ("500",)),
            "--out": (("", "{out}"), ("{bases}", "{file}", "{file}/out"), ()),
            "--steps": (("",), ("2", "1"), ()),
            "--cache": (("",), _PATHS, ()),
            "--trace": (("",), ("{out}",), ()),
            "--examples": (("",), _PATHS, ()),
        },
        ("detect", "detect {no}", "detect {file}", "detect {file} {clip}", "detect {clip} --llm",
         "detect {clip} --llm http://[::1 --on-failure raise", "detect {clip} --llm {no}/model",
         "detect {clip} --llm http://127.0.0.1:9/v1 --llm-model x --method cosine"),
    ),
    "eval": (
        "eval --root {data} --out {out} --model small_dataset:build --quiet --methods nothing",
        {
            **_COMMON,
            **_DATA,
            "--max-segment": (("",), (*_NUMBER, "1e-9"), ("1e9",)),
            "--tolerance": (("", "0.5"), (*_NUMBER, "inf"), ("0",)),
            "--near": (("", "2"), ("0", *_NUMBER), ()),
            "--frames-per-batch": (("", "5"), ("0", *_NUMBER), ()),
            "--methods": (("nothing", "true,alone"), ("x", ",", "alone,alone"), ()),
            "--model": (
                ("small_dataset:build",),
                ("small_dataset:x", "no_such:x", ":", "a:", ":b", "..:x", "{no}", "os:getcwd",
                 "small_dataset:SmallDataset", "{file}", "json:loads", "small_dataset:Keeping"),
                (),
            ),
            "--root": (("{data}",), _PATHS, ("{bases}",)),
        },
        ("eval", "eval --dataset ms3", "eval --dataset ms3 --root {data} --out {file}"),
    ),
    "train": (
        "train propagator --config propagator_composed --root {data} --out {out} --quiet",
        {
            **_DATA,
            "--set": ((), ("x", "=", "steps=x", "steps=1e9", "seed=-1", "size=[0,0]",
            "no=1",
                           "model.embedding_dim=7", "model=[", "start=nowhere",
                           "a.b.c=1",
                           "batch_size=0", "audio_weights={file}", "precision=x", "steps=NaN",
                           "frames_per_clip=0", "learning_rate=-1",
                           "model.num_layers=1000000000"), ()),
            "--resume": (("never",), ("x", "always"), ()),
            "--device": (("cpu",), ("x", "gpu", "cuda"), ()),
            "--config": ((), (*_PATHS, "keyframes_resnet50", "x"), ()),
        },
        ("train", "train x", "train keyframes", "train propagator --config x --dataset ms3"),
    ),
    "examples": (
        "examples --root {data} --out {out}/rows.jsonl",
        {key: _DATA[key] for key in ("--dataset", "--split", "--control-points")},
        ("examples", "examples --dataset ms3 --root {no} --out {out}"),
    ),
    "compare-detectors": (
        "compare-detectors --root {data}", _DATA, ("compare-detectors --dataset ms3 --root {no}",),
    ),
    "data": (
        "data verify {benchmark}",
        {},
        ("data", "data x", "data verify {no}", "data verify {bases}", "data verify {file}",
         "data check", "data compose --sources {sources} --out {out}"),
    ),
    "composer": (
        "compose --sources {sources} --out {out} --clips 1 --subset s4 --size 96x64 --fps 1",
        {},
        ("x", "check", "check --sources {no}", "compose --sources {bases} --out {out}",
         "compose --sources {sources} --out {out} --size 0x0",
         "compose --sources {sources} --out {out} --size 9",
         "compose --sources {sources} --out {out} --size 99999x99999",
         "compose --sources {sources} --out {out} --fps 0",
         "compose --sources {sources} --out {out} --fps nan",
         "compose --sources {sources} --out {out} --clips 0",
         "compose --sources {sources} --out {out} --seed -1",
         "compose --sources {sources} --out {out} --unseen nothing",
         "compose --sources {sources} --out {file} --clips 1 --subset s4"),
    ),
    "doctor": ("doctor", {}, ("doctor x", "doctor --x", "x", "--no-such")),
}  # fmt: skip
MODULES = Path(__file__).parents[1] / "evaluation"


@cache
def _clip() -> Path:
    return write_clip(kept_folder("clip-") / "clip.mp4", frames=3)


def _places(folder: Path) -> dict[str, str]:
    (folder / "file").write_text("no media, no rows, no JSON")
    bases = base("ms3").parent
    return {
        "clip": str(_clip()), "wav": str(next(bases.rglob("ms3/**/*.wav"))), "no": "nowhere",
        "file": str(folder / "file"), "out": str(folder / "out"), "bases": str(bases),
        "benchmark": str(bases / "benchmark"), "sources": str(bases / "composed"),
        "data": str(bases),
    }  # fmt: skip


def _line(rng: Random, name: str) -> tuple[list[str], Expect]:
    right, options, wrong = COMMANDS[name]
    if wrong and rng.random() < (0.3 if options else 0.9):
        return rng.choice(wrong).split(), Expect.REFUSED
    values = {key: rng.choice(good) for key, (good, _, _) in options.items() if good}
    roll, expect = rng.random(), Expect.ACCEPTED
    place = 1 if roll < 0.75 else 2
    keys = [key for key, option in options.items() if option[place]] if roll < 0.9 else []
    if name == "train" and not (place == 1 and keys):
        place, keys = 1, ["--set", "--config"]  # a whole training takes too long here
    if keys:
        key = rng.choice(keys)
        values[key] = rng.choice(options[key][place])
        expect = Expect.REFUSED if place == 1 else Expect.EITHER
    more = [part for key, value in values.items() if value for part in (key, value)]
    return [*right.split(), *more], expect


def _invoked(line: list[str], folder: Path) -> Said:
    before = Path.cwd()
    os.chdir(MODULES)
    try:
        composes = bool(line) and line[0] in ("compose", "check")
        result = CliRunner().invoke(composer if composes else app, line)
    finally:
        os.chdir(before)
    error = result.exception
    trace = "" if error is None or isinstance(error, SystemExit) else "".join(
        traceback.format_exception(error)
    )  # fmt: skip
    return Said(result.exit_code, result.stdout, result.stderr + trace)


def _started(line: list[str], folder: Path) -> Said:
    """The command in a process of its own, with an input that is not a terminal."""
    found = subprocess.run(
        [sys.executable, "-m", "coprop", *line],
        cwd=MODULES, capture_output=True, timeout=50, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return Said(found.returncode, found.stdout.decode(), found.stderr.decode())


def _command(name: str, give: Any = _invoked) -> Any:
    def case(rng: Random) -> Case:
        line, expect = _line(rng, name)

        def call(folder: Path) -> Any:
            places = _places(folder)
            for name in {"benchmark", "composed", "s4"}.intersection(
                " ".join(line)
                .replace("sources", "composed")
                .replace("{", " ")
                .replace("}", " ")
                .split()
            ):
                base(name)
            if "--dataset" in line:
                places["data"] += "/" + line[line.index("--dataset") + 1]
            return give([_filled(part, places) for part in line], folder)

        return Case("coprop " + " ".join(part[:40] for part in line), expect, call)

    return case


def _filled(part: str, places: dict[str, str]) -> str:
    for key, value in places.items():
        part = part.replace(f"{{{key}}}", value)
    return "" if part == "''" else part


def _repeated(rng: Random) -> Case:
    """A command that goes on with what it wrote, after its output was damaged."""
    inner, kind = Random(rng.random()), rng.choice(("eval", "detect"))

    def call(folder: Path) -> Any:
        places, out = _places(folder), folder / "out"
        line = {
            "eval": f"eval --dataset ms3 --root {places['data']}/ms3 --limit 1 --quiet "
            f"--methods nothing --model small_dataset:build --out {out}",
            "detect": f"detect {places['clip']} --out {out}/rows.jsonl",
        }[kind].split()
        if (said := _invoked(line, folder)).code:
            return said
        words = damage_folder(inner, out)
        again = _invoked(
            [*line, "--force"] if kind == "eval" and inner.random() < 0.3 else line, folder
        )
        return Said(again.code, again.out, f"{again.err} ({words})")

    return Case(f"{kind}, repeated after damage", Expect.EITHER, call)


_INSTALLED = sorted({*COMMANDS} - {"composer"})  # the composer runs in a checkout alone
_SHARES = {
    "run": 0.3,
    "eval": 1.0,
    "detect": 1.5,
    "train": 1.0,
    "compare-detectors": 0.5,
    "doctor": 0.1,
}
DOORS = {
    **{name: Door(_command(name), _SHARES.get(name, 0.5)) for name in COMMANDS},
    "repeated": Door(_repeated, 0.7),
    "process": Door(lambda rng: _command(rng.choice(_INSTALLED), _started)(rng), 0.1),
}
