from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from coprop.control_points.detector import ControlPointDetector, pick_peaks
from coprop.errors import CoPropError
from coprop.types import Audio, AudioTrack, ControlPoints

RATE = 16000
NOVELTY = ControlPointDetector.novelty()
COSINE = ControlPointDetector.cosine()


def mean_and_spread(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([samples.mean(1), samples.std(1), np.abs(np.diff(samples, 1)).sum(1)], 1)


EMBEDDED = ControlPointDetector.novelty(mean_and_spread)
DETECTORS = [NOVELTY, COSINE, EMBEDDED, ControlPointDetector.cosine(mean_and_spread)]


class BlockTrack:
    """A track that can be read only a little at a time."""

    def __init__(self, audio: Audio, longest_s: float) -> None:
        self.audio, self.longest_s = audio, longest_s
        self.sample_rate, self.num_samples = audio.sample_rate, audio.num_samples
        self.duration_s = audio.duration_s

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        assert stop - start <= self.longest_s * self.sample_rate
        return self.audio.read(start, stop)

    def resampled(self, sample_rate: int) -> AudioTrack:
        return BlockTrack(self.audio.resampled(sample_rate), self.longest_s)


def noise(seconds: float, level: float = 0.1, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def harmonic(
    seconds: float, pitch: float, harmonics: int, level: float = 0.1
) -> NDArray[np.float32]:
    time = np.arange(round(seconds * RATE)) / RATE
    partials = [np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, harmonics + 1)]
    return (level * np.sum(partials, axis=0)).astype(np.float32)


def pulses(seconds: float, period_s: float) -> NDArray[np.float32]:
    time = np.arange(round(seconds * RATE)) / RATE
    return (noise(seconds, 0.3) * np.exp(-(time % period_s) / 0.04)).astype(np.float32)


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * RATE), dtype=np.float32)


def changes(*pieces: NDArray[np.float32], detector: ControlPointDetector = NOVELTY) -> list[float]:
    return list(detector(Audio(np.concatenate(pieces), RATE)).change_times_s)


def assert_valid(points: ControlPoints, windows: int | None) -> None:
    assert windows is None or len(points.flags) == windows
    assert points.flags[0]
    assert points.scores[0] == 1.0
    assert np.all(np.diff(points.times_s) > 0)
    assert np.all((points.scores >= 0) & (points.scores <= 1))


@settings(deadline=None, max_examples=25)
@given(
    samples=st.one_of(st.integers(0, 60), st.integers(0, 40000)),
    windows=st.one_of(st.none(), st.integers(1, 100)),
    rate=st.sampled_from([90, 8000, 44100]),
    which=st.sampled_from(DETECTORS),
)
def test_any_length_and_any_number_of_windows(
    samples: int, windows: int | None, rate: int, which: ControlPointDetector
) -> None:
    samples = min(samples, 10 * rate)  # longer sound takes minutes and tries nothing else
    rng = np.random.default_rng(samples)
    audio = Audio(rng.uniform(-0.5, 0.5, samples).astype(np.float32), rate)
    points = which(audio, windows=windows)
    assert_valid(points, windows)
    again = which(audio, windows=windows)
    np.testing.assert_array_equal(points.scores, again.scores)


def test_fine_grid_has_a_step_each_50_ms() -> None:
    points = NOVELTY(Audio(noise(2.03), RATE))
    np.testing.assert_allclose(points.times_s, np.arange(41) * 0.05)


@pytest.mark.parametrize("detector", DETECTORS)
def test_silence_is_one_segment(detector: ControlPointDetector) -> None:
    assert changes(silence(6.0), detector=detector) == []
    assert detector(Audio(silence(6.0), RATE), windows=6).flags.sum() == 1


def test_a_tone_turns_into_noise() -> None:
    assert changes(harmonic(4, 440, 1), noise(4)) == pytest.approx([4.0], abs=0.15)


def test_silence_sound_silence() -> None:
    for sound in (noise(3), harmonic(3, 220, 10), pulses(3, 0.25)):
        assert changes(silence(3), sound, silence(3)) == pytest.approx([3.0, 6.0], abs=0.25)


def test_a_second_instrument_joins_and_leaves() -> None:
    low, high = harmonic(9, 110, 30), harmonic(9, 1250, 4)
    high[: 3 * RATE] = high[6 * RATE :] = 0
    assert changes(low + high) == pytest.approx([3.0, 6.0], abs=0.2)


@pytest.mark.parametrize("period_s", [0.125, 0.25, 0.5])
def test_a_steady_rhythm_is_one_segment(period_s: float) -> None:
    assert changes(pulses(9, period_s)) == []


def test_slow_loudness_drift_is_no_change() -> None:
    swell = 10 ** (6 * np.sin(np.linspace(0, 2 * np.pi, 9 * RATE)) / 20)
    assert changes((noise(9) * swell).astype(np.float32)) == []


def test_a_short_pause_is_no_change() -> None:
    bark = pulses(0.4, 0.4)
    assert changes(*[bark, silence(0.2)] * 14) == []


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_gain_does_not_matter(gain: float) -> None:
    sound = np.concatenate([noise(2), harmonic(2, 300, 8), silence(1), noise(2, 0.03)])
    plain, scaled = (NOVELTY(Audio((sound * g).astype(np.float32), RATE)) for g in (1.0, gain))
    np.testing.assert_allclose(plain.scores, scaled.scores, atol=0.02)
    np.testing.assert_array_equal(plain.flags, scaled.flags)


@pytest.mark.parametrize("rate", [16000, 22050, 48000])
def test_the_sample_rate_does_not_matter(rate: int) -> None:
    time = np.arange(6 * rate) / rate
    low, high = np.sin(2 * np.pi * 150 * time), np.sin(2 * np.pi * 2100 * time)
    audio = Audio((0.1 * np.where(time < 3, low, high)).astype(np.float32), rate)
    assert NOVELTY(audio).change_times_s == pytest.approx([3.0], abs=0.15)


def test_windows_take_the_nearest_edge() -> None:
    for seconds, window in ((2.8, 3), (3.2, 3)):
        audio = Audio(np.concatenate([harmonic(seconds, 440, 1), noise(6 - seconds)]), RATE)
        assert np.flatnonzero(NOVELTY(audio, windows=6).flags).tolist() == [0, window]
        assert NOVELTY(audio, windows=6).times_s.tolist() == [0, 1, 2, 3, 4, 5]


def test_cosine_compares_consecutive_windows() -> None:
    audio = Audio(np.concatenate([harmonic(3, 200, 2), noise(2)]), RATE)
    assert COSINE(audio, windows=5).flags.tolist() == [True, False, False, True, False]
    assert COSINE(audio).change_times_s == pytest.approx([3.0], abs=0.15)


def test_embeddings_of_ones_own() -> None:
    shapes = []

    def embed(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        shapes.append(samples.shape)
        loud = samples.std(1) > 0.15
        return np.stack([loud, ~loud], 1).astype(np.float32)

    audio = Audio(np.concatenate([noise(3, 0.1), noise(3, 0.2)]), RATE)
    detector = ControlPointDetector.cosine(embed, threshold=0.5)
    assert detector(audio, windows=6).flags.tolist() == [True, False, False, True, False, False]
    assert shapes == [(6, RATE)]
    novelty = ControlPointDetector.novelty(embed)
    assert novelty(audio).change_times_s == pytest.approx([3.0], abs=0.25)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda x: np.full((len(x), 3), np.nan), "NaN"),
        (lambda x: np.zeros(len(x)), r"must return one embedding for each"),
        (lambda x: np.zeros((len(x) + 1, 3)), r"must return one embedding for each"),
        (lambda x: np.zeros((len(x), 0)), r"must return one embedding for each"),
    ],
)
def test_wrong_embeddings_are_named(output, message: str) -> None:  # type: ignore[no-untyped-def]
    for make in (ControlPointDetector.cosine, ControlPointDetector.novelty):
        with pytest.raises(CoPropError, match=message):
            make(output)(Audio(noise(2), RATE), windows=4)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"threshold": 1.5}, "threshold must be in"),
        ({"threshold": -0.1}, "threshold must be in"),
        ({"threshold": float("nan")}, "threshold must be in"),
        ({"min_gap_s": -1.0}, "min_gap_s must be"),
        ({"min_gap_s": float("inf")}, "min_gap_s must be"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, float], message: str) -> None:
    for make in (ControlPointDetector.cosine, ControlPointDetector.novelty):
        with pytest.raises(CoPropError, match=message):
            make(**parameters)  # type: ignore[arg-type]


def test_bad_embedding_parameters_are_named() -> None:
    with pytest.raises(CoPropError, match="window_s must be a positive"):
        ControlPointDetector.cosine(window_s=0.0)
    with pytest.raises(CoPropError, match="window_s must be a positive"):
        ControlPointDetector.novelty(window_s=0.0)
    with pytest.raises(CoPropError, match="sample_rate must be positive"):
        ControlPointDetector.novelty(mean_and_spread, sample_rate=0)


def test_bad_windows_are_named() -> None:
    with pytest.raises(CoPropError, match="windows must be at least 1"):
        NOVELTY(Audio(noise(1), RATE), windows=0)


@pytest.mark.parametrize("scores", [[0.5, 2.0], [0.5, np.nan], [0.5], [[0.5, 0.5]]])
def test_a_score_function_that_breaks_its_contract_is_named(scores: list[float]) -> None:
    detector = ControlPointDetector(lambda audio, windows: np.array(scores), threshold=0.5)
    with pytest.raises(CoPropError, match="the score function must return"):
        detector(Audio(noise(1), RATE), windows=2)


def test_a_score_function_of_ones_own() -> None:
    def score(audio: AudioTrack, windows: int | None) -> NDArray[np.float64]:
        return np.array([0.0, 0.9, 0.2, 0.9])

    points = ControlPointDetector(score, threshold=0.5)(Audio(noise(2), RATE), windows=4)
    assert points.flags.tolist() == [True, True, False, True]
    assert points.times_s.tolist() == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize("detector", [NOVELTY, COSINE, EMBEDDED])
@pytest.mark.parametrize("windows", [None, 7])
def test_reading_in_blocks_equals_reading_at_once(
    detector: ControlPointDetector, windows: int | None
) -> None:
    whole = Audio(np.concatenate([noise(14), harmonic(13, 200, 5), pulses(14, 0.3)]), RATE)
    blocks = BlockTrack(whole, longest_s=24.0)
    np.testing.assert_array_equal(
        detector(whole, windows=windows).scores, detector(blocks, windows=windows).scores
    )


@settings(deadline=None, max_examples=50)
@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=60),
    threshold=st.floats(0, 1),
    gap_steps=st.integers(0, 10),
)
def test_peaks_reach_the_threshold_and_keep_their_distance(
    scores: list[float], threshold: float, gap_steps: int
) -> None:
    values, times = np.array(scores), np.arange(len(scores)) * 0.05
    flags = pick_peaks(times, values, threshold, gap_steps * 0.05)
    assert np.all(values[flags] >= threshold)
    assert np.all(np.diff(np.flatnonzero(flags)) >= gap_steps)
    assert flags.any() == np.any(values >= threshold)
    if gap_steps < 2:
        np.testing.assert_array_equal(flags, values >= threshold)
