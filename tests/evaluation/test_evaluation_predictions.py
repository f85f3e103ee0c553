"""Runs of published test scripts, scored as they are and in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import avsbench_folders
import numpy as np
import pytest
from avsbench_folders import SIZE, avss_labels, box
from PIL import Image
from prediction_folders import (
    labels_of,
    masks_of,
    write_colours,
    write_combo_avss,
    write_combo_ms3,
    write_combo_s4,
    write_masks,
)
from typer.testing import CliRunner, Result

from coprop.cli import app
from coprop.errors import PredictionError
from coprop.keyframes.predictions import PredictionRun

pytestmark = pytest.mark.usefixtures("no_timelines")

AS_THEY_ARE = "predictions as they are"


def command(*given: str) -> Result:
    return CliRunner().invoke(app, ["eval", *given])


def evaluated(*given: str) -> dict[str, Any]:
    result = command(*given, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def ms3_run(folder: Path) -> Path:
    """Of both test clips of `build_ms3`."""
    for number in range(2):
        write_masks(folder / "pred_masks", f"test-{number}", masks_of(number))
    return folder


def jaccard(found: np.ndarray, wanted: np.ndarray) -> float:
    """AVSBench's: of a frame in which nothing sounds the share that is not masked."""
    if not wanted.any():
        return float((~found).mean())
    return float((found & wanted).sum() / ((found | wanted).sum() + 1e-7))


def test_as_they_are_and_in_time_in_one_table(tmp_path: Path) -> None:
    """As they are, figures are those computed from the files by hand."""
    root, run = avsbench_folders.build_ms3(tmp_path), ms3_run(tmp_path / "run")
    given = [
        *("--dataset", "ms3", "--root", str(root), "--predictions", str(run)),
        *("--out", str(tmp_path / "out"), "--quiet"),
    ]
    found = evaluated(*given)
    wanted = []
    for number in range(2):
        truth = [box(not (number == 1 and i < 3)) > 0 for i in range(1, 6)]
        wanted += [jaccard(*pair) for pair in zip(masks_of(number), truth, strict=True)]
    methods = found["methods"]
    assert list(methods) == [
        AS_THEY_ARE,
        "coprop, cosine",
        "coprop, novelty",
        "coprop, true control points",
    ]
    as_they_are = methods[AS_THEY_ARE]["all frames"]
    assert as_they_are["jaccard_avsbench"] == pytest.approx(np.mean(wanted), abs=1e-6)
    assert methods["coprop, true control points"]["all frames"]["control_point_f1"] == 1
    assert found["settings"]["predictions"]["values"] == "mask"
    table = (tmp_path / "out" / "results.md").read_text()
    assert AS_THEY_ARE in table
    assert "coprop, novelty" in table
    # Repeated it does nothing anew; other predictions are another evaluation.
    assert command(*given).exit_code == 0
    other = command(*given, "--missing", "empty")
    assert other.exit_code == 1
    assert "holds an evaluation with" in other.output


LAYOUTS: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "tpavi, S4": (
        "tpavi",
        lambda p: write_masks(p / "pred_masks" / "dog_barking", "test_0", masks_of(0)).parents[1],
        "s4",
    ),
    "tpavi, MS3": ("tpavi", ms3_run, "ms3"),
    "avsegformer, MS3": ("avsegformer", lambda p: ms3_run(p / "work_dir" / "ms3"), "ms3"),
    "catr, S4": (
        "catr",
        lambda p: write_masks(p / "pred_masks" / "dog_barking", "test_0", masks_of(0)).parents[1],
        "s4",
    ),
    "cavp": ("cavp", lambda p: write_masks(p / "pred_masks", "test-0", masks_of(0)).parent, "ms3"),
    "combo, S4": (
        "combo",
        lambda p: write_combo_s4(p, "dog_barking", "test_0", masks_of(0)),
        "s4",
    ),
    "combo, MS3": ("combo", lambda p: write_combo_ms3(p, "test-0", masks_of(0)), "ms3"),
}
NAMES = {"s4": "test_0", "ms3": "test-0"}


@pytest.mark.parametrize("named", [True, False], ids=["by name", "found out"])
@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts_of_masks(case: str, named: bool, tmp_path: Path) -> None:
    """Each second has what its file holds, to the bit; also where the inner folder is given."""
    layout, build, dataset = LAYOUTS[case]
    folder = build(tmp_path)
    run = PredictionRun(folder, layout=layout if named else None)  # type: ignore[arg-type]
    assert (run.values, run.layout == "combo") == ("mask", layout == "combo")
    predictions = run[NAMES[dataset]]
    assert len(predictions) == 5
    assert repr(predictions).endswith("5 of 16 x 12, mask, one a second)")
    for second, mask in enumerate(masks_of(0)):
        np.testing.assert_array_equal(predictions[second][0], mask)
    inner = PredictionRun(run.root, layout=layout)  # type: ignore[arg-type]
    assert list(inner) == list(run)


@pytest.mark.parametrize("layout", ["tpavi", "avsegformer"])
@pytest.mark.parametrize("size", [None, (360, 240)])
def test_layouts_of_colours(layout: Any, size: tuple[int, int] | None, tmp_path: Path) -> None:
    """AVSS's colours exactly, or as near as they can be where they were resized in colour."""
    labels = labels_of(10, (224, 224))
    write_colours(tmp_path / "pred_masks", "uid", labels, size or (224, 224))
    run = PredictionRun(tmp_path, layout=layout)
    assert run.values == "labels"
    predictions = run["uid"]
    for second, wanted in enumerate(labels):
        found = predictions[second].argmax(axis=0)
        if size is None:
            np.testing.assert_array_equal(found, wanted)
            continue
        nearest = np.asarray(Image.fromarray(wanted).resize(size, Image.Resampling.NEAREST))
        assert set(np.unique(found)) == set(np.unique(wanted))
        assert (found == nearest).mean() > 0.995


def test_combo_writes_colours_as_jpeg(tmp_path: Path) -> None:
    """Its frames' names end in .jpg; classes are found all the same, edges about."""
    labels = labels_of(10, (224, 224))
    predictions = PredictionRun(write_combo_avss(tmp_path, "uid", labels))["uid"]
    assert len(predictions) == 10
    for second, wanted in enumerate(labels):
        found = predictions[second].argmax(axis=0)
        assert set(np.unique(found)) == set(np.unique(wanted))
        assert (found == wanted).mean() > 0.98


def test_semantic_clips_are_padded(tmp_path: Path) -> None:
    """The scripts write ten predictions for clips of five seconds; those of the clip count."""
    root = avsbench_folders.build_avss(tmp_path)
    for name, count in (("test_v1s", 5), ("test_v1m", 5), ("test_v2", 10)):
        labels = np.stack([avss_labels(i) if i < count else np.zeros(SIZE) for i in range(10)])
        write_colours(tmp_path / "run" / "pred_masks", name, labels.astype(np.uint8), SIZE[::-1])
    found = evaluated(
        *("--dataset", "avss", "--root", str(root), "--predictions", str(tmp_path / "run")),
        *("--out", str(tmp_path / "out"), "--quiet", "--methods", "alone,true"),
    )
    assert found["methods"][AS_THEY_ARE]["all frames"]["jaccard_avsbench"] == pytest.approx(1)
    classes = found["methods"][AS_THEY_ARE]["all frames"]["class_jaccard_avsbench"]
    assert classes == pytest.approx(4 / 71)


def test_numbers_are_the_layouts_own(tmp_path: Path) -> None:
    """Scripts that count from 0 do so where the first file is lost, too."""
    write_masks(tmp_path / "pred_masks", "test-0", masks_of(0))
    (tmp_path / "pred_masks" / "test-0" / "test-0_0.png").unlink()
    predictions = PredictionRun(tmp_path)["test-0"]
    np.testing.assert_array_equal(predictions[0][0], masks_of(0)[1])
    root = avsbench_folders.build_ms3(tmp_path)
    lost = command(
        *("--dataset", "ms3", "--root", str(root), "--predictions", str(tmp_path)),
        *("--out", str(tmp_path / "out"), "--quiet"),
    )
    assert lost.exit_code == 1
    assert "no prediction is near the keyframe at 0.500 s" in " ".join(lost.output.split())


def test_a_clip_without_predictions(tmp_path: Path) -> None:
    write_masks(tmp_path / "pred_masks", "test-0", masks_of(0))
    with pytest.raises(PredictionError, match="no predictions of the clip 'test-1'; it has those"):
        PredictionRun(tmp_path)["test-1"]


def test_one_clip_in_two_folders(tmp_path: Path) -> None:
    for category in ("dog", "cat"):
        write_masks(tmp_path / "pred_masks" / category, "same", masks_of(0))
    with pytest.raises(PredictionError, match=r"clip 'same' has predictions in .*cat/same and in"):
        PredictionRun(tmp_path)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--model", "default"], "it takes the place of --model"),
        (["--methods", "text"], "the method text needs a model, and predictions are none"),
        (["--methods", "tracks"], "the method tracks needs a model, and predictions are none"),
        (["--methods", "events-both"], "the method events-both needs a model"),
        (["--methods", "all"], "methods are one or more of"),
        (["--layout", "combo"], "is not laid out as by the test script of combo"),
        (["--values", "probabilities", "--missing", "none"], "--missing"),
    ],
)
def test_wrong_options(more: list[str], sentence: str, tmp_path: Path) -> None:
    root, run = avsbench_folders.build_ms3(tmp_path), ms3_run(tmp_path / "run")
    result = command(
        *("--dataset", "ms3", "--root", str(root), "--predictions", str(run)),
        *("--out", str(tmp_path / "out"), *more),
    )
    assert result.exit_code in (1, 2)
    assert sentence in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "out").exists()
