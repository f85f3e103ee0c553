"""Which of several like things sounds: the one that moves as the sound goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop.context import FrameContext
from coprop.errors import CoPropError, ShapeError
from coprop.keyframes.instance_scoring import InstanceScores
from coprop.keyframes.motion_energy import motion_energy
from coprop.silence import BLOCK_S, block_levels_db
from coprop.types import Audio, AudioTrack
from coprop.utils.checks import array_of, is_plain, number, shown
from coprop.values.given_sound import GivenSound, as_track

_FEWEST_FRAMES = 4  # three steps: what two series of fewer have in common is chance
_SOUND_FLOOR_DB = -60.0  # re full scale; less is not heard (`coprop.silence`)
_SMOOTHED_BLOCKS = 4  # of 10 ms: longer than the period of a low voice
_LATE_S = (-0.04, 0.0, 0.04, 0.08)  # motion after the sound: a stroke comes before, a hop behind
_MARGIN_S = (-0.2, 0.1)  # of sound before the first frame and after the last, for `_LATE_S`
_LEAST_SPREAD = 1e-9  # of full scale: less is rounding
_SURE = 0.999  # correlation beyond which no more is told


@dataclass(frozen=True)
class MotionAgreement:
    """Tells which instance sounds by how far its motion goes with the sound.

    Of each instance it takes how much it moves from frame to frame, a camera's motion taken out,
    and of the sound between these frames how loud it is and how fast that changes: what is shaken
    moves while it sounds, what hops where its sound changes. The score is the correlation of the
    two, up to 0.08 s apart, and 0 where there is none. What moves by itself scores low, and so does
    what sounds without moving: a loudspeaker.

    Args:
        sharpness: how much a difference of scores tells: see `confidence_of`. Fitted on composed
            clips of the training split.

    Raises:
        CoPropError: a sharpness that is negative or no number.

    Example:
        >>> from coprop import Audio
        >>> scorer = MotionAgreement()
        >>> masks, frames = torch.zeros(2, 32, 32), torch.rand(10, 3, 32, 32)
        >>> masks[0, :16], masks[1, 16:] = 1, 1
        >>> sound = Audio(np.zeros(16_000, dtype=np.float32), 16_000)
        >>> scorer(masks, frames, [0.1 * i for i in range(10)], sound).confidence  # silence
        0.5
    """

    sharpness: float = 1.2

    surroundings: ClassVar[FrameContext] = FrameContext(20, 0.1, "first")
    """The frames to give it at a keyframe, where there are no tracks: 2 s are a few barks."""
    window_s: ClassVar[float] = 4.0
    """Of sound centred on the keyframe, in which these frames are the second half."""

    def __post_init__(self) -> None:
        wanted = "a number, 0 or more"
        object.__setattr__(self, "sharpness", number("sharpness", self.sharpness, wanted, low=0))

    @torch.no_grad()
    def __call__(
        self, masks: Tensor, frames: Tensor, times_s: Sequence[float], sound: GivenSound, /
    ) -> InstanceScores:
        """See `InstanceScorer`; sound may be in any form that `coprop.values.given_sound` takes.

        Raises:
            ShapeError: masks or frames of other shapes, or of other values than numbers.
            CoPropError: times that do not increase, or are not as many as frames.
            AudioError: no sound.
        """
        masks, frames = _checked(masks, frames)
        times = _times(times_s, len(frames))
        track = as_track(sound)
        if not len(masks) or len(times) < _FEWEST_FRAMES:
            agreement = np.zeros(len(masks))
        else:
            moved = motion_energy(masks, frames).cpu().numpy().astype(np.float64)
            piece, start_s = _around(track, times)
            heard = [sound_energy(piece, times - start_s - late_s) for late_s in _LATE_S]
            agreement = np.array([max(_correlation(own, h) for h in heard) for own in moved])
        scores = np.clip(agreement, 0, 1)
        confidence = confidence_of(scores, len(times) - 1, self.sharpness)
        return InstanceScores(torch.from_numpy(scores).float(), confidence)


def sound_energy(sound: AudioTrack, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T - 1,) how loud a sound is from each time to the next, and how much that changes.

    Both count alike: they are added in units of their standard deviations.

    Args:
        sound: the track.
        times_s: (T,) increasing. Before the track's beginning and after its end nothing is heard.
    """
    levels_db = np.maximum(block_levels_db(sound), _SOUND_FLOOR_DB)
    level = np.maximum(10 ** (levels_db / 20) - 10 ** (_SOUND_FLOOR_DB / 20), 0)
    # What is heard from one time to another is the difference of two sums.
    sums = np.append(0.0, np.cumsum(level)) * BLOCK_S
    ends_s = np.arange(len(sums)) * BLOCK_S
    loudness = np.diff(np.interp(times_s, ends_s, sums)) / np.diff(times_s)
    reach_s = _SMOOTHED_BLOCKS * BLOCK_S
    now = np.interp(times_s, ends_s, sums) - np.interp(times_s - reach_s, ends_s, sums)
    change = np.abs(np.diff(now)) / reach_s
    return np.asarray(sum(x / max(float(x.std()), _LEAST_SPREAD) for x in (loudness, change)))


def confidence_of(scores: NDArray[np.float64], steps: int, sharpness: float) -> float:
    """The probability that the best of N is the one that sounds; see `InstanceScores`.

    Fisher's transform of a correlation of so many steps has a standard deviation of about one over
    their root, whatever the correlation. Differences in it, times that root, tell instances apart.

    Args:
        scores: (N,) correlations in [0, 1].
        steps: of how many values each is.
        sharpness: how much a difference of one standard deviation tells.
    """
    if not len(scores):
        return 0.0
    evidence = sharpness * math.sqrt(steps) * np.arctanh(np.minimum(scores, _SURE))
    odds = np.exp(evidence - evidence.max())
    return float(odds.max() / odds.sum())


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Of two series, in [-1, 1]; 0 where one of them does not change."""
    a, b = one - one.mean(), other - other.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size > 1e-12 else 0.0  # less is rounding


def _around(track: AudioTrack, times_s: NDArray[np.float64]) -> tuple[Audio, float]:
    """The stretch of a track that is asked about, however long the track, and where it begins."""
    rate = track.sample_rate
    first, last = (round((t + d) * rate) for t, d in zip(times_s[[0, -1]], _MARGIN_S, strict=True))
    return Audio(track.read(first, last), rate), first / rate


def _checked(masks: object, frames: object) -> tuple[Tensor, Tensor]:
    """(N, 1 or T, H, W) masks and (T, 3, h, w) frames, on one device."""
    told = "frames must be (T, 3, H, W) RGB in [0, 1], T and sides 1 or more"
    if not is_plain(frames) or frames.ndim != 4 or frames.shape[1] != 3 or 0 in frames.shape:
        raise ShapeError(f"{told}, got {shown(frames)}.")
    if not bool(((frames >= 0) & (frames <= 1)).all()):
        low, high = frames.min().item(), frames.max().item()
        raise ShapeError(f"{told}, got values from {low:g} to {high:g}.")
    told = "masks must be (N, H, W) or (N, T, H, W) in [0, 1], of the frames"
    if not is_plain(masks) or masks.ndim not in (3, 4) or 0 in masks.shape[1:]:
        raise ShapeError(f"{told}, got {shown(masks)}.")
    if masks.ndim == 4 and masks.shape[1] != len(frames):
        raise ShapeError(f"{told}: masks of {masks.shape[1]} frames were given for {len(frames)}.")
    if not bool(((masks >= 0) & (masks <= 1)).all()):
        raise ShapeError(f"{told}, got others; logits become such by sigmoid().")
    return masks.to(frames.device) if masks.ndim == 4 else masks.to(frames.device)[:, None], frames


def _times(times_s: object, count: int) -> NDArray[np.float64]:
    """(T,) seconds that increase, one for each frame."""
    times = array_of("times_s", times_s).astype(np.float64)
    if times.shape != (count,) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise CoPropError(
            f"times_s must be {count} increasing numbers of seconds, one for each frame, got "
            f"{shown(times_s)}."
        )
    return times
