"""The pipeline that comes inside the package, from a file to a saved result."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from media_samples import tone, write_video

from coprop import CoProp
from coprop.types import FrameMask
from pipeline_samples import clip_of, noise


@pytest.fixture(scope="module")
def default() -> CoProp:
    return CoProp.from_pretrained()


def check(masks: list[FrameMask], count: int, size: tuple[int, int]) -> None:
    assert [mask.index for mask in masks] == list(range(count))
    for mask in masks:
        assert mask.labels.shape == size
        assert set(np.unique(mask.labels)) <= {0, 1}
        assert mask.probabilities is not None
        assert np.isfinite(mask.probabilities).all()
        assert mask.probabilities.min() >= 0
        np.testing.assert_allclose(mask.probabilities.sum(axis=0), 1, atol=1e-5)


@pytest.mark.usefixtures("small_pictures")
def test_from_file_to_result(default: CoProp, tmp_path: Path) -> None:
    video = write_video(
        tmp_path / "clip.mp4",
        pts=range(0, 3000, 250),
        sound=noise(3.0, 44_100).samples[None].repeat(2, 0),
        noise=True,
    )
    result = default(video, keep_probabilities=True)
    check(list(result.masks), 12, (48, 64))
    keyframes_s = [mask.time_s for mask in result.masks if mask.is_keyframe]
    assert np.diff([*keyframes_s, 3.0]).max() <= 2.0 + 1e-9
    result.save(tmp_path / "out")
    report = json.loads((tmp_path / "out" / "result.json").read_text())
    assert report["num_frames"] == 12
    assert (report["height"], report["width"]) == (48, 64)
    assert [frame["keyframe"] for frame in report["frames"]] == [
        m.is_keyframe for m in result.masks
    ]
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 12


@pytest.mark.usefixtures("small_pictures")
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (31, 45), (500, 20)])
def test_any_size(default: CoProp, size: tuple[int, int]) -> None:
    check(list(default.stream(clip_of(2, *size), noise(0.5), fps=10)), 2, size)


@pytest.mark.usefixtures("small_pictures")
def test_one_frame_in_4k(default: CoProp) -> None:
    frames = np.broadcast_to(np.uint8(90), (1, 2160, 3840, 3))
    (mask,) = default.stream(frames, noise(0.2), fps=10)
    check([mask], 1, (2160, 3840))


@pytest.mark.usefixtures("small_pictures")
def test_the_same_clip_has_the_same_masks(default: CoProp) -> None:
    first, second = (default(clip_of(4, 40, 60), noise(0.4), fps=10).labels for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.usefixtures("small_pictures")
def test_in_half_precision_masks_are_finite(default: CoProp) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        masks = list(default.stream(clip_of(3, 40, 60), noise(0.3), fps=10))
    check(masks, 3, (40, 60))


def test_loading_needs_no_network_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CoProp.from_pretrained()
    output = capfd.readouterr()
    assert (output.out, output.err) == ("", "")


def test_a_fresh_process_runs_offline(tmp_path: Path) -> None:
    """With no home, no cache and the hub switched off, as in a container."""
    video = write_video(tmp_path / "clip.mp4", pts=[0, 40, 80], sound=tone(44_100, 0.3))
    program = (
        "import sys; from coprop import CoProp;"
        "print(len(CoProp.from_pretrained()(sys.argv[1]).masks))"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "none")}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", program, str(video)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout == "3\n"
    assert "coprop" not in done.stderr
    assert not (tmp_path / "none").exists()
