"""AVSS from a small folder in the official layout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import avsbench_folders as folders
import numpy as np
import pytest
from PIL import Image

from coprop.data.avsbench_files import read_colour_mask
from coprop.data.avsbench_semantic import AVSS
from coprop.data.control_point_labels import write_control_points
from coprop.errors import DatasetError


@pytest.fixture
def avss(tmp_path: Path) -> Path:
    return folders.build_avss(tmp_path)


@pytest.mark.parametrize("split", folders.SPLITS)
def test_all_parts_and_splits(avss: Path, split: str) -> None:
    dataset = AVSS(avss, split)
    assert (dataset.name, dataset.num_classes, len(dataset)) == (f"AVSS {split}", 71, 3)
    clips = [dataset[i] for i in range(3)]
    assert [clip.name for clip in clips] == [f"{split}_{part}" for part in ("v1s", "v1m", "v2")]
    assert [clip.windows for clip in clips] == [5, 5, 10]
    for clip in clips[1:]:
        assert clip.change_times_s == (2.0, 4.0)
        assert clip.categories == ("class 5", "class 31", "class 70")
        for number, truth in enumerate(clip.truth):
            assert truth.labels is not None
            assert truth.labels.dtype == np.uint8
            np.testing.assert_array_equal(truth.labels, folders.avss_labels(number))
        frames = list(clip.frames)
        assert [f.time_s for f in frames] == [i + 0.5 for i in range(clip.windows or 0)]
        for number, frame in enumerate(frames):
            assert frame.image.shape == (*folders.SIZE, 3)
            assert np.abs(frame.image.astype(int) - 20 * number).max() <= 2  # JPEG
        assert clip.audio.duration_s == clip.windows


def test_training_clips_of_v1s_have_one_mask(avss: Path) -> None:
    clip = AVSS(avss, "train")[0]
    truths = list(clip.truth)
    np.testing.assert_array_equal(truths[0].labels, folders.avss_labels(0))
    assert [truth.labels for truth in truths[1:]] == [None] * 4
    assert clip.change_times_s is None
    assert clip.categories == ("class 5",)
    assert AVSS(avss)[0].change_times_s == (2.0, 4.0)  # five in the other splits


def test_labels_choose_parts(avss: Path) -> None:
    dataset = AVSS(avss, labels=("v2",))
    assert (dataset.name, len(dataset), dataset[0].name) == ("AVSS test v2", 1, "test_v2")
    assert AVSS(avss, labels=("v1s", "v1m")).name == "AVSS test v1s+v1m"


def test_a_uid_of_two_parts_names_no_clip_by_itself(avss: Path) -> None:
    (avss / "v1m" / "test_v1m").rename(avss / "v1m" / "test_v2")
    rows = [("test_v2", "v2", "test"), ("test_v2", "v1m", "test"), ("test_v1s", "v1s", "test")]
    folders.write_csv(avss / "metadata.csv", "uid,label,split", rows)
    dataset = AVSS(avss)
    names = [dataset[index].name for index in range(len(dataset))]
    assert names == ["v2/test_v2", "v1m/test_v2", "test_v1s"]
    assert AVSS(avss, labels=("v2",))[0].name == "test_v2"


def test_columns_are_found_by_name(avss: Path) -> None:
    rows = [("test_v2", "v2", "test"), ("test_v1m", "v1m", "test")]
    folders.write_csv(avss / "metadata.csv", "uid,label,split", rows)
    assert [clip.name for clip in AVSS(avss.parent)] == ["test_v2", "test_v1m"]


def test_every_class_has_its_colour(tmp_path: Path) -> None:
    labels = np.arange(71, dtype=np.uint8).reshape(1, 71)
    path = tmp_path / "labels.png"
    Image.fromarray(folders.colour_mask(labels)).save(path)
    np.testing.assert_array_equal(read_colour_mask(path), labels)
    assert [folders.avss_colour(c) for c in (0, 1, 2, 3, 70)] == [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (32, 128, 128),
    ]


def test_colours_of_no_class_are_background(tmp_path: Path) -> None:
    colours = [(128, 0, 0), (127, 0, 0), (129, 1, 0), (255, 255, 255), folders.avss_colour(71)]
    path = tmp_path / "labels.png"
    Image.fromarray(np.array([colours], dtype=np.uint8)).save(path)
    np.testing.assert_array_equal(read_colour_mask(path), [[1, 0, 0, 0, 0]])


def test_palette_png(avss: Path) -> None:
    """The same colours as a palette image, whose indices are in another order."""
    path = avss / "v2/test_v2/labels_rgb/0.png"
    Image.fromarray(folders.colour_mask(folders.avss_labels(0))).quantize(8).save(path)
    assert Image.open(path).mode == "P"
    truth = next(iter(AVSS(avss, labels=("v2",))[0].truth))
    np.testing.assert_array_equal(truth.labels, folders.avss_labels(0))


def test_class_names_may_be_missing_but_not_damaged(avss: Path) -> None:
    (avss / "label2idx.json").write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"label2idx\.json cannot be read"):
        AVSS(avss)[2]
    (avss / "label2idx.json").write_text('{"dog": 1.7}', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"label2idx\.json .*number of 'dog' is 1\.7, no whole"):
        AVSS(avss)[2]
    (avss / "label2idx.json").unlink()
    assert AVSS(avss)[2].categories == ()


def test_flags_by_hand(avss: Path, tmp_path: Path) -> None:
    path = tmp_path / "flags.jsonl"
    write_control_points(path, {"test_v2": [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]})
    dataset = AVSS(avss, control_points=path)
    assert [clip.change_times_s for clip in dataset] == [None, None, (9.0,)]
    assert dataset[2].categories == ("class 5", "class 31", "class 70")


@pytest.mark.parametrize("labels", [("v3",), (), "v2", None, 5, [["v2"]]])
def test_unknown_labels(avss: Path, labels: Any) -> None:
    with pytest.raises(DatasetError, match=r"labels must be one or more of \('v1s', 'v1m', 'v2'\)"):
        AVSS(avss, labels=labels)


def test_empty_selection(avss: Path) -> None:
    with pytest.raises(DatasetError, match=r"no clip of the split 'dev'; it has \['test', 'train'"):
        AVSS(avss, "dev")
    folders.write_csv(avss / "metadata.csv", "uid,label,split", [("a", "v2", "test")])
    with pytest.raises(DatasetError, match=r"no clip of 'test' with the labels \('v1m',\)"):
        AVSS(avss, labels=("v1m",))


def test_csv_without_a_column(avss: Path) -> None:
    folders.write_csv(avss / "metadata.csv", "vid,uid,split", [("x", "a", "test")])
    with pytest.raises(DatasetError, match=r"metadata\.csv has no column 'label'; its header is"):
        AVSS(avss)


def test_part_is_missing(avss: Path) -> None:
    (avss / "v2").rename(avss / "v2_data")
    with pytest.raises(DatasetError, match=r"v2 is not a folder(.|\n)*AVSBench_semantic/<v1s"):
        AVSS(avss)
    assert len(AVSS(avss, labels=("v1s", "v1m"))) == 2


@pytest.mark.parametrize("inner", ["frames/9.jpg", "labels_rgb/4.png", "audio.wav"])
def test_missing_file(avss: Path, inner: str) -> None:
    path = avss / "v2/test_v2" / inner
    path.unlink()
    with pytest.raises(DatasetError, match=rf"{re.escape(str(path))} does not exist"):
        AVSS(avss)[2]


@pytest.mark.parametrize(("split", "part"), [("test", "v1s"), ("train", "v1m")])
def test_only_training_clips_of_v1s_may_lack_masks(avss: Path, split: str, part: str) -> None:
    (avss / part / f"{split}_{part}" / "labels_rgb/1.png").unlink()
    with pytest.raises(DatasetError, match=r"1\.png does not exist; 4 of 5 masks are there"):
        AVSS(avss, split, labels=(part,))[0]


def test_size_of_mask_and_frame(avss: Path) -> None:
    path = avss / "v1m/test_v1m/labels_rgb/1.png"
    folders.save(path, np.zeros((5, 5, 3), dtype=np.uint8))
    with pytest.raises(DatasetError, match=r"frames/1\.jpg is 16x12, its mask .*1\.png is 5x5"):
        AVSS(avss)[1]
