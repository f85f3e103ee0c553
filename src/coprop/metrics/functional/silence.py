"""What is masked without a sound or with a wrong one, and what a sound changes."""

from __future__ import annotations

from torch import Tensor

from coprop.metrics.functional.checks import check_frames, check_same_shape, foreground
from coprop.metrics.functional.regions import frame_jaccard


def silent_area(prediction: Tensor, target: Tensor) -> Tensor:
    """The share of the frame that is masked, in each frame in which nothing visible sounds.

    What the official J hardly counts: there, such a frame scores one less this share.

    Args:
        prediction: (N, H, W) bool or integer; whatever is not 0 is foreground.
        target: (N, H, W) bool or integer.

    Returns:
        (S,) float64 in [0, 1] of the S frames without target, in order; S may be 0.

    Raises:
        CoPropError: shapes that differ, floats, no frames.

    Example:
        >>> import torch
        >>> masked = torch.tensor([[[1, 0]], [[1, 1]]])  # of two frames
        >>> silent_area(masked, torch.tensor([[[0, 0]], [[1, 0]]]))
        tensor([0.5000], dtype=torch.float64)
    """
    predicted, wanted = foreground(prediction, "prediction"), foreground(target, "target")
    check_frames(predicted, "prediction")
    check_same_shape(predicted, wanted, "prediction and target")
    silent = ~wanted.flatten(1).any(1)
    return predicted[silent].double().mean((1, 2))


def false_area(prediction: Tensor) -> Tensor:
    """The share of the frame that is masked, against a truth in which nothing is to be masked.

    What AVSBench-Robust (Li et al. 2025, arXiv 2502.00358) calls the false positive rate: the sound
    is white noise or another clip's, so nothing that is seen sounds, and no mask is right.

    Args:
        prediction: (N, H, W) bool or integer; whatever is not 0 is foreground.

    Returns:
        (N,) float64 in [0, 1].

    Raises:
        CoPropError: another shape, floats, no frames.

    Example:
        >>> import torch
        >>> false_area(torch.tensor([[[1, 0]]]))
        tensor([0.5000], dtype=torch.float64)
    """
    predicted = foreground(prediction, "prediction")
    check_frames(predicted, "prediction")
    return predicted.double().mean((1, 2))


def sounding_jaccard(probabilities: Tensor, target: Tensor) -> Tensor:
    """J of each frame in which something sounds.

    Against the clip's own truth, for masks predicted with another sound, it tells how much a model
    ignores what it hears: about as high as with the clip's own sound for one that does not listen.

    Args:
        probabilities: (N, H, W) float in [0, 1]; above 0.5 is foreground.
        target: (N, H, W) bool or integer.

    Returns:
        (S,) float64 in [0, 1] of the S frames with a target, in order; S may be 0.

    Raises:
        CoPropError: what `region_counts` rejects.

    Example:
        >>> import torch
        >>> sounding_jaccard(torch.tensor([[[0.9, 0.1]]]), torch.tensor([[[1, 1]]]))
        tensor([0.5000], dtype=torch.float64)
    """
    sounding = foreground(target, "target").flatten(1).any(1)
    return frame_jaccard(probabilities, target)[sounding]


def mute_drop(with_sound: Tensor, muted: Tensor, target: Tensor) -> Tensor:
    """How much J is lost in each frame in which something sounds, once the sound is taken away.

    About the frame's J itself for a model that masks what it hears; about 0 for one that masks what
    it sees, whatever it hears (the mute test of TeSO, Wang et al. 2024).

    Args:
        with_sound: (N, H, W) float in [0, 1], probabilities predicted from frames and sound.
        muted: the same, predicted from the frames and silence.
        target: (N, H, W) bool or integer.

    Returns:
        (S,) float64 in [-1, 1] of the S frames with a target, in order; S may be 0.

    Raises:
        CoPropError: what `region_counts` rejects.

    Example:
        >>> import torch
        >>> with_sound, muted = torch.tensor([[[0.9, 0.8]]]), torch.tensor([[[0.9, 0.1]]])
        >>> mute_drop(with_sound, muted, torch.tensor([[[1, 1]]]))
        tensor([0.5000], dtype=torch.float64)
    """
    return sounding_jaccard(with_sound, target) - sounding_jaccard(muted, target)
