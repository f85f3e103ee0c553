"""Control points by the words that YAMNet hears, which comes with the library."""

from __future__ import annotations

import socket
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coprop import Audio, ControlPointDetector, CoPropError
from coprop.control_points.events.pieces import probabilities
from coprop.control_points.events.tagger import as_tagger
from coprop.control_points.events.words import AVSS, classes_of, vocabulary
from coprop.control_points.events.yamnet import YamnetTagger
from coprop.encoders.yamnet import YAMNet, class_names

RATE = 16_000
GOLDEN = Path(__file__).parents[1] / "golden" / "released_encoders.npz"


def macaw(seconds: float) -> np.ndarray:
    """A bird, over and over."""
    with np.load(GOLDEN) as arrays:
        bird = arrays["yamnet_samples"][3:].reshape(-1) / np.float32(32_768)
    return np.resize(bird, round(seconds * RATE))


@pytest.fixture(scope="module")
def tagger() -> YamnetTagger:
    return YamnetTagger(class_names())


class TestTagger:
    def test_in_pieces_as_in_one(self, tagger: YamnetTagger) -> None:
        rng = np.random.default_rng(0)
        samples = np.concatenate([macaw(5.0), 0.1 * rng.standard_normal(4 * RATE), macaw(3.03)])
        audio = Audio(samples.astype(np.float32), RATE)
        one = tagger(audio.samples)
        for piece_s in (4.0, 9.0):
            small = YamnetTagger(class_names())
            small.piece_s = piece_s  # type: ignore[misc]
            np.testing.assert_allclose(probabilities(as_tagger(small), audio), one, atol=1e-5)

    @pytest.mark.parametrize("samples", [1, 1599, 1600, 1601, 15_600, 15_601, 40_000])
    def test_a_step_each_tenth_of_a_second(self, tagger: YamnetTagger, samples: int) -> None:
        heard = tagger(macaw(3.0)[:samples])
        assert heard.shape == (-(-samples // 1600), 521)

    def test_a_step_is_the_patch_around_it(self, tagger: YamnetTagger) -> None:
        """Patch k of the encoder begins at k hops; the step in its middle is 4 steps later."""
        import torch

        samples = macaw(3.0)
        with torch.inference_mode():
            own = YAMNet.from_pretrained().scores(torch.from_numpy(samples)[None], hop_s=0.1)[0]
        heard = tagger(samples)
        np.testing.assert_allclose(heard[10], own[6], atol=1e-6)
        np.testing.assert_allclose(heard[0], own[0], atol=1e-6)
        np.testing.assert_allclose(heard[-6], own[len(heard) - 10], atol=1e-6)

    def test_a_word_is_its_likeliest_class(self, tagger: YamnetTagger) -> None:
        classes = classes_of(["bird", "hen"])
        samples = macaw(1.5)
        heard, every = YamnetTagger(["bird", "hen"])(samples), tagger(samples)
        np.testing.assert_allclose(heard[:, 1], every[:, classes["hen"]].max(axis=1))
        assert heard[:, 0].max() > 0.5


class TestWords:
    def test_audioset(self) -> None:
        words = vocabulary("audioset")
        sources = dict(zip(words.words, words.sources, strict=True))
        assert sources["Bark"] == sources["Yip"] == "dog"
        assert sources["Animal"] is None  # says little
        assert sources["Growling"] is None  # a dog or a lion
        assert sources["Fireworks"] == "fireworks"

    def test_own_words_are_sources_of_their_own(self) -> None:
        assert vocabulary(["Bark", "Yip"]).sources == ("Bark", "Yip")

    def test_words_in_an_array(self) -> None:
        words: Any = np.array(["Dog", "violin"])
        assert ControlPointDetector.events(words=words).words == ("Dog", "violin")

    def test_avss(self) -> None:
        assert len(AVSS) == len(set(AVSS)) == 70
        heard = ControlPointDetector.events(words="avss").words
        assert len(heard) == 63
        assert set(AVSS) - set(heard) == {
            *("donkey", "missile-rocket", "sorna", "squirrel", "tank", "tractor", "utv")
        }

    @pytest.mark.parametrize(
        ("word", "heard"),
        [
            ("Dog", "Dog"),
            ("rooster", "Chicken, rooster"),
            ("drums", "Drum kit"),
            ("motorbike", "Motorcycle"),
            ("puppy", "Bark"),
            ("hair_dryer", "Hair dryer"),
            ("emergency-car", "Ambulance (siren)"),
            ("two men talking", "Speech"),
        ],
    )
    def test_what_is_heard_of_a_thing(self, word: str, heard: str) -> None:
        assert class_names().index(heard) in classes_of([word])[word]

    def test_a_class_belongs_to_the_word_of_its_name(self) -> None:
        names = class_names()
        alone = {names[i] for i in classes_of(["puppy"])["puppy"]}
        beside = {names[i] for i in classes_of(["puppy", "bark"])["puppy"]}
        assert alone - beside == {"Bark"}


@pytest.fixture(scope="module")
def audio() -> Audio:
    """A bird, two seconds of nothing, noise."""
    rng = np.random.default_rng(0)
    pieces = [macaw(4.0), np.zeros(2 * RATE), 0.1 * rng.standard_normal(4 * RATE)]
    return Audio(np.concatenate(pieces).astype(np.float32), RATE)


class TestDetector:
    def test_offline_and_named(self, audio: Audio, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("a connection was made")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        points = ControlPointDetector.events()(audio)
        first, *_ = points.spans(audio.duration_s)
        assert first.end_s == pytest.approx(4.0, abs=0.1)
        assert first.categories[0].name in ("Bird", "Parrot", "Squawk", "Bird vocalization")
        assert first.categories[0].probability > 0.3
        assert points.categories_at(5.0) == ()

    def test_own_words(self, audio: Audio) -> None:
        points = ControlPointDetector.events(words=["bird", "violin"])(audio)
        assert points.categories == (("bird",), (), ())  # in silence nothing, then noise
        assert points.change_times_s == pytest.approx((4.0, 6.0), abs=0.1)

    def test_a_cut_between_equal_words_is_no_change(self) -> None:
        samples = np.concatenate([macaw(4.0), 0.3 * macaw(4.0)])
        points = ControlPointDetector.events(words=["bird"])(Audio(samples, RATE))
        assert points.change_times_s == ()

    def test_words_differ_from_one_segment_to_the_next(self, audio: Audio) -> None:
        words = [set(own) for own in ControlPointDetector.events()(audio).categories or ()]
        assert len(words) == 3
        assert all(before != after for before, after in pairwise(words))


@pytest.mark.parametrize("words", ["dog", []])
def test_a_tagger_takes_a_list_of_words(words: object) -> None:
    with pytest.raises(CoPropError, match="words must be"):
        YamnetTagger(words)  # type: ignore[arg-type]
