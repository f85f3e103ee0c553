"""Other sounds in place of a clip's own: which they are, and the figures of what is masked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_dataset import RATE, SmallDataset, build

from coprop import Audio, CoPropError
from coprop.cli.evaluate import SoundName as Offered
from coprop.data.labelled import LabelledClip
from coprop.errors import OutputError
from coprop.evaluation.disturbances import (
    ClipWords,
    OtherSounds,
    disturbances,
    muted,
    noisy,
    partners,
    sounds_named,
)
from coprop.evaluation.methods import methods_named, true_points
from coprop.evaluation.runner import evaluate
from coprop.evaluation.store import EvaluationFolder

ALL = ("own", "muted", "noise", "other")
WORDS = (("dog",), ("guitar",), ("dog", "cat"), ("car",), ("cat",))


class Named(SmallDataset):
    """Clips that differ in what they show and hear; in the last frames it is off-screen alone."""

    words: tuple[tuple[str, ...], ...] = WORDS

    def __getitem__(self, index: int, /) -> LabelledClip:
        clip = super().__getitem__(index)
        truth = [replace(t, off_screen=i % 3 == 0) for i, t in enumerate(clip.truth)]
        return replace(clip, categories=self.words[index], truth=truth, off_screen=("bell",))


def run(folder: Path, dataset: SmallDataset, **options: Any) -> tuple[dict[str, Any], bytes]:
    options = {"sounds": ALL, **options}
    methods = methods_named(["alone"], build())
    content = evaluate(
        dataset, methods, EvaluationFolder(folder), settings={"model": "small"}, **options
    )
    assert content is not None
    return content, (folder / "results.json").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], bytes]:
    return run(tmp_path_factory.mktemp("whole"), Named())


def rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean(audio.samples.astype(np.float64) ** 2)))


def flatness(audio: Audio) -> float:
    """Of the spectrum in bands: near 1 for white noise, near 0 for a tone."""
    power = np.abs(np.fft.rfft(audio.samples))[1:8001] ** 2
    bands = power.reshape(20, -1).mean(1)
    return float(np.exp(np.log(bands).mean()) / bands.mean())


class TestNoise:
    def test_is_white_and_as_loud_as_the_clip(self) -> None:
        for clip in (SmallDataset()[0], SmallDataset()[3]):
            noise = noisy(clip).audio
            assert (noise.sample_rate, noise.num_samples) == (RATE, clip.audio.num_samples)
            assert rms(noise) == pytest.approx(rms(clip.audio), rel=1e-5)
            assert flatness(noise) > 0.98 > 0.9 > flatness(clip.audio)
            assert np.abs(noise.samples).max() == pytest.approx(3**0.5 * rms(noise), rel=1e-2)

    def test_depends_on_the_name_and_the_loudness_alone(self) -> None:
        first, second = SmallDataset()[0], SmallDataset()[1]
        same = noisy(replace(second, name=first.name, audio=first.audio))
        assert np.array_equal(same.audio.samples, noisy(first).audio.samples)
        assert not np.allclose(noisy(replace(first, name="b")).audio.samples, same.audio.samples)
        half = noisy(replace(first, audio=Audio(first.audio.samples / 2, RATE)))
        assert np.allclose(2 * half.audio.samples, same.audio.samples, atol=1e-6)

    def test_is_the_same_on_every_machine(self) -> None:
        clip = replace(SmallDataset()[0], audio=Audio(np.full(4, 0.5, dtype=np.float32), RATE))
        entropy = list(bytes.fromhex(SHA256_OF_SMALL_0))
        drawn = np.random.Generator(np.random.PCG64(entropy)).random(4) * 2 - 1
        expected = drawn / np.sqrt(np.mean(drawn**2)) / 2
        assert noisy(clip).audio.samples.tolist() == pytest.approx(expected.tolist(), abs=1e-6)

    def test_a_silent_clip_has_none(self) -> None:
        for count in (0, 100):
            silent = Audio(np.zeros(count, dtype=np.float32), RATE)
            noise = noisy(replace(SmallDataset()[0], audio=silent)).audio
            assert noise.samples.tolist() == [0.0] * count

    def test_of_a_clip_beyond_full_scale_stays_readable(self) -> None:
        loud = Audio(np.full(1000, 7.9, dtype=np.float32), RATE)
        assert np.abs(noisy(replace(SmallDataset()[0], audio=loud)).audio.samples).max() <= 8


SHA256_OF_SMALL_0 = "0329bba3a322efdd7e7e4e08791e82d248a9a8393ffba0a74633fcffa2940978"


def test_muted_is_digital_silence() -> None:
    clip = SmallDataset()[0]
    assert not muted(clip).audio.samples.any()
    assert muted(clip).audio.num_samples == clip.audio.num_samples


@pytest.mark.parametrize("disturb", [muted, noisy, lambda clip: OtherSounds(Named())(clip)])
def test_the_words_of_the_own_sound_are_not_told(disturb: Any) -> None:
    """With them, a model guided by words would be told what it does not hear."""
    clip = replace(Named()[0], heard=(("dog",),) * 4)
    other = disturb(clip)
    assert (other.categories, other.heard, other.off_screen) == ((), None, ())
    assert true_points(other).categories is None
    assert true_points(other).times_s.tolist() == true_points(clip).times_s.tolist()
    assert (other.name, other.truth, other.frames) == (clip.name, clip.truth, clip.frames)


class TestOtherSounds:
    def test_are_of_a_clip_that_hears_nothing_of_what_is_seen(self) -> None:
        dataset = Named()
        other = OtherSounds(dataset)
        for index in range(5):
            clip = dataset[index]
            name = other.partner_of[clip.name]
            assert name is not None
            partner = dataset[int(name[-1])]
            assert not set(partner.categories) & set(clip.categories)
            heard = other(clip)
            assert heard is not None
            assert np.array_equal(heard.audio.samples, partner.audio.samples)

    @pytest.mark.parametrize("seconds", [0.5, 7.25])
    def test_are_cut_or_repeated(self, seconds: float) -> None:
        dataset = Named()
        clip = dataset[0]
        other = OtherSounds(dataset)
        partner = dataset[int(str(other.partner_of[clip.name])[-1])].audio.samples
        count = round(seconds * RATE)
        heard = other(replace(clip, audio=Audio(np.ones(count, dtype=np.float32), RATE)))
        assert heard is not None
        assert heard.audio.samples.tolist() == [partner[i % len(partner)] for i in range(count)]

    def test_come_at_the_clip_s_own_rate(self) -> None:
        dataset = Named()
        audio = Audio(np.ones(8000, dtype=np.float32), 8000)
        heard = OtherSounds(dataset)(replace(dataset[0], audio=audio))
        assert heard is not None
        assert (heard.audio.sample_rate, heard.audio.num_samples) == (8000, 8000)

    def test_of_a_clip_without_sound_are_silence(self) -> None:
        class Empty(Named):
            def __getitem__(self, index: int, /) -> LabelledClip:
                nothing = Audio(np.zeros(0, dtype=np.float32), RATE)
                return replace(super().__getitem__(index), audio=nothing)

        heard = OtherSounds(Empty())(Named()[0])
        assert heard is not None
        assert heard.audio.num_samples == Named()[0].audio.num_samples
        assert not heard.audio.samples.any()

    def test_one_clip_is_too_few(self) -> None:
        with pytest.raises(CoPropError, match="two clips or more, and small test has 1"):
            OtherSounds(Named(1))

    def test_names_that_are_not_unique(self) -> None:
        class Twins(Named):
            def __getitem__(self, index: int, /) -> LabelledClip:
                return replace(super().__getitem__(index), name=f"clip {index // 2}")

        with pytest.raises(CoPropError, match=r"0 and 1 of small test.* both called 'clip 0'"):
            OtherSounds(Twins())

    def test_clips_of_one_category_have_no_wrong_sound(self) -> None:
        with pytest.raises(CoPropError, match="every clip of small test hears what every other"):
            OtherSounds(SmallDataset())


@st.composite
def named_words(draw: st.DrawFn, words: int = 4, most: int = 9) -> dict[str, ClipWords]:
    sets = st.frozensets(st.sampled_from("abcd"), max_size=min(words, 3))
    names = draw(st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=most, unique=True))
    return {name: ClipWords(draw(sets), draw(sets)) for name in names}


def fit(clips: dict[str, ClipWords], name: str) -> list[str]:
    return [n for n, c in clips.items() if n != name and not c.heard & clips[name].seen]


def most_pairs(options: list[list[str]], used: frozenset[str] = frozenset()) -> int:
    """The largest number of clips that can have a sound of their own, by trying all."""
    if not options:
        return 0
    first, *rest = options
    taken = (1 + most_pairs(rest, used | {name}) for name in first if name not in used)
    return max([most_pairs(rest, used), *taken])


class TestPartners:
    @settings(max_examples=200, deadline=None)
    @given(named_words())
    def test_nobody_hears_what_it_shows_nor_itself(self, clips: dict[str, ClipWords]) -> None:
        found = partners(clips)
        assert set(found) == set(clips)
        for name, partner in found.items():
            assert partner in fit(clips, name) if fit(clips, name) else partner is None

    @settings(max_examples=200, deadline=None)
    @given(named_words(), st.randoms())
    def test_the_order_of_the_clips_does_not_matter(
        self, clips: dict[str, ClipWords], random: Any
    ) -> None:
        names = list(clips)
        random.shuffle(names)
        assert partners({name: clips[name] for name in names}) == partners(clips)

    @settings(max_examples=100, deadline=None)
    @given(named_words(words=0))
    def test_without_words_it_is_a_derangement(self, clips: dict[str, ClipWords]) -> None:
        found = partners(clips)
        assert sorted(map(str, found.values())) == sorted(clips)
        assert all(partner != name for name, partner in found.items())

    @settings(max_examples=100, deadline=None)
    @given(named_words(most=6))
    def test_as_many_sounds_as_possible_are_used_once(self, clips: dict[str, ClipWords]) -> None:
        used = {partner for partner in partners(clips).values() if partner is not None}
        assert len(used) == most_pairs([fit(clips, name) for name in clips])

    def test_many_clips_of_few_categories(self) -> None:
        """As in S4: a clip of every category has one of another, and each is used once."""
        clips = {
            f"clip {i}": ClipWords(frozenset(f"{i % 7}"), frozenset(f"{i % 7}")) for i in range(400)
        }
        found = partners(clips)
        assert sorted(map(str, found.values())) == sorted(clips)


class TestFigures:
    def test_against_plain_loops(self, whole: tuple[dict[str, Any], bytes]) -> None:
        dataset = Named()
        (method,) = methods_named(["alone"], build())
        content = whole[0]["methods"]["every frame alone"]["all frames"]
        others = OtherSounds(Named())
        silences = []
        for name, disturb in (("own", None), ("muted", muted), ("noise", noisy), ("other", others)):
            areas, jaccards = [], []
            for index in range(5):
                clip = dataset[index]
                heard = clip if disturb is None else disturb(clip)
                assert heard is not None
                masks = [mask.labels > 0 for mask in method.predict(heard).masks]
                for number, (found, truth) in enumerate(zip(masks, clip.truth, strict=True)):
                    if truth.labels is None:
                        continue
                    wanted = truth.labels > 0
                    areas.append(found.sum() / found.size)
                    if wanted.any():
                        jaccards.append((found & wanted).sum() / (found | wanted).sum())
                    elif name == "own" and number % 3 == 0:
                        silences.append(found.sum() / found.size)
            key = "sounding_jaccard" if name == "own" else f"{name}_jaccard"
            assert content[key] == pytest.approx(np.mean(jaccards), abs=1e-6)
            if name != "own":
                assert content[f"{name}_false_area"] == pytest.approx(np.mean(areas), abs=1e-9)
        assert silences
        assert content["off_screen_area"] == pytest.approx(np.mean(silences), abs=1e-9)
        drop = content["sounding_jaccard"] - content["muted_jaccard"]
        assert content["mute_drop"] == pytest.approx(drop, abs=1e-12)

    def test_tell_who_listens(self, whole: tuple[dict[str, Any], bytes], tmp_path: Path) -> None:
        """A mask of everything is the same whatever is heard; of nothing, never wrong."""
        methods = methods_named(["nothing", "everything"], build())
        folder = EvaluationFolder(tmp_path)
        content = evaluate(Named(), methods, folder, settings={"model": "small"}, sounds=ALL)
        assert content is not None
        nothing, everything = (f["all frames"] for f in content["methods"].values())
        for sound in ALL[1:]:
            assert (nothing[f"{sound}_false_area"], nothing[f"{sound}_jaccard"]) == (0, 0)
            assert everything[f"{sound}_false_area"] == 1
            assert everything[f"{sound}_jaccard"] == everything["sounding_jaccard"] > 0
        assert (nothing["off_screen_area"], everything["off_screen_area"]) == (0, 1)

    def test_a_clip_that_no_other_sound_fits_does_not_count(self, tmp_path: Path) -> None:
        class Crowded(Named):
            words = (("dog", "guitar", "cat", "car"), *WORDS[1:])

        content, _ = run(tmp_path, Crowded())
        first, second = content["clips"][:2]
        assert first["other_clip"] is None
        figures = first["methods"]["every frame alone"]
        assert figures["other_false_area"] is None
        assert figures["other_jaccard"] is None
        assert figures["noise_jaccard"] is not None
        assert second["other_clip"] in {"small-0", "small-2", "small-3", "small-4"}
        assert second["methods"]["every frame alone"]["other_false_area"] is not None

    def test_tables_have_a_row_for_each(self, tmp_path: Path) -> None:
        run(tmp_path, Named(), sounds=["noise"])
        table = (tmp_path / "results.md").read_text(encoding="utf-8")
        assert "| J sounding, noise ↓ |" in table
        assert "| false area, noise ↓ |" in table
        assert "| off-screen area ↓ |" in table
        assert "other" not in table
        assert "muted" not in table


class TestResuming:
    def test_a_stopped_run_goes_on(
        self, whole: tuple[dict[str, Any], bytes], tmp_path: Path
    ) -> None:
        def stop(step: str, completed: int, total: int | None) -> None:
            if completed == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, Named(), progress=stop)
        kept = (tmp_path / "rows" / "0.jsonl").read_bytes()
        assert kept.count(b"\n") == 2
        assert run(tmp_path, Named())[1] == whole[1]
        assert (tmp_path / "rows" / "0.jsonl").read_bytes().startswith(kept)

    def test_a_finished_run_reads_no_clip(self, tmp_path: Path) -> None:
        text = run(tmp_path, Named())[1]
        dataset = Named()
        assert run(tmp_path, dataset)[1] == text
        assert dataset.read == []

    def test_the_sounds_are_among_the_settings(self, tmp_path: Path) -> None:
        content, _ = run(tmp_path, Named(), sounds=["other", "noise", "noise"])
        assert content["settings"]["sounds"] == ["own", "noise", "other"]
        run(tmp_path, Named(), sounds=["own", "noise", "other"])
        with pytest.raises(OutputError, match=r"sounds differ"):
            run(tmp_path, Named(), sounds=["noise"])

    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            ({"other_clip": 5}, "other_clip is no name"),
            ({"noise_jaccard": [2.0] * 12}, "noise_jaccard"),
            ({"other_false_area": ["x"] * 12}, "other_false_area"),
            ({"muted_jaccard": [0.5]}, "not of one number"),
        ],
    )
    def test_damaged_rows_are_told(
        self, tmp_path: Path, damage: dict[str, Any], words: str
    ) -> None:
        run(tmp_path, Named())
        rows = tmp_path / "rows" / "0.jsonl"
        first, *rest = rows.read_text().splitlines()
        row = json.loads(first)
        frames = row["scores"]["every frame alone"]["frames"]
        for key, value in damage.items():
            (row if key == "other_clip" else frames)[key] = value
        rows.write_text("\n".join([json.dumps(row), *rest]) + "\n")
        with pytest.raises(OutputError, match=words):
            run(tmp_path, Named())

    def test_nothing_is_written_where_no_other_sound_is_to_be_had(self, tmp_path: Path) -> None:
        with pytest.raises(CoPropError, match="two clips or more"):
            run(tmp_path / "out", Named(1))
        assert not any(path for path in (tmp_path / "out").rglob("*") if path.suffix == ".json")


def test_sounds_by_name() -> None:
    assert sounds_named([]) == ("own",)
    assert sounds_named(["other", "muted", "own"]) == ("own", "muted", "other")
    with pytest.raises(CoPropError, match="sounds are own, muted, noise, other; got hum"):
        sounds_named(["hum"])
    assert tuple(sound.value for sound in Offered) == ALL
    assert list(disturbances(("own", "noise"), SmallDataset())) == ["noise"]
