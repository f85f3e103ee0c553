"""``coprop run --predictions``: what a model has predicted, in time, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prediction_folders import masks_of, save, write_masks
from typer.testing import CliRunner, Result

from coprop.cli import app
from small_clips import write_clip

pytestmark = pytest.mark.usefixtures("no_timelines")

WIDTH, HEIGHT = 64, 48
MASKS = masks_of(1, 3, (HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 3 s, 5 frames a second."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=15)


def run(clip: Path, out: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["run", str(clip), "--out", str(out), "--quiet", *more])


def keyframes(out: Path) -> dict[float, np.ndarray]:
    """The masks at keyframes, by time."""
    rows = json.loads((out / "result.json").read_text())["frames"]
    return {
        row["time_s"]: np.asarray(Image.open(out / "masks" / f"{row['index']:06d}.png"))
        for row in rows
        if row["keyframe"]
    }


def test_one_a_second(clip: Path, tmp_path: Path) -> None:
    """Every keyframe has its second's mask, to the bit; without options, all is found out."""
    write_masks(tmp_path, "masks", MASKS)
    result = run(clip, tmp_path / "out", "--predictions", str(tmp_path / "masks"))
    assert result.exit_code == 0, result.output
    found = keyframes(tmp_path / "out")
    assert len(found) > 1
    for time_s, mask in found.items():
        np.testing.assert_array_equal(mask, MASKS[int(time_s)])


def test_the_folder_of_a_run(clip: Path, tmp_path: Path) -> None:
    """Of a run those of the clip that has the video's name are taken."""
    write_masks(tmp_path / "run" / "pred_masks", "other", ~MASKS)
    write_masks(tmp_path / "run" / "pred_masks", "clip", MASKS)
    result = run(clip, tmp_path / "out", "--predictions", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(keyframes(tmp_path / "out")[0.0], MASKS[0])


def test_options(clip: Path, tmp_path: Path) -> None:
    """Class ids said to be so, at another rate, with none near the later keyframes."""
    for number, mask in enumerate(MASKS[:2]):
        save(Image.fromarray((200 * mask).astype(np.uint8)), tmp_path / "ids" / f"{number}.png")
    given = ["--predictions", str(tmp_path / "ids"), "--values", "labels", "--per-second", "5"]
    far = run(clip, tmp_path / "out", *given, "--max-distance", "0.3")
    assert far.exit_code == 1
    assert "no prediction is near the keyframe at" in far.output
    more = ["--max-distance", "0.3", "--missing", "empty", "--max-segment", "1", "--force"]
    assert run(clip, tmp_path / "out", *given, *more).exit_code == 0
    found = keyframes(tmp_path / "out")
    np.testing.assert_array_equal(found.pop(0.0), 200 * MASKS[0])
    assert found
    assert not any(mask.any() for mask in found.values())


def test_they_need_no_keyframe_segmenter(clip: Path, tmp_path: Path) -> None:
    from coprop.pipeline import WEIGHTS

    write_masks(tmp_path, "masks", MASKS)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "propagator").symlink_to(WEIGHTS / "propagator")
    given = ["--predictions", str(tmp_path / "masks"), "--model", str(tmp_path / "model")]
    assert run(clip, tmp_path / "out", *given).exit_code == 0


@pytest.mark.parametrize(
    ("given", "code", "sentence"),
    [
        (["--predictions", "none"], 1, "there are no predictions at none"),
        (["--values", "mask"], 2, "it needs --predictions"),
        (["--missing", "skip"], 2, "it needs --predictions"),
        (["--predictions", "masks", "--every", "frame"], 0, ""),
        (["--predictions", "masks", "--every", "hour"], 2, "--every"),
        (["--predictions", "masks", "--per-second", "0"], 2, "--per-second"),
        (
            ["--predictions", "masks", "--every", "second", "--per-second", "5"],
            2,
            "--every says how",
        ),
        (
            ["--predictions", "four"],
            1,
            "4 predictions fit the clip of 15 frames and 3.00 s neither",
        ),
        (["--predictions", "run"], 1, "no predictions of the clip 'clip'; it has those of 1 clip"),
    ],
)
def test_wrong(
    given: list[str],
    code: int,
    sentence: str,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_masks(tmp_path, "masks", np.repeat(MASKS, 5, axis=0))
    write_masks(tmp_path, "four", np.resize(MASKS, (4, HEIGHT, WIDTH)))
    write_masks(tmp_path / "run" / "pred_masks", "other", MASKS)
    result = run(clip, tmp_path / "out", *given)
    assert result.exit_code == code, result.output
    assert sentence in " ".join(result.output.replace("│", " ").split())


def test_predictions_are_not_overwritten(clip: Path, tmp_path: Path) -> None:
    """A result in whose place they lie is not replaced."""
    folder = tmp_path / "out" / "masks"
    write_masks(tmp_path / "out", "masks", MASKS)
    result = run(clip, tmp_path / "out", "--predictions", str(folder), "--force")
    assert result.exit_code == 1
    assert "is part of the result" in result.output
    assert len(list(folder.iterdir())) == 3
