from pathlib import Path

import numpy as np
import pytest
import small_library
from hypothesis import given, settings
from hypothesis import strategies as st

from coprop.errors import CoPropError
from tools.benchmark.composer import compose_clip
from tools.benchmark.library import SOURCE_RATE, Library
from tools.benchmark.mixing import random_schedule


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_library.build(tmp_path_factory.mktemp("sources"))


def test_splits_share_nothing(folder: Path) -> None:
    train, test = Library(folder, "train"), Library(folder, "test")
    paths = [
        {s.path for kind in (library.pictures, library.sounds) for g in kind.values() for s in g}
        for library in (train, test)
    ]
    assert paths[0]
    assert not paths[0] & paths[1]
    assert train.groups == sorted(small_library.GROUPS)


def test_halves_part_the_recordings(folder: Path) -> None:
    library = Library(folder, "train")
    halves = [library.half_of_sounds(half).sounds for half in (0, 1)]
    for group, sounds in library.sounds.items():
        own = [{s.path for s in half[group]} for half in halves]
        assert not own[0] & own[1]
        assert own[0] | own[1] == {s.path for s in sounds}


def test_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match=r"manifest\.jsonl does not exist; build the sources"):
        Library(tmp_path, "train")


def test_same_seed_same_clip(folder: Path) -> None:
    library = Library(folder, "train")
    one, two = (
        compose_clip(library, np.random.default_rng(4), duration_s=3, fps=2) for _ in range(2)
    )
    assert one.schedule == two.schedule
    np.testing.assert_array_equal(one.audio.samples, two.audio.samples)
    for (_, image, masks), (_, image2, masks2) in zip(one.frames(), two.frames(), strict=True):
        np.testing.assert_array_equal(image, image2)
        np.testing.assert_array_equal(masks, masks2)


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_clip_is_consistent(folder: Path, seed: int) -> None:
    clip = compose_clip(Library(folder, "train"), np.random.default_rng(seed), duration_s=4, fps=2)
    frames = list(clip.frames())
    assert len(frames) == clip.num_frames == 8
    assert clip.audio.num_samples == 4 * SOURCE_RATE
    assert np.abs(clip.audio.samples).max() <= 1
    for time_s, image, masks in frames:
        assert image.shape == (288, 384, 3)
        assert masks.shape == (len(clip.scene.sprites), 288, 384)
        assert (masks.sum(axis=0) <= 1).all()  # a pixel shows one object
        assert clip.sounding(time_s).shape == (len(masks),)
        assert not clip.sounding(time_s)[clip.num_sounding :].any()


def test_silent_spans_are_quiet_and_others_are_not(folder: Path) -> None:
    checked = 0
    for seed in range(12):
        clip = compose_clip(Library(folder, "train"), np.random.default_rng(seed), duration_s=5)
        edges = np.round(np.array(clip.schedule.times_s) * SOURCE_RATE).astype(int)
        for start, end, state in zip(edges, edges[1:], clip.schedule.sounding, strict=False):
            inner = clip.audio.samples[start + 2000 : end - 2000]
            loudness = np.sqrt(np.mean(inner**2))
            assert loudness > 0.03 if state else loudness < 0.02
            checked += not state
    assert checked


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), sources=st.integers(1, 4), duration_s=st.floats(2.5, 30))
def test_schedules_change_at_every_edge(seed: int, sources: int, duration_s: float) -> None:
    schedule = random_schedule(np.random.default_rng(seed), sources, duration_s)
    assert schedule.times_s[0] == 0
    assert schedule.times_s[-1] == duration_s
    assert (np.diff(schedule.times_s) >= 1 - 1e-9).all()
    assert all(a != b for a, b in zip(schedule.sounding, schedule.sounding[1:], strict=False))
    for time_s, state in zip(schedule.times_s, schedule.sounding, strict=False):
        assert schedule.at(time_s) == state
