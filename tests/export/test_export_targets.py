"""Exports by name, from Python and from the command line, and results read back from folders."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_samples import SEGMENTS, masks, result
from PIL import Image
from typer.testing import CliRunner

from coprop import CoProp, CoPropError, Result
from coprop.cli import app
from coprop.errors import MediaError, OutputError
from coprop.export import TARGETS
from pipeline_samples import Recorder, Shifter
from small_clips import write_clip

FILES = {
    *("coco.json", "youtube-vos", "davis", "cvat.xml", "label-studio", "label-studio-masks"),
    *("supervision.npz", "fiftyone.json", "segments.csv", "segments.txt", "segments.eaf"),
    *("labels.mkv", "cutout.webm", "cutout.mov", "green.mp4", "muted.mp4"),
}
LIGHT = ("coco", "cvat", "fiftyone", "supervision", "csv", "audacity")


def command(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def pretrained(folder: Path | None = None, segmenter: None = None, **parts: Any) -> CoProp:
        return CoProp.wrap(Recorder(), propagator=Shifter(), **parts)

    monkeypatch.setattr(CoProp, "from_pretrained", staticmethod(pretrained))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=8)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "out"
    result((3, 7)).save(folder)
    return folder


class TestNames:
    def test_every_file_has_its_own_name(self) -> None:
        assert {target.file for target in TARGETS.values()} == FILES
        assert len(TARGETS) == len(FILES)

    def test_the_list_is_light(self) -> None:
        code = "import sys, coprop.export; coprop.export.TARGETS; print(*sys.modules)"
        loaded = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
        assert not {"numpy", "torch", "av", "PIL", "pycocotools"} & set(loaded)

    def test_docs_tell_of_each(self) -> None:
        page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
        for name, target in TARGETS.items():
            (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
            assert f"`{target.file}" in row

    def test_nothing_that_is_not_installed_is_needed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for package in ("pycocotools", "supervision", "fiftyone", "cv2", "label_studio_sdk"):
            monkeypatch.setitem(sys.modules, package, None)
        for name in LIGHT:
            result().export(name, tmp_path / TARGETS[name].file)
        assert len(list(tmp_path.iterdir())) == len(LIGHT)


class TestPlace:
    @pytest.mark.parametrize("name", TARGETS)
    def test_files_of_other_people_stay(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / TARGETS[name].file
        mine = [
            path.with_name(f"{dot}{path.name}.{ending}")
            for dot in ("", ".")
            for ending in ("part", "old", "lock", "tmp")
        ]
        for file in mine:
            file.write_text("mine")
        (tmp_path / f".{path.name}.0a1b2c3d.part").mkdir(parents=True)
        left = tmp_path / f".{path.name}.0a1b2c3d.part"
        if not TARGETS[name].is_folder:  # what a kill has left, which is removed
            left.rmdir()
            left.write_text("half")
        result().export(name, path)
        result().export(name, path, force=True)
        assert sorted(tmp_path.iterdir()) == sorted([*mine, path])
        assert all(file.read_text() == "mine" for file in mine)


class TestBadInput:
    @pytest.mark.parametrize("name", ["nope", "", "COCO", "coco,csv", None, 3, ["coco"]])
    def test_unknown_names(self, name: Any, tmp_path: Path) -> None:
        with pytest.raises(CoPropError, match=r"there is no export .*; there are coco, ") as caught:
            result().export(name, tmp_path / "coco.json")
        assert all(each in str(caught.value) for each in TARGETS)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            ("dog", "names must be words by label"),
            (["dog"], "names must be words by label"),
            ({0: "dog"}, "a label in names must be a label from 1 to 255"),
            ({256: "dog"}, "a label in names must be a label from 1 to 255"),
            ({"1": "dog"}, "a label in names must be a label from 1 to 255"),
            ({True: "dog"}, "a label in names must be"),
            ({1: ""}, "the name of label 1 must be a word"),
            ({1: 5}, "the name of label 1 must be a word"),
        ],
    )
    def test_names_of_labels(self, names: Any, said: str, tmp_path: Path) -> None:
        with pytest.raises(CoPropError, match=said):
            result().export("coco", tmp_path / "coco.json", names=names)
        assert not any(tmp_path.iterdir())

    @pytest.mark.parametrize("path", [None, 3, "a\0.json", "x" * 5000 + ".json", b"a.json"])
    def test_no_path(self, path: Any) -> None:
        with pytest.raises(OutputError):
            result().export("coco", path)

    def test_another_suffix(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"writes a file that ends in \.mp4, got .*a\.webm"):
            result().export("muted", tmp_path / "a.webm")
        with pytest.raises(OutputError, match=r"ends in \.json"):
            result().export("coco", tmp_path)
        with pytest.raises(OutputError, match="is empty text"):
            result().export("coco", "")
        (tmp_path / "a.json").mkdir()
        with pytest.raises(OutputError, match="is a folder"):
            result().export("coco", tmp_path / "a.json", force=True)

    def test_what_is_there_stays_without_force(self, tmp_path: Path) -> None:
        path = tmp_path / "coco.json"
        path.write_text("mine")
        with pytest.raises(OutputError, match=r"is there already.*force=True.*--force"):
            result().export("coco", path)
        assert path.read_text() == "mine"
        result().export("coco", path, force=True)
        assert json.loads(path.read_text())["images"]

    def test_a_file_in_the_way_of_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        for name in ("coco", "davis"):
            with pytest.raises(OutputError):
                result().export(name, tmp_path / "file" / TARGETS[name].file)

    def test_folders_above_are_made(self, tmp_path: Path) -> None:
        result().export("csv", tmp_path / "a" / "b" / "c.csv")
        result().export("davis", tmp_path / "a" / "c" / "d")
        assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["b", "c"]

    def test_no_frame(self, tmp_path: Path) -> None:
        made = dataclasses.replace(result(), masks=())
        with pytest.raises(CoPropError, match="nothing to export"):
            made.export("csv", tmp_path / "a.csv")

    def test_the_video_itself_is_not_replaced(self, clip: Path, tmp_path: Path) -> None:
        video = tmp_path / "muted.mp4"
        video.write_bytes(clip.read_bytes())
        made = CoProp.wrap(Recorder(), propagator=Shifter())(video)
        with pytest.raises(OutputError, match="is what the result was made of"):
            made.export("muted", video, force=True)
        assert video.read_bytes() == clip.read_bytes()

    def test_another_video(self, clip: Path, saved: Path, tmp_path: Path) -> None:
        made = Result.load(saved, clip)
        with pytest.raises(MediaError, match="give the video that the masks were made of"):
            made.export("davis", tmp_path / "davis")
        assert not any(tmp_path.iterdir())

    def test_progress_stops_it(self, tmp_path: Path) -> None:
        told: list[tuple[str, int, int | None]] = []
        result().export("coco", tmp_path / "coco.json", progress=lambda *a: told.append(a))
        assert told == [("export coco", count, 12) for count in range(13)]

        def stop(*_: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            result().export("davis", tmp_path / "davis", progress=stop)
        assert [path.name for path in tmp_path.iterdir()] == ["coco.json"]


class TestLoad:
    def test_what_was_saved(self, saved: Path) -> None:
        made, loaded = result((3, 7)), Result.load(saved)
        assert len(loaded.masks) == len(made.masks)
        for own, other in zip(made.masks, loaded.masks, strict=True):
            assert np.array_equal(own.labels, other.labels)
            assert other.time_s == pytest.approx(own.time_s, abs=5e-7)
            assert (own.index, own.is_keyframe) == (other.index, other.is_keyframe)
            assert other.probabilities is None
        assert np.array_equal(loaded.labels, made.labels)
        assert loaded.times_s == pytest.approx(made.times_s, abs=5e-7)
        assert loaded.masks[-1].index == 11
        assert [mask.index for mask in loaded.masks[2:4]] == [2, 3]
        assert loaded.control_points.change_times_s == made.control_points.change_times_s
        assert "12 frames of 67 x 45" in repr(loaded)
        for own, other in zip(SEGMENTS, loaded.segments, strict=True):
            assert (other.start_s, other.end_s) == pytest.approx((own.start_s, own.end_s), abs=5e-7)
            assert [each.name for each in own.categories] == [c.name for c in other.categories]

    def test_masks_are_not_read_before_they_are_asked_for(self, tmp_path: Path) -> None:
        result().save(tmp_path / "out")
        for path in (tmp_path / "out" / "masks").iterdir():
            path.unlink()
        loaded = Result.load(tmp_path / "out")
        loaded.export("csv", tmp_path / "segments.csv")
        assert len(loaded.times_s) == 12
        with pytest.raises(MediaError, match=r"000000\.png cannot be read as a mask"):
            loaded.masks[0]

    def test_the_same_exports(self, saved: Path, tmp_path: Path) -> None:
        made = result((3, 7))
        loaded = Result.load(saved, made.frames, made.audio)
        for name in ("cvat", "davis", "coco"):
            made.export(name, tmp_path / "own" / TARGETS[name].file)
            loaded.export(name, tmp_path / "other" / TARGETS[name].file)
        for path in (tmp_path / "own").rglob("*.png"):
            again = tmp_path / "other" / path.relative_to(tmp_path / "own")
            assert path.read_bytes() == again.read_bytes()
        own, other = (
            json.loads((tmp_path / each / "coco.json").read_text()) for each in ("own", "other")
        )
        assert own["annotations"] == other["annotations"]
        assert own["categories"] == other["categories"]

    def test_it_can_be_saved_again(self, saved: Path, tmp_path: Path) -> None:
        made = result((3, 7))
        Result.load(saved, made.frames, made.audio).save(tmp_path / "again")
        assert (
            json.loads((saved / "result.json").read_text())["frames"]
            == (json.loads((tmp_path / "again" / "result.json").read_text())["frames"])
        )
        with pytest.raises(MediaError, match=r"needs the video.*Result\.load"):
            Result.load(saved).save(tmp_path / "other")

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda c: {}, "no result of schema"),
            (lambda c: [], "no result of schema"),
            (lambda c: {**c, "schema": 99}, "no result of schema"),
            (lambda c: {**c, "frames": []}, "no frame"),
            (lambda c: {**c, "frames": [*c["frames"][::-1]]}, "out of order"),
            (lambda c: {**c, "frames": 3}, "not as coprop writes it"),
            (lambda c: {**c, "frames": [{"index": 0}]}, "not as coprop writes it"),
            (lambda c: {**c, "segments": [{"start_s": 2, "end_s": 1}]}, "not as coprop writes it"),
            (lambda c: {**c, "segments": [3]}, "not as coprop writes it"),
            *(
                (
                    lambda c, labels=labels: {
                        **c,
                        "segments": [{"start_s": 0, "end_s": 1, "labels": labels}],
                    },
                    "not as coprop writes it",
                )
                for labels in (5, ["dog"], {"a": "dog"}, {"1": 5}, {"0": "dog"})
            ),
            (lambda c: {**c, "control_points": []}, "not as coprop writes it"),
            (lambda c: {**c, "height": None}, "not as coprop writes it"),
        ],
    )
    def test_a_report_that_is_none(
        self, spoil: Callable[[Any], Any], said: str, saved: Path, tmp_path: Path
    ) -> None:
        content = json.loads((saved / "result.json").read_text())
        (tmp_path / "result.json").write_text(json.dumps(spoil(content)))
        with pytest.raises(MediaError, match=said):
            Result.load(tmp_path)

    def test_folders_that_are_none(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="holds no complete result"):
            Result.load(tmp_path)
        with pytest.raises(MediaError, match="holds no complete result"):
            Result.load(tmp_path / "absent")
        (tmp_path / "result.json").write_text("{")
        with pytest.raises(MediaError, match="cannot be read"):
            Result.load(tmp_path)
        with pytest.raises(MediaError, match="directory must be a path"):
            Result.load(None)  # type: ignore[arg-type]

    @pytest.mark.parametrize("spoiled", ["size", "labels", "colours", "no picture"])
    def test_masks_that_are_not_those(self, spoiled: str, tmp_path: Path) -> None:
        result().save(tmp_path / "out")
        path = tmp_path / "out" / "masks" / "000003.png"
        labels = masks()[3].labels
        if spoiled == "size":
            Image.fromarray(labels[:-1]).save(path)
        elif spoiled == "labels":
            Image.fromarray(labels * 9).save(path)
        elif spoiled == "colours":
            Image.fromarray(np.repeat(labels[..., None], 3, axis=2)).save(path)
        else:
            path.write_text("no picture")
        with pytest.raises(MediaError, match=r"000003\.png"):
            Result.load(tmp_path / "out").export("coco", tmp_path / "coco.json")
        assert not (tmp_path / "coco.json").exists()


@pytest.mark.usefixtures("small_model")
class TestCommandLine:
    def test_run(self, clip: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        options = [part for name in TARGETS for part in ("--export", name)]
        done = command("run", clip, "--out", out, *options, "--export", "coco")
        assert done.exit_code == 0, done.output
        assert {path.name for path in (out / "exports").iterdir()} == FILES
        assert "Exported to" in done.stdout
        content = json.loads((out / "exports" / "coco.json").read_text())
        report = json.loads((out / "result.json").read_text())
        assert [i["time_s"] for i in content["images"]] == [f["time_s"] for f in report["frames"]]
        assert content["videos"][0]["file_name"] == "clip.mp4"
        shown = {a["image_id"] - 1 for a in content["annotations"]}
        assert shown == {f["index"] for f in report["frames"] if f["labels"]}

    def test_run_again_leaves_no_export_of_before(self, clip: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        command("run", clip, "--out", out, "--export", "csv", "--export", "label-studio")
        (out / "exports" / "notes.txt").write_text("mine")
        done = command("run", clip, "--out", out, "--force", "--export", "audacity", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["exports"] == {
            "audacity": str(out / "exports" / "segments.txt")
        }
        assert {p.name for p in (out / "exports").iterdir()} == {"notes.txt", "segments.txt"}

    def test_unknown_names_are_a_wrong_command_line(self, clip: Path, tmp_path: Path) -> None:
        for line in (("run", clip, "--out", tmp_path / "o", "--export", "nope"),
                     ("export", tmp_path, "nope")):  # fmt: skip
            done = command(*line)
            assert done.exit_code == 2
            assert "there is no export 'nope'; there are coco, youtube-vos, " in done.stderr
        assert not (tmp_path / "o").exists()

    def test_export(self, clip: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        command("run", clip, "--out", out)
        done = command("export", out, "coco", "elan", "coco")
        assert done.exit_code == 0, done.output
        assert {p.name for p in (out / "exports").iterdir()} == {"coco.json", "segments.eaf"}
        again = command("export", out, "coco")
        assert again.exit_code == 1
        assert "--force" in again.stderr
        assert command("export", out, "coco", "--force", "--quiet").output == ""
        bare = command("export", out, "csv", "davis")
        assert bare.exit_code == 1
        assert "--video FILE" in bare.stderr
        assert not (out / "exports" / "segments.csv").exists()
        cut = command("export", out, "muted", "--video", clip, "--out", tmp_path / "cuts", "--json")
        assert json.loads(cut.stdout) == {"exports": {"muted": str(tmp_path / "cuts/muted.mp4")}}

    def test_interrupted(self, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def stop(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Result, "export", stop)
        out = tmp_path / "out"
        done = command("run", clip, "--out", out, "--export", "csv")
        assert done.exit_code == 130
        assert f"interrupted while exporting. The result in {out} is complete" in done.stderr
        assert (out / "result.json").exists()
        again = command("export", out, "csv")
        assert again.exit_code == 130
        assert "interrupted while exporting" in again.stderr

    def test_export_of_nothing(self, tmp_path: Path) -> None:
        done = command("export", tmp_path, "coco")
        assert done.exit_code == 1
        assert "holds no complete result" in done.stderr
        assert command("export", tmp_path).exit_code == 2

    def test_the_input_is_spared(self, clip: Path, tmp_path: Path) -> None:
        video = tmp_path / "out" / "exports" / "muted.mp4"
        video.parent.mkdir(parents=True)
        video.write_bytes(clip.read_bytes())
        done = command("run", video, "--out", tmp_path / "out", "--force", "--export", "muted")
        assert done.exit_code == 1
        assert "would remove" in done.stderr
        assert video.read_bytes() == clip.read_bytes()
