"""Which of several like things sounds: the one that moves as the sound goes.

Of two dogs or two people neither a word nor a look tells which one is heard. Whatever fills the
slot of an `InstanceScorer` does; `MotionAgreement` needs nothing but the frames and the sound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from coprop.context import FrameContext
from coprop.errors import CoPropError, ModelOutputError, ShapeError
from coprop.keyframes.motion_energy import motion_energy
from coprop.silence import BLOCK_S, block_levels_db
from coprop.types import Audio, AudioTrack
from coprop.utils.brief import Brief
from coprop.utils.checks import array_of, is_plain, number, shown
from coprop.values.given_sound import GivenSound, as_track

CONTENDING = 0.75
"""How far another instance must score, of the best one's score, to be taken to sound too."""

_FEWEST_FRAMES = 4  # three steps: what two series of fewer have in common is chance
_SOUND_FLOOR_DB = -60.0  # re full scale; less is not heard (`coprop.silence`)
_SMOOTHED_BLOCKS = 4  # of 10 ms: longer than the period of a low voice
_LATE_S = (-0.04, 0.0, 0.04, 0.08)  # motion after the sound: a stroke comes before, a hop behind
_MARGIN_S = (-0.2, 0.1)  # of sound before the first frame and after the last, for `_LATE_S`
_LEAST_SPREAD = 1e-9  # of full scale: less is rounding
_SURE = 0.999  # correlation beyond which no more is told


@dataclass(frozen=True, eq=False, repr=False)
class InstanceScores(Brief):
    """How far each of N instances sounds.

    Args:
        scores: (N,) float in [0, 1].
        confidence: in [0, 1], the probability that the instance of the highest score is the one
            that sounds, if just one does: 1 / N where nothing tells, 1 of a single instance, 0
            where there is none.

    Raises:
        ModelOutputError: anything else, which a scorer must not return.
    """

    scores: Tensor
    confidence: float

    def __post_init__(self) -> None:
        scores = self.scores
        if not is_plain(scores) or scores.ndim != 1 or not scores.is_floating_point():
            raise ModelOutputError(f"scores must be (N,) float in [0, 1], got {shown(scores)}.")
        if not bool(((scores >= 0) & (scores <= 1)).all()):
            raise ModelOutputError(f"scores must lie in [0, 1], got {scores.tolist()}.")
        wanted = "a probability, in [0, 1]"
        sure = number("confidence", self.confidence, wanted, low=0, high=1, error=ModelOutputError)
        object.__setattr__(self, "confidence", sure)

    def sounding(self, least_confidence: float = 0.0) -> Tensor:
        """(N,) bool: which instances are taken to sound; one at least, if there is any.

        The best, and those that score at least `CONTENDING` as high, since several may sound. Below
        the least confidence nothing is decided, and all are taken to sound.

        Args:
            least_confidence: in [0, 1].

        Raises:
            CoPropError: out of range.

        Example:
            >>> InstanceScores(torch.tensor([0.2, 0.7]), 0.8).sounding().tolist()
            [False, True]
        """
        wanted = "a probability, in [0, 1]"
        least = number("least_confidence", least_confidence, wanted, low=0, high=1)
        if self.confidence < least or not len(self.scores):
            return torch.ones_like(self.scores, dtype=torch.bool)
        return self.scores >= CONTENDING * self.scores.max()


class InstanceScorer(Protocol):
    """What tells which of several instances of a word sounds: any function like this."""

    def __call__(
        self, masks: Tensor, frames: Tensor, times_s: Sequence[float], sound: AudioTrack, /
    ) -> InstanceScores:
        """The instances' scores.

        Args:
            masks: (N, H, W) in [0, 1], where each is in a keyframe, or (N, T, H, W), where it is
                in each frame.
            frames: (T, 3, H, W) RGB in [0, 1], in order of time.
            times_s: (T,) of the frames, on the sound's clock.
            sound: what is heard meanwhile.
        """
        ...


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


class NamedMask(Protocol):
    """An instance: what a model that segments by words found in one frame."""

    @property
    def word(self) -> str:
        """What it was found as."""
        ...

    @property
    def mask(self) -> Tensor:
        """(H, W) in [0, 1]."""
        ...


_Instance = TypeVar("_Instance", bound=NamedMask)


def sounding_instances(
    instances: Sequence[_Instance],
    scorer: InstanceScorer | None,
    frames: Tensor,
    times_s: Sequence[float],
    sound: AudioTrack,
    *,
    least_confidence: float = 0.0,
) -> list[_Instance]:
    """Those of a frame's instances that sound, in their order.

    Without a scorer all of them; with one, of words with several instances those that it chooses.

    Args:
        instances: of one frame.
        scorer: what chooses; None for nobody.
        frames, times_s, sound: of `InstanceScorer`.
        least_confidence: of `InstanceScores.sounding`.

    Raises:
        ModelOutputError: a scorer that returns other than one score for each instance.
    """
    if scorer is None:
        return list(instances)
    kept: set[int] = set()
    for word in dict.fromkeys(instance.word for instance in instances):
        own = [i for i, instance in enumerate(instances) if instance.word == word]
        if len(own) == 1:
            kept |= set(own)
            continue
        masks = torch.stack([instances[i].mask for i in own])
        given = scorer(masks, frames, times_s, sound)
        if not isinstance(given, InstanceScores) or len(given.scores) != len(own):
            raise ModelOutputError(
                f"the instance scorer must return InstanceScores with {len(own)} scores, one for "
                f"each instance of {word!r}, got {shown(given)}."
            )
        sounding = given.sounding(least_confidence).tolist()
        kept |= {i for i, one in zip(own, sounding, strict=True) if one}
    return [instance for i, instance in enumerate(instances) if i in kept]


def times_around(context: FrameContext, window_s: float) -> tuple[float, ...]:
    """(T,) times of a context's frames on the clock of a window of sound centred on the keyframe.

    So a keyframe model with `surroundings` gives a scorer the frames and the sound that it gets.

    >>> times_around(FrameContext(3, 0.5, "first"), 4.0)
    (2.0, 2.5, 3.0)
    """
    return tuple(window_s / 2 + time_s for time_s in context.times_s(0.0))


def masks_of_labels(labels: ArrayLike | Tensor) -> tuple[tuple[int, ...], Tensor]:
    """The labels of a map, or of one a frame, and the mask of each, as a scorer takes them.

    Args:
        labels: (H, W) or (T, H, W) whole numbers, 0 for background: an identity each.

    Returns:
        The N labels that are there, increasing, and (N, H, W) or (N, T, H, W) bool.

    Raises:
        ShapeError: another shape, or no whole numbers.

    Example:
        >>> masks_of_labels([[0, 2], [5, 5]])[0]
        (2, 5)
    """
    array = array_of("labels", labels, error=ShapeError)
    if array.ndim not in (2, 3) or array.dtype.kind not in "iu":
        raise ShapeError(
            f"labels must be (H, W) or (T, H, W) of whole numbers, got {array.dtype} of shape "
            f"{array.shape}."
        )
    found = np.setdiff1d(np.unique(array), [0])
    masks = torch.from_numpy(array[None] == found.reshape(-1, *[1] * array.ndim))
    return tuple(int(label) for label in found), masks


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
