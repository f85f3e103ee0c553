"""``--prompt TIME=PICTURE``: which pixels of which pictures are labels, and what is spared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from coprop import CoPropError
from coprop.cli.app import app
from coprop.cli.prompt_options import pictures_of, prompts_of
from small_clips import write_clip

LABELS = np.array([[0, 1], [2, 3]], dtype=np.uint8)
SEEN = np.array([[0, 255], [255, 0]], dtype=np.uint8)


def mask_of(path: Path) -> list[list[int]]:
    (prompt,) = prompts_of([f"1={path}"], None)
    assert prompt.mask is not None
    return prompt.mask.tolist()


def test_what_is_transparent_is_background(tmp_path: Path) -> None:
    """Whatever colour an editor leaves there: white, as often as black."""
    path = tmp_path / "mask.png"
    white = np.full((2, 2, 3), 255, dtype=np.uint8)
    Image.fromarray(np.dstack([white, SEEN])).save(path)
    assert mask_of(path) == [[0, 1], [1, 0]]
    Image.fromarray(np.dstack([LABELS, SEEN]), mode="LA").save(path)
    assert mask_of(path) == [[0, 1], [2, 0]]


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_labels_stay(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "mask.png"
    if mode == "I;16":
        picture = Image.fromarray(LABELS.astype(np.uint16))
    else:
        picture = Image.fromarray(LABELS, mode="L")
        if mode == "P":
            picture = picture.convert("P")
            picture.putpalette(bytes(range(12)))
    picture.save(path)
    assert mask_of(path) == LABELS.tolist()


def test_colours_sound(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.dstack([SEEN, SEEN // 2, SEEN * 0])).save(path)
    assert mask_of(path) == [[0, 1], [1, 0]]


def test_a_picture_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ``1=`` no shell says where that is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.fromarray(LABELS, mode="L").save(tmp_path / "mask.png")
    assert mask_of(Path("~/mask.png")) == LABELS.tolist()
    assert pictures_of(["1=~/mask.png"]) == [tmp_path / "mask.png"]


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_refused(tmp_path: Path, channels: int) -> None:
    """Its noise would be labels, or would sound."""
    path = tmp_path / "mask.png"
    picture = Image.fromarray(np.full((8, 8), 255, dtype=np.uint8))
    (picture if channels == 1 else picture.convert("RGB")).save(path, format="JPEG")
    with pytest.raises(CoPropError, match="is a JPEG, which keeps no labels"):
        prompts_of([f"1={path}"], None)


def test_picture_in_the_replaced_result_is_spared(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=1)
    picture = tmp_path / "out" / "masks" / "000000.png"
    picture.parent.mkdir(parents=True)
    Image.fromarray(LABELS).save(picture)
    given = ["--out", str(tmp_path / "out"), "--force", "--prompt", f"0={picture}"]
    done = CliRunner().invoke(app, ["run", str(clip), *given])
    assert done.exit_code == 1
    assert "is part of the result in" in done.stderr
    assert picture.exists()
