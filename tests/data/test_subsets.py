"""Key frames of datasets, and the clips whose sounding set changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import avsbench_folders as folders
import numpy as np
import pytest

from coprop import ControlPointDetector, ControlPoints
from coprop.data.avsbench_object import MS3, S4
from coprop.data.avsbench_semantic import AVSS
from coprop.data.control_point_labels import write_control_points
from coprop.data.labelled import FrameTruth, LabelledClip, LabelledDataset
from coprop.data.subsets import Subset, key_frames, moc
from coprop.errors import DatasetError
from coprop.media.reader import Frame
from coprop.types import Audio, AudioTrack

MASK = np.ones((2, 3), dtype=np.uint8)


class Dense:
    """One clip at 4 frames a second; some frames are not annotated."""

    name, num_classes = "dense", 1

    def __init__(self, change_times_s: tuple[float, ...], bare: Sequence[int] = ()) -> None:
        self.change_times_s, self.bare = change_times_s, bare

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int, /) -> LabelledClip:
        image = np.zeros((2, 3, 3), dtype=np.uint8)
        return LabelledClip(
            name="clip",
            frames=[Frame(i, i / 4, image) for i in range(12)],
            audio=Audio(np.zeros(3000, dtype=np.float32), 1000),
            truth=[FrameTruth(None if i in self.bare else MASK) for i in range(12)],
            change_times_s=self.change_times_s,
        )


def flagged(flags: Sequence[int]) -> object:
    """A detector that gives these flags for windows, and times 0 and 1.1 s without."""

    def detect(audio: AudioTrack, /, *, windows: int | None = None) -> ControlPoints:
        if windows is None:
            return ControlPoints(np.array([0.0, 1.1]), np.ones(2), np.ones(2, dtype=bool))
        chosen = np.array(flags, dtype=bool)
        assert windows == len(chosen)
        times_s = np.arange(windows) * audio.duration_s / windows
        return ControlPoints(times_s, chosen.astype(float), chosen)

    return detect


class TestKeyFrames:
    def test_by_the_masks(self, tmp_path: Path) -> None:
        assert key_frames(S4(folders.build_s4(tmp_path))) == ((0, 0), (1, 0), (1, 2), (1, 3))
        assert key_frames(MS3(folders.build_ms3(tmp_path))) == ((0, 0), (1, 0), (1, 2))
        found = key_frames(AVSS(folders.build_avss(tmp_path), labels=("v2",)))
        assert found == ((0, 0), (0, 2), (0, 4))

    def test_by_hand(self, tmp_path: Path) -> None:
        path = tmp_path / "flags.jsonl"
        write_control_points(path, {"test-0": [1, 0, 0, 1, 1]})
        dataset = MS3(folders.build_ms3(tmp_path), control_points=path)
        assert key_frames(dataset) == ((0, 0), (0, 3), (0, 4), (1, 0))  # 1: only its first

    def test_by_a_detector(self, tmp_path: Path) -> None:
        dataset = MS3(folders.build_ms3(tmp_path), "train")
        found = key_frames(dataset, flagged([1, 0, 1, 0, 1]))
        assert found == tuple((clip, frame) for clip in (0, 1) for frame in (0, 2, 4))
        cosine = key_frames(dataset, ControlPointDetector.cosine())
        assert [pair for pair in cosine if pair[1] == 0] == [(0, 0), (1, 0)]

    def test_only_annotated_frames(self, tmp_path: Path) -> None:
        dataset = S4(folders.build_s4(tmp_path), "train")  # annotated in the first frame alone
        assert key_frames(dataset) == ((0, 0), (1, 0))
        assert key_frames(dataset, flagged([1, 1, 1, 0, 0])) == ((0, 0), (1, 0))

    def test_dense_video(self) -> None:
        """The first frame at the change or after it."""
        assert key_frames(Dense((0.26, 1.0, 2.0 + 1e-9))) == ((0, 0), (0, 2), (0, 4), (0, 8))
        assert key_frames(Dense((0.26, 0.3, 9.0))) == ((0, 0), (0, 2))
        assert key_frames(Dense((0.26, 1.0), bare=(0, 4))) == ((0, 2),)
        assert key_frames(Dense(()), flagged([1])) == ((0, 0), (0, 5))


@pytest.mark.parametrize(("count", "said"), [(11, "fewer"), (13, "more")])
def test_truths_that_are_not_as_many_as_frames_are_told(count: int, said: str) -> None:
    class Odd(Dense):
        def __getitem__(self, index: int, /) -> LabelledClip:
            return replace(super().__getitem__(index), truth=[FrameTruth(MASK)] * count)

    with pytest.raises(DatasetError, match=f"clip has {said} truths than frames"):
        key_frames(Odd(()))


class TestMoc:
    def test_clips_that_change(self, tmp_path: Path) -> None:
        dataset: LabelledDataset = moc(MS3(folders.build_ms3(tmp_path)))
        assert (dataset.name, dataset.num_classes, len(dataset)) == ("MS3 test moc", 1, 1)
        assert dataset[0].name == "test-1"
        assert moc(AVSS(folders.build_avss(tmp_path))).num_classes == 71

    def test_clips_by_name(self, tmp_path: Path) -> None:
        dataset = MS3(folders.build_ms3(tmp_path))
        assert [clip.name for clip in moc(dataset, ["test-0"])] == ["test-0"]
        assert [clip.name for clip in moc(dataset, ["test-1", "test-0"])] == ["test-0", "test-1"]

    def test_unknown_names(self, tmp_path: Path) -> None:
        dataset = MS3(folders.build_ms3(tmp_path))
        with pytest.raises(DatasetError, match="MS3 test has no clip val-0, x"):
            moc(dataset, ["test-0", "x", "val-0"])

    def test_clips_of_one_name(self) -> None:
        class Twice(Dense):
            def __len__(self) -> int:
                return 2

        with pytest.raises(DatasetError, match=r"the clips 0 and 1 of dense.* both called 'clip'"):
            moc(Twice((1.0,)), ["clip"])

    def test_no_clip_changes(self) -> None:
        with pytest.raises(DatasetError, match="in no clip of dense is the sounding set known"):
            moc(Dense(()))
        with pytest.raises(DatasetError, match="in no clip of dense"):
            moc(Dense((1.0,)), names=[])


class TestSubset:
    def test_order_and_name(self, tmp_path: Path) -> None:
        dataset = AVSS(folders.build_avss(tmp_path))
        part = Subset(dataset, [2, 0], "a few")
        assert (part.name, part.num_classes, len(part)) == ("a few", 71, 2)
        assert [clip.name for clip in part] == ["test_v2", "test_v1s"]
        assert [clip.name for clip in Subset(part, range(1), "one")] == ["test_v2"]

    @pytest.mark.parametrize(
        ("indices", "shown"), [([3], r"\[3\]"), ([-1], r"\[-1\]"), ([], "none")]
    )
    def test_bad_indices(self, tmp_path: Path, indices: list[int], shown: str) -> None:
        dataset = AVSS(folders.build_avss(tmp_path))
        with pytest.raises(DatasetError, match=f"AVSS test needs .* from 0 to 2, got {shown}"):
            Subset(dataset, indices, "part")
        for wrong in ([1.5], ["a"], None, 1):
            with pytest.raises(DatasetError, match="indices must be whole numbers, got"):
                Subset(dataset, wrong, "part")  # type: ignore[arg-type]
