"""The notebooks of examples/: without outputs, and run on a clip of a few frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from small_clips import write_clip

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))
VIDEO = 'VIDEO = "../clip.mp4"'


def cells_of(notebook: Path) -> list[dict[str, Any]]:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_cleared(notebook: Path) -> None:
    cells = cells_of(notebook)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert "".join(cells[0]["source"]).startswith(VIDEO)
    named = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    assert set(named) == {"kernelspec", "language_info"}  # no machine's own settings


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    write_clip(tmp_path / "clip.mp4", frames=3)
    (tmp_path / "notebooks").mkdir()
    content = nbformat.read(notebook, as_version=4)
    resources = {"metadata": {"path": str(tmp_path / "notebooks")}}
    nbclient.NotebookClient(content, timeout=300, resources=resources).execute()
    told = "".join(o.get("text", "") for c in content.cells for o in c.get("outputs", ()))
    if notebook.stem == "wrap_your_model":
        assert "of 3 frames" in told
        assert any("image/png" in o.get("data", ()) for o in content.cells[-2].outputs)
    else:
        assert "labels (3, 48, 64) uint8" in told
        assert "coco" in told
        assert (tmp_path / "notebooks" / "out" / "labels.mkv").exists()


def test_there_are_two() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["run_and_export", "wrap_your_model"]
