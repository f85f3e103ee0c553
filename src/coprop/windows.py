"""The sound that belongs to one frame."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from coprop.types import AudioTrack, Segment

_SILENCE = 1e-3  # a peak of -60 dB of full scale; below it nothing is heard


class AudioWindows:
    """Cuts windows of sound out of a track.

    Args:
        track: the sound.
        sample_rate: of the windows, in Hz; the track is resampled where it differs.
        window_s: length of a window in seconds.
    """

    def __init__(self, track: AudioTrack, sample_rate: int, window_s: float) -> None:
        self._track = track.resampled(sample_rate)
        self._rate = sample_rate
        self._length = round(window_s * sample_rate)

    def centred(self, time_s: float) -> Tensor:
        """(1, samples): the window centred on a time; zeros beyond the track's ends."""
        return self._cut(time_s)

    def within(self, time_s: float, segment: Segment) -> Tensor:
        """(1, samples): the window centred on a time, moved to lie inside a segment.

        A segment shorter than the window fills it from the start, with zeros behind.
        """
        half = self._length / self._rate / 2
        latest = max(segment.end_s - half, segment.start_s + half)
        window = self._cut(min(max(time_s, segment.start_s + half), latest))
        beyond = round((segment.end_s - segment.start_s) * self._rate)
        window[:, beyond:] = 0
        return window

    def _cut(self, centre_s: float) -> Tensor:
        start = round(centre_s * self._rate) - self._length // 2
        return torch.from_numpy(self._track.read(start, start + self._length)).unsqueeze(0)


def is_silent(track: AudioTrack, segment: Segment) -> bool:
    """Whether nothing is heard in a segment: every sample below -60 dB of full scale."""
    end_s = min(segment.end_s, track.duration_s)
    first, last = (round(t * track.sample_rate) for t in (segment.start_s, end_s))
    block = track.sample_rate  # one second at a time, so that hours of silence take no memory
    return all(
        np.abs(track.read(start, min(start + block, last))).max(initial=0) < _SILENCE
        for start in range(first, last, block)
    )
