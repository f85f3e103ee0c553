"""The sound of a clip of the open benchmark: sources by a schedule, and what is no change of them.

Everything may get louder or softer and the room may change while the sources stay the same; music
and noise go on throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from coprop.errors import DatasetError
from tools.benchmark.config import ClipConfig, SubsetRule
from tools.benchmark.mixing import (
    Samples,
    Schedule,
    continuous_source,
    in_a_room,
    mix,
    noise,
    random_schedule,
    reverberated,
)

_APART_S = 0.4  # between a change of loudness or room and the nearest change of sources
_CROSSFADE_S = 0.05
_MUSIC_DB = (-44.0, -36.0)  # full scale; sources have -27 to -18
_TRIES = 2000


@dataclass(frozen=True)
class SoundEvent:
    """A change of the sound that is no change of the sources.

    Args:
        kind: "loudness" or "room".
        time_s: when it begins; it lasts to the end of the clip.
        amount: by how many decibels everything gets louder, or the decay of the room entered,
            in seconds, 0 for outside.
        over_s: how long the change takes.
    """

    kind: Literal["loudness", "room"]
    time_s: float
    amount: float
    over_s: float


def fitting_schedule(
    subset: SubsetRule, visible: int, sources: int, duration_s: float, rng: np.random.Generator
) -> Schedule:
    """A random schedule that the subset takes.

    Raises:
        DatasetError: none was found.
    """
    for _ in range(_TRIES):
        schedule = random_schedule(rng, sources, duration_s)
        if subset.takes(schedule, visible, sources):
            return schedule
    raise DatasetError(
        f"no schedule of {duration_s} s for {sources} sources fits {subset.name}; make the clips "
        "longer."
    )


def render_sound(
    recordings: Sequence[NDArray[np.float32]],
    planned: Schedule,
    music: NDArray[np.float32] | None,
    config: ClipConfig,
    rate: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], Schedule, tuple[SoundEvent, ...]]:
    """The clip's sound.

    Args:
        recordings: one of each source, (n,), without long pauses.
        planned: what sounds when.
        music: (n,) what plays softly throughout, or None.
        config: how often loudness and room change.
        rate: of the recordings and the result, in Hz.
        rng: the source of all randomness.

    Returns:
        (n,) samples in [-1, 1], the schedule as it is heard, and what changed besides.
    """
    sound, heard = mix(recordings, planned, rate, rng)
    events: list[SoundEvent] = []
    if rng.random() < config.loudness:
        sound = _with_loudness(sound, heard, rate, rng, events)
    if rng.random() < config.room:
        sound = _in_two_rooms(sound, heard, rate, rng, events)
    else:
        sound = in_a_room(sound, rate, rng)
    if music is not None:
        sound = sound + _background(music, len(sound), rate, rng)
    sound = sound + noise(len(sound), rng)
    sound /= max(1.0, float(np.abs(sound).max()))
    events.sort(key=lambda event: event.time_s)
    return sound.astype(np.float32), heard, tuple(events)


def _with_loudness(
    sound: Samples, heard: Schedule, rate: int, rng: np.random.Generator, events: list[SoundEvent]
) -> Samples:
    over_s = float(rng.uniform(0.02, 0.5))
    amount = float(rng.uniform(4.0, 9.0) * rng.choice([-1, 1]))
    time_s = _inside_a_state(heard, over_s, rng)
    if time_s is None:
        return sound
    events.append(SoundEvent("loudness", time_s, amount, over_s))
    return np.asarray(sound * 10.0 ** (amount * _ramp(len(sound), time_s, over_s, rate) / 20.0))


def _in_two_rooms(
    sound: Samples, heard: Schedule, rate: int, rng: np.random.Generator, events: list[SoundEvent]
) -> Samples:
    """From outside into a hall, or from there outside."""
    decay_s, wet_db = float(rng.uniform(0.2, 0.8)), float(rng.uniform(-10.0, -3.0))
    time_s = _inside_a_state(heard, _CROSSFADE_S, rng)
    if time_s is None:
        return in_a_room(sound, rate, rng)
    in_the_hall = _ramp(len(sound), time_s, _CROSSFADE_S, rate)
    enters = rng.random() < 0.5
    if not enters:
        in_the_hall = 1 - in_the_hall
    events.append(SoundEvent("room", time_s, decay_s if enters else 0.0, _CROSSFADE_S))
    # The hall echoes what sounds in it, and the echo dies away outside.
    echoing = reverberated(sound * in_the_hall, rate, rng, decay_s, wet_db)
    return sound * (1 - in_the_hall) + echoing


def _inside_a_state(heard: Schedule, over_s: float, rng: np.random.Generator) -> float | None:
    """A time in a state in which something sounds, away from its edges; None if all are short."""
    spans = [
        (start + _APART_S, end - _APART_S - over_s)
        for (start, end), state in zip(pairwise(heard.times_s), heard.sounding, strict=True)
        if state and end - start > 2 * _APART_S + over_s
    ]
    if not spans:
        return None
    start, end = spans[int(rng.integers(len(spans)))]
    return float(rng.uniform(start, end))


def _ramp(count: int, time_s: float, over_s: float, rate: int) -> Samples:
    """(count,) 0 before a time, 1 from ``over_s`` after it on."""
    return np.asarray(np.clip((np.arange(count) / rate - time_s) / over_s, 0.0, 1.0))


def _background(
    music: NDArray[np.float32], count: int, rate: int, rng: np.random.Generator
) -> Samples:
    playing, _ = continuous_source(music, count, rate, rng)
    level = 10.0 ** (rng.uniform(*_MUSIC_DB) / 20.0)
    return np.asarray(playing * level / max(float(np.sqrt(np.mean(playing**2))), 1e-6))
