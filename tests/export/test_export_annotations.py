"""COCO, FiftyOne and supervision: read back, masks, names, tracks and times are those exported."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_samples import NAMES, PTS, SEGMENTS, SILENT, SIZE, TIME_BASE, iou, masks, result
from numpy.typing import NDArray

from coprop import CoPropError, Result
from coprop.export import detections
from coprop.export.rle import coco_counts, row_runs, run_lengths

TIMES = [float(pts * TIME_BASE) for pts in PTS]


def coco_mask(segmentation: dict[str, Any]) -> NDArray[np.bool_]:
    """COCO's compressed runs, read as their format is described."""
    runs: list[int] = []
    characters = iter(segmentation["counts"])
    for character in characters:
        value = shift = 0
        while True:
            code = ord(character) - 48
            value |= (code & 0x1F) << shift
            shift += 5
            if not code & 0x20:
                break
            character = next(characters)
        if code & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    height, width = segmentation["size"]
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T


def random_masks() -> list[NDArray[np.bool_]]:
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (1, 9), (9, 1), (33, 70), (200, 301)]
    found = [rng.random(shape) < share for shape in shapes for share in (0.01, 0.5, 0.99)]
    found += [np.zeros((40, 50), dtype=bool), np.ones((40, 50), dtype=bool)]
    blob = np.zeros((700, 900), dtype=bool)
    blob[3:690, 5:890] = True
    return [*found, blob, ~blob]


@pytest.mark.parametrize("number", range(19))
def test_runs_say_what_the_mask_is(number: int) -> None:
    mask = random_masks()[number]
    counts = coco_counts(mask)
    assert np.array_equal(coco_mask({"size": mask.shape, "counts": counts}), mask)
    runs = [int(run) for run in row_runs(mask).split(",")]
    assert np.array_equal(np.repeat(np.arange(len(runs)) % 2 == 1, runs), mask.ravel())
    assert run_lengths(mask.ravel()).sum() == mask.size


@pytest.mark.parametrize("number", range(19))
def test_runs_are_those_of_pycocotools(number: int) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    mask = random_masks()[number]
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert coco_counts(mask).encode() == theirs["counts"]
    ours = {"size": list(mask.shape), "counts": coco_counts(mask)}
    assert np.array_equal(coco.decode(ours).astype(bool), mask)


@pytest.fixture(scope="module")
def coco_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("coco") / "coco.json"
    result().export("coco", path)
    return path


class TestCoco:
    def test_masks_names_tracks_and_times(self, coco_file: Path) -> None:
        content = json.loads(coco_file.read_text(encoding="utf-8"))
        names = {each["id"]: each["name"] for each in content["categories"]}
        assert list(names.values()) == ["Drum kit", 'Bird <&> "quoted"', "sounding"]
        assert [each["time_s"] for each in content["images"]] == TIMES
        assert [each["frame_index"] for each in content["images"]] == list(range(len(PTS)))
        assert {(each["height"], each["width"]) for each in content["images"]} == {SIZE}
        images = {each["id"]: each for each in content["images"]}
        seen = {}
        for each in content["annotations"]:
            index = images[each["image_id"]]["frame_index"]
            mask = coco_mask(each["segmentation"])
            seen[index] = names[each["category_id"]]
            assert iou(mask, masks()[index].labels == 1) == 1
            assert each["area"] == mask.sum()
            left, top, width, height = each["bbox"]
            assert mask[top : top + height, left : left + width].sum() == mask.sum()
            tracks = {each["id"]: each["category_id"] for each in content["tracks"]}
            assert tracks[each["track_id"]] == each["category_id"]
        assert seen == NAMES

    def test_several_labels_are_several_objects(self, tmp_path: Path) -> None:
        result((3, 7)).export("coco", tmp_path / "coco.json", names={7: "guitar"})
        content = json.loads((tmp_path / "coco.json").read_text())
        names = {each["id"]: each["name"] for each in content["categories"]}
        for image in content["images"]:
            mine = [a for a in content["annotations"] if a["image_id"] == image["id"]]
            labels = masks((3, 7))[image["frame_index"]].labels
            assert len(mine) == (0 if image["frame_index"] in SILENT else 2)
            for each in mine:
                label = {"class 3": 3, "guitar": 7}[names[each["category_id"]]]
                assert np.array_equal(coco_mask(each["segmentation"]), labels == label)
        assert {a["track_id"] for a in content["annotations"]} == {1, 2}

    def test_opened_by_pycocotools(self, coco_file: Path) -> None:
        module = pytest.importorskip("pycocotools.coco")
        coco = module.COCO(str(coco_file))
        found = {}
        for image in coco.loadImgs(coco.getImgIds()):
            for each in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
                mask = coco.annToMask(each).astype(bool)
                assert iou(mask, masks()[image["frame_index"]].labels == 1) == 1
                (category,) = coco.loadCats(each["category_id"])
                found[image["frame_index"]] = category["name"]
        assert found == NAMES

    def test_equal_results_give_equal_files(self, coco_file: Path, tmp_path: Path) -> None:
        result().export("coco", tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == coco_file.read_bytes()


class TestFiftyOne:
    @pytest.fixture
    def content(self, tmp_path: Path) -> Any:
        result().export("fiftyone", tmp_path / "fiftyone.json")
        return json.loads((tmp_path / "fiftyone.json").read_text(encoding="utf-8"))

    def test_masks_and_names(self, content: Any) -> None:
        seen = {}
        for number, frame in content["frames"].items():
            index = int(number) - 1
            assert frame["time_s"] == TIMES[index]
            assert frame["objects"]["_cls"] == "Detections"
            for each in frame["objects"]["detections"]:
                seen[index] = each["label"]
                left, top, width, height = (
                    np.multiply(each["bounding_box"], (SIZE[1], SIZE[0]) * 2).round().astype(int)
                )
                packed = base64.b64decode(each["mask"]["$binary"]["base64"])
                inner = np.load(io.BytesIO(zlib.decompress(packed)), allow_pickle=False)
                whole = np.zeros(SIZE, dtype=bool)
                whole[top : top + height, left : left + width] = inner
                assert iou(whole, masks()[index].labels == 1) == 1
        assert seen == NAMES

    def test_segments(self, content: Any) -> None:
        found = [
            (each["label"], each["confidence"], each["start_s"], each["end_s"], each["support"])
            for each in content["segments"]["detections"]
        ]
        named = [
            (category.name, category.probability, segment.start_s, segment.end_s)
            for segment in SEGMENTS
            for category in segment.categories
        ]
        assert [each[:4] for each in found] == named
        assert [each[4] for each in found] == [[2, 5], [2, 5], [6, 7], [11, 12]]


class TestSupervision:
    def test_arguments_of_each_frame(self) -> None:
        for index, arguments in enumerate(detections(result())):
            count = index not in SILENT
            assert arguments["xyxy"].shape == (count, 4)
            assert arguments["mask"].shape == (count, *SIZE)
            assert arguments["tracker_id"].shape == arguments["class_id"].shape == (count,)
            if count:
                assert iou(arguments["mask"][0], masks()[index].labels == 1) == 1
                assert arguments["data"]["class_name"].tolist() == [NAMES[index]]

    def test_archive(self, tmp_path: Path) -> None:
        result((3, 7)).export("supervision", tmp_path / "supervision.npz")
        with np.load(tmp_path / "supervision.npz", allow_pickle=False) as arrays:
            assert arrays["times_s"].tolist() == TIMES
            for index, mask in enumerate(masks((3, 7))):
                for label, each in zip((3, 7), arrays[f"{index:06d}/mask"], strict=False):
                    assert np.array_equal(each, mask.labels == label)
                assert len(arrays[f"{index:06d}/class_name"]) == (0 if index in SILENT else 2)

    def test_taken_by_supervision(self, tmp_path: Path) -> None:
        supervision = pytest.importorskip("supervision")
        for index, arguments in enumerate(detections(result())):
            found = supervision.Detections(**arguments)
            assert len(found) == (index not in SILENT)
            for box, mask, *_, data in found:
                assert iou(mask, masks()[index].labels == 1) == 1
                assert data["class_name"] == NAMES[index]
                assert np.array_equal(box, supervision.mask_to_xyxy(mask[None])[0] + (0, 0, 1, 1))

    def test_bad_arguments(self) -> None:
        with pytest.raises(CoPropError, match="names must be words by label"):
            detections(result(), names=["dog"])  # type: ignore[arg-type]
        empty = Result((), result().control_points, (), [], None, None)
        with pytest.raises(CoPropError, match="no frame"):
            detections(empty)
