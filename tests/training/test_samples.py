"""Samples are the same by number, whoever asks; their contents are the dataset's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import avsbench_folders
import numpy as np
import pytest
import small_library
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from coprop.data.avsbench_object import MS3, S4
from coprop.data.avsbench_semantic import AVSS
from coprop.data.labelled import FrameTruth, LabelledClip, LabelledDataset
from coprop.data.subsets import Subset, key_frames
from coprop.errors import DatasetError
from coprop.propagation.masks import VOID
from coprop.training.samples import (
    KeyframeSamples,
    PropagatorSamples,
    SampleOptions,
    join_keyframes,
    stack_sequences,
)
from coprop.training.views import View, between, random_view, see, whole_view
from tools.benchmark.composed_clips import ComposedClips

OPTIONS = SampleOptions((24, 32), sample_rate=8000, window_s=0.5, seed=1)
PLAIN = SampleOptions((12, 16), sample_rate=8000, window_s=0.5, seed=1, augment=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parent = tmp_path_factory.mktemp("avsbench")
    avsbench_folders.build_s4(parent)
    avsbench_folders.build_ms3(parent)
    avsbench_folders.build_avss(parent)
    return parent


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_sample_is_told_by_its_number(folder: Path) -> None:
    one, other = (KeyframeSamples(MS3(folder, "train"), OPTIONS) for _ in range(2))
    forward = [one[n] for n in range(6)]
    backward = [other[n] for n in reversed(range(6))][::-1]
    assert all(equal(a, b) for a, b in zip(forward, backward, strict=True))
    assert not equal(forward[0], forward[2])  # another view of the same clip, or another clip
    loader = DataLoader(other, batch_sampler=[[0, 1], [2, 3]], collate_fn=list, num_workers=2)
    worked = [sample for batch in loader for sample in batch]
    assert all(equal(a, b) for a, b in zip(forward, worked, strict=False))


class Changed:
    """A dataset whose frames and truths are wrapped in something."""

    num_classes = 1

    def __init__(self, dataset: LabelledDataset, wrap: Callable[[Any], Any]) -> None:
        self.dataset, self.wrap, self.name = dataset, wrap, dataset.name

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int, /) -> LabelledClip:
        clip = self.dataset[index]
        return replace(clip, frames=self.wrap(clip.frames), truth=self.wrap(clip.truth))


class GoneThrough:
    """Items that cannot be asked for by number."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


@pytest.mark.parametrize("kind", [KeyframeSamples, partial(PropagatorSamples, max_objects=3)])
def test_frames_by_number_are_those_that_are_gone_through(folder: Path, kind: Any) -> None:
    options = replace(OPTIONS, frames_per_clip=3)
    by_number = kind(MS3(folder, "train"), options)
    gone_through = kind(Changed(MS3(folder, "train"), GoneThrough), options)
    assert all(equal(by_number[n], gone_through[n]) for n in range(8))


def test_frames_that_are_not_taken_are_not_read(folder: Path) -> None:
    """Once a clip's masks were looked through, a sample reads its own frame and mask alone."""
    reads: list[int] = []

    class Counted(GoneThrough):
        def __getitem__(self, index: int, /) -> Any:
            reads.append(index)
            return list(self.items)[index]

    samples = KeyframeSamples(
        Changed(MS3(folder, "train"), Counted), replace(OPTIONS, frames_per_clip=1)
    )
    for number in range(8):
        reads.clear()
        assert len(samples[number]["frames"]) == 1
        assert len(reads) == 2
        assert reads[0] == reads[1]


def test_every_clip_once_in_an_epoch(folder: Path) -> None:
    dataset = AVSS(folder, "train")
    samples = KeyframeSamples(dataset, OPTIONS)
    epochs = [[samples.clip_of(3 * epoch + i) for i in range(3)] for epoch in range(12)]
    assert all(sorted(epoch) == [0, 1, 2] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_key_frames_are_what_was_chosen(folder: Path) -> None:
    dataset = MS3(folder, "train")
    pairs = key_frames(dataset)
    assert pairs == ((0, 0), (1, 0), (1, 2))  # the second clip begins to sound in its third frame
    samples = KeyframeSamples(dataset, PLAIN, pairs)
    found = {samples.clip_of(n): samples[n] for n in range(2)}
    assert [len(found[i]["frames"]) for i in (0, 1)] == [1, 2]
    expected = torch.from_numpy(avsbench_folders.picture(13)).permute(2, 0, 1) / 255
    assert torch.equal(found[1]["frames"][1], expected)
    assert found[1]["labels"].flatten(1).any(dim=1).tolist() == [False, True]


def test_a_window_stays_between_changes(folder: Path) -> None:
    """The second clip changes at 2 s; the window of frame 1, at 1.5 s, would end at 2.5 s."""
    dataset = MS3(folder, "train")
    wide = SampleOptions((12, 16), sample_rate=8000, window_s=2.0, augment=False)
    samples = KeyframeSamples(dataset, wide, ((1, 1),))
    clip = dataset[1]
    assert clip.change_times_s == (2.0,)
    sound = clip.audio.resampled(8000).read(0, 16000)
    assert torch.equal(samples[0]["sounds"][0], torch.from_numpy(sound))


def test_only_annotated_frames_of_s4(folder: Path) -> None:
    sample = KeyframeSamples(S4(folder, "train"), PLAIN)[0]
    assert sample["frames"].shape == (1, 3, 12, 16)
    assert sample["sounds"].shape == (1, 4000)
    expected = torch.from_numpy(avsbench_folders.box(True) > 0)
    assert torch.equal(sample["labels"][0] > 0, expected)


def test_at_most_so_many_frames_of_a_clip(folder: Path) -> None:
    options = SampleOptions((12, 16), 8000, 0.5, frames_per_clip=2, augment=False)
    samples = KeyframeSamples(MS3(folder, "train"), options)
    assert all(len(samples[n]["frames"]) == 2 for n in range(4))


def test_weights_give_every_clip_the_same(folder: Path) -> None:
    samples = KeyframeSamples(AVSS(folder, "train"), PLAIN)
    batch = join_keyframes([samples[n] for n in range(3)])
    assert sorted(Counter(batch["weights"].tolist()).items()) == [
        (pytest.approx(0.1), 10),
        (pytest.approx(0.2), 5),
        (1.0, 1),
    ]
    assert len(batch["frames"]) == len(batch["sounds"]) == len(batch["labels"]) == 16


def sequences(dataset: object, length: int, max_objects: int = 10) -> PropagatorSamples:
    options = SampleOptions((24, 32), 8000, 0.5, seed=2, frames_per_clip=length)
    return PropagatorSamples(dataset, options, max_objects)


def test_sequences_of_ms3_begin_where_something_sounds(folder: Path) -> None:
    samples = sequences(MS3(folder, "train"), 3)
    identities = set()
    for n in range(20):
        sample = samples[n]
        assert sample["frames"].shape == (3, 3, 24, 32)
        values = set(sample["labels"].unique().tolist())
        assert 0 in values
        assert len(values) == 2
        identities |= values
        assert sample["labels"][0].any()
    assert len(identities) > 4  # the same object under random numbers
    batch = stack_sequences([samples[0], samples[1]])
    assert batch["labels"].shape == (2, 3, 24, 32)


def test_what_appears_later_is_not_followed(folder: Path) -> None:
    """Classes 70 and 31 appear in frames 2 and 4 of the semantic clips."""
    dataset = AVSS(folder, "train", labels=("v1m",))
    options = SampleOptions((12, 16), 8000, 0.5, frames_per_clip=5, augment=False)
    sample = PropagatorSamples(dataset, options, 10)[0]
    class_5 = torch.from_numpy(avsbench_folders.avss_labels(0) == 5)
    assert all(torch.equal(labels > 0, class_5) for labels in sample["labels"])


def test_objects_beyond_the_identities_are_void(folder: Path) -> None:
    dataset = AVSS(folder, "val", labels=("v2",))
    options = SampleOptions((12, 16), 8000, 0.5, frames_per_clip=2, augment=False)
    samples = PropagatorSamples(dataset, options, 1)
    seen = {frozenset(samples[n]["labels"][0].unique().tolist()) for n in range(30)}
    assert frozenset({0, 1, VOID}) in seen
    assert all(values <= {0, 1, VOID} for values in seen)


def test_one_annotated_frame_gives_moving_views_of_it(folder: Path) -> None:
    sample = sequences(S4(folder, "train"), 4)[0]
    frames, labels, sounds = (sample[name] for name in ("frames", "labels", "sounds"))
    assert frames.shape == (4, 3, 24, 32)
    assert len({f.numpy().tobytes() for f in frames}) > 1
    assert labels.flatten(1).any(dim=1).all()
    assert all(torch.equal(sounds[0], s) for s in sounds)


def test_composed_clips_are_kept_where_wanted(tmp_path: Path) -> None:
    dataset = ComposedClips(small_library.build(tmp_path), count=2, split="train")
    read: list[int] = []

    class Counting:
        name, num_classes = "counting", 1

        def __len__(self) -> int:
            return len(dataset)

        def __getitem__(self, index: int, /) -> object:
            read.append(index)
            return dataset[index]

    options = SampleOptions((36, 48), 8000, 0.5, frames_per_clip=1, cached_clips=2)
    samples = KeyframeSamples(Counting(), options)
    for n in range(6):
        assert samples[n]["frames"].shape == (1, 3, 36, 48)
    assert sorted(read) == [0, 1]


def one_frame(clip: LabelledClip) -> LabelledClip:
    return replace(clip, frames=list(clip.frames)[:1])


def one_frame_gone_through(clip: LabelledClip) -> LabelledClip:
    return replace(clip, frames=GoneThrough(list(clip.frames)[:1]))


def smaller_labels(clip: LabelledClip) -> LabelledClip:
    small = FrameTruth(np.ones((9, 9), dtype=np.uint8))
    return replace(clip, truth=[small for _ in clip.frames])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (one_frame, "has more truths than frames"),
        (one_frame_gone_through, "has more truths than frames"),
        (smaller_labels, r"has a frame of .* with labels of \(9, 9\); resize"),
    ],
)
def test_clips_that_cannot_be_trained_on_are_told(folder: Path, change: Any, said: str) -> None:
    class Odd(MS3):
        def __getitem__(self, index: int, /) -> LabelledClip:
            clip: LabelledClip = change(super().__getitem__(index))
            return clip

    with pytest.raises(DatasetError, match=rf"^train-\d {said}"):
        PropagatorSamples(Odd(folder, "train"), OPTIONS, 3)[0]


def test_a_dataset_without_clips_is_told(folder: Path) -> None:
    class Empty(MS3):
        def __len__(self) -> int:
            return 0

    with pytest.raises(DatasetError, match="has no clips to train on"):
        KeyframeSamples(Empty(folder, "train"), OPTIONS)


def test_nothing_annotated_is_told(folder: Path) -> None:
    dataset = MS3(folder, "train")
    with pytest.raises(DatasetError, match="no key frame"):
        KeyframeSamples(dataset, OPTIONS, ())
    assert len(KeyframeSamples(Subset(dataset, [1], "one"), OPTIONS).clips) == 1


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(8, 90), st.integers(8, 90)),
    size=st.tuples(st.integers(8, 60), st.integers(8, 60)),
    seed=st.integers(0, 1000),
    part=st.floats(0, 1),
)
def test_views_lie_inside(
    shape: tuple[int, int], size: tuple[int, int], seed: int, part: float
) -> None:
    rng = np.random.default_rng(seed)
    first, last = (random_view(shape, size, rng) for _ in range(2))
    for view in (first, between(first, last, part, mirrored=True), whole_view(shape)):
        image, labels = see(torch.ones(3, *shape, dtype=torch.uint8), torch.ones(shape), view, size)
        assert image.shape == (3, *size)
        assert labels.shape == size
        assert labels.min() == 1  # no padding
    assert first.top + first.height <= shape[0]
    assert first.left + first.width <= shape[1]


def test_a_mirrored_view_mirrors_both() -> None:
    image = torch.arange(24, dtype=torch.uint8).view(1, 4, 6).expand(3, 4, 6)
    frame, labels = see(image, image[0], View(1, 2, 2, 3, mirrored=True), (2, 3))
    assert labels.tolist() == [[10, 9, 8], [16, 15, 14]]
    assert torch.allclose(frame[0] * 255, labels.float())
