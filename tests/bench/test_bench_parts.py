"""`coprop bench`: what is added up for each part, and that a pipeline is left as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from coprop import CoProp
from coprop.bench.memory import peak_mib, resident_mib
from coprop.bench.parts import PARTS, BenchResult, PartCost, bench, table
from coprop.bench.scene import disc_found, write_scene
from coprop.bench.stopwatch import Stopwatch, Watched, counted, matrix_rate
from coprop.cli.app import app
from coprop.encoders.convolution import convolve
from coprop.errors import CoPropError
from coprop.media.clip import Clip
from pipeline_samples import Shifter, small_propagator
from small_pictures import shrink


def test_a_part_does_not_have_what_it_calls() -> None:
    readings = iter([0, 1, 3, 6, 7, 7])
    watch = Stopwatch(lambda: next(readings))
    inner = watch.of("inner", lambda: "made")
    with watch.part("outer"):
        assert inner() == "made"
    with watch.part("outer"):
        pass
    assert watch.total == {"outer": 1 + 3 + 0, "inner": 2}
    assert watch.calls == {"outer": 2, "inner": 1}


def test_an_error_ends_a_parts_work() -> None:
    readings = iter([0.0, 2.0, 10.0, 11.0])
    watch = Stopwatch(lambda: next(readings))
    with pytest.raises(ValueError, match="no"), watch.part("fails"):
        raise ValueError("no")
    with watch.part("next"):
        pass
    assert watch.total == {"fails": 2.0, "next": 1.0}


def test_things_are_made_by_a_part() -> None:
    watch = Stopwatch(lambda: 0.0)
    assert list(Watched([1, 2, 3], watch, "made")) == [1, 2, 3]
    assert watch.calls == {"made": 4}  # the fourth finds the end


def test_operations_are_counted() -> None:
    with counted() as meter:
        torch.ones(3, 5) @ torch.ones(5, 7)
        assert meter() == 2 * 3 * 5 * 7


def test_the_matrix_rate_is_a_machines() -> None:
    assert 1e8 < matrix_rate(torch.device("cpu"), torch.float32) < 1e14


@pytest.fixture(scope="module")
def pipeline() -> CoProp:
    return CoProp.from_pretrained(propagator=small_propagator())


@pytest.fixture(scope="module")
def result(pipeline: CoProp, tmp_path_factory: pytest.TempPathFactory) -> BenchResult:
    video = tmp_path_factory.mktemp("scene") / "scene.mp4"
    write_scene(video, frames=12, width=64, height=48)
    with disc_found(pipeline), pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        return bench(pipeline, video, frames=8)


def test_every_part_is_there(result: BenchResult) -> None:
    assert set(result.parts) == set(PARTS)
    assert (result.frames, result.width, result.height) == (8, 64, 48)
    assert result.parts["encoder"].calls == 8
    assert result.parts["decoder"].calls == 7
    assert result.parts["keyframes"].calls == 1
    for part in ("keyframes", "encoder", "attention", "decoder"):
        assert result.parts[part].flop > 0
        assert 0 < (result.share(part) or 0) < 1.5  # small products in turns with other programs
    for part in ("decode", "write", "masks"):
        assert result.share(part) is None
    assert result.peak_mib > 50
    assert json.loads(json.dumps(result.to_dict()))["parts"]["encoder"]["calls"] == 8


def test_the_pipeline_is_left_as_it_was(pipeline: CoProp, result: BenchResult) -> None:
    network = small_propagator().network
    own = pipeline.propagator.network  # type: ignore[attr-defined]
    assert set(vars(own)) == set(vars(network))
    assert "forward" not in vars(own.decoder)
    assert "forward" not in vars(pipeline.segmenter)
    assert pipeline.namer is CoProp.from_pretrained(segmenter=pipeline.segmenter).namer


def test_the_scene_is_a_clip(tmp_path: Path) -> None:
    with Clip(write_scene(tmp_path / "scene.mp4", frames=5, width=96, height=64)) as clip:
        frames = list(clip.frames)
        assert len(frames) == 5
        assert frames[0].image.shape == (64, 96, 3)
        assert float(np.abs(clip.audio.read(0, 1000)).max()) > 0.1


def test_the_table_has_a_line_for_each_part(result: BenchResult) -> None:
    lines = table(result).splitlines()
    assert [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in PARTS]
    assert all(any(line.startswith(part) for line in lines) for part in result.parts)


def test_the_share_is_of_the_matrix_rate() -> None:
    values = dict.fromkeys(BenchResult.__dataclass_fields__, 1.0)
    made = BenchResult(**(values | {"matrix_rate": 1e9, "parts": {"x": PartCost(2.0, 1, 1e9)}}))  # type: ignore[arg-type]
    assert made.share("x") == pytest.approx(0.5)


def test_other_propagators_are_refused() -> None:
    pipeline = CoProp.wrap(lambda frames, sound: frames[:, :1], propagator=Shifter())
    with pytest.raises(CoPropError, match="bench takes apart coprop's own propagator"):
        bench(pipeline, "clip.mp4", frames=2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--size", "1280"], "WIDTHxHEIGHT"),
        (["--size", "33x48"], "WIDTHxHEIGHT"),
        (["--size", "0x0"], "WIDTHxHEIGHT"),
        (["--frames", "0"], "--frames"),
        (["--threads", "0"], "--threads"),
        (["--objects", "2"], "goes with --peer"),
        (["--checkpoint", "x.pth"], "goes with --peer"),
        (["--peer", "edgetam", "--checkpoint", "x.pth"], "for a checkout of AOT"),
        (["x.mp4", "--size", "64x48"], "no VIDEO is given"),
        (["--peer", "edgetam", "--device", "meta"], "on the CPU"),
        (["--peer", "edgetam", "x.mp4"], "frames are made"),
        (["--peer", "edgetam", "--segments-at-once", "2"], "one segment"),
        (["--segments-at-once", "65"], "--segments-at-once"),
    ],
)
def test_a_wrong_line_is_told(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["bench", *arguments])
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())


def test_a_video_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bench", str(tmp_path / "none.mp4")])
    assert result.exit_code == 1
    assert "none.mp4" in result.output


def test_a_peak_is_of_the_process_alone() -> None:
    """Not of the one that started it, which had more."""
    held = np.ones(400 * 2**20, dtype=np.uint8)
    code = "from coprop.bench.memory import peak_mib; print(peak_mib())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert held[-1] == 1
    assert 0 < float(done.stdout) < 400 <= (peak_mib() or 0)


def test_what_was_given_back_is_not_resident() -> None:
    held = np.ones(400 * 2**20, dtype=np.uint8)
    with_it = resident_mib() or 0
    del held
    assert (resident_mib() or 0) < with_it - 300
    assert (peak_mib() or 0) > with_it - 10  # Linux counts a process's memory in batches


def test_a_convolution_of_packed_weights_counts_as_any_other() -> None:
    x = torch.rand(2, 8, 9, 12)
    for conv in (nn.Conv2d(8, 16, 3, stride=2), nn.Conv2d(8, 16, 3, padding=1, groups=8)):
        counts = []
        for called in (conv, partial(convolve, conv, activation="relu")):
            with torch.no_grad(), counted() as flop:
                called(x)
                counts.append(flop())
        assert counts[0] == counts[1] > 0
