"""The contract of a keyframe model: what the pipeline gives it, and what it returns."""

from __future__ import annotations

import warnings
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import torch
from torch import Tensor

# Part of the contract, so that it can be had from here too.
from coprop.context import ALONE as ALONE
from coprop.context import FrameContext as FrameContext
from coprop.context import Placement as Placement
from coprop.errors import CoPropError, ModelOutputError, ShapeError
from coprop.utils.checks import (
    check_choice,
    check_made,
    is_plain,
    looks_like_probabilities,
    number,
    shown,
    whole,
)
from coprop.values.audio import HIGHEST_RATE

AudioSpan = Literal["frame", "segment", "whole", "example"]
"""Which sound goes with a frame, of the model's own length ``window_s``.

- "frame": the window centred on the frame's time, whatever it holds.
- "segment": the same window moved, where it must be, to lie between two control points, since
  beyond them other objects sound.
- "whole": all sound between two control points, from one sample to 10 s, for models that take any
  length; of a frame alone the window.
- "example": the window that begins at 0.96 s times the number of the second in which the frame
  lies: how the scripts of AVSBench and its successors pair frames with VGGish's examples. It falls
  behind the frame by 40 ms every second, so it is for clips of five or ten seconds.
"""

Outputs = Literal["logits", "probabilities", "mask"]
"""What a function returns.

- "logits": (K, C, H, W), before the sigmoid (C = 1) or the softmax (C > 1).
- "probabilities": (K, C, H, W) in [0, 1], after it.
- "mask": (K, 1, H, W) or (K, H, W), bool or numbers: 0 and 1, or 0 and 255, for "sounds"; or class
  ids up to 254, 0 being background.
"""

LONGEST_WINDOW_S = 3600
"""An hour of sound with a frame, far beyond any model's window."""

MOST_KEYFRAMES = 64
"""In one call, at most: all frames of as many segments wait for it."""

_LEAST = 1e-6  # of a probability: its logit is finite in single precision
_ROUNDING = 1e-3  # as much do resizing and half precision leave [0, 1]
_WHITE = 255  # of binary masks as image files hold them


@runtime_checkable
class KeyframeModel(Protocol):
    """What fills the keyframe slot of the pipeline.

    One that takes a single frame may look at those around it as well: if it has an attribute
    ``surroundings``, a `FrameContext` of T frames, it is called with a third argument, (K, T, 3, H,
    W), which holds them for each of the K frames.

    One that takes several keyframes in a call, each by itself, says how many in an attribute
    ``keyframes_per_call``, 1 to 64, or None for as many as the pipeline carries on at once. Without
    it the K frames are always one keyframe's.
    """

    @property
    def sample_rate(self) -> int:
        """Of the sound it takes, in Hz."""

    @property
    def window_s(self) -> float:
        """How much sound it takes with a frame, in seconds."""

    @property
    def audio_span(self) -> AudioSpan:
        """Which sound goes with a frame."""

    @property
    def context(self) -> FrameContext:
        """Which other frames it wants to see."""

    def __call__(self, frames: Tensor, audio: Tensor) -> Tensor:
        """Logits of what sounds in each frame.

        Args:
            frames: (K, 3, H, W) RGB in [0, 1]: the frames of the context, in order of time.
            audio: (K, samples) the sound of each, mono in [-1, 1].

        Returns:
            (K, C, H, W) logits at the frames' own size; of these the keyframe's row is used.
            C = 1: probability of sounding by the sigmoid. C > 1: classes by the softmax, 0 being
            background.
        """


class Deaf:
    """What a keyframe model that hears nothing says of the sound and the frames that it takes."""

    sample_rate = 16_000  # Hz, and a second: some sound has to be cut, though none is heard
    window_s = 1.0
    audio_span: AudioSpan = "frame"
    context: FrameContext = ALONE


_NEEDED = ("sample_rate", "window_s", "audio_span", "context", "__call__")


def check_keyframe_model(model: Any) -> None:
    """Raise CoPropError unless it has what `KeyframeModel` says, with values that can be.

    >>> check_keyframe_model("AVSegFormer")
    Traceback (most recent call last):
    coprop.errors.CoPropError: a keyframe model needs a call (frames, audio), ... str has no ...
    """
    check_made("the keyframe model", model)
    missing = [name for name in _NEEDED if not hasattr(model, name)]
    if missing:
        raise CoPropError(
            "a keyframe model needs a call (frames, audio), sample_rate, window_s, audio_span and "
            f"context; {type(model).__name__} has no {missing[0]}. CoProp.wrap() makes one of a "
            "network or a function, CoProp.assemble() of a name."
        )
    kind = type(model).__name__
    wanted = f"a positive number of seconds of sound, at most {LONGEST_WINDOW_S}"
    number(f"window_s of {kind}", model.window_s, wanted, above=0, high=LONGEST_WINDOW_S)
    wanted = f"a whole number of Hz from 1 to {HIGHEST_RATE}"
    whole(f"sample_rate of {kind}", model.sample_rate, wanted, low=1, high=HIGHEST_RATE)
    check_choice(f"audio_span of {kind}", model.audio_span, get_args(AudioSpan))
    for name in ("context", "surroundings"):
        value = getattr(model, name, ALONE)
        if not isinstance(value, FrameContext):
            raise CoPropError(f"{name} of {kind} must be a FrameContext, got {shown(value)}.")


class KeyframeFunction(Protocol):
    """``fn(frames (K, 3, H, W), audio (K, samples)) -> logits (K, C, H, W)``."""

    def __call__(self, frames: Tensor, audio: Tensor, /) -> Tensor: ...


def check_input(frames: Tensor, audio: Tensor) -> None:
    """Raise ShapeError unless frames (K, 3, H, W) with their sound (K, samples), K at least 1."""
    if not (isinstance(frames, Tensor) and isinstance(audio, Tensor)):
        raise ShapeError(
            "a keyframe model takes frames (K, 3, H, W) and audio (K, samples) as tensors, got "
            f"{shown(frames)} and {shown(audio)}."
        )
    matched = audio.ndim == 2 and len(audio) == len(frames) and 0 not in audio.shape
    if frames.ndim != 4 or frames.shape[1] != 3 or 0 in frames.shape or not matched:
        raise ShapeError(
            "a keyframe model takes frames (K, 3, H, W) and audio (K, samples), got "
            f"{tuple(frames.shape)} and {tuple(audio.shape)}."
        )


def as_logits(values: Tensor, outputs: Outputs, name: str) -> Tensor:
    """Logits (K, C, H, W), from what the function called ``name`` returned.

    What is no tensor of real numbers is handed on, for those who check logits.

    Raises:
        ModelOutputError: values that are no probabilities, or no mask.

    Example:
        >>> as_logits(torch.tensor([[[[0.5, 0.5]]]]), "probabilities", "fn")
        tensor([[[[0., 0.]]]])
    """
    if outputs == "logits" or not is_plain(values):
        return values
    if outputs == "mask":
        values = _one_hot(values, name)
    values = values.float()
    if not bool(((values >= -_ROUNDING) & (values <= 1 + _ROUNDING)).all()):
        raise ModelOutputError(
            f"{name} should have returned probabilities in [0, 1], got values from "
            f"{float(values.min()):.3g} to {float(values.max()):.3g}; for logits leave "
            'outputs="logits".'
        )
    values = values.clamp(_LEAST, 1 - _LEAST)
    return values.log() if values.ndim == 4 and values.shape[1] > 1 else values.logit()


def warn_of_probabilities(logits: object, name: str) -> bool:
    """Warns where what should be logits looks like probabilities or a mask; whether it did."""
    if not isinstance(logits, Tensor) or not looks_like_probabilities(logits):
        return False
    one = logits.ndim < 2 or logits.shape[1] == 1
    mend = "torch.logit(values)" if one else "torch.log(values)"
    warnings.warn(
        f"{name} should return logits, but all its values lie in [0, 1], as probabilities and "
        f"masks do; if they are probabilities, return {mend} or "
        'give CoProp.wrap(..., outputs="probabilities"), and outputs="mask" for a mask.',
        stacklevel=2,
    )
    return True


def _one_hot(values: Tensor, name: str) -> Tensor:
    """(K, 1, H, W) or (K, H, W) mask -> (K, 1, H, W) or, of class ids, (K, C, H, W) of 0 and 1."""
    if values.ndim == 4 and values.shape[1] > 1:
        return values  # one-hot as it is
    labels = values[:, 0] if values.ndim == 4 else values
    ids = labels.float()
    valid = (ids == ids.round()) & (ids >= 0) & (ids <= _WHITE)
    if labels.ndim != 3 or labels.numel() == 0 or not bool(valid.all()):
        raise ModelOutputError(
            f"{name} should have returned a mask (K, 1, H, W) or (K, H, W) of 0 and 1, of 0 and "
            f"255, or of class ids, got {tuple(values.shape)} {values.dtype}; soft masks are "
            'outputs="probabilities".'
        )
    if bool(((ids == 0) | (ids == _WHITE)).all()) or bool((ids <= 1).all()):
        return (ids > 0)[:, None]
    return torch.nn.functional.one_hot(ids.long(), int(ids.max()) + 1).permute(0, 3, 1, 2)
