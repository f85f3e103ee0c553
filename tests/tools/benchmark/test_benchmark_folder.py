"""The folder of the open benchmark: the same bytes every time, whole clips, and its reader."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_library
from PIL import Image

from coprop.data.benchmark_reader import ComposedBenchmark
from coprop.data.checksums import read_checksums, verify
from coprop.data.labelled import LabelledDataset
from coprop.data.loading import load_dataset
from coprop.data.subsets import moc
from coprop.errors import CoPropError, DatasetError, OutputError
from tools.benchmark.clips import compose_benchmark_clip, read_material
from tools.benchmark.config import ClipConfig
from tools.benchmark.folder import compose_folder
from tools.benchmark.library import Library

CONFIG = ClipConfig(fps=1.5, size=(64, 96), unseen=0.5)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_library.build(
        tmp_path_factory.mktemp("sources"), small_library.WIDE, distinct=True
    )


@pytest.fixture(scope="module")
def benchmark(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test clips of all subsets, and train clips of one; only to be read."""
    out = tmp_path_factory.mktemp("made") / "benchmark"
    compose(sources, out)
    compose(sources, out, split="train", subset="s4", clips=1)
    return out


def compose(sources: Path, out: Path, **options: Any) -> Any:
    given = {"clips": 3, "seed": 9, "config": CONFIG, **options}
    return compose_folder(sources, out, **given)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def copied(sources: Path, tmp_path: Path) -> Path:
    """A small folder to be damaged."""
    compose(sources, tmp_path / "benchmark", subset="s4", clips=2)
    return tmp_path / "benchmark"


def test_layout(sources: Path, benchmark: Path) -> None:
    about = json.loads((benchmark / "benchmark.json").read_text())
    assert about["counts"] == {"test": {"m3": 3, "moc": 3, "s4": 3}, "train": {"s4": 1}}
    assert about["seed"] == 9
    assert about["recipe"]["size"] == [64, 96]
    assert len(about["unseen_groups"]) == 2
    manifest = (sources / "manifest.jsonl").read_bytes()
    assert about["sources_manifest_sha256"] == hashlib.sha256(manifest).hexdigest()
    with (benchmark / "metadata.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert {row["label"] for row in rows} == {"s4", "m3", "moc"}
    assert all(row["num_frames"] == "12" for row in rows)
    for row in rows:
        folder = benchmark / row["split"] / row["uid"]
        record = json.loads((folder / "clip.json").read_text())
        assert row["categories"].split(";") == record["categories"]
        assert row["seen_in_training"] == str(int(record["seen_in_training"]))
        names = [f"{i:05d}.png" for i in range(12)]
        for kind in ("frames", "masks"):
            assert sorted(path.name for path in (folder / kind).iterdir()) == names


def test_sources_are_listed(sources: Path, benchmark: Path) -> None:
    rows = [json.loads(line) for line in (benchmark / "sources.jsonl").read_text().splitlines()]
    used = set()
    for path in benchmark.glob("*/*/clip.json"):
        record = json.loads(path.read_text())
        parts = [*record["objects"], *record["off_screen"], record["music"] or {}]
        used |= {part[name] for part in parts for name in ("picture", "recording") if name in part}
        used.add(record["background"])
    assert {row["path"] for row in rows} == used - {None}
    for row in rows:
        digest = hashlib.sha256((sources / row["path"]).read_bytes()).hexdigest()
        assert row["sha256"] == digest
        assert row["licence"] == "none needed"
        assert row["path"].startswith(row["split"])


def test_same_arguments_same_bytes(sources: Path, benchmark: Path, tmp_path: Path) -> None:
    compose(sources, tmp_path / "other", split="train", subset="s4", clips=1)
    for subset in ("moc", "s4", "m3"):
        compose(sources, tmp_path / "other", subset=subset)
    assert contents(tmp_path / "other") == contents(benchmark)


def test_work_that_was_cut_goes_on(sources: Path, benchmark: Path, tmp_path: Path) -> None:
    out = tmp_path / "cut"

    def cut(step: str, completed: int, total: int | None) -> None:
        if step == "clips" and completed == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compose(sources, out, progress=cut)
    clips = sorted(path.name for path in (out / "test").iterdir())
    assert clips == ["s4-0000", "s4-0001"]
    stamp = (out / "test/s4-0000/audio.wav").stat().st_mtime_ns
    with pytest.raises(
        DatasetError, match=r"was stopped. Repeat python -m tools.benchmark compose"
    ):
        ComposedBenchmark(out)
    # What a kill in the middle of a clip leaves.
    (out / "test/.s4-0002.0a1b2c3d.part/frames").mkdir(parents=True)
    (out / "test/.s4-0002.0a1b2c3d.part/frames/00000.png").write_bytes(b"half")
    (out / "test/.s4-0007.0a1b2c3d.part").mkdir()
    seen: list[tuple[str, int, int | None]] = []
    result = compose(sources, out, progress=lambda *step: seen.append(step))
    assert result.composed == 7
    assert seen[0] == ("clips", 0, 9)  # the sources are not compared again
    assert seen[-1] == ("clips", 9, 9)
    assert (out / "test/s4-0000/audio.wav").stat().st_mtime_ns == stamp
    assert not list((out / "test").glob(".*"))
    compose(sources, out, split="train", subset="s4", clips=1)
    assert contents(out) == contents(benchmark)


def test_a_clip_is_whole_or_not_there(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import soundfile

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(OutputError, match=r"s4-0000: No space left on device"):
        compose(sources, tmp_path / "out", subset="s4")
    assert list((tmp_path / "out/test").iterdir()) == []


def test_repeating_does_nothing(sources: Path, copied: Path) -> None:
    before = contents(copied)
    result = compose(sources, copied, subset="s4", clips=2)
    assert (result.composed, result.counts) == (0, {"test": {"s4": 2}})
    assert contents(copied) == before


def test_other_arguments_are_refused(sources: Path, copied: Path, tmp_path: Path) -> None:
    before = contents(copied)
    with pytest.raises(OutputError, match=r"composed otherwise \(seed: 9 there, 10 now"):
        compose(sources, copied, seed=10)
    with pytest.raises(OutputError, match=r"composed otherwise \(recipe"):
        compose(sources, copied, config=ClipConfig(fps=2.0, size=(64, 96)))
    with pytest.raises(OutputError, match=r"composed otherwise \(unseen_groups"):
        compose(sources, copied, unseen=["dog"])
    others = small_library.build(tmp_path, small_library.WIDE[:6], distinct=True)
    with pytest.raises(OutputError, match="sources_manifest_sha256"):
        compose(others, copied)
    assert contents(copied) == before


def test_folder_of_something_else(sources: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match=r"is not empty and has no benchmark\.json"):
        compose(sources, tmp_path)
    assert contents(tmp_path) == {"letter.txt": b"dear"}
    with pytest.raises(OutputError, match="letter"):
        compose(sources, tmp_path / "letter.txt" / "inner")


@pytest.mark.parametrize("options", [{"clips": 0}, {"seed": -1}])
def test_numbers_out_of_range(sources: Path, tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(DatasetError, match="clips must be 1 or more and seed 0 or more"):
        compose(sources, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_changed_source(tmp_path: Path) -> None:
    sources = small_library.build(tmp_path, distinct=True)
    compose(sources, tmp_path / "out", subset="s4", clips=1)
    for path in tmp_path.glob("test_back_*.png"):
        Image.new("RGBA", (120, 90)).save(path)
    for out, clips in (("out", 2), ("another", 1)):
        with pytest.raises(
            DatasetError, match=r"back_\d\.png is not the file that manifest\.jsonl"
        ):
            compose(sources, tmp_path / out, subset="s4", clips=clips)
    assert not (tmp_path / "another").exists()


def test_copies_are_left_out(tmp_path: Path) -> None:
    sources = small_library.build(tmp_path, small_library.WIDE, distinct=True)
    manifest = sources / "manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for own, other in (("back_0.png", "back_1.png"), ("dog_0.png", "dog_0.png")):
        content = (sources / f"train_{own}").read_bytes()
        (sources / f"test_{other}").write_bytes(content)
        for row in rows:
            if row["path"] == f"test_{other}":
                row["sha256"] = hashlib.sha256(content).hexdigest()
    manifest.write_text("\n".join(map(json.dumps, rows)))
    left_out = compose(sources, tmp_path / "out").left_out
    about = json.loads((tmp_path / "out/benchmark.json").read_text())
    assert about["left_out"] == [*left_out] == ["test_back_1.png", "test_dog_0.png"]
    listed = (tmp_path / "out/sources.jsonl").read_text()
    assert "test_back_0.png" in listed
    assert "test_back_1.png" not in listed
    assert "test_dog_0.png" not in listed
    assert compose(sources, tmp_path / "out").composed == 0


def test_too_much_left_out(tmp_path: Path) -> None:
    sources = small_library.build(tmp_path)  # every disc is like every other of its colour
    with pytest.raises(CoPropError, match="without 4 files"):
        Library(sources, "test").without({sources / f"test_back_{i}.png" for i in (0, 1, 2, 3)})


def test_verify(copied: Path) -> None:
    found = verify(copied)
    assert found.is_whole
    assert found.checked == 2 * (12 + 12 + 2) + 3
    sound = copied / "test/s4-0000/audio.wav"
    content = bytearray(sound.read_bytes())
    content[-1] ^= 1
    sound.write_bytes(content)
    (copied / "test/s4-0001/masks/00003.png").unlink()
    (copied / "test/notes.txt").write_text("mine")
    found = verify(copied)
    assert not found.is_whole
    assert found.changed == ("test/s4-0000/audio.wav",)
    assert found.missing == ("test/s4-0001/masks/00003.png",)
    assert found.unlisted == ("test/notes.txt",)


def test_repeating_does_not_hide_a_change(sources: Path, copied: Path) -> None:
    (copied / "test/s4-0000/audio.wav").write_bytes(b"")
    compose(sources, copied, subset="s4", clips=3)
    assert verify(copied).changed == ("test/s4-0000/audio.wav",)


def test_lists_that_cannot_be_read(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="SHA256SUMS cannot be read"):
        verify(tmp_path / "nowhere")
    (copied / "SHA256SUMS").write_text("abc  file\n")
    with pytest.raises(DatasetError, match="SHA256SUMS, line 1 is 'abc  file'"):
        read_checksums(copied)


def test_val_is_validation(benchmark: Path, tmp_path: Path) -> None:
    """As recipes and AVSBench call it."""
    copied = tmp_path / "benchmark"
    shutil.copytree(benchmark, copied)
    table = copied / "metadata.csv"
    table.write_text(table.read_text().replace(",test,", ",validation,"))
    assert ComposedBenchmark(copied, "val").name == "benchmark validation"
    assert len(ComposedBenchmark(copied, "val")) == len(ComposedBenchmark(benchmark, "test"))


def test_reader_gives_what_was_composed(sources: Path, benchmark: Path) -> None:
    material = read_material(sources, "test")
    dataset: LabelledDataset = ComposedBenchmark(benchmark, "test", "m3")
    assert (dataset.name, dataset.num_classes, len(dataset)) == ("benchmark test m3", 1, 3)
    for number in range(3):
        want = compose_benchmark_clip(material, "m3", "test", number, seed=9, config=CONFIG)
        clip = dataset[number]
        assert clip.name == want.name
        assert clip.windows is None
        assert clip.change_times_s == want.schedule.change_times_s
        assert set(clip.categories) == {
            thing.picture.group for thing in want.objects if thing.source is not None
        }
        assert clip.heard is not None
        assert [set(words) for words in clip.heard] == [
            {thing.picture.group for thing in want.objects if thing.source in state}
            for state in want.schedule.sounding
        ]
        shown = {thing.source for thing in want.objects}
        hidden = {i for i in range(len(want.recordings)) if i not in shown}
        music = () if want.music is None else (want.music,)
        unseen = {source.group for source in (*(want.recordings[i] for i in hidden), *music)}
        assert set(clip.off_screen) == unseen - {None}
        assert {*clip.silent, *clip.categories} == {
            thing.picture.group for thing in want.objects
        } - {None}
        assert not set(clip.silent).intersection(*(clip.heard or ()))
        assert clip.audio.sample_rate == 44_100
        np.testing.assert_allclose(clip.audio.samples, want.audio.samples, atol=1 / 32768)
        rendered = zip(clip.frames, clip.truth, want.frames(), strict=True)
        for index, (frame, truth, (time_s, image, labels)) in enumerate(rendered):
            assert (frame.index, frame.time_s) == (index, index / 1.5)
            sounding = want.sounding(time_s)
            np.testing.assert_array_equal(frame.image, image)
            np.testing.assert_array_equal(truth.sounding, sounding)
            assert truth.off_screen is bool(music or hidden & want.schedule.at(time_s))
            assert truth.objects is not None
            assert truth.objects.shape == (len(want.objects), 64, 96)
            for i, mask in enumerate(truth.objects, start=1):
                np.testing.assert_array_equal(mask, labels == i)
            np.testing.assert_array_equal(truth.labels, truth.objects[sounding].any(axis=0))
            assert truth.labels is not None
            assert truth.labels.dtype == np.uint8


def test_classes_part_the_clips(benchmark: Path) -> None:
    names = {
        classes: {clip.name for clip in ComposedBenchmark(benchmark, classes=classes)}
        for classes in ("all", "seen", "unseen")
    }
    assert names["seen"]
    assert names["unseen"]
    assert not names["seen"] & names["unseen"]
    assert names["seen"] | names["unseen"] == names["all"]
    unseen = set(json.loads((benchmark / "benchmark.json").read_text())["unseen_groups"])
    for clip in ComposedBenchmark(benchmark, classes="seen"):
        assert not unseen & set(clip.categories)
    for clip in ComposedBenchmark(benchmark, classes="unseen"):
        assert unseen & set(clip.categories)
    assert ComposedBenchmark(benchmark, classes="seen").name == "benchmark test seen"
    assert not any(unseen & set(clip.categories) for clip in ComposedBenchmark(benchmark, "train"))


def test_by_name(benchmark: Path) -> None:
    assert load_dataset("benchmark", benchmark.parent).name == "benchmark test"
    dataset = load_dataset("benchmark", benchmark, "train")
    assert (dataset.name, len(dataset)) == ("benchmark train", 1)
    part = load_dataset("benchmark", benchmark, subset="moc", classes="seen")
    whole = ComposedBenchmark(benchmark, subset="moc", classes="seen")
    assert part.name == "benchmark test moc seen"
    assert [clip.name for clip in part] == [clip.name for clip in whole]
    with pytest.raises(DatasetError, match=r"for AVSBench, .benchmark. knows its own changes"):
        load_dataset("benchmark", benchmark, control_points="flags.jsonl")
    assert len(moc(ComposedBenchmark(benchmark, subset="moc"))) == 3


def test_what_is_not_there(benchmark: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no benchmark\.json"):
        ComposedBenchmark(tmp_path)
    with pytest.raises(DatasetError, match=r"no clip of the split 'val'; it has \['test', 'train'"):
        ComposedBenchmark(benchmark, "val")
    with pytest.raises(DatasetError, match=r"subset='m3' .* its subsets are \['s4'\]"):
        ComposedBenchmark(benchmark, "train", "m3")
    with pytest.raises(DatasetError, match="classes must be one of"):
        ComposedBenchmark(benchmark, classes="some")
    with pytest.raises(IndexError):
        ComposedBenchmark(benchmark)[9]


def test_what_is_off_screen(sources: Path, copied: Path) -> None:
    """Music always sounds; a source that is not seen in its own spans."""
    path = copied / "test/s4-0000/clip.json"
    record = json.loads(path.read_text())
    dataset = ComposedBenchmark(copied, "test", "s4")

    def heard(off_screen: object, music: object) -> tuple[list[bool | None], tuple[str, ...]]:
        path.write_text(json.dumps({**record, "off_screen": off_screen, "music": music}))
        clip = dataset[0]
        return [truth.off_screen for truth in clip.truth], clip.off_screen

    count, fps = record["num_frames"], record["fps"]
    bell = {"group": "bell", "sounding_s": [[2 / fps, 4 / fps]], "recording": "bell.flac"}
    organ = {"group": "organ", "recording": "organ.flac"}
    assert heard([], None) == ([False] * count, ())
    assert heard([bell], None) == ([2 <= i < 4 for i in range(count)], ("bell",))
    assert heard([bell], organ) == ([True] * count, ("bell", "organ"))
    for damage in ("loud", [{"group": "bell"}], [5]):
        with pytest.raises(DatasetError, match=r"clip.json cannot be read: .*coprop data verify"):
            heard(damage, None)
    with pytest.raises(DatasetError, match=r"clip.json cannot be read: .*coprop data verify"):
        heard([], {"recording": "organ.flac"})


def test_damaged_clips(copied: Path) -> None:
    dataset = ComposedBenchmark(copied)
    folder = copied / "test/s4-0000"
    mask = folder / "masks/00000.png"
    Image.fromarray(np.full((64, 96), 9, np.uint8)).save(mask)
    with pytest.raises(DatasetError, match=r"has the label 9, and clip\.json lists"):
        list(dataset[0].truth)
    Image.new("RGB", (96, 64)).save(mask)
    with pytest.raises(DatasetError, match="mode RGB, and must have P or L"):
        list(dataset[0].truth)
    mask.write_bytes(mask.read_bytes()[:60])
    with pytest.raises(DatasetError, match="cannot be read"):
        list(dataset[0].truth)
    Image.new("L", (90, 64)).save(mask)
    with pytest.raises(DatasetError, match="must have one size"):
        dataset[0]
    mask.unlink()
    with pytest.raises(DatasetError, match=r"00000.png does not exist; 11 of 12 masks"):
        dataset[0]
    for content in ("{", "[]", '{"fps": 5}'):
        (folder / "clip.json").write_text(content)
        with pytest.raises(DatasetError, match=r"clip.json cannot be read: .*coprop data verify"):
            dataset[0]
