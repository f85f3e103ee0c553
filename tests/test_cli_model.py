"""``coprop run --model module:factory``: a model of one's own on the command line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from coprop.cli import app
from coprop.utils.callables import names_function
from small_clips import write_clip

pytestmark = pytest.mark.usefixtures("no_timelines")

MODULE = """
import torch
from coprop import CoProp, ControlPoints

def left(frames, audio):
    logits = torch.full((len(frames), 1, *frames.shape[-2:]), -9.0)
    logits[..., : frames.shape[-1] // 2] = 9.0
    return logits

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, frames, audio):
        return left(frames, audio) * self.weight

def build():
    return left

def network():
    return CoProp.wrap(net := Network(), adapter=net)

def whole():
    def halfway(audio):
        return ControlPoints([0.0, 0.6], [1.0, 1.0], [True, True])
    return CoProp.wrap(left, detector=halfway, max_segment_s=0.3)

def number():
    return 3

def wants(something):
    return left

def boom():
    raise ValueError("no weights.\\nin two lines")

def hollow(frames, audio):
    return len(frames) / 0

def failing():
    return hollow

def ending():
    raise SystemExit(2)

def printing():
    print("weights loaded")

    def model(frames, audio):
        print("asked")
        return left(frames, audio)

    return model

def unknown():
    return torch.nn.Conv2d(1, 1, 1)

def data(root, split, limit):
    raise FileNotFoundError(2, "No such file or directory", "clips.csv")
"""


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "my_models.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield write_clip(tmp_path / "clip.mp4")
    sys.modules.pop("my_models", None)


def run(clip: Path, *more: str) -> Result:
    given = ["run", str(clip), "--out", str(clip.parent / "out"), "--quiet", *more]
    return CliRunner().invoke(app, given)


@pytest.mark.parametrize("factory", ["build", "network", "whole"])
def test_what_a_factory_makes_is_used(clip: Path, factory: str) -> None:
    result = run(clip, "--model", f"my_models:{factory}")
    assert result.exit_code == 0, result.output
    mask = np.asarray(Image.open(clip.parent / "out" / "masks" / "000000.png"))
    np.testing.assert_array_equal(mask, np.arange(64) < 32 * np.ones((48, 1)))
    content = json.loads((clip.parent / "out" / "result.json").read_text())
    keyframes = [row["time_s"] for row in content["frames"] if row["keyframe"]]
    changes = [point["time_s"] for point in content["control_points"]]
    if factory == "whole":  # its own detector and its own longest segment
        assert changes == [0.0, 0.6]
        assert len(keyframes) > 2
    else:  # between control points, as wrap() does: no limit
        assert len(keyframes) == len(content["segments"])


def test_options_outrank_a_pipelines_own(clip: Path) -> None:
    result = run(clip, "--model", "my_models:whole", "--max-segment", "0", "--method", "novelty")
    assert result.exit_code == 0, result.output
    content = json.loads((clip.parent / "out" / "result.json").read_text())
    assert [point["time_s"] for point in content["control_points"]] != [0.0, 0.6]
    assert sum(row["keyframe"] for row in content["frames"]) == len(content["segments"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my_models:nothing", "my_models has no function 'nothing'"),
        ("no_such_module:build", "cannot import 'no_such_module'"),
        ("my_models:number", "returned int; it must return a CoProp, or a model"),
        ("my_models:wants", "cannot be called without arguments"),
        ("my_models", "my_models has no keyframe_segmenter/config.json"),
        (r"C:\weights", "has no keyframe_segmenter/config.json"),
        ("", "--model takes a folder"),
        (":", "cannot import ''"),
    ],
)
def test_what_is_no_model(clip: Path, name: str, said: str) -> None:
    result = run(clip, "--model", name)
    assert result.exit_code == 1, result.output
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (clip.parent / "out").exists()


def test_a_folder_named_after_the_video(clip: Path) -> None:
    """Where no --out is given; the second time it is there."""
    given = ["run", "clip.mp4", "--quiet", "--model", "my_models:build"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert (clip.parent / "clip-coprop" / "result.json").exists()
    again = CliRunner().invoke(app, given)
    assert again.exit_code == 1
    assert "clip-coprop is not empty" in again.stderr


def test_not_with_predictions(clip: Path) -> None:
    np.save(clip.parent / "masks.npy", np.ones((1, 48, 64), dtype=bool))
    result = run(clip, "--model", "my_models:build", "--predictions", "masks.npy")
    assert result.exit_code == 2
    assert "take the place of the model" in " ".join(result.stderr.split())


def test_a_folder_whose_name_has_a_colon(tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    assert not names_function(str(tmp_path / "a:b"))
    assert names_function("a:b")


@pytest.mark.parametrize(
    ("factory", "line", "said"),
    [
        ("boom", "raise ValueError", "ValueError: no weights"),
        ("failing", "return len(frames) / 0", "ZeroDivisionError: division by zero"),
        ("ending", "raise SystemExit", "SystemExit: 2"),  # as argparse does with coprop's options
    ],
)
def test_what_given_code_raises_is_told_with_its_place(
    clip: Path, factory: str, line: str, said: str
) -> None:
    number = 1 + next(n for n, each in enumerate(MODULE.split("\n")) if line in each)
    result = run(clip, "--model", f"my_models:{factory}")
    assert result.exit_code == 1
    assert re.fullmatch(
        rf"coprop: my_models\.py, line {number}, raises {re.escape(said)}.*; --debug shows the "
        r"traceback\.\n",
        result.stderr,
    )
    shown = run(clip, "--model", f"my_models:{factory}", "--debug")
    assert (type(shown.exception) is SystemExit) == (factory == "ending")


def test_what_a_model_prints_is_no_json(clip: Path) -> None:
    result = run(clip, "--model", "my_models:printing", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["num_frames"] > 0
    assert result.stderr.splitlines()[:2] == ["weights loaded", "asked"]
    (clip.parent / "films").mkdir()
    again = clip.rename(clip.parent / "films" / clip.name)
    given = ("--model", "my_models:printing", "--json", "--out", str(clip.parent / "many"))
    rows = run(again.parent, *given)
    assert [json.loads(line)["status"] for line in rows.stdout.splitlines()] == ["done"]
    assert "weights loaded" in rows.stderr


def test_a_dataset_that_raises(clip: Path) -> None:
    line = f"eval --dataset my_models:data --root {clip.parent} --out {clip.parent / 'out'}"
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 1
    assert "raises FileNotFoundError: No such file or directory; --debug" in result.stderr


@pytest.mark.parametrize(
    "content", ["def (", "1 / 0", "from torch import no_such_name", "raise SystemExit(3)"]
)
def test_a_module_that_cannot_be_imported(clip: Path, content: str) -> None:
    (clip.parent / "my_broken_models.py").write_text(content)
    result = run(clip, "--model", "my_broken_models:build")
    assert result.exit_code == 1
    assert result.stderr.startswith("coprop: 'my_broken_models' cannot be imported for --model")
    assert result.stderr.endswith("Mend the module.\n")
    assert result.stderr.count("\n") == 1


def test_code_that_an_error_shows_has_its_lines(clip: Path) -> None:
    result = run(clip, "--model", "my_models:unknown")
    assert result.exit_code == 1
    first, *below = result.stderr.splitlines()
    assert first.endswith("say it in a function and give that as adapter:")
    assert below[:2] == ["", "def adapter(frames, audio):"]


def test_a_fault_of_coprops_own_keeps_its_traceback(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*given: object, **options: object) -> None:
        raise IndexError("a fault")

    monkeypatch.setattr("coprop.media.reader.VideoFile.__iter__", faulty)
    assert isinstance(run(clip, "--model", "my_models:build").exception, IndexError)
