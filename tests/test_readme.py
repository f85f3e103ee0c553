"""What README.md shows does work."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prediction_folders import masks_of, write_masks

from coprop import CoPropError
from small_clips import write_clip

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def python_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """The code under a heading, five lines."""
    (text,) = re.findall(rf"^### {title}\n(.*?)^##", README, flags=re.MULTILINE | re.DOTALL)
    (block,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(block.splitlines()) <= 5
    return str(block)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a clip, and with the module that the README shows."""
    write_clip(tmp_path / "examples" / "clip.mp4")
    (module,) = [block for block in python_blocks() if "def my_model(" in block]
    (tmp_path / "AVSegFormer").mkdir()
    for folder in (tmp_path, tmp_path / "AVSegFormer"):
        (folder / "my_module.py").write_text(module, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("my_module", None)
    masks = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "out/masks").iterdir())]
    assert len(masks) == 5
    assert masks[0].any()  # the red square
    assert not masks[0].all()


def test_a_model_here(checkout: Path) -> None:
    exec(compile(section("You have a model here"), "README.md", "exec"), {})


def test_a_model_in_another_environment(checkout: Path) -> None:
    code = section("You have a model in another environment")
    assert '"/envs/avs/bin/python"' in code
    code = code.replace("/envs/avs/bin/python", sys.executable)
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    with pytest.raises(CoPropError, match="closed"):
        names["pipeline"]("examples/clip.mp4")


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
