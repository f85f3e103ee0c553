"""The default's score of change for sound that is still coming in: each step is encoded once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop.control_points.features import STEP_S, num_steps
from coprop.control_points.novelty import REACH_STEPS, default_networks
from coprop.live.sound import RecentSound
from coprop.values.given_sound import GivenSound

_SCORED_S = 3.0
"""So much of the newest sound is scored; what is older has been decided on."""

_EDGE_STEPS = 8  # on either side: what the encoder sees of a step, of 46 ms, beyond hardly counts
_TOKEN_STEPS = 4  # the encoder's last stage has a token for four steps, from the first on
_PEAK_S = 18.0  # the sound is scaled to the peak of so many seconds, as files are


class RecentNovelty:
    """A score function for `RecentSound`, as `novelty_scores` is for whole tracks.

    Scores of what is older than 3 s are 0.
    """

    def __init__(self) -> None:
        self._encoder, self._network = default_networks()
        self._steps = torch.zeros(0, self._encoder.step_dim)
        self._first = 0  # number of the first step that is held
        self._final = 0  # steps before this one will not change any more
        scored = round(_SCORED_S / self._encoder.step_s)
        self._held = scored + REACH_STEPS + _EDGE_STEPS

    def __call__(self, track: GivenSound) -> NDArray[np.float64]:
        if not isinstance(track, RecentSound):
            raise TypeError("only sound that is coming in is scored so")
        clock = track.start_s + np.arange(num_steps(track)) * STEP_S
        self._encode(track.resampled(self._encoder.sample_rate))
        if not len(self._steps):
            return np.zeros(len(clock))
        with torch.inference_mode():
            logits = self._network(self._steps.unsqueeze(0))[0].double().numpy()
        known = (self._first + np.arange(len(logits))) * self._encoder.step_s
        slope, offset = self._network.calibration.tolist()
        scores = 1.0 / (1.0 + np.exp(-(slope * np.interp(clock, known, logits) + offset)))
        scores[clock < track.end_s - _SCORED_S] = 0.0
        return np.asarray(scores)

    @torch.inference_mode()
    def _encode(self, track: RecentSound) -> None:
        size, sound = self._encoder.samples_per_step, track.sound
        total = round(track.end_s * sound.sample_rate) // size
        if total <= self._first + len(self._steps):
            return
        start = max(self._final, total - self._held)  # after a long gap, what is before is let go
        low = max(start - _EDGE_STEPS, 0) // _TOKEN_STEPS * _TOKEN_STEPS
        peak = np.abs(sound.read(total * size - round(_PEAK_S * sound.sample_rate), total * size))
        samples = torch.from_numpy(sound.read(low * size, total * size)).unsqueeze(0)
        encoded = self._encoder.steps(samples, float(peak.max(initial=0.0)))[0, start - low :]
        self._join(encoded, start, total)

    def _join(self, encoded: Tensor, start: int, total: int) -> None:
        """Takes the steps from ``start`` on, and lets go of the oldest."""
        known = self._steps[: max(start - self._first, 0)]
        if start > self._first + len(known):  # a gap
            known = known[:0]
        steps = torch.cat([known, encoded])[-self._held :]
        self._steps, self._first = steps, total - len(steps)
        self._final = max(total - _EDGE_STEPS, 0)
