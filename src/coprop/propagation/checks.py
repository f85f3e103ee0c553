"""What propagators say of input that they cannot use, and of output that is no logits.

Functions ``as_...`` turn what users have into tensors; functions ``check_...`` raise. Of tensors on
the meta device only shapes and types are checked: they have no values. Those of tensors whose
values are known to be right are not read either, where `values_known` says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from coprop.errors import AudioError, CoPropError, ModelOutputError, ShapeError
from coprop.propagation.config import PropagatorConfig
from coprop.propagation.masks import VOID, Size
from coprop.propagation.memory import PropagationState
from coprop.utils.checks import (
    array_of,
    as_number,
    check_made,
    is_plain,
    looks_like_probabilities,
    number,
    shown,
    whole,
)
from coprop.values.audio import HIGHEST_RATE

_WHOLE = frozenset({torch.uint8, torch.int16, torch.int32, torch.int64})  # that hold 255
_UNSIGNED = frozenset({torch.uint16, torch.uint32, torch.uint64})  # with which torch does not count
# How far values may lie beyond [0, 1]: resizing overshoots, sums of a softmax are not exact. The
# mistakes to tell, 8-bit values and normalised colours, lie far beyond.
_OVERSHOOT = 0.01
_LONGEST_WINDOW = 3600  # seconds of sound for one frame: an hour, likewise

_values_known = ContextVar("values_known", default=False)


@contextmanager
def values_known() -> Iterator[None]:
    """Within it, ``start`` and ``step`` of propagators check shapes and types, and read no values.

    Reading one makes the host wait for the device. A loop that makes its frames from 8-bit pictures
    and has checked its sound once has nothing to look for in each frame.

    >>> with values_known():
    ...     check_frame(torch.full((1, 3, 4, 4), 255.0))  # this loop's own mistake to make
    """
    token = _values_known.set(True)
    try:
        yield
    finally:
        _values_known.reset(token)


def _readable(tensor: Tensor) -> bool:
    """Whether to look at its values."""
    return not tensor.is_meta and not _values_known.get()


def as_tensor(value: object, name: str) -> Tensor:
    """A tensor as it is, or the numbers of an array or list as one.

    Raises:
        ShapeError: anything else, such as sparse or complex tensors, or text.

    >>> as_tensor([[0.5, 1.0]], "the audio")
    tensor([[0.5000, 1.0000]], dtype=torch.float64)
    """
    if isinstance(value, Tensor):
        if not (value.is_meta or value.is_complex() or is_plain(value)):
            raise ShapeError(f"{name} must be a plain tensor, got {shown(value)} ({value.layout}).")
        return value
    return torch.tensor(array_of(name, value, error=ShapeError))  # a copy: it may be read-only


def as_mask(value: object) -> Tensor:
    """A mask as `check_mask` takes it, from what binary masks are saved and computed as.

    One channel (B, 1, H, W) is the object's: its probability where it is float, or else labels.
    Of labels that are 0 and 255 only, as picture files of binary masks hold them, 255 is the
    object and not void.

    Raises:
        ShapeError: no array of numbers.

    >>> as_mask([[[0, 255], [255, 0]]])
    tensor([[[0, 1],
             [1, 0]]], dtype=torch.uint8)
    """
    mask = as_tensor(value, "the mask")
    mask = mask.long() if mask.dtype in _UNSIGNED else mask
    if mask.ndim == 4 and mask.shape[1] == 1:
        mask = torch.cat([1 - mask, mask], dim=1) if mask.is_floating_point() else mask[:, 0]
    if mask.ndim == 3 and not mask.is_meta and mask.dtype in _WHOLE:
        white = mask == VOID
        if bool(white.any()) and bool((white | (mask == 0)).all()):
            mask = white.to(torch.uint8)
    return mask


def as_inputs(
    frame: object, audio: object, mask: object = None
) -> tuple[Tensor, Tensor | None, Any]:
    """Frame, audio and mask as tensors; audio and mask are None where they were not given.

    Raises:
        ShapeError: what is no array of numbers.
    """
    return (
        as_tensor(frame, "the frame"),
        None if audio is None else as_tensor(audio, "the audio"),
        None if mask is None else as_mask(mask),
    )


def check_frame(frame: Tensor) -> None:
    """Raise ShapeError unless (B, 3, H, W) float in [0, 1], or up to 0.01 beyond."""
    if frame.ndim != 4 or frame.shape[1] != 3 or 0 in frame.shape:
        raise ShapeError(
            f"a frame must be (B, 3, H, W) RGB, got {tuple(frame.shape)}; add a batch axis with "
            "frame[None], and move channels that come last with permute(0, 3, 1, 2)."
        )
    if not frame.is_floating_point():
        raise ShapeError(
            f"a frame must be float RGB in [0, 1], got {frame.dtype}; use frame.float() / 255."
        )
    if not _readable(frame):
        return
    low, high = (float(x) for x in torch.aminmax(frame))
    if not (low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT):
        raise ShapeError(
            f"a frame's values must lie in [0, 1], got {low:.3g} to {high:.3g}; divide 8-bit "
            "values by 255, undo normalisation, and replace NaN."
        )


def check_propagator(propagator: object) -> None:
    """Raise CoPropError unless it has what `Propagator` says.

    >>> check_propagator("AOT")
    Traceback (most recent call last):
    coprop.errors.CoPropError: a propagator needs start(frame, audio, mask), ... has no start().
    """
    check_made("the propagator", propagator)
    for name in ("start", "step"):
        if not callable(getattr(propagator, name, None)):
            raise CoPropError(
                "a propagator needs start(frame, audio, mask), step(frame, audio, state), "
                f"sample_rate and window_s; {type(propagator).__name__} has no {name}()."
            )
    kind = type(propagator).__name__
    rate = getattr(propagator, "sample_rate", None)
    wanted = "a whole number of Hz, 1 or more, at which the propagator takes its sound"
    whole(f"sample_rate of {kind}", rate, wanted, low=1, high=HIGHEST_RATE)
    window_s = getattr(propagator, "window_s", None)
    wanted = "a positive number of seconds of sound that the propagator takes, at most 3600"
    number(f"window_s of {kind}", window_s, wanted, above=0, high=_LONGEST_WINDOW)


def checked_step(returned: object, frame: Tensor, channels: int, time_s: float) -> tuple[Any, Any]:
    """What a propagator's step returned: logits (1, channels, h, w) of the frame, and its state.

    Args:
        returned: by ``step``.
        frame: (1, 3, h, w), what it was given.
        channels: K + 1 of the mask that ``start`` was given.
        time_s: of the frame, in seconds, for the message.

    Raises:
        ModelOutputError: anything else, or logits that are NaN or infinite.
    """
    wanted = (1, channels, *frame.shape[-2:])
    where = f"the propagator's step at {time_s:.3f} s"
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise ModelOutputError(
            f"{where} must return logits and the state after it, got {type(returned).__name__}."
        )
    logits, state = returned
    if not is_plain(logits) or logits.shape != wanted:
        raise ModelOutputError(
            f"{where} must return logits as a real tensor {wanted}, the channels of the mask that "
            f"start() was given and the size of the frame, got {shown(logits)}."
        )
    if not torch.isfinite(logits).all():
        raise ModelOutputError(
            f"{where} returned NaN or infinite logits; check its weights, and in half precision "
            "its range."
        )
    return logits.detach(), state  # masks are made of them later, where gradients may be on


def check_state(state: PropagationState, frame: Tensor, config: PropagatorConfig) -> None:
    """Raise ShapeError unless the state is of such a propagator, and of the frame's batch."""
    if not isinstance(state, PropagationState):
        raise ShapeError(
            f"the state must be what start(), or the step before, returned, got {shown(state)}."
        )
    layers, batch, _, channels = state.memories[0].short_term.keys.shape
    if (layers, channels) != (config.num_layers, config.embedding_dim):
        raise ShapeError(
            f"the state is of a propagator with {layers} layers of width {channels}, but this one "
            f"has {config.num_layers} of {config.embedding_dim}; begin with its own start()."
        )
    if frame.shape[0] != batch:
        raise ShapeError(
            f"the state is of a batch of {batch}, but the frame has B = {frame.shape[0]}; step "
            "with as many frames as start() was given."
        )


def check_output_size(size: object) -> None:
    """Raise ShapeError unless None or a (height, width) of at least one pixel."""
    if size is None:
        return
    sides = tuple(map(as_number, size)) if isinstance(size, Sequence) else ()
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ShapeError(f"output_size must be (height, width) in pixels, got {size!r:.60}.")


def check_clip(frames: Tensor, audio: Tensor | None) -> None:
    """Raise ShapeError unless (B, T, 3, H, W), and (B, T, n) where there is audio."""
    if frames.ndim != 5 or 0 in frames.shape:
        raise ShapeError(f"a clip's frames must be (B, T, 3, H, W), got {tuple(frames.shape)}.")
    if audio is not None and (audio.ndim != 3 or audio.shape[:2] != frames.shape[:2]):
        raise ShapeError(
            f"a clip's audio must be (B, T, n) with B, T = {tuple(frames.shape[:2])} as its frames "
            f"have, got {tuple(audio.shape)}."
        )


def check_audio(audio: Tensor | None, batch: int, sample_rate: int) -> None:
    """Raise AudioError unless (B, n) finite float samples."""
    wanted = f"(B, n) float samples at {sample_rate} Hz with B = {batch}"
    if audio is None:
        raise AudioError(
            f"this propagator uses sound, so each frame needs its audio: {wanted}. One with "
            "insert_levels=() takes None."
        )
    if audio.ndim != 2 or audio.shape[0] != batch or audio.shape[1] == 0:
        raise AudioError(
            f"audio must be {wanted}, got {tuple(audio.shape)}; add a batch axis with audio[None], "
            "and average the channels of stereo sound."
        )
    if not audio.is_floating_point():
        raise AudioError(f"audio must be {wanted}, got {audio.dtype}; scale integers to [-1, 1].")
    if _readable(audio) and not bool(torch.isfinite(audio).all()):
        raise AudioError("audio has NaN or infinite samples; replace them with torch.nan_to_num().")


def check_mask(mask: Tensor, batch: int, num_objects: int | None) -> None:
    """Raise ShapeError unless labels (B, H, W) or probabilities (B, K + 1, H, W), of `as_mask`."""
    if num_objects is not None:
        wanted = "a whole number of objects, 0 or more"
        whole("num_objects", num_objects, wanted, low=0, high=2**31, error=ShapeError)
    if mask.ndim not in (3, 4) or 0 in mask.shape:
        raise ShapeError(
            "a mask must be labels (B, H, W) or probabilities (B, K + 1, H, W), got "
            f"{tuple(mask.shape)}; add a batch axis with mask[None]."
        )
    if mask.shape[0] != batch:
        raise ShapeError(f"the mask has B = {mask.shape[0]}, but the frame has B = {batch}.")
    if mask.ndim == 3:
        _check_labels(mask)
    else:
        _check_probabilities(mask, num_objects)


def _check_labels(mask: Tensor) -> None:
    if mask.is_floating_point() or mask.is_complex():
        raise ShapeError(
            f"labels must be integers, got {mask.dtype}; use mask.long(), or give probabilities "
            "as (B, K + 1, H, W) with the background first."
        )
    if mask.dtype != torch.bool and _readable(mask) and int(mask.min()) < 0:
        raise ShapeError(f"labels must not be negative, got {int(mask.min())}; void is {VOID}.")


def _check_probabilities(mask: Tensor, num_objects: int | None) -> None:
    if not mask.is_floating_point():
        raise ShapeError(
            f"probabilities (B, K + 1, H, W) must be float, got {mask.dtype}; labels are (B, H, W)."
        )
    if num_objects is not None and mask.shape[1] > num_objects + 1:
        raise ShapeError(
            f"the mask has {mask.shape[1]} channels, but background and num_objects = "
            f"{num_objects} objects make {num_objects + 1}."
        )
    if not _readable(mask):
        return
    low, high = (float(x) for x in torch.aminmax(mask))
    if not (low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT):
        raise ShapeError(
            f"probabilities must lie in [0, 1], got {low:.3g} to {high:.3g}; logits go through "
            "softmax(1) first."
        )


def warn_of_step_probabilities(logits: Tensor) -> bool:
    """Warns where a propagator's step() returned what looks like probabilities; whether it did.

    The softmax of probabilities (1, K + 1, h, w) is nearly flat.

    >>> warn_of_step_probabilities(torch.tensor([-3.0, 3.0]).view(1, 2, 1, 1))
    False
    """
    if not looks_like_probabilities(logits):
        return False
    warnings.warn(
        "the propagator's step() should return logits (1, K + 1, h, w), but all its values lie in "
        "[0, 1], as probabilities and masks do; return "
        "torch.log(probabilities.clamp_min(1e-6)) instead.",
        stacklevel=2,
    )
    return True


def single_start(frame: object, mask: object) -> tuple[Tensor, Tensor]:
    """A frame and its mask as tensors, for propagators that follow one video at a time.

    Raises:
        ShapeError: other than a frame (1, 3, H, W) in [0, 1] and a mask with B = 1.
    """
    frame, mask = as_tensor(frame, "the frame"), as_mask(mask)
    _check_single(frame)
    check_mask(mask, 1, None)
    return frame, mask


def single_step(frame: object, output_size: Size | None) -> tuple[Tensor, Size]:
    """A frame as tensor, and the (height, width) of its logits, likewise.

    Raises:
        ShapeError: other than a frame (1, 3, H, W) in [0, 1], or a size of less than a pixel.
    """
    frame = as_tensor(frame, "the frame")
    _check_single(frame)
    check_output_size(output_size)
    return frame, output_size or (frame.shape[-2], frame.shape[-1])


def _check_single(frame: Tensor) -> None:
    check_frame(frame)
    if frame.shape[0] != 1:
        raise ShapeError(
            f"this propagator follows one video at a time, but the frame has B = {frame.shape[0]}; "
            "give each video its own start() and step()."
        )
