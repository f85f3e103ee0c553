"""Where something is heard: against the clip's own background, to the block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from coprop import Audio, ControlPointDetector, Segment
from coprop.silence import (
    BLOCK_S,
    block_levels_db,
    heard_spans,
    is_silent,
    quiet_blocks,
    quiet_levels,
    silence_edges_s,
)

RATE = 8000


def sound(*parts: tuple[float, float]) -> Audio:
    """Noise of one level after another: (seconds, amplitude)."""
    rng = np.random.default_rng(0)
    pieces = [a * rng.uniform(-1, 1, round(s * RATE)) for s, a in parts]
    return Audio(np.concatenate(pieces).astype(np.float32), RATE)


def over_background(
    bursts: list[tuple[float, float]],
    level_db: float | None,
    *,
    seconds: float = 8.0,
    rate: int = 16_000,
    offset: float = 0.0,
) -> Audio:
    """A tone at -17 dB from start to end of each burst, over white noise."""
    time = np.arange(round(seconds * rate)) / rate
    samples = np.full(len(time), offset)
    if level_db is not None:
        samples += 10 ** (level_db / 20) * np.random.default_rng(1).standard_normal(len(time))
    for start, end in bursts:
        samples += np.where((time >= start) & (time < end), 0.2 * np.sin(5529.2 * time), 0.0)
    return Audio(samples.astype(np.float32), rate)


def spans(audio: Audio) -> list[tuple[float, float]]:
    return [(span.start_s, span.end_s) for span in heard_spans(quiet_blocks(audio))]


def test_below_60_db_nothing_is_heard() -> None:
    assert quiet_blocks(sound((1.0, 0.0))).all()
    assert quiet_blocks(sound((1.0, 9e-4))).all()
    assert not quiet_blocks(sound((1.0, 3e-3))).any()
    assert quiet_blocks(Audio(np.zeros(0, dtype=np.float32), RATE)).tolist() == [True]


@pytest.mark.parametrize("length_s", [0.05, 0.1, 0.2, 0.4, 1.0])
@pytest.mark.parametrize("level_db", [None, -50.0, -40.0, -30.0])
@pytest.mark.parametrize("offset", [0.0, 0.02, -0.3])
def test_bursts_are_heard_over_their_background_to_the_block(
    length_s: float, level_db: float | None, offset: float
) -> None:
    bursts = [(start, start + length_s) for start in (0.9, 2.613, 4.407, 6.5)]
    found = np.array(spans(over_background(bursts, level_db, offset=offset)))
    np.testing.assert_allclose(found, bursts, atol=BLOCK_S + 0.001)


@pytest.mark.parametrize("gap_s", [0.7, 1.2])
@pytest.mark.parametrize("fade_db", [8.0, 14.0])
def test_bursts_that_fade_end_over_noise_nearly_as_loud(gap_s: float, fade_db: float) -> None:
    onsets = [0.813 + i * (1.0 + gap_s) for i in range(3)]
    audio = over_background([(t, t + 1.0) for t in onsets], -30.0, seconds=onsets[-1] + 2.0)
    time = np.arange(audio.num_samples) / audio.sample_rate
    noise = over_background([], -30.0, seconds=onsets[-1] + 2.0).samples
    since = time - np.array([onsets[0], *onsets])[np.searchsorted(onsets, time)]
    samples = noise + (audio.samples - noise) * 10 ** (-fade_db * np.clip(since, 0, 1) / 20)
    found = spans(Audio(samples.astype(np.float32), audio.sample_rate))
    assert [start for start, _ in found] == pytest.approx(onsets, abs=0.02)
    assert all(t + 0.6 < end < t + 1.05 for t, (_, end) in zip(onsets, found, strict=True))


def test_events_over_a_loud_crowd_are_heard_apart() -> None:
    """As in a clip that is as loud as can be: a crowd at -24 dB, shouts 8 dB above it."""
    events = [(0.92, 1.7), (3.0, 4.0), (6.2, 7.5)]
    rng = np.random.default_rng(0)
    time = np.arange(9 * RATE) / RATE
    inside = np.any([(time >= a) & (time < b) for a, b in events], axis=0)
    level = 10 ** (np.where(inside, -15.0, -24.0) / 20)
    found = spans(Audio((level * rng.standard_normal(len(time))).astype(np.float32), RATE))
    np.testing.assert_allclose(found, events, atol=0.02)


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_steady_noise_of_any_colour_is_one_class(slope: float) -> None:
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(12 * RATE))
    spectrum /= np.maximum(np.arange(len(spectrum)) / 12, 20.0) ** slope
    noise = np.fft.irfft(spectrum)
    assert not quiet_blocks(Audio((0.03 * noise / noise.std()).astype(np.float32), RATE)).any()


def test_gaps_of_a_sound_are_filled_but_not_its_end() -> None:
    strokes = [(0.07, 0.3), (0.1, 0.0)] * 4
    assert spans(sound((1.0, 0.0), *strokes, (1.0, 0.0))) == [(1.0, 1.58)]
    quiet = quiet_blocks(sound((1.0, 0.0), *strokes, (1.0, 0.0)))
    assert quiet[:100].all()
    assert not quiet[100:158].any()
    assert quiet[158:].all()


@pytest.mark.parametrize("level_db", [-55.0, -40.0, -25.0, -10.0])
def test_a_sound_that_does_not_change_is_heard_throughout(level_db: float) -> None:
    assert not quiet_blocks(over_background([], level_db)).any()


def test_neither_a_swell_nor_a_louder_source_makes_the_rest_silent() -> None:
    swell = np.concatenate([np.full(3 * RATE, 1.0), np.full(3 * RATE, 0.35)])
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, len(swell))
    assert not quiet_blocks(Audio((noise * swell).astype(np.float32), RATE)).any()
    assert not quiet_blocks(sound((2.0, 1.0), (2.0, 0.2))).any()  # 14 dB, but loud


def test_a_slow_swell_over_soft_noise_has_no_background() -> None:
    level = 10 ** ((-35 + 6 * np.sin(np.linspace(0, 2 * np.pi, 9 * RATE))) / 20)
    noise = np.random.default_rng(0).standard_normal(len(level))
    assert not quiet_blocks(Audio((level * noise).astype(np.float32), RATE)).any()


def test_the_background_is_that_of_the_scene() -> None:
    whisper, concert = [(a, a + 1.0) for a in range(3, 60, 4)], [(a, a + 2.0) for a in (64, 70, 76)]
    rng = np.random.default_rng(0)
    time = np.arange(100 * RATE) / RATE
    level = np.where(time < 60, 1e-3, 2e-3)
    for start, end in whisper:
        level[(time >= start) & (time < end)] = 0.02
    for start, end in concert:
        level[(time >= start) & (time < end)] = 0.6
    audio = Audio((level * rng.uniform(-1, 1, len(time))).astype(np.float32), RATE)
    found = np.array(spans(audio))
    np.testing.assert_allclose(found, [*whisper, *concert], atol=0.03)


@pytest.mark.parametrize("start", [0, RATE, 2 * RATE - 64])
def test_a_click_is_no_sound(start: int) -> None:
    """Where a recording was switched on or off, too."""
    samples = np.zeros(2 * RATE, dtype=np.float32)
    samples[start : start + 64] = 0.9
    assert quiet_blocks(Audio(samples, RATE)).all()


def test_a_track_as_short_as_a_click_is_heard() -> None:
    assert not quiet_blocks(sound((0.03, 0.5))).any()


def test_what_has_just_begun_is_no_click_while_the_sound_goes_on() -> None:
    levels_db = block_levels_db(sound((1.0, 0.0), (0.02, 0.5)))
    assert quiet_levels(levels_db).all()
    assert np.flatnonzero(~quiet_levels(levels_db, goes_on=True)).tolist() == [100, 101]


@pytest.mark.parametrize("hertz", [0.5, 2.0, 5.0, 10.0, 15.0])
def test_what_is_too_low_for_ears_is_no_sound(hertz: float) -> None:
    """A hand on the microphone, or an offset that drifts, as loud as the bursts themselves."""
    bursts = [(start, start + 0.2) for start in (0.9, 2.613, 4.407, 6.5)]
    audio = over_background(bursts, -60.0)
    rumble = 0.2 * np.sin(2 * np.pi * hertz * np.arange(audio.num_samples) / audio.sample_rate)
    found = spans(Audio((audio.samples + rumble).astype(np.float32), audio.sample_rate))
    np.testing.assert_allclose(found, bursts, atol=BLOCK_S + 0.001)


@pytest.mark.parametrize("snr_db", [18, 25])
def test_one_bark_in_a_minute_of_rumble(snr_db: float) -> None:
    """Noise that falls by 6 dB an octave, as a motor or wind far away leaves it."""
    rng, length = np.random.default_rng(0), 60 * RATE
    spectrum = np.fft.rfft(rng.standard_normal(length))
    noise = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)) / 60, 20.0))
    samples = noise / noise.std() * 10 ** ((-20 - snr_db) / 20)
    samples[36 * RATE :][: RATE // 5] += 0.1 * rng.standard_normal(RATE // 5)
    found = spans(Audio(samples.astype(np.float32), RATE))
    np.testing.assert_allclose(found, [(36.0, 36.2)], atol=0.02)


@pytest.mark.parametrize("start_s", [0.0, 3.0])
@pytest.mark.parametrize("length_s", [0.05, 0.25, 0.5])
@pytest.mark.parametrize("level_db", [-40.0, -35.0])
def test_a_moment_of_digital_silence_makes_no_sound_of_the_room(
    start_s: float, length_s: float, level_db: float
) -> None:
    """As before an encoder's first packet, or where one is lost."""
    audio = over_background([(5.0, 5.2)], level_db, seconds=10.0)
    samples, rate = audio.samples.copy(), audio.sample_rate
    samples[round(start_s * rate) : round((start_s + length_s) * rate)] = 0.0
    np.testing.assert_allclose(spans(Audio(samples, rate)), [(5.0, 5.2)], atol=0.02)


@pytest.mark.parametrize("rate", [96_000, 192_000])
def test_what_is_too_high_for_ears_is_no_sound(rate: int) -> None:
    bursts = [(0.9, 1.1), (2.6, 2.7)]
    audio = over_background(bursts, -60.0, seconds=4.0, rate=rate)
    time = np.arange(audio.num_samples) / rate
    whistle = 0.2 * np.sin(2 * np.pi * 40_000 * time) * (np.abs(time - 1.8) < 0.3)
    found = spans(Audio((audio.samples + whistle).astype(np.float32), rate))
    np.testing.assert_allclose(found, bursts, atol=BLOCK_S + 0.001)


def test_levels_are_of_what_a_straight_line_leaves() -> None:
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal(RATE) + np.linspace(-0.3, 0.6, RATE)
    levels_db = block_levels_db(Audio(samples.astype(np.float32), RATE))
    for block in (0, 1, 50, 99):
        window = samples[max((block + 1) * 80 - 200, 0) : (block + 1) * 80]
        clock = np.arange(len(window))
        rest = window - np.polyval(np.polyfit(clock, window, 1), clock)
        assert levels_db[block] == pytest.approx(10 * np.log10(np.mean(rest**2)), abs=0.01)


@settings(deadline=None, max_examples=25)
@example(samples=1, rate=8000)
@given(samples=st.integers(1, 45 * RATE), rate=st.sampled_from([8000, 11_025, 44_100]))
def test_one_flag_for_every_block(samples: int, rate: int) -> None:
    quiet = quiet_blocks(Audio(np.tile([0.1, -0.1], samples).astype(np.float32), rate))
    assert abs(len(quiet) - 2 * samples / rate / BLOCK_S) <= 1 + 2 * samples / rate / 5
    assert not quiet.any()


def test_a_long_track_is_read_piece_by_piece() -> None:
    class Track(Audio):
        longest = 0

        def read(self, start: int, stop: int) -> NDArray[np.float32]:
            Track.longest = max(Track.longest, stop - start)
            return super().read(start, stop)

    assert quiet_blocks(Track(np.zeros(60 * RATE, dtype=np.float32), RATE)).all()
    assert 0 < Track.longest <= 10 * RATE


@pytest.mark.parametrize("length_s", [0.5, 4.0, 60.0, 3600.0])
def test_a_segment_is_silent_by_heard_time_whatever_its_length(length_s: float) -> None:
    quiet = np.ones(round(length_s / BLOCK_S), dtype=bool)
    quiet[10:19] = False
    assert is_silent(quiet, Segment(0.0, length_s))
    quiet[19] = False
    assert not is_silent(quiet, Segment(0.0, length_s))


def test_a_segment_is_silent_but_for_its_neighbours() -> None:
    quiet = quiet_blocks(sound((2.0, 0.5), (2.0, 0.0), (2.0, 0.5)))
    assert is_silent(quiet, Segment(2.0, 4.0))
    assert is_silent(quiet, Segment(1.96, 4.04))
    assert not is_silent(quiet, Segment(1.0, 4.0))
    assert not is_silent(quiet, Segment(0.0, 1.0))
    assert is_silent(quiet, Segment(6.0, float("inf")))
    assert is_silent(quiet, Segment(2.0, 2.0))


def test_edges_of_silences_and_no_pauses() -> None:
    track = sound((1.0, 0.5), (0.4, 0.0), (1.0, 0.5), (0.8, 0.0), (1.0, 0.5), (1.0, 0.0))
    edges = silence_edges_s(quiet_blocks(track)).tolist()
    assert edges == pytest.approx([2.4, 3.2, 4.2], abs=0.011)
    track = sound((0.2, 0.0), (1.0, 0.5), (0.3, 0.0))
    edges = silence_edges_s(quiet_blocks(track)).tolist()
    assert edges == pytest.approx([0.2, 1.2], abs=0.011)
    assert not silence_edges_s(quiet_blocks(sound((0.06, 0.0), (1.0, 0.5), (0.08, 0.0)))).size


def test_a_rhythm_ends_with_the_track() -> None:
    strokes = [(0.2, 0.5), (0.4, 0.0)]
    assert not silence_edges_s(quiet_blocks(sound(*strokes * 8))).size
    edges = silence_edges_s(quiet_blocks(sound(*strokes * 8, (0.3, 0.0)))).tolist()
    assert edges == pytest.approx([4.4], abs=0.011)
    edges = silence_edges_s(quiet_blocks(sound(*strokes))).tolist()
    assert edges == pytest.approx([0.2], abs=0.011)


def test_the_default_detector_finds_silences_to_the_block() -> None:
    track = sound((1.5, 0.0), (2.0, 0.3), (1.0, 0.0), (2.0, 0.3), (0.9, 0.0))
    found = ControlPointDetector.novelty()(track).change_times_s
    assert found == pytest.approx((1.5, 3.5, 4.5, 6.5), abs=0.011)


def test_no_gap_keeps_a_short_sound_from_ending() -> None:
    track = over_background([(2.0, 2.2), (4.0, 4.1)], -40.0)
    found = ControlPointDetector.novelty(min_gap_s=3.0)(track).change_times_s
    assert found == pytest.approx((2.0, 2.2, 4.0, 4.1), abs=0.011)


def test_a_block_that_begins_where_the_track_ends_is_none() -> None:
    track = Audio(np.array([0.5, -0.5] * 7, dtype=np.float32), 100)  # a block is one sample
    assert len(quiet_blocks(track)) == 14
