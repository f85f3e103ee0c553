"""Folders of video object segmentation, and what annotation tools import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from export_samples import (
    NAMES,
    PTS,
    SEGMENTS,
    SILENT,
    SIZE,
    TIME_BASE,
    iou,
    masks,
    picture,
    result,
)
from numpy.typing import NDArray
from PIL import Image

from coprop import Category, CoPropError, FrameMask, Result, Segment
from coprop.errors import OutputError
from coprop.export.annotations import supports
from coprop.export.recording import Recording
from coprop.export.rle import brush_codes
from coprop.media.painting import voc_palette

OBJECTS = {"1": "Drum kit", "2": 'Bird <&> "quoted"', "3": "sounding"}


def check_pictures(images: Path, annotations: Path) -> None:
    """Palette PNGs whose values are the objects' numbers, beside the frames."""
    assert [path.name for path in sorted(images.iterdir())] == [
        f"{index:05d}.jpg" for index in range(len(PTS))
    ]
    for index, mask in enumerate(masks()):
        with Image.open(annotations / f"{index:05d}.png") as png:
            assert png.mode == "P"
            assert png.getpalette() == voc_palette().ravel().tolist()
            values = np.asarray(png)
        assert iou(values > 0, mask.labels == 1) == (index not in SILENT)
        assert {OBJECTS[str(value)] for value in np.unique(values) if value} == (
            {NAMES[index]} if index in NAMES else set()
        )
        with Image.open(images / f"{index:05d}.jpg") as jpeg:
            shown = np.asarray(jpeg).astype(int)
        assert shown.shape == (*SIZE, 3)
        assert np.abs(shown - picture(index)).max() < 12


class TestYouTubeVos:
    def test_read_as_its_loaders_do(self, tmp_path: Path) -> None:
        made = result()
        made.export("youtube-vos", tmp_path / "made")
        content = json.loads((tmp_path / "made" / "meta.json").read_text(encoding="utf-8"))
        (name,) = content["videos"]
        check_pictures(
            tmp_path / "made" / "JPEGImages" / name, tmp_path / "made" / "Annotations" / name
        )
        objects = content["videos"][name]["objects"]
        assert {number: each["category"] for number, each in objects.items()} == OBJECTS
        for index, called in NAMES.items():
            (there,) = [n for n, each in objects.items() if f"{index:05d}" in each["frames"]]
            assert OBJECTS[there] == called
        assert list(content["videos"][name]["times_s"].values()) == [
            float(pts * TIME_BASE) for pts in PTS
        ]

    def test_labels_of_classes_become_numbers_of_objects(self, tmp_path: Path) -> None:
        result((3, 7)).export("youtube-vos", tmp_path / "made", names={7: "guitar"})
        content = json.loads((tmp_path / "made" / "meta.json").read_text())["videos"]["video"]
        assert [each["category"] for each in content["objects"].values()] == ["class 3", "guitar"]
        values = np.asarray(Image.open(tmp_path / "made/Annotations/video/00001.png"))
        labels = masks((3, 7))[1].labels
        assert np.array_equal(values == 1, labels == 3)
        assert np.array_equal(values == 2, labels == 7)


def test_davis_read_as_its_loaders_do(tmp_path: Path) -> None:
    result().export("davis", tmp_path / "made")
    (name,) = (tmp_path / "made" / "ImageSets" / "2017" / "val.txt").read_text().splitlines()
    check_pictures(
        tmp_path / "made" / "JPEGImages" / "Full-Resolution" / name,
        tmp_path / "made" / "Annotations" / "Full-Resolution" / name,
    )
    semantics = json.loads((tmp_path / "made" / "davis_semantics.json").read_text("utf-8"))
    assert semantics == {name: OBJECTS}


class TestReplacing:
    def test_an_export_is_replaced_by_force_alone(self, tmp_path: Path) -> None:
        result().export("davis", tmp_path / "made")
        with pytest.raises(OutputError, match=r"is there already.*force=True"):
            result().export("davis", tmp_path / "made")
        (tmp_path / "made" / "stale").write_text("")
        result().export("davis", tmp_path / "made", force=True)
        assert not (tmp_path / "made" / "stale").exists()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["made"]

    def test_nothing_else_is_replaced_even_by_force(self, tmp_path: Path) -> None:
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "letter.txt").write_text("mine")
        with pytest.raises(OutputError, match="never replaced"):
            result().export("davis", tmp_path / "home", force=True)
        (tmp_path / "file").write_text("mine")
        with pytest.raises(OutputError, match="is a file"):
            result().export("davis", tmp_path / "file", force=True)
        assert (tmp_path / "home" / "letter.txt").read_text() == "mine"

    def test_hidden_files_are_somebody_s_too(self, tmp_path: Path) -> None:
        (tmp_path / "home" / ".git").mkdir(parents=True)
        with pytest.raises(OutputError, match="never replaced"):
            result().export("davis", tmp_path / "home", force=True)
        assert (tmp_path / "home" / ".git").is_dir()
        for name in (".DS_Store", "Thumbs.db", "._x"):  # but not what file managers leave
            (tmp_path / "seen").mkdir(exist_ok=True)
            (tmp_path / "seen" / name).touch()
        result().export("davis", tmp_path / "seen")
        assert (tmp_path / "seen" / "ImageSets").is_dir()

    def test_whole_or_not_at_all(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        result().export("youtube-vos", tmp_path / "made")
        before = sorted(tmp_path.rglob("*"))

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("coprop.media.writer.save_labels", full)
        for path in (tmp_path / "made", tmp_path / "other"):
            with pytest.raises(OutputError, match="No space left"):
                result().export("youtube-vos", path, force=True)
        assert sorted(tmp_path.rglob("*")) == before

    def test_folders_beside_it_are_left_alone(self, tmp_path: Path) -> None:
        mine = (".made.old", ".made.part", "made.old", "made.part")
        for name in mine:
            (tmp_path / name).mkdir()
            (tmp_path / name / "mine").write_text("")
        result().export("davis", tmp_path / "made")
        result().export("davis", tmp_path / "made", force=True)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*mine, "made"])
        assert all((tmp_path / name / "mine").exists() for name in mine)

    @pytest.mark.parametrize("killed", [False, True])
    def test_stopped_while_one_takes_the_others_place(
        self, killed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result().export("davis", tmp_path / "made")
        before = sorted(tmp_path.rglob("*"))
        if killed:  # after the earlier one was put aside
            (tmp_path / "made").rename(tmp_path / ".made.0a1b2c3d.old")
        rename = Path.rename

        def stopped(self: Path, target: Path) -> Path:
            if self.name.endswith(".part"):
                raise KeyboardInterrupt
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", stopped)
        with pytest.raises(KeyboardInterrupt):
            result().export("davis", tmp_path / "made", force=True)
        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.parametrize("path", [".", "..", "made/.."])
    def test_a_folder_without_a_name(
        self, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
        with pytest.raises(OutputError, match="give a folder in it"):
            result().export("davis", path)
        assert not list(tmp_path.glob("*/*"))

    def test_more_objects_than_eight_bits_count(self, tmp_path: Path) -> None:
        made = result()
        segments = tuple(Segment(i, i + 1.0, (Category(f"sound {i}", 1.0),)) for i in range(256))
        labels = np.ones((2, 2), dtype=np.uint8)
        many = [FrameMask(i, i + 0.5, labels, None, (0, 1), True) for i in range(256)]
        whole = Result(tuple(many), made.control_points, segments, made.frames, made.audio, None)
        for name in ("davis", "youtube-vos"):
            with pytest.raises(CoPropError, match=r"256 objects, but this layout numbers .* 255"):
                whole.export(name, tmp_path / "made")
        assert not any(tmp_path.iterdir())
        whole.export("coco", tmp_path / "coco.json")
        assert len(json.loads((tmp_path / "coco.json").read_text())["tracks"]) == 256


class TestCvat:
    @pytest.fixture
    def root(self, tmp_path: Path) -> ElementTree.Element:
        result().export("cvat", tmp_path / "cvat.xml")
        return ElementTree.parse(tmp_path / "cvat.xml").getroot()

    def test_read_by_its_documentation(self, root: ElementTree.Element) -> None:
        assert root.findtext("version") == "1.1"
        labels = [each.findtext("name") for each in root.iterfind("meta/task/labels/label")]
        assert labels == list(OBJECTS.values())
        seen = {}
        for image in root.iterfind("image"):
            index = int(image.get("id", ""))
            assert image.get("name") == f"frame_{index:06d}"
            assert float(image.get("time_s", "")) == float(PTS[index] * TIME_BASE)
            for each in image.iterfind("mask"):
                left, top, width, height = (
                    int(each.get(name, "")) for name in ("left", "top", "width", "height")
                )
                runs = [int(run) for run in each.get("rle", "").split(",")]
                inner = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
                whole = np.zeros(SIZE, dtype=bool)
                whole[top : top + height, left : left + width] = inner
                assert iou(whole, masks()[index].labels == 1) == 1
                seen[index] = each.get("label")
                assert OBJECTS[each.get("group_id", "")] == seen[index]
        assert seen == NAMES


def brush_mask(codes: list[int]) -> NDArray[np.uint8]:
    """Label Studio's bytes, read bit by bit as its front end does."""
    bits = "".join(f"{code:08b}" for code in codes)
    place = 0

    def take(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    count, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < count:
        repeated, kind = take(1), take(2)
        length = take(sizes[kind]) + 1
        values += [take(word)] * length if repeated else [take(word) for _ in range(length)]
    return np.array(values, dtype=np.uint8)


class TestLabelStudio:
    def test_boxes_and_timeline(self, tmp_path: Path) -> None:
        result().export("label-studio", tmp_path / "made")
        (task,) = json.loads((tmp_path / "made" / "tasks.json").read_text(encoding="utf-8"))
        (prediction,) = task["predictions"]
        boxes = [each for each in prediction["result"] if each["type"] == "videorectangle"]
        seen = {}
        for each in boxes:
            assert each["value"]["framesCount"] == len(PTS)
            for box in each["value"]["sequence"]:
                index = box["frame"] - 1
                assert box["time"] == float(PTS[index] * TIME_BASE)
                seen[index] = each["value"]["labels"][0]
                labels = masks()[index].labels
                rows, columns = np.nonzero(labels)
                assert box["x"] == pytest.approx(100 * columns.min() / SIZE[1])
                assert box["width"] == pytest.approx(100 * (np.ptp(columns) + 1) / SIZE[1])
                assert box["y"] == pytest.approx(100 * rows.min() / SIZE[0])
                assert box["height"] == pytest.approx(100 * (np.ptp(rows) + 1) / SIZE[0])
        assert seen == NAMES
        ends = {each["value"]["labels"][0]: each["value"]["sequence"] for each in boxes}
        drums = {box["frame"]: box["enabled"] for box in ends["Drum kit"]}
        assert drums == {2: True, 3: True, 4: True, 5: False, 11: False}  # not shown in between
        timeline = [each for each in prediction["result"] if each["type"] == "timelinelabels"]
        assert [
            (each["value"]["timelinelabels"][0], *each["value"]["ranges"][0].values())
            for each in timeline
        ] == [("Drum kit", 2, 5), ('Bird <&> "quoted"', 6, 7), ("sounding", 9, 10),
              ("Drum kit", 11, 12)]  # fmt: skip
        assert timeline[0]["meta"]["text"] == [f"{SEGMENTS[0].start_s} to {SEGMENTS[0].end_s} s"]

    def test_the_configuration_has_every_name_and_tag(self, tmp_path: Path) -> None:
        result().export("label-studio", tmp_path / "video")
        result().export("label-studio-masks", tmp_path / "pictures")
        for folder in ("video", "pictures"):
            view = ElementTree.parse(tmp_path / folder / "config.xml").getroot()
            tags = {each.get("name") for each in view.iter() if each.get("name")}
            values = {each.get("value") for each in view.iter("Label")}
            assert values == set(OBJECTS.values())
            for task in json.loads((tmp_path / folder / "tasks.json").read_text("utf-8")):
                for each in task["predictions"][0]["result"]:
                    assert {each["from_name"], each["to_name"]} <= tags
                for tag in view.iter():
                    if (tag.get("value") or "").startswith("$"):
                        assert (tag.get("value") or "")[1:] in task["data"]

    def test_masks_of_pictures(self, tmp_path: Path) -> None:
        result().export("label-studio-masks", tmp_path / "made")
        tasks = json.loads((tmp_path / "made" / "tasks.json").read_text(encoding="utf-8"))
        seen = {}
        for index, task in enumerate(tasks):
            assert task["data"]["time_s"] == float(PTS[index] * TIME_BASE)
            served = task["data"]["image"].removeprefix("/data/local-files/?d=")
            assert (tmp_path / served).exists()
            for each in task["predictions"][0]["result"]:
                shape = each["original_height"], each["original_width"], 4
                alpha = brush_mask(each["value"]["rle"]).reshape(shape)[..., 3]
                assert set(np.unique(alpha)) <= {0, 255}
                assert iou(alpha > 0, masks()[index].labels == 1) == 1
                seen[index] = each["value"]["brushlabels"][0]
        assert seen == NAMES

    @pytest.mark.parametrize("shape", [(1, 1), (3, 5), (130, 150)])
    def test_brushes_of_any_length(self, shape: tuple[int, int]) -> None:
        """Runs of one value, and of more than 65,536."""
        rng = np.random.default_rng(0)
        for mask in (np.zeros(shape, bool), np.ones(shape, bool), rng.random(shape) < 0.5):
            alpha = brush_mask(brush_codes(mask)).reshape(*shape, 4)
            assert np.array_equal(alpha, np.repeat(mask[..., None] * np.uint8(255), 4, axis=2))

    def test_brushes_are_read_by_label_studio(self) -> None:
        brush = pytest.importorskip("label_studio_sdk.converter.brush")
        mask = masks()[3].labels > 0
        alpha = brush.decode_rle(brush_codes(mask)).reshape(*SIZE, 4)[..., 3]
        assert np.array_equal(alpha > 0, mask)


def test_a_segment_too_short_for_a_frame_has_the_nearest() -> None:
    made = result()
    short = Segment(0.9, 0.91)
    whole = Result(made.masks, made.control_points, (short,), made.frames, made.audio, None)
    assert supports(Recording(whole)) == [(12, 12)]


def test_what_needs_the_video_says_so(tmp_path: Path) -> None:
    made = result()
    bare = Result(made.masks, made.control_points, made.segments, None, None, None)
    for name in ("davis", "youtube-vos", "label-studio-masks", "cutout-webm", "muted"):
        with pytest.raises(CoPropError, match=f"export {name} needs the video"):
            bare.export(name, tmp_path / "made")
    assert not any(tmp_path.iterdir())
