"""What a keyframe function returns: logits, or what is turned into them."""

from __future__ import annotations

import warnings
from typing import Literal, get_args

import torch
from torch import Tensor

from coprop.checks import is_plain, looks_like_probabilities
from coprop.errors import CoPropError, ModelOutputError

Outputs = Literal["logits", "probabilities", "mask"]
"""What a function returns.

"logits"
    (K, C, H, W), before the sigmoid (C = 1) or the softmax (C > 1).
"probabilities"
    (K, C, H, W) in [0, 1], after it.
"mask"
    (K, 1, H, W) or (K, H, W), bool or numbers: 0 and 1, or 0 and 255, for "sounds"; or class ids
    up to 254, 0 being background.
"""

_LEAST = 1e-6  # of a probability: its logit is finite in single precision
_ROUNDING = 1e-3  # as much do resizing and half precision leave [0, 1]
_WHITE = 255  # of binary masks as picture files hold them


def check_outputs(outputs: str) -> None:
    """Refuses kinds of output that are not known."""
    if outputs not in get_args(Outputs):
        raise CoPropError(f"outputs must be one of {get_args(Outputs)}, got {outputs!r}.")


def as_logits(values: Tensor, outputs: Outputs, name: str) -> Tensor:
    """A function's logits (K, C, H, W), from what it returned.

    What is no tensor of real numbers is handed on, for those who check logits.

    Raises:
        ModelOutputError: values that are no probabilities, or no mask.
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
    whole = labels.float()
    valid = (whole == whole.round()) & (whole >= 0) & (whole <= _WHITE)
    if labels.ndim != 3 or labels.numel() == 0 or not bool(valid.all()):
        raise ModelOutputError(
            f"{name} should have returned a mask (K, 1, H, W) or (K, H, W) of 0 and 1, of 0 and "
            f"255, or of class ids, got {tuple(values.shape)} {values.dtype}; soft masks are "
            'outputs="probabilities".'
        )
    if bool(((whole == 0) | (whole == _WHITE)).all()) or bool((whole <= 1).all()):
        return (whole > 0)[:, None]
    classes = int(whole.max()) + 1
    return torch.nn.functional.one_hot(whole.long(), classes).permute(0, 3, 1, 2)
