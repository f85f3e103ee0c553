"""What README.md shows does work."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prediction_folders import masks_of, write_masks

from small_clips import write_clip

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def python_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_the_wrapped_model_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "examples" / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    (block,) = [block for block in python_blocks() if "CoProp.wrap(my_model)" in block]
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)
    assert (tmp_path / "out" / "result.json").exists()
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 5


def test_predictions_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "examples" / "clip.mp4")
    masks = masks_of(0, 5, (48, 64))  # one a frame, of the frames' size
    write_masks(tmp_path / "predictions", "clip", masks)
    monkeypatch.chdir(tmp_path)
    (block,) = [block for block in python_blocks() if "Predictions(" in block]
    assert len([line for line in block.splitlines() if line]) <= 5
    exec(compile(block, "README.md", "exec"), {})
    assert (tmp_path / "out" / "result.json").exists()
    first = np.asarray(Image.open(tmp_path / "out" / "masks" / "000000.png"))
    np.testing.assert_array_equal(first, masks[0])


def test_links_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = document.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in target and not target.endswith(".png"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"
