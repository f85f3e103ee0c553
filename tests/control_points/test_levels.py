"""How surely an edge between sound and silence is a change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coprop import Audio, ControlPointDetector
from coprop.control_points.levels import edge_chances
from coprop.silence import block_levels_db, quiet_levels, silence_edges_s

RATE = 8000


def chances(levels_db: NDArray[np.float64], score: float = 0.3) -> NDArray[np.float64]:
    """Of the edges of one pause, from 3 s on."""
    quiet = levels_db < -35
    scores = np.full(round(len(levels_db) / 5), score)
    return edge_chances(levels_db, quiet, np.array([3.0, 3.0 + quiet.sum() / 100]), scores)


def pause(seconds: float, before_db: float = -50.0, after_db: float = -50.0) -> NDArray[np.float64]:
    """Levels of 3 s of sound at -20 dB, a pause, and as much sound again."""
    inside = np.linspace(before_db, after_db, round(100 * seconds))
    return np.concatenate([np.full(300, -20.0), inside, np.full(300, -20.0)])


def test_a_pause_at_once_is_surer_than_a_sound_that_rings_out() -> None:
    at_once, ringing = chances(pause(0.8)), chances(pause(0.8, -36.0, -56.0))
    assert (at_once > 0.5).all()
    assert at_once[0] > ringing[0] + 0.1


def test_longer_pauses_and_what_the_network_hears_make_surer() -> None:
    assert (chances(pause(1.6)) > chances(pause(0.8))).all()
    assert (chances(pause(0.8), 0.9) > chances(pause(0.8), 0.1)).all()


def test_one_chance_for_each_edge_of_a_track() -> None:
    rng = np.random.default_rng(0)
    loud = np.repeat([0.0, 1.0, 0.0, 1.0, 0.0, 1.0], [0.3 * RATE, *[RATE] * 4, 0.2 * RATE])
    track = Audio((0.3 * loud * rng.standard_normal(len(loud))).astype(np.float32), RATE)
    levels_db = block_levels_db(track)
    quiet = quiet_levels(levels_db)
    edges_s = silence_edges_s(quiet)
    found = edge_chances(levels_db, quiet, edges_s, np.zeros(1))
    assert found.shape == edges_s.shape == (5,)
    assert ((found > 0) & (found < 1)).all()
    assert edge_chances(levels_db, quiet, np.zeros(0), np.zeros(1)).shape == (0,)


def test_edges_obey_the_threshold_and_tell_their_chance() -> None:
    time = np.arange(6 * RATE) / RATE
    tone = 0.2 * np.sin(5529.2 * time) * ((time > 2) & (time < 3.5))
    detector = ControlPointDetector.novelty()
    points = detector(Audio(tone.astype(np.float32), RATE))
    scores = points.scores[points.flags][1:]
    assert len(scores) == 2
    assert ((scores >= 0.5) & (scores < 1.0)).all()
    detector.threshold = 1.0
    assert detector(Audio(tone.astype(np.float32), RATE)).flags.sum() == 1  # the start
