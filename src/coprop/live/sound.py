"""Sound that is still coming in: the last half minute of it, on the clock of the stream."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
from numpy.typing import NDArray

from coprop.media.part import Stretch
from coprop.media.resample import Resampler
from coprop.silence import BLOCK_S, background_level_db, measured_rate, window_levels_db
from coprop.values.audio import LOUDEST

KEPT_S = 40.0
"""Seconds of sound that are kept: what models hear with a frame, 10 s, with frames that come 10 s
after their sound, and the 20 s by which background is told from sound."""

SETTLED_S = 0.005
"""Samples this near to the end may still be inside a resampler, whatever the block size; nobody is
shown them, so that masks do not depend on it."""

SCENE_S = 20.0
"""The background is that of so many seconds, as `coprop.silence` has it for files."""

_LEVEL_S = 0.025  # how far a level reaches back
_FRESH_S = 1.0  # how often the background is looked at: it changes slowly


class LiveSound:
    """An `AudioTrack` that grows at its end and is forgotten at its beginning.

    Positions count from the beginning of the stream. What is beyond `until_s`, or not kept any
    more, reads as zeros: nobody hears what has not sounded yet.

    Args:
        sample_rate: of what comes in, in Hz.
        kept_s: how much is kept.

    Attributes:
        until_s: what is later is not heard yet.
        is_growing: whether more may come in.
    """

    def __init__(self, sample_rate: int, kept_s: float = KEPT_S) -> None:
        self.sample_rate = sample_rate
        self.until_s = 0.0
        self.is_growing = True
        self._kept = round(kept_s * sample_rate)
        # Twice as long as what is kept, so that samples are moved once in a while, not each time.
        self._buffer: NDArray[np.float32] = np.zeros(2 * self._kept, dtype=np.float32)
        self._start = self._stop = 0  # positions of what is in the buffer
        self._copies: dict[int, tuple[Resampler, LiveSound]] = {}
        self._lock = threading.Lock()  # an overlay's sound is read by the thread that writes it

    @property
    def num_samples(self) -> int:
        """Samples that may be heard."""
        return min(self._stop, round(self.until_s * self.sample_rate))

    @property
    def duration_s(self) -> float:
        """Seconds that may be heard."""
        return self.num_samples / self.sample_rate

    @property
    def end_s(self) -> float:
        """When what has come in ends."""
        return self._stop / self.sample_rate

    @property
    def start_s(self) -> float:
        """When what is kept begins."""
        return max(self._start, self._stop - self._kept) / self.sample_rate

    def feed(self, samples: NDArray[np.float32]) -> None:
        """Takes (n,) more samples."""
        for first in range(0, len(samples), self._kept):
            self._append(samples[first : first + self._kept])
        for resampler, copy in self._copies.values():
            copy.feed(np.clip(resampler.feed(samples), -LOUDEST, LOUDEST))

    def hear_until(self, time_s: float) -> None:
        """Lets everybody hear what sounds before a time, and no more."""
        self.until_s = time_s
        for _, copy in self._copies.values():
            copy.hear_until(time_s)

    def finish(self) -> None:
        """Takes what is still inside the resamplers; nothing may be fed after it."""
        self.is_growing = False
        for resampler, copy in self._copies.values():
            _finish(resampler, copy)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Samples ``start`` to ``stop`` (exclusive); zeros where nothing is kept or heard yet."""
        window = np.zeros(max(stop - start, 0), dtype=np.float32)
        with self._lock:
            first, last = max(start, self._start), min(stop, self.num_samples)
            if last > first:
                known = self._buffer[first - self._start : last - self._start]
                window[first - start : last - start] = known
        return window

    def resampled(self, sample_rate: int) -> LiveSound:
        """The same sound at another rate (itself, where it is equal), made as it comes in.

        What came in before a rate is first asked for is converted as far as it is kept.
        """
        if sample_rate == self.sample_rate:
            return self
        if sample_rate not in self._copies:
            resampler = Resampler(self.sample_rate, sample_rate)
            copy = LiveSound(sample_rate, self._kept / self.sample_rate)
            copy.until_s = self.until_s
            # From a whole second on, so that positions of both rates meet.
            first = -(-self._start // self.sample_rate) * self.sample_rate
            copy._start = copy._stop = first // self.sample_rate * sample_rate
            known = self._buffer[first - self._start : self._stop - self._start]
            copy.feed(np.clip(resampler.feed(known), -LOUDEST, LOUDEST))
            if not self.is_growing:
                _finish(resampler, copy)
            self._copies[sample_rate] = resampler, copy
        return self._copies[sample_rate][1]

    def _append(self, samples: NDArray[np.float32]) -> None:
        with self._lock:
            held = self._stop - self._start
            if held + len(samples) > len(self._buffer):
                forgotten = held - self._kept
                self._buffer[: self._kept] = self._buffer[forgotten:held]
                self._start += forgotten
                held = self._kept
            self._buffer[held : held + len(samples)] = samples
            self._stop += len(samples)


def _finish(resampler: Resampler, copy: LiveSound) -> None:
    """The end of what a resampler makes of sound that has ended."""
    copy.feed(np.clip(resampler.flush(), -LOUDEST, LOUDEST))
    copy.finish()


class LevelMeter:
    """Levels of each 10 ms as `coprop.silence` measures them, and a background that follows.

    Args:
        sound: what is measured.
    """

    def __init__(self, sound: LiveSound) -> None:
        self._sound = sound
        self._levels_db: deque[float] = deque(maxlen=round(SCENE_S / BLOCK_S))
        self._count = 0  # blocks measured so far
        self._looked_at = 0
        self._background_db = -np.inf

    def update(self) -> None:
        """Measures what may be heard by now."""
        sound = self._sound.resampled(measured_rate(self._sound.sample_rate))
        rate, count = sound.sample_rate, int(sound.duration_s / BLOCK_S + 1e-6)
        if count <= self._count:
            return
        first = max(self._count, count - (self._levels_db.maxlen or 0))
        ends = np.round(np.arange(first + 1, count + 1) * BLOCK_S * rate).astype(np.intp)
        before = max(round(first * BLOCK_S * rate) - max(round(_LEVEL_S * rate), 1), 0)
        samples = sound.read(before, int(ends[-1])).astype(np.float64)
        self._levels_db.extend(window_levels_db(samples, ends - before, rate).tolist())
        self._count = count
        if count - self._looked_at >= _FRESH_S / BLOCK_S:
            self._looked_at = count
            found = background_level_db(np.array(self._levels_db))
            # A scene of one class, such as steady noise, is judged by what was found before it.
            self._background_db = found if np.isfinite(found) else self._background_db

    def recent(self) -> RecentSound:
        """The last 20 s of what may be heard, as a track of its own."""
        start = max(self._count - (self._levels_db.maxlen or 0), 0)
        start = -(-start // _GRID) * _GRID
        levels_db = np.array(self._levels_db)[start - self._count :] if self._count else np.zeros(0)
        return RecentSound(
            self._sound, start * BLOCK_S, self._count * BLOCK_S, levels_db, self._background_db
        )


_GRID = 5  # blocks: scores of change lie 50 ms apart


class RecentSound(Stretch):
    """The end of a `LiveSound`, with what has been measured of it.

    Args:
        sound, start_s, end_s: as of `Stretch`.
        levels_db: (T,) of `coprop.silence.block_levels_db`, already measured.
        background_db: see `coprop.silence.quiet_levels`.
    """

    sound: LiveSound

    def __init__(
        self,
        sound: LiveSound,
        start_s: float,
        end_s: float,
        levels_db: NDArray[np.float64],
        background_db: float,
    ) -> None:
        super().__init__(sound, start_s, end_s)
        self.levels_db, self.background_db = levels_db, background_db

    @property
    def goes_on(self) -> bool:
        """Whether more of the sound follows, or may."""
        return self.sound.is_growing or self.sound.end_s >= self.end_s + BLOCK_S

    def resampled(self, sample_rate: int) -> RecentSound:
        """The same stretch at another rate."""
        sound = self.sound.resampled(sample_rate)
        return RecentSound(sound, self.start_s, self.end_s, self.levels_db, self.background_db)
