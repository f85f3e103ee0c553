"""Parts by name on the command line: words, --offline, and coprop models."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from coprop import Category, ControlPoints, CoProp
from coprop.assembly.known import NAMES
from coprop.cli import app
from coprop.errors import CoPropError
from coprop.propagation.sam2 import Sam2Propagator
from coprop.types import AudioTrack
from pipeline_samples import clip_of, left_half, noise, small_propagator
from small_clips import write_clip
from tests.control_points.tiny_pe_audio import write_tiny_pe_audio
from tests.propagation.tiny_sam2 import tiny

pytestmark = pytest.mark.usefixtures("no_timelines")

Command = Callable[..., Result]


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds: a tone, then noise."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=20)


@pytest.fixture(scope="module")
def sam2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sam2")
    tiny("sam2").save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The connections that were tried; none is made."""
    tried: list[Any] = []

    def refuse(*arguments: Any, **options: Any) -> Any:
        tried.append(arguments)
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tried


def red(frames: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    return 20 * (frames[:, :1] - frames[:, 1:2] - 0.3)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[CoProp]:
    """The pipelines that were made, small ones in place of the default."""
    found: list[CoProp] = []

    def pretrained(folder: object, segmenter: Any = None, **parts: Any) -> CoProp:
        parts.setdefault("propagator", small_propagator())
        found.append(CoProp.wrap(segmenter or red, **parts))
        return found[-1]

    monkeypatch.setattr(CoProp, "from_pretrained", staticmethod(pretrained))
    return found


def test_run_names_what_it_listens_for(clip: Path, tmp_path: Path, made: list[CoProp]) -> None:
    out = tmp_path / "out"
    result = command("run", clip, "--words", "sine wave, white noise,dog", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    segments = json.loads(result.stdout)["segments"]
    named = [category["name"] for segment in segments for category in segment["categories"]]
    assert set(named) == {"sine wave", "white noise"}
    assert segments[0]["categories"][0]["name"] == "sine wave"
    assert made[0].detector.words == ("sine wave", "white noise", "dog")  # type: ignore[attr-defined]


def test_run_takes_parts_by_name(
    clip: Path, tmp_path: Path, made: list[CoProp], sam2: Path, connections: list[Any]
) -> None:
    arguments = ("--method", "cosine", "--propagator", sam2, "--offline", "--max-segment", "0")
    result = command("run", clip, *arguments, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert isinstance(made[0].propagator, Sam2Propagator)
    assert made[0].max_segment_s is None
    assert connections == []


@pytest.mark.parametrize("option", ["--detector", "--segmenter", "--propagator", "--model"])
@pytest.mark.parametrize("switch", ["--offline", "HF_HUB_OFFLINE"])
def test_offline_asks_nobody(
    clip: Path,
    tmp_path: Path,
    connections: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    switch: str,
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", switch == "HF_HUB_OFFLINE")
    before = os.environ.get("HF_HUB_OFFLINE")
    given = ("--offline",) if switch == "--offline" else ()
    result = command("run", clip, option, "owner/name", *given, "--out", tmp_path / "out")
    assert result.exit_code == 1, result.output
    assert "nothing may be downloaded" in result.stderr
    assert "hf download owner/name" in result.stderr
    assert result.stderr.count("\n") == 1
    assert connections == []
    assert not (tmp_path / "out").exists()
    assert os.environ.get("HF_HUB_OFFLINE") == before
    assert (switch == "HF_HUB_OFFLINE") == constants.HF_HUB_OFFLINE


def test_without_the_switch_the_hub_is_asked(
    clip: Path, tmp_path: Path, connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    result = command("run", clip, "--propagator", "owner/name", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "the hub cannot be reached" in result.stderr
    assert connections


def test_a_detector_of_ones_own_words(clip: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\ufeffdog\n# a note\n\nSpeech synthesizer, odd\n", encoding="utf-8")
    folder = write_tiny_pe_audio(tmp_path / "pe")
    for name in (folder, f"events:{folder}"):
        result = command(
            "detect", clip, "--method", name, "--words", words, "--device", "cpu", "--json"
        )
        assert result.exit_code == 0, result.output
        content = json.loads(result.stdout)
        assert content["method"] == str(name)
        assert content["words"] == ["dog", "Speech synthesizer, odd"]
        assert content["threshold"] == 0.5
        assert len(content["categories"]) == len(content["control_points"])
    table = command("detect", clip, "--words", "avss")
    assert table.exit_code == 0, table.output
    assert "events, threshold 0.05" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--method", "novlty"), 2, "Did you mean novelty?"),
        (("--method", "text:a/b+c/d"), 2, "there is no detector"),
        (("--words", "nothing.txt"), 2, "cannot be read as a list of words"),
        (("--words", "some/where"), 2, "cannot be read as a list of words"),
        (("--words", ","), 2, "there is no word"),
        (("--words", "dog,dog"), 1, "'dog' twice"),
        (("--words", "blarg"), 1, "knows no sound of 'blarg'"),
        (("--words", "dog", "--method", "novelty"), 1, "words are what a detector by words"),
        (("--words", "dog", "--llm", "x"), 2, "detectors that ask no language model"),
        (("--llm", "http://localhost:1/v1", "--offline"), 2, "no connection is made with it"),
        (("--method", "rcpg:http://localhost:1/v1", "--offline"), 1, "no connection may be made"),
        (("--device", "cpu"), 2, "goes with --llm"),
    ],
)
def test_what_detect_refuses(
    clip: Path, arguments: tuple[str, ...], code: int, said: str, connections: list[Any]
) -> None:
    result = command("detect", clip, *arguments)
    assert result.exit_code == code, result.output
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert connections == []


def test_words_that_are_no_text(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "words").write_bytes(b"\xff\xfe\x00dog")
    (tmp_path / "empty.txt").write_text("# none\n")
    for name in ("words", "empty.txt"):
        result = command("detect", clip, "--words", tmp_path / name)
        assert result.exit_code == 2, result.output


def test_what_run_refuses(clip: Path, tmp_path: Path, sam2: Path) -> None:
    out = ("--out", tmp_path / "out")
    for option, said in (
        ("--detector", "is a SAM 2, which is a propagator and no detector"),
        ("--segmenter", "no segmenter by itself"),
        ("--model", "is no whole pipeline"),
    ):
        result = command("run", clip, option, sam2, *out)
        assert result.exit_code == 1
        assert said in result.stderr
    result = command("run", clip, "--segmenter", "text", "--predictions", tmp_path, *out)
    assert result.exit_code != 0
    assert not (tmp_path / "out").exists()


def test_models_are_listed(connections: list[Any]) -> None:
    result = command("models", "--json")
    assert result.exit_code == 0, result.output
    listed = json.loads(result.stdout)
    assert [each["name"] for each in listed] == [n for names in NAMES.values() for n in names]
    sam3 = next(each for each in listed if each["name"] == "facebook/sam3")
    assert (sam3["is_gated"], sam3["licence"]) == (True, "SAM License")
    assert next(e for e in listed if e["name"] == "yonigozlan/EdgeTAM-hf")["licence"] is None
    table = command("models").stdout
    assert all(each["name"] in table for each in listed)
    assert "see its card" in table
    local = json.loads(command("models", "--offline", "--json").stdout)
    assert {"novelty", "events", "default", "text"} <= {each["name"] for each in local}
    assert all(each["is_on_disk"] for each in local)
    assert connections == []


def told(*named: tuple[str, ...], probabilities: Any = None) -> Callable[..., ControlPoints]:
    times = np.arange(len(named), dtype=float)

    def detect(audio: AudioTrack) -> ControlPoints:
        ones = np.ones(len(times))
        return ControlPoints(times, ones, ones.astype(bool), named, probabilities)

    return detect


def test_segments_keep_the_detectors_own_words() -> None:
    def refuse(*_: object) -> tuple[Category, ...]:
        raise CoPropError("nobody asks the namer")

    sound = noise(3.0)
    detectors = {
        1.0: told(("dog",), ("man", "dog"), ()),
        0.25: told(("dog",), ("man", "dog"), (), probabilities=((0.25,), (0.25, 0.25), ())),
    }
    for probability, detector in detectors.items():
        for namer in (refuse, None):
            pipeline = CoProp.wrap(
                lambda frames, audio: left_half(frames),
                detector=detector,
                propagator=small_propagator(),
                namer=namer,
            )
            segments = pipeline(clip_of(6), sound, fps=2).segments
            assert [[c.name for c in s.categories] for s in segments] == [
                ["dog"],
                ["man", "dog"],
                [],
            ]
            assert all(c.probability == probability for s in segments for c in s.categories)


def test_events_are_among_the_methods_that_are_compared() -> None:
    from coprop.control_points.events.detector import EventDetector
    from coprop.evaluation.methods import METHODS, detected

    assert "events" in METHODS
    from coprop import ControlPointDetector

    class Clip:
        audio, windows = noise(2.0), 4

    detector = ControlPointDetector.events()
    assert isinstance(detector, EventDetector)
    assert len(detected(detector)(Clip()).flags) == 4  # type: ignore[arg-type]
