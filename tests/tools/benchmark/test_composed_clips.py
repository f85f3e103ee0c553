"""The benchmark's composed clips as a labelled dataset."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import small_library

from coprop.data.labelled import LabelledDataset
from coprop.errors import CoPropError, DatasetError
from tools.benchmark.composed_clips import ComposedClips
from tools.benchmark.composer import compose_clip
from tools.benchmark.library import SOURCE_RATE, Library


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_library.build(tmp_path_factory.mktemp("sources"))


def test_the_benchmarks_clips(folder: Path) -> None:
    """Composed and scored, as ``coprop eval`` does."""
    library = Library(folder, "test")
    dataset: LabelledDataset = ComposedClips(folder)
    assert (dataset.name, dataset.num_classes, len(dataset)) == ("composed test", 1, 40)
    for number, fps in ((0, 5.0), (3, 1.0)):
        dataset = ComposedClips(folder, fps=fps)
        want = compose_clip(library, np.random.default_rng((2024, number)), fps=fps)
        clip = dataset[number]
        assert clip.name == f"composed-{number:04d}"
        assert clip.windows is None
        assert clip.change_times_s == want.schedule.change_times_s
        assert clip.audio.sample_rate == SOURCE_RATE
        np.testing.assert_array_equal(clip.audio.samples, want.audio.samples)
        rendered = zip(clip.frames, clip.truth, want.frames(), strict=True)
        for index, (frame, truth, (_, image, objects)) in enumerate(rendered):
            sounding = want.sounding(index / fps)
            assert (frame.index, frame.time_s) == (index, index / fps)
            np.testing.assert_array_equal(frame.image, image)
            np.testing.assert_array_equal(truth.objects, objects)
            np.testing.assert_array_equal(truth.sounding, sounding)
            hidden = set(want.schedule.at(index / fps)) - set(range(want.num_sounding))
            assert truth.off_screen is bool(hidden)
            np.testing.assert_array_equal(truth.labels, objects[sounding].any(axis=0))
            assert truth.labels is not None
            assert truth.labels.dtype == np.uint8


def test_a_clip_stays_what_it_was(folder: Path) -> None:
    """Published figures hang on the order in which random numbers are drawn."""
    clip = ComposedClips(folder)[5]
    # 21 bits: more than the sources have, and no rounding of sines differs in them.
    digest = hashlib.sha256(np.round(clip.audio.samples * 2**20).astype("<i4").tobytes())
    for frame, truth in zip(clip.frames, clip.truth, strict=True):
        for array in (frame.image, truth.labels, truth.objects):
            assert array is not None
            digest.update(array.tobytes())
    assert clip.change_times_s == (1.0061678004535148, 3.403514739229025, 5.099863945578231)
    digest.update(repr(clip.change_times_s).encode())
    expected = "2e1b129adab5e446a67d6ea1e556bf0ae441424cbed89d0802d6a9b67b839ca0"
    assert digest.hexdigest() == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (4, "7eb087ed784b40e0cea15f72a24f4c02e1eb105afc0cfb4f91f0d1cdaddf236c"),
        (6, "579572c6d2a0264d36d8d91923f653c81f76b15163bb7ddd2baeb4d156c16c85"),
    ],
)
def test_sounds_stay_what_they_were(folder: Path, number: int, expected: str) -> None:
    samples = ComposedClips(folder)[number].audio.samples
    rounded = np.round(samples * 2**20).astype("<i4")
    assert hashlib.sha256(rounded.tobytes()).hexdigest() == expected


def test_what_is_seen_and_silent_or_heard_and_not_seen(folder: Path) -> None:
    hidden = silent = 0
    for clip in (ComposedClips(folder, fps=1.0)[number] for number in range(12)):
        groups = {*clip.categories, *clip.silent, *clip.off_screen}
        parts = (clip.categories, clip.silent, clip.off_screen)
        assert len(groups) == sum(map(len, parts))  # no group is in two of them
        assert groups <= set(small_library.GROUPS)
        assert bool(clip.off_screen) >= any(truth.off_screen for truth in clip.truth)
        hidden, silent = hidden + len(clip.off_screen), silent + len(clip.silent)
    assert hidden


def test_frames_can_be_gone_through_again(folder: Path) -> None:
    clip = ComposedClips(folder, count=1, fps=1.0)[0]
    first, second = list(clip.frames), list(clip.frames)
    assert len(first) == len(second) == len(list(clip.truth)) == len(clip.frames) == 8
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.image, two.image)


def test_categories_are_the_visible_groups_that_sound(folder: Path) -> None:
    library = Library(folder, "test")
    dataset = ComposedClips(library, count=12)
    for number in range(12):
        clip, own = (
            compose_clip(library, np.random.default_rng((2024, number)), fps=5.0),
            dataset[number],
        )
        groups = {
            clip.scene.groups[source]
            for state in clip.schedule.sounding
            for source in state
            if source < clip.num_sounding
        }
        assert set(own.categories) == groups
        heard = own.heard
        assert heard is not None
        assert [set(words) for words in heard] == [
            {clip.scene.groups[i] for i in state if i < clip.num_sounding}
            for state in clip.schedule.sounding
        ]
        assert groups <= set(small_library.GROUPS)


def test_options(folder: Path) -> None:
    train = ComposedClips(folder, count=2, seed=7, fps=2.0, split="train")
    assert (train.name, len(train)) == ("composed train", 2)
    assert [clip.name for clip in train] == ["composed-0000", "composed-0001"]
    assert len(list(train[1].frames)) == 16
    assert train[-1].name == "composed-0001"
    want = compose_clip(Library(folder, "train"), np.random.default_rng((7, 1)), fps=2.0)
    np.testing.assert_array_equal(train[1].audio.samples, want.audio.samples)
    with pytest.raises(IndexError):
        train[2]


@pytest.mark.parametrize(
    "options", [{"count": 0}, {"seed": -1}, {"fps": 0.0}, {"fps": float("nan")}]
)
def test_numbers_out_of_range(folder: Path, options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(DatasetError, match=f"positive number of frames .*{name}={options[name]}"):
        ComposedClips(folder, **options)


def test_folder_without_sources(tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match=r"manifest\.jsonl does not exist"):
        ComposedClips(tmp_path)
