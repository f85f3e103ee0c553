"""``--video-track`` and ``--audio-track``: which pictures and which sound a command takes."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.stream import Disposition
from typer.testing import CliRunner, Result

from coprop import CoProp
from coprop.cli import app
from coprop.media.audio_file import AudioFile
from pipeline_samples import Shifter

pytestmark = pytest.mark.usefixtures("no_timelines")

RATE, FPS, SECONDS = 16_000, 10, 2
SIZES = ((64, 48), (96, 80))  # of the two films
LEVELS = (0.0, 0.5)  # of the two sounds


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films, and two sounds of which the silent one is marked as default."""
    path = tmp_path_factory.mktemp("tracks") / "two.mkv"
    with av.open(str(path), "w") as container:
        films = [container.add_stream("libx264", rate=FPS) for _ in SIZES]
        sounds = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in LEVELS]
        for film, (width, height) in zip(films, SIZES, strict=True):
            film.width, film.height, film.pix_fmt = width, height, "yuv420p"
        for number, sound in enumerate(sounds):
            sound.disposition = Disposition.default if number == 0 else Disposition(0)
        for index in range(FPS * SECONDS):
            for film, (width, height) in zip(films, SIZES, strict=True):
                image = np.full((height, width, 3), (220, 20, 20), dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, FPS)
                container.mux(film.encode(frame))
        for sound, level in zip(sounds, LEVELS, strict=True):
            noise = np.random.default_rng(0).uniform(-1, 1, (1, RATE * SECONDS)) * level
            frame = av.AudioFrame.from_ndarray((noise * 32767).astype(np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = RATE, 0
            container.mux(sound.encode(frame))
        for stream in (*films, *sounds):
            container.mux(stream.encode(None))
    return path


@pytest.fixture(autouse=True)
def red_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small function in the place of the default weights."""

    def red(frames: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        return 20 * (frames[:, :1] - frames[:, 1:2] - 0.3)

    def pretrained(folder: Path | None = None, segmenter: None = None, **parts: Any) -> CoProp:
        return CoProp.wrap(red, propagator=Shifter(), **parts)

    monkeypatch.setattr(CoProp, "from_pretrained", staticmethod(pretrained))


def coprop_command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("audio", [None, 0, 1])
@pytest.mark.parametrize("video", [None, 0, 1])
def test_run(film: Path, tmp_path: Path, video: int | None, audio: int | None) -> None:
    given = [("--video-track", video), ("--audio-track", audio)]
    options = [x for name, value in given if value is not None for x in (name, value)]
    done = coprop_command("run", film, "--out", tmp_path / "out", *options)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (report["width"], report["height"]) == SIZES[video or 0]
    assert report["num_frames"] == FPS * SECONDS
    assert len(report["segments"]) == (audio or 0)  # nothing is heard in the silent track
    with AudioFile(tmp_path / "out" / "overlay.mp4", RATE) as track:
        level = float(np.sqrt((track.read(0, RATE) ** 2).mean()))
    assert level == pytest.approx(LEVELS[audio or 0] / 3**0.5, abs=0.1)  # AAC makes noise anew


def test_the_sound_of_another_file(film: Path, tmp_path: Path) -> None:
    for number in (0, 1):
        command = ("run", film, "--audio", film, "--audio-track", number)
        done = coprop_command(*command, "--out", tmp_path / str(number), "--json")
        assert done.exit_code == 0, done.output
        assert len(json.loads(done.stdout)["segments"]) == number


def test_detect(film: Path) -> None:
    """Uniform noise has no change, but the beginning of what the cosine hears does tell."""
    found = []
    for number in (0, 1):
        options = ("--audio-track", number, "--method", "cosine", "--threshold", "0", "--json")
        done = coprop_command("detect", film, *options)
        assert done.exit_code == 0, done.output
        found.append(json.loads(done.stdout)["control_points"])
    assert found[0] != found[1]
    default = coprop_command("detect", film, "--method", "cosine", "--threshold", "0", "--json")
    assert json.loads(default.stdout)["control_points"] == found[0]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--video-track", "2"), 1, "has no video track 2; it has 2 video tracks, counted from 0"),
        (("--audio-track", "2"), 1, "has no audio track 2; it has 2 audio tracks, counted from 0"),
        (("--video-track", "-1"), 2, "--video-track"),
        (("--audio-track", "-1"), 2, "--audio-track"),
        (("--audio-track", "one"), 2, "--audio-track"),
    ],
)
def test_tracks_that_are_not_there(
    film: Path, tmp_path: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    done = coprop_command("run", film, "--out", tmp_path / "out", *options)
    assert done.exit_code == code
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
    if options[0] == "--audio-track":
        done = coprop_command("detect", film, *options)
        assert done.exit_code == code
        assert message in done.stderr
