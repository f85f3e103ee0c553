"""Every property of the open benchmark's clips, on clips of a small library."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import small_library
from hypothesis import given, settings
from hypothesis import strategies as st

from coprop.errors import CoPropError, DatasetError
from tools.benchmark import sound as benchmark_sound
from tools.benchmark.clips import BenchmarkClip, compose_benchmark_clip, read_material
from tools.benchmark.config import (
    SUBSETS,
    ClipConfig,
    chosen_subsets,
    look_alikes,
    sound_alikes,
    unseen_groups,
)
from tools.benchmark.library import SOURCE_RATE
from tools.benchmark.mixing import Schedule
from tools.benchmark.mixtures import Material
from tools.benchmark.sound import fitting_schedule, render_sound

SMALL = ClipConfig(fps=1.0, size=(64, 96))
PLAIN = ClipConfig(
    fps=1.0, size=(64, 96), off_screen=0, distractor=0, occlusion=0, music=0, loudness=0, room=0
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_library.build(
        tmp_path_factory.mktemp("sources"), small_library.WIDE, distinct=True
    )


@pytest.fixture(scope="module")
def material(folder: Path) -> Material:
    return read_material(folder, "test")


def composed(
    material: Material, subset: str, number: int, config: ClipConfig = SMALL, seed: int = 1
) -> BenchmarkClip:
    split = "train" if material.training else "test"
    return compose_benchmark_clip(material, subset, split, number, seed=seed, config=config)


def several(material: Material, config: ClipConfig, count: int = 12) -> list[BenchmarkClip]:
    subsets = list(SUBSETS)
    return [composed(material, subsets[i % 3], i, config) for i in range(count)]


@pytest.fixture(scope="module")
def small_clips(material: Material) -> list[BenchmarkClip]:
    return several(material, SMALL)


@pytest.fixture(scope="module")
def plain_clips(material: Material) -> list[BenchmarkClip]:
    return several(material, PLAIN)


def visible_states(clip: BenchmarkClip) -> list[frozenset[int | None]]:
    shown = {thing.source for thing in clip.objects}
    return [frozenset(state & shown) for state in clip.schedule.sounding]


def off_screen(clip: BenchmarkClip) -> list[int]:
    shown = {thing.source for thing in clip.objects}
    return [i for i in range(len(clip.recordings)) if i not in shown]


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 10_000), subset=st.sampled_from(sorted(SUBSETS)))
def test_subsets(material: Material, seed: int, subset: str) -> None:
    clip = composed(material, subset, 3, seed=seed)
    sounding = [thing for thing in clip.objects if thing.source is not None]
    states = visible_states(clip)
    assert frozenset[int | None]().union(*states) == {thing.source for thing in sounding}
    if subset == "s4":
        assert len(sounding) == 1
    else:
        assert 2 <= len(sounding) <= 3
    if subset == "m3":
        assert max(map(len, states)) >= 2
    if subset == "moc":
        assert len({state for state in states if state}) >= 2
    assert all(before != after for before, after in pairwise(clip.schedule.sounding))
    assert all(len(state) <= 3 for state in clip.schedule.sounding)
    for source in clip.recordings:
        assert source.path.name.startswith("test_")
    for thing in clip.objects:
        assert thing.picture.path.name.startswith("test_")
        if thing.source is not None:
            assert clip.recordings[thing.source].group == thing.picture.group


@pytest.mark.parametrize(
    ("states", "taken"),
    [
        ([{0}, set()], {"s4"}),
        ([{0, 1}, {0, 1, 2}], {"m3"}),  # what is seen stays: 2 is off-screen
        ([{0}, {1}, {2}], {"moc"}),
        ([{0}, {0, 1}, {2}], {"m3", "moc"}),
        ([set(), {0, 1}, {2}], {"m3"}),
        ([{0}, {1}, set()], set()),  # 2 never sounds
    ],
)
def test_schedules_that_subsets_take(states: list[set[int]], taken: set[str]) -> None:
    schedule = Schedule(tuple(map(float, range(len(states) + 1))), tuple(map(frozenset, states)))
    visible, sources = (1, 1) if taken == {"s4"} else (2, 3)
    names = ["s4"] if sources == 1 else ["m3", "moc"]
    assert {n for n in names if SUBSETS[n].takes(schedule, visible, sources)} == taken


@settings(deadline=None, max_examples=6)
@given(seed=st.integers(0, 10_000), subset=st.sampled_from(sorted(SUBSETS)))
def test_frames_and_masks_fit(material: Material, seed: int, subset: str) -> None:
    clip = composed(material, subset, 0, seed=seed)
    frames = list(clip.frames())
    assert len(frames) == clip.num_frames == 8
    assert clip.audio.num_samples == 8 * SOURCE_RATE
    assert np.abs(clip.audio.samples).max() <= 1
    for index, (time_s, image, labels) in enumerate(frames):
        assert time_s == index
        assert image.shape == (64, 96, 3)
        assert labels.shape == (64, 96)
        assert labels.max() <= len(clip.objects)
        _, masks = clip.layout.scene.render(time_s)
        for number, mask in enumerate(masks, start=1):
            np.testing.assert_array_equal(labels == number, mask)
    assert clip.layout.seen >= 0.75


def test_changes_fall_between_whole_seconds(small_clips: list[BenchmarkClip]) -> None:
    times = [t for clip in small_clips for t in clip.schedule.change_times_s]
    assert len(times) > 12
    assert np.mean([abs(t - round(t)) > 0.02 for t in times]) > 0.8


def test_silent_spans_are_quiet_and_others_are_not(plain_clips: list[BenchmarkClip]) -> None:
    silences = 0
    for clip in plain_clips:
        edges = np.round(np.array(clip.schedule.times_s) * SOURCE_RATE).astype(int)
        for start, end, state in zip(edges, edges[1:], clip.schedule.sounding, strict=False):
            inner = clip.audio.samples[start + 2000 : end - 2000]
            loudness = np.sqrt(np.mean(inner**2))
            assert loudness > 0.03 if state else loudness < 0.02
            silences += not state
    assert silences


def test_sounding_follows_the_schedule(small_clips: list[BenchmarkClip]) -> None:
    for clip in small_clips[:4]:
        for time_s in np.arange(0, 8, 0.31):
            now = clip.schedule.at(float(time_s))
            want = [thing.source in now for thing in clip.objects]
            assert clip.sounding(float(time_s)).tolist() == want


def test_motion(plain_clips: list[BenchmarkClip]) -> None:
    motions = set()
    for clip in plain_clips:
        motions.add(clip.layout.motion)
        masks = [clip.layout.scene.render(t)[1] for t in (0.0, 4.0)]
        still = all((a == b).all() for a, b in pairwise(masks))
        assert still == (clip.layout.motion == 0)
    assert motions == {0.0, 1.0, 2.0}


def test_scale(small_clips: list[BenchmarkClip]) -> None:
    sprites = [s for clip in small_clips for s in clip.layout.scene.sprites]
    sizes = [sprite.size for sprite in sprites]
    assert min(sizes) < 0.4
    assert max(sizes) > 0.7
    ends = [1 + 8 * sprite.growth for sprite in sprites]
    assert min(ends) < 0.8
    assert max(ends) > 1.3


def test_occlusion(material: Material) -> None:
    for clip in several(material, replace(PLAIN, occlusion=1.0), 6):
        assert clip.layout.crossing is not None
        before, behind = clip.layout.crossing
        assert before > behind
        scene = clip.layout.scene
        alone = replace(scene, sprites=(scene.sprites[behind],), groups=(None,))
        hidden = []
        for time_s in np.arange(0, 8, 0.5):
            whole = alone.render(float(time_s))[1][0].sum()
            left = scene.render(float(time_s))[1][behind].sum()
            hidden.append(1 - left / whole if whole else 0.0)
        assert max(hidden) > 0.05


def test_distractors(material: Material) -> None:
    roles = set()
    for clip in several(material, replace(SMALL, distractor=1.0), 24):
        groups = {str(thing.picture.group) for thing in clip.objects if thing.role == "sounding"}
        for thing in clip.objects:
            if thing.role == "sounding":
                continue
            roles.add(thing.role)
            group = thing.picture.group
            assert thing.source is None
            assert group not in groups
            assert group not in {clip.recordings[i].group for i in off_screen(clip)}
            if thing.role == "look_alike":
                assert any(group in look_alikes(sounding) for sounding in groups)
            if thing.role == "sound_alike":
                assert any(group in sound_alikes(sounding) for sounding in groups)
    assert roles == {"look_alike", "sound_alike", "bystander"}


def test_off_screen_sounds(material: Material, plain_clips: list[BenchmarkClip]) -> None:
    alike = 0
    for clip in several(material, replace(SMALL, off_screen=1.0)):
        (hidden,) = off_screen(clip)
        groups = {thing.picture.group for thing in clip.objects}
        assert clip.recordings[hidden].group not in groups
        assert any(hidden in state for state in clip.schedule.sounding)
        alike += clip.recordings[hidden].group in {
            other for group in groups if group is not None for other in sound_alikes(group)
        }
    assert alike
    assert not any(off_screen(clip) for clip in plain_clips[:6])


def test_music_is_soft_and_of_what_is_not_seen(material: Material) -> None:
    checked = 0
    for clip in several(material, replace(PLAIN, music=1.0)):
        if clip.music is None:  # every instrument is in the picture
            continue
        groups = {thing.picture.group for thing in clip.objects}
        assert clip.music.group in {"guitar", "harp", "drum"} - groups
        edges = np.round(np.array(clip.schedule.times_s) * SOURCE_RATE).astype(int)
        for start, end, state in zip(edges, edges[1:], clip.schedule.sounding, strict=False):
            if not state:
                # The level is that of the whole music, which drifts.
                inner = clip.audio.samples[start + 8000 : end - 8000]
                assert -52 < 20 * np.log10(np.sqrt(np.mean(inner**2))) < -32
                checked += 1
    assert checked


def tone_and_schedule() -> tuple[np.ndarray, Schedule]:
    time_s = np.arange(8 * SOURCE_RATE) / SOURCE_RATE
    clicks = np.exp(-400 * (time_s % 0.2)) * np.sin(2 * np.pi * 900 * time_s)
    return clicks.astype(np.float32), Schedule((0.0, 8.0), (frozenset({0}),))


@pytest.mark.parametrize("seed", range(4))
def test_loudness_changes_inside_a_state(seed: int) -> None:
    clicks, schedule = tone_and_schedule()
    config = replace(PLAIN, loudness=1.0)
    rng = np.random.default_rng(seed)
    samples, heard, (event,) = render_sound([clicks], schedule, None, config, SOURCE_RATE, rng)
    assert heard.change_times_s == ()
    assert event.kind == "loudness"
    assert 0.4 <= event.time_s <= 7.6
    assert 4 <= abs(event.amount) <= 9
    start, end = (round(SOURCE_RATE * t) for t in (event.time_s, event.time_s + event.over_s))
    before, after = samples[max(start - 20_000, 0) : start], samples[end : end + 20_000]
    step = 10 * np.log10(np.mean(after**2) / np.mean(before**2))
    assert step == pytest.approx(event.amount, abs=3.0)  # loudness drifts by up to 3 dB besides


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 6, 7])  # a second or more is left after it
def test_the_room_changes_inside_a_state(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_sound, "noise", lambda count, rng: np.zeros(count))
    clicks, schedule = tone_and_schedule()
    config = replace(PLAIN, room=1.0)
    rng = np.random.default_rng(seed)
    samples, heard, (event,) = render_sound([clicks], schedule, None, config, SOURCE_RATE, rng)
    assert heard.change_times_s == ()
    assert event.kind == "room"
    assert event.amount == 0 or 0.2 <= event.amount <= 0.8
    at = round(SOURCE_RATE * (event.time_s + event.over_s))
    before, after = quiet_share(samples[: at - 4000]), quiet_share(samples[at + 35_000 :])
    assert after > 2 * before if event.amount else before > 2 * after


def quiet_share(samples: np.ndarray) -> float:
    """How loud the moments between the clicks are, against all."""
    power = samples[: len(samples) // 441 * 441].reshape(-1, 441).astype(float) ** 2
    levels = power.mean(axis=1)
    return float(np.percentile(levels, 40) / levels.mean())


def test_events_keep_away_from_changes(material: Material) -> None:
    events = 0
    for clip in several(material, replace(PLAIN, loudness=1.0, room=1.0)):
        for event in clip.events:
            events += 1
            assert clip.schedule.at(event.time_s)
            for time_s in clip.schedule.change_times_s:
                assert not event.time_s - 0.39 < time_s < event.time_s + event.over_s + 0.39
    assert events > 12


def test_classes_unseen_in_training(folder: Path, material: Material) -> None:
    train = read_material(folder, "train")
    unseen = material.unseen
    assert train.kept_out == unseen == unseen_groups(dict.fromkeys(small_library.WIDE, 1))
    assert len(unseen) == 2
    everything = replace(SMALL, off_screen=1.0, music=1.0, distractor=1.0)
    for clip in several(train, everything, 6):
        groups = {thing.picture.group for thing in clip.objects}
        groups |= {source.group for source in clip.recordings}
        groups |= {clip.music.group} if clip.music is not None else set()
        assert not groups & unseen
        assert all(thing.seen_in_training in (True, None) for thing in clip.objects)
        assert all(source.path.name.startswith("train_") for source in clip.recordings)
    for share in (0.0, 1.0):
        for clip in several(material, replace(SMALL, unseen=share), 6):
            sounding = [thing for thing in clip.objects if thing.source is not None]
            assert any(not thing.seen_in_training for thing in sounding) == bool(share)
            for thing in clip.objects:
                if thing.picture.group is not None:
                    assert thing.seen_in_training == (thing.picture.group not in unseen)


def test_same_arguments_same_clip(material: Material) -> None:
    one, two, other = (composed(material, "m3", n, seed=5) for n in (2, 2, 3))
    assert one.schedule == two.schedule
    assert one.objects == two.objects
    np.testing.assert_array_equal(one.audio.samples, two.audio.samples)
    for (_, image, labels), (_, image2, labels2) in zip(one.frames(), two.frames(), strict=True):
        np.testing.assert_array_equal(image, image2)
        np.testing.assert_array_equal(labels, labels2)
    assert not np.array_equal(one.audio.samples, other.audio.samples)


def test_unseen_groups_are_the_scarcest_quarter() -> None:
    assert unseen_groups({"dog": 3}) == frozenset()
    assert unseen_groups({"dog": 3, "cat": 2, "cow": 4, "pig": 2, "duck": 1}) == {"duck"}
    for count, want in ((2, 1), (4, 1), (8, 2), (13, 3)):
        material = {f"group {i}": 7 for i in range(count)}  # the names decide
        unseen = unseen_groups(material)
        assert len(unseen) == want
        assert unseen == unseen_groups(dict(reversed(material.items()))) < set(material)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"duration_s": 4.0}, "5 s or more"),
        ({"fps": 0.0}, "fps must be above 0"),
        ({"fps": float("nan")}, "fps must be above 0"),
        ({"size": (32, 400)}, r"got 400x32 \(WxH\)"),
        ({"music": 1.5}, r"music is a share .* got 1\.5"),
        ({"unseen": -0.1}, "unseen is a share"),
    ],
)
def test_configs_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        ClipConfig(**options)


def test_bad_names(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"no subset 's5'; choose all or one of \['s4', 'm3'"):
        chosen_subsets("s5")
    with pytest.raises(DatasetError, match="no split 'val'"):
        read_material(folder, "val")
    with pytest.raises(DatasetError, match=r"cow has not\. Choose among aircraft"):
        read_material(folder, "test", ["cow"])
    with pytest.raises(DatasetError, match="every group that could be trained on is unseen"):
        read_material(folder, "train", small_library.WIDE)


def test_too_few_groups(folder: Path) -> None:
    dogs = read_material(folder, "train", small_library.WIDE[1:])
    assert composed(dogs, "s4", 0).objects
    with pytest.raises(DatasetError, match=r"m3 need 2 or more .* there are 1 \(dog\)"):
        composed(dogs, "m3", 0)


def test_clips_too_short_for_the_sources() -> None:
    with pytest.raises(DatasetError, match=r"no schedule of 2\.0 s for 3 sources fits moc"):
        fitting_schedule(SUBSETS["moc"], 3, 3, 2.0, np.random.default_rng(0))


def test_folder_without_sources(tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match=r"manifest\.jsonl does not exist"):
        read_material(tmp_path, "test")
