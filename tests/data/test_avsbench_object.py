"""S4 and MS3 from small folders in the official layouts."""

from __future__ import annotations

import re
from pathlib import Path

import avsbench_folders as folders
import numpy as np
import pytest
from PIL import Image

from coprop.data.avsbench_object import MS3, S4
from coprop.data.control_point_labels import write_control_points
from coprop.errors import CoPropError, DatasetError

BOX = folders.box(True) > 0


@pytest.fixture
def s4(tmp_path: Path) -> Path:
    return folders.build_s4(tmp_path)


@pytest.fixture
def ms3(tmp_path: Path) -> Path:
    return folders.build_ms3(tmp_path)


def mask_path(ms3: Path, number: int, name: str = "test-0") -> Path:
    return ms3 / "ms3_data/gt_masks/test" / name / f"{name}_{number}.png"


class TestS4:
    @pytest.mark.parametrize("split", ["val", "test"])
    def test_annotated_splits(self, s4: Path, split: str) -> None:
        dataset = S4(s4, split)
        assert (dataset.name, dataset.num_classes, len(dataset)) == (f"S4 {split}", 1, 2)
        first, second = dataset[0], dataset[1]
        assert (first.name, second.name) == (f"{split}_0", f"{split}_1")
        assert (first.categories, second.categories) == (("dog barking",), ("playing piano",))
        assert first.windows == second.windows == 5
        assert first.change_times_s == ()
        assert second.change_times_s == (2.0, 3.0)  # frame 3 of 1 to 5 is empty
        for number, truth in enumerate(second.truth):
            assert truth.labels is not None
            assert truth.labels.dtype == np.uint8
            np.testing.assert_array_equal(truth.labels, BOX & (number != 2))
            assert truth.objects is None
            assert truth.sounding is None

    def test_frames_and_sound(self, s4: Path) -> None:
        clip = S4(s4)[0]
        for _ in range(2):  # as often as one likes
            frames = list(clip.frames)
            assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
            assert [frame.time_s for frame in frames] == [0.5, 1.5, 2.5, 3.5, 4.5]
            for number, frame in enumerate(frames, start=1):
                np.testing.assert_array_equal(frame.image, folders.picture(number))
            assert len(list(clip.truth)) == 5
        assert (clip.audio.sample_rate, clip.audio.num_samples) == (16_000, 80_000)
        assert clip.audio.samples.dtype == np.float32
        assert np.abs(clip.audio.samples).max() == pytest.approx(0.5, abs=1e-3)

    def test_training_clips_have_one_mask(self, s4: Path) -> None:
        dataset = S4(s4, "train")
        assert len(dataset) == 2
        truths = list(dataset[0].truth)
        np.testing.assert_array_equal(truths[0].labels, BOX)
        assert [truth.labels for truth in truths[1:]] == [None] * 4
        assert dataset[0].change_times_s is None
        assert dataset[0].categories == ("dog barking",)

    def test_further_masks_of_training_clips_are_used(self, s4: Path) -> None:
        masks = s4 / "s4_data/gt_masks/train/dog_barking/train_0"
        for number in range(2, 6):
            folders.save(masks / f"train_0_{number}.png", folders.box(number < 5))
        assert S4(s4, "train")[0].change_times_s == (4.0,)

    def test_other_names_of_columns(self, s4: Path) -> None:
        table = s4 / "s4_meta_data.csv"
        text = table.read_text(encoding="utf-8")
        want = [clip.name for clip in map(S4(s4).__getitem__, range(2))]
        rows = [line.split(",") for line in text.splitlines()[1:]]
        for header in ("clip,start,kind,split", "video_id,start,category,split"):
            folders.write_csv(table, header, rows)
            assert [S4(s4)[i].name for i in range(2)] == want
        # named columns may stand anywhere; spreadsheets write a mark at the beginning
        swapped = [f"{split},{start},{category},{name}" for name, start, category, split in rows]
        table.write_text("\n".join(["split,start,category,name", *swapped]), encoding="utf-8-sig")
        assert [S4(s4)[i].name for i in range(2)] == want

    def test_root_may_be_the_folder_around(self, s4: Path) -> None:
        assert len(S4(s4.parent)) == len(S4(str(s4))) == 2

    def test_nothing_but_the_csv_is_read_at_first(self, s4: Path) -> None:
        for path in s4.rglob("*.*"):
            if path.suffix in (".png", ".wav"):
                path.write_bytes(b"damaged")
        assert len(S4(s4)) == 2

    def test_frames_are_read_while_iterating(self, s4: Path) -> None:
        clip = S4(s4)[0]
        path = s4 / "s4_data/visual_frames/test/dog_barking/test_0/test_0_2.png"
        path.write_bytes(path.read_bytes()[:60])
        frames = iter(clip.frames)
        assert next(frames).index == 0
        with pytest.raises(DatasetError, match=rf"{re.escape(str(path))} cannot be read"):
            next(frames)

    def test_index_beyond_the_end(self, s4: Path) -> None:
        assert [clip.name for clip in S4(s4)] == ["test_0", "test_1"]  # ends at IndexError
        assert S4(s4)[-1].name == "test_1"
        with pytest.raises(IndexError):
            S4(s4)[2]


class TestMS3:
    @pytest.mark.parametrize("split", folders.SPLITS)
    def test_all_splits(self, ms3: Path, split: str) -> None:
        dataset = MS3(ms3, split)
        assert (dataset.name, dataset.num_classes, len(dataset)) == (f"MS3 {split}", 1, 2)
        first, second = dataset[0], dataset[1]
        assert (first.name, second.name) == (f"{split}-0", f"{split}-1")
        assert first.categories == ()
        assert first.change_times_s == ()
        assert second.change_times_s == (2.0,)  # white RGB masks from the third frame on
        for number, truth in enumerate(second.truth):
            np.testing.assert_array_equal(truth.labels, BOX & (number >= 2))
        for number, frame in enumerate(first.frames, start=11):
            np.testing.assert_array_equal(frame.image, folders.picture(number))

    def test_column_may_be_called_name(self, ms3: Path) -> None:
        table = ms3 / "ms3_meta_data.csv"
        text = table.read_text(encoding="utf-8")
        for other in ("name", "anything"):
            table.write_text(text.replace("video_id", other, 1), encoding="utf-8")
            assert MS3(ms3)[1].name == "test-1"

    def test_root_may_be_the_folder_around(self, ms3: Path) -> None:
        folders.build_s4(ms3.parent)  # the two lie side by side in the release
        assert MS3(ms3.parent)[0].name == "test-0"

    @pytest.mark.parametrize("form", ["L", "1", "P", "P bright first", "RGB", "RGBA", "L1"])
    def test_every_form_of_mask(self, ms3: Path, form: str) -> None:
        gray = Image.fromarray(folders.box(True))
        if form == "P":
            image = Image.fromarray(folders.box(True) // 255)
            image = Image.frombytes("P", image.size, image.tobytes())
            image.putpalette([0, 0, 0, 128, 0, 0])
        elif form == "P bright first":  # index 0 is the foreground
            image = Image.frombytes("P", gray.size, (1 - folders.box(True) // 255).tobytes())
            image.putpalette([255, 255, 255, 0, 0, 0])
        elif form == "RGBA":
            image = gray.convert("RGBA")  # opaque everywhere
        elif form == "L1":
            image = Image.fromarray(folders.box(True) // 255)  # 0 and 1
        else:
            image = gray.convert(form)
        path = mask_path(ms3, 1)
        image.save(path)
        truth = next(iter(MS3(ms3)[0].truth))
        np.testing.assert_array_equal(truth.labels, BOX)

    @pytest.mark.parametrize("seconds", [4.7, 4.99, 5.0, 5.03, 5.6])
    def test_sound_need_not_fill_the_seconds(self, ms3: Path, seconds: float) -> None:
        folders.save_sound(ms3 / "ms3_data/audio_wav/test/test-1.wav", seconds, channels=2)
        clip = MS3(ms3)[1]
        assert clip.audio.duration_s == pytest.approx(seconds)
        assert clip.audio.samples.ndim == 1
        assert clip.windows == 5
        assert clip.change_times_s == (2.0,)

    def test_flags_by_hand_replace_the_masks(self, ms3: Path, tmp_path: Path) -> None:
        path = tmp_path / "flags.jsonl"
        write_control_points(path, {"test-0": [1, 0, 0, 1, 1], "val-1": [1, 1, 0, 0, 0]})
        dataset = MS3(ms3, control_points=path)
        assert dataset[0].change_times_s == (3.0, 4.0)
        assert dataset[1].change_times_s is None  # not annotated
        assert MS3(ms3, "val", control_points=str(path))[1].change_times_s == (1.0,)


class TestBadInput:
    def test_folder_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"nowhere is not a folder .*s4_meta_data\.csv"):
            S4(tmp_path / "nowhere")

    def test_folder_without_the_csv(self, s4: Path) -> None:
        message = r"s4_data holds no s4_meta_data\.csv(.|\n)*Single-source/s4_data/visual_frames"
        with pytest.raises(DatasetError, match=message):
            S4(s4 / "s4_data")

    def test_several_folders(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            folders.build_ms3(tmp_path / name).rename(tmp_path / f"copy_{name}")
        with pytest.raises(DatasetError, match=r"several folders of .*copy_a, copy_b; give one"):
            MS3(tmp_path)

    def test_data_folder_is_missing(self, s4: Path) -> None:
        (s4 / "s4_data").rename(s4 / "data")
        with pytest.raises(DatasetError, match=r"s4_data is not a folder; it belongs beside"):
            S4(s4)

    def test_unknown_split(self, s4: Path, ms3: Path) -> None:
        for dataset in (S4, MS3):
            with pytest.raises(DatasetError, match=r"'dev'; it has \['test', 'train', 'val'\]"):
                dataset(s4.parent, "dev")

    def test_csv_without_split(self, s4: Path) -> None:
        table = s4 / "s4_meta_data.csv"
        folders.write_csv(table, "name,start,category", [("a", "0", "dog")])
        with pytest.raises(DatasetError, match=rf"{table} has no column 'split'; its header is"):
            S4(s4)
        folders.write_csv(table, "name,split", [("a", "test")])
        with pytest.raises(DatasetError, match=r"no column 'category'"):
            S4(s4)

    @pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00\x80csv"])
    def test_csv_without_text(self, ms3: Path, content: bytes) -> None:
        (ms3 / "ms3_meta_data.csv").write_bytes(content)
        with pytest.raises(DatasetError, match=r"ms3_meta_data\.csv (has no column|cannot be)"):
            MS3(ms3)

    def test_csv_with_a_short_row(self, ms3: Path) -> None:
        folders.write_csv(ms3 / "ms3_meta_data.csv", "video_id,split", [("a", "test"), ("b",)])
        with pytest.raises(DatasetError, match=r"line 3 has 1 cells, the header 2: \['b'\]"):
            MS3(ms3)

    def test_frame_is_missing(self, ms3: Path) -> None:
        frames = ms3 / "ms3_data/visual_frames/test-0"
        for number in (4, 5):
            (frames / f"test-0.mp4_{number}.png").unlink()
        message = r"test-0\.mp4_4\.png does not exist; 3 of 5 frames are there(.|\n)*official"
        with pytest.raises(DatasetError, match=message):
            MS3(ms3)[0]
        assert MS3(ms3)[1].name == "test-1"

    def test_frames_lie_in_a_folder_of_the_split(self, ms3: Path) -> None:
        frames = ms3 / "ms3_data/visual_frames"
        (frames / "test").mkdir()
        (frames / "test-0").rename(frames / "test/test-0")
        message = rf"0 of 5 frames.*folder on the way that exists is {re.escape(str(frames))}\."
        with pytest.raises(DatasetError, match=message):
            MS3(ms3)[0]

    def test_mask_is_missing(self, s4: Path, ms3: Path) -> None:
        mask_path(ms3, 2).unlink()
        with pytest.raises(DatasetError, match=r"test-0_2\.png does not exist; 4 of 5 masks"):
            MS3(ms3)[0]
        (s4 / "s4_data/gt_masks/test/dog_barking/test_0/test_0_3.png").unlink()
        with pytest.raises(DatasetError, match=r"test_0_3\.png does not exist; 4 of 5 masks"):
            S4(s4)[0]
        (s4 / "s4_data/gt_masks/train/dog_barking/train_0/train_0_1.png").unlink()
        with pytest.raises(DatasetError, match=r"train_0_1\.png does not exist; 0 of 1 masks"):
            S4(s4, "train")[0]

    def test_sound_is_missing(self, s4: Path) -> None:
        path = s4 / "s4_data/audio_wav/test/dog_barking/test_0.wav"
        path.unlink()
        with pytest.raises(DatasetError, match=rf"{re.escape(str(path))} does not exist"):
            S4(s4)[0]

    @pytest.mark.parametrize("kind", ["no picture", "cut short", "empty"])
    def test_damaged_mask(self, ms3: Path, kind: str) -> None:
        path = mask_path(ms3, 3)
        content = {"no picture": b"text", "cut short": path.read_bytes()[:50], "empty": b""}[kind]
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=rf"picture {re.escape(str(path))} cannot be read"):
            MS3(ms3)[0]

    @pytest.mark.parametrize("kind", ["no sound", "no samples", "NaN"])
    def test_damaged_sound(self, ms3: Path, kind: str) -> None:
        import soundfile

        path = ms3 / "ms3_data/audio_wav/test/test-0.wav"
        if kind == "no sound":
            path.write_bytes(b"RIFF")
        elif kind == "no samples":
            folders.save_sound(path, 0.0)
        else:
            soundfile.write(path, np.full(800, np.nan), 16_000, subtype="FLOAT")
        with pytest.raises(DatasetError, match=rf"the sound {re.escape(str(path))} cannot be read"):
            MS3(ms3)[0]

    def test_mask_of_another_size(self, ms3: Path) -> None:
        folders.save(mask_path(ms3, 5), np.zeros((6, 8), dtype=np.uint8))
        message = r"frame .*test-0\.mp4_5\.png is 16x12, its mask .*test-0_5\.png is 8x6; both must"
        with pytest.raises(DatasetError, match=message):
            MS3(ms3)[0]

    def test_flags_that_do_not_fit(self, ms3: Path, tmp_path: Path) -> None:
        path = tmp_path / "flags.jsonl"
        write_control_points(path, {"other": [1]})
        with pytest.raises(CoPropError, match=rf"{re.escape(str(path))} has flags of .*: other"):
            MS3(ms3, control_points=path)
        write_control_points(path, {"test-1": [1, 0, 0, 0]})
        with pytest.raises(CoPropError, match=r"has 4 flags for the clip 'test-1' of 5 frames"):
            MS3(ms3, control_points=path)
        with pytest.raises(CoPropError, match=r"cannot be read from .*none\.jsonl"):
            MS3(ms3, control_points=tmp_path / "none.jsonl")
