"""Where something is heard, by level alone, against the clip's own background.

Real quiet is not zero: a room, a microphone or traffic leave noise at -50 to -25 dB. So the level
that tells sound from background is found in the clip: where its levels fall into two classes, a
threshold between them (Otsu, 1979); where they do not, all of it is one or the other.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from coprop.types import AudioTrack, Segment
from coprop.utils.checks import sealed
from coprop.values.given_sound import GivenSound, as_track

BLOCK_S = 0.01
"""Length of the blocks that are quiet or not, in seconds: far below a frame's duration."""

SHORTEST_SILENCE_S = 0.6
"""Shorter pauses belong to what sounds, as between two barks or two words."""

SHORTEST_SOUND_S = 0.04
"""What is heard for less, the crack of a scratched record, is no sound, unless more is heard within
0.15 s. A window of `_WINDOW_S` lengthens what it hears, so that some 15 ms of sound reach this."""

END_S = 0.15
"""What begins or ends this near to the track's own beginning or end does so with the track: gaps
within a sound are shorter, and encoders put some 50 ms of silence before what they encode."""

SEGMENT_SOUND_S = 0.1
"""A span in which less is heard is silent: its ends may lie some frames off its neighbours'."""

_WINDOW_S = 0.025  # some periods of a low voice; it ends with its block, so nothing is heard early
_NEVER_HEARD_DB = -60.0  # re full scale: below what a room leaves in a recording
_LOUDEST_BACKGROUND_DB = -21.0  # in the mean; a crowd in a clip that is as loud as can be has -24
_FLOOR_DB = -80.0  # digital silence counts as this, so that it has no infinite distance to noise
_TWO_CLASSES_DB = 10.0  # between the mean levels of background and sound: a swell has less
_STEPPED_CLASSES_DB = 7.0  # if the level steps between them; of one noise, of any colour, up to 6.5
_STEP_DB, _STEP_S = 4.0, 0.15  # from so long before to so long after; a swell of 12 dB in 4 s has 2
_GAP_S = END_S  # heard before and after: between the strokes of a drill, the periods of a growl
_RHYTHM = 5  # pauses; fewer may be chance
_SAME_S = 1e-9  # times that differ by less, by rounding, are the same
_SCENE_S = 20.0  # the background is that of this stretch: as long as AVSBench's clips and more
_SCENE_STEP_S = 5.0  # from one stretch to the next; between their middles it is interpolated
_PIECE_S = 5  # seconds read at a time
_HIGHEST_RATE, _AUDIBLE_RATE = 48_000, 44_100  # Hz; the detector hears the second

# Of tracks that never change, as long as they live.
_LEVELS_DB: WeakKeyDictionary[AudioTrack, NDArray[np.float64]] = WeakKeyDictionary()


def quiet_blocks(track: GivenSound) -> NDArray[np.bool_]:
    """(T,) True for each 10 ms in which nothing is heard.

    An offset is no sound, nor is one that drifts, nor what is too high for ears. Quiet is what is
    below -60 dB of full scale, and what belongs to the background of the 20 s around it: the lower
    of two classes of levels, if their means are at least 10 dB apart, or 7 dB with a step, and its
    mean is below -21 dB. A stretch whose levels are of one class, such as steady noise, is judged
    by those of the whole track, and where that is of one class too, all of it is heard.
    """
    known: NDArray[np.bool_] | None = getattr(track, "quiet", None)
    if known is not None:  # of a part of a clip, by what is in it
        return known
    levels_db = block_levels_db(track)
    if not levels_db.size:
        return np.ones(1, dtype=bool)
    background_db = getattr(track, "background_db", -np.inf)
    return quiet_levels(levels_db, background_db, goes_on=getattr(track, "goes_on", False))


def quiet_levels(
    levels_db: NDArray[np.float64], background_db: float = -np.inf, *, goes_on: bool = False
) -> NDArray[np.bool_]:
    """(T,) as `quiet_blocks` has it, of the (T,) levels of `block_levels_db`, at least one.

    Args:
        levels_db: the levels.
        background_db: what told sound from background before, for levels of one class.
        goes_on: whether more of the sound follows, so that what has just begun is no click yet.
    """
    thresholds_db = _thresholds_db(levels_db)
    thresholds_db = np.where(np.isfinite(thresholds_db), thresholds_db, background_db)
    return ~_sounds(levels_db >= np.maximum(thresholds_db, _NEVER_HEARD_DB), goes_on)


def background_level_db(levels_db: NDArray[np.float64]) -> float:
    """What tells sound from background in (T,) levels; -inf where they are of one class."""
    return _threshold_db(levels_db)


def heard_spans(quiet: NDArray[np.bool_]) -> tuple[Segment, ...]:
    """The spans in which something is heard, pauses under 0.6 s included, in order.

    Sound that begins in the track's first 0.15 s begins with the track.

    Args:
        quiet: (T,) of `quiet_blocks`.
    """
    starts, stops = _runs(~quiet)
    if not starts.size:
        return ()
    apart = (starts[1:] - stops[:-1]) * BLOCK_S >= SHORTEST_SILENCE_S - _SAME_S
    first = starts[np.concatenate([[True], apart])]
    last = stops[np.concatenate([apart, [True]])]
    if first[0] * BLOCK_S < END_S:
        first[0] = 0
    return tuple(
        Segment(round(a * BLOCK_S, 6), round(b * BLOCK_S, 6))
        for a, b in zip(first.tolist(), last.tolist(), strict=True)
    )


def silence_edges_s(quiet: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) increasing times at which sound begins or ends, in seconds; pauses under 0.6 s are none.

    The beginning and the end of the track are none, nor is what is less than 0.15 s from them.
    Where a sound has five pauses or more, a rhythm, one that the track cuts off is one more of
    them, unless it is longer than all.

    Args:
        quiet: (T,) of `quiet_blocks`.
    """
    spans = heard_spans(quiet)
    if not spans:
        return np.zeros(0)
    edges = np.array([(span.start_s, span.end_s) for span in spans]).ravel()
    end_s = len(quiet) * BLOCK_S
    outer_s = np.array([edges[0], end_s - edges[-1]])
    longest_s = np.array([_longest_of_rhythm_s(quiet, span) for span in (spans[0], spans[-1])])
    inside = np.ones(len(edges), dtype=bool)
    inside[[0, -1]] = (outer_s >= END_S - _SAME_S) & (outer_s > longest_s + BLOCK_S + _SAME_S)
    return np.asarray(edges[inside], dtype=np.float64)


def is_silent(quiet: NDArray[np.bool_], segment: Segment) -> bool:
    """Whether less than 0.1 s is heard in a segment, however long it is.

    Args:
        quiet: (T,) of `quiet_blocks`; after its end all is quiet.
        segment: the span. Of one shorter than 0.1 s all must be heard.
    """
    first, last = (round(min(t / BLOCK_S, len(quiet))) for t in (segment.start_s, segment.end_s))
    inside = quiet[first : max(last, first + 1)]  # a shorter segment is its nearest block
    needed = min(round(SEGMENT_SOUND_S / BLOCK_S), inside.size)
    return bool(inside.size == 0 or np.count_nonzero(~inside) < needed)


def block_levels_db(track: GivenSound) -> NDArray[np.float64]:
    """(T,) levels of the 25 ms that end with each block, in dB of full scale, offset taken out.

    Of a track of more than 48 kHz, of what is below 22 kHz in it.
    """
    track = as_track(track)
    known: NDArray[np.float64] | None = getattr(track, "levels_db", None)
    if known is not None:  # sound that is still coming in is measured as it comes
        return known
    # Detector, schedule and namer all ask, and an hour of sound takes seconds.
    keeps = getattr(track, "never_changes", False) is True
    kept = _LEVELS_DB.get(track) if keeps else None
    if kept is None:
        sound = track.resampled(measured_rate(track.sample_rate))
        pieces = range(0, sound.num_samples, _PIECE_S * sound.sample_rate)
        levels_db = [_levels_db(sound, start) for start in pieces]
        kept = sealed(np.concatenate(levels_db or [np.zeros(0)]))
        if keeps:
            _LEVELS_DB[track] = kept
    return kept


def measured_rate(sample_rate: int) -> int:
    """The rate in Hz at which levels are measured: recordings at 96 kHz may hold what nobody hears.

    >>> measured_rate(16_000), measured_rate(192_000)
    (16000, 44100)
    """
    return sample_rate if sample_rate <= _HIGHEST_RATE else _AUDIBLE_RATE


def _levels_db(track: AudioTrack, start: int) -> NDArray[np.float64]:
    rate = track.sample_rate
    stop = min(start + _PIECE_S * rate, track.num_samples)
    ends = np.round(np.arange(1, round(_PIECE_S / BLOCK_S) + 1) * BLOCK_S * rate).astype(np.intp)
    ends = np.append(ends[ends < stop - start], stop - start)  # the last block may be a part
    before = min(max(round(_WINDOW_S * rate), 1), start)
    samples = track.read(start - before, stop).astype(np.float64)
    return window_levels_db(samples, ends + before, rate)


def window_levels_db(
    samples: NDArray[np.float64], ends: NDArray[np.intp], rate: int
) -> NDArray[np.float64]:
    """(n,) levels in dB of the 25 ms of samples that end at each of the (n,) positions.

    An offset and a drift, the straight line that fits the 25 ms best, are taken out.
    """
    starts = np.maximum(ends - max(round(_WINDOW_S * rate), 1), 0)
    samples = samples - samples.mean()  # or a large offset would cost the squares their digits
    products = samples, samples**2, np.arange(len(samples)) * samples
    running = (np.append(0.0, np.cumsum(values)) for values in products)
    sums, squares, moments = (values[ends] - values[starts] for values in running)
    count = (ends - starts).astype(np.float64)
    power = squares / count - (sums / count) ** 2
    drift = moments - sums * (starts + ends - 1) / 2  # the line's slope, times count^3 / 12
    drift[count < 3] = 0  # two samples are a line, whatever they are
    power -= 12 * (drift / count) ** 2 / np.maximum(count**2 - 1, 1)
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (_FLOOR_DB / 10))))


def _thresholds_db(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T,) the level at each block that tells sound from background."""
    size, step = (round(s / BLOCK_S) for s in (_SCENE_S, _SCENE_STEP_S))
    whole = _threshold_db(levels)
    starts = np.arange(0, max(len(levels) - size, 0) + step, step)
    starts = np.minimum(starts, max(len(levels) - size, 0))
    scenes = np.array([_threshold_db(levels[s : s + size]) for s in starts])
    scenes = np.where(np.isfinite(scenes), scenes, whole)
    # Between the middles of two scenes the threshold goes from one's to the other's.
    clock = np.arange(len(levels))
    with_both = np.isfinite(scenes)
    if not with_both.any():
        return np.full(len(levels), -np.inf)
    return np.asarray(np.interp(clock, (starts + size / 2)[with_both], scenes[with_both]))


def _threshold_db(levels: NDArray[np.float64]) -> float:
    """The level that splits levels best into two classes; -inf where they are one (Otsu, 1979).

    Digital silence that is shorter than a pause, before an encoder's first packet or where one is
    lost, is no class: it lies so far below a room's noise that all of that would be sound.
    """
    ordered = np.sort(levels)
    count = len(ordered)
    if count < 2:
        return -np.inf
    lower = np.arange(1, count)
    sums = np.cumsum(ordered)
    low, high = sums[:-1] / lower, (sums[-1] - sums[:-1]) / (count - lower)
    split = int(np.argmax(lower * (count - lower) * (high - low) ** 2))
    never_heard = int(np.searchsorted(ordered, _NEVER_HEARD_DB))
    if split < never_heard < round(SHORTEST_SILENCE_S / BLOCK_S):
        return _threshold_db(levels[levels >= _NEVER_HEARD_DB])
    apart_db, threshold_db = high[split] - low[split], float(ordered[split : split + 2].mean())
    two = apart_db >= _TWO_CLASSES_DB
    two |= apart_db >= _STEPPED_CLASSES_DB and _steps(levels, threshold_db)
    return threshold_db if two and low[split] <= _LOUDEST_BACKGROUND_DB else -np.inf


def _steps(levels: NDArray[np.float64], threshold_db: float) -> bool:
    """Whether the level steps, and does not drift, from one side of the threshold to the other."""
    crossings = np.flatnonzero(np.diff(levels >= threshold_db))
    reach, last = round(_STEP_S / BLOCK_S), len(levels) - 1
    before, after = np.maximum(crossings - reach, 0), np.minimum(crossings + 1 + reach, last)
    return bool(np.max(np.abs(levels[after] - levels[before]), initial=0.0) >= _STEP_DB)


def _sounds(heard: NDArray[np.bool_], goes_on: bool) -> NDArray[np.bool_]:
    """(T,) with its gaps, without what is too short, and what hears only what has ended before."""
    starts, stops = _runs(heard)
    if not starts.size:
        return heard
    apart = (starts[1:] - stops[:-1]) * BLOCK_S >= _GAP_S - _SAME_S
    starts, stops = starts[np.append(True, apart)], stops[np.append(apart, True)]
    long_enough = (stops - starts) * BLOCK_S >= SHORTEST_SOUND_S - _SAME_S
    # What the track cuts off may be longer, if a sound is so near that it belongs to it.
    near = (starts[1:] - stops[:-1]) * BLOCK_S < SHORTEST_SILENCE_S - _SAME_S
    after = np.append(near & long_enough[1:], False)
    before = np.append(False, near & long_enough[:-1])
    first, last = starts == 0, stops == len(heard)
    long_enough = long_enough | first & (after | last) | last & (before | goes_on)
    echo = round((_WINDOW_S - BLOCK_S) / BLOCK_S + 0.5)
    ends = np.where(stops < len(heard), np.maximum(stops - echo, starts), stops)
    steps = np.zeros(len(heard) + 1, dtype=np.intp)
    steps[starts[long_enough]] += 1
    np.subtract.at(steps, ends[long_enough], 1)
    return np.cumsum(steps)[:-1] > 0


def _longest_of_rhythm_s(quiet: NDArray[np.bool_], span: Segment) -> float:
    """The longest pause in a span; 0 where there are fewer than five."""
    first, last = round(span.start_s / BLOCK_S), round(span.end_s / BLOCK_S)
    starts, stops = _runs(quiet[first:last])
    return float((stops - starts).max()) * BLOCK_S if len(starts) >= _RHYTHM else 0.0


def _runs(flags: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where runs of True begin, and where they end."""
    steps = np.diff(np.concatenate([[False], flags, [False]]).astype(int))
    return np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
