"""What models that segment by words answer: instances, each with its word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from coprop.errors import ModelOutputError
from coprop.utils.brief import Brief, brief
from coprop.utils.checks import is_plain

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""


@dataclass(frozen=True, eq=False, repr=False)
class Instance(Brief):
    """A thing that was found by its name in one image.

    Args:
        word: which of the words that were asked for.
        score: how sure the model is that it is there, in [0, 1].
        mask: (H, W) float in [0, 1], at the image's size: each pixel's probability to be of it.
        box: around it.
    """

    word: str
    score: float
    mask: Tensor
    box: Box


@runtime_checkable
class TextToMasks(Protocol):
    """A model that segments what words name, image by image."""

    def __call__(self, images: Tensor, words: Sequence[tuple[str, ...]], /) -> list[list[Instance]]:
        """What is found in each image; nothing of words whose things are not there.

        Args:
            images: (K, 3, H, W) float RGB in [0, 1].
            words: for each image what to look for.
        """
        ...


def check_instances(found: object, images: Tensor) -> None:
    """Whether a model's answer is what `TextToMasks` says.

    Raises:
        ModelOutputError: it is not.
    """
    count, size = len(images), tuple(images.shape[2:])
    lists = isinstance(found, list) and len(found) == count
    if not lists or not all(
        isinstance(one, Instance) and is_plain(one.mask) and one.mask.shape == size
        for own in found  # type: ignore[attr-defined]
        for one in (own if isinstance(own, list) else [None])
    ):
        raise ModelOutputError(
            "a model that segments by words must return a list of instances for each image, "
            f"{count} lists of Instance with masks of {size[0]} x {size[1]}, got {brief(found)}."
        )


def alike(
    words: Sequence[tuple[str, ...]],
    find: Callable[[list[int], tuple[str, ...]], Sequence[list[Instance]]],
) -> list[list[Instance]]:
    """Calls ``find(numbers of images, their words)`` once for all images with the same words.

    Images with other words are not put in one batch: processors would fill up the shorter list with
    words of their own, and the longer captions with padding.
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, own in enumerate(words):
        if own:
            groups.setdefault(tuple(dict.fromkeys(own)), []).append(number)
    found: list[list[Instance]] = [[] for _ in words]
    for own, numbers in groups.items():
        for number, instances in zip(numbers, find(numbers, own), strict=True):
            found[number] = list(instances)
    return found


def soft_union(masks: Sequence[Tensor]) -> Tensor:
    """(H, W) of one mask or more: at each pixel the likeliest.

    >>> soft_union([torch.tensor([[0.2, 0.9]]), torch.tensor([[0.4, 0.1]])])
    tensor([[0.4000, 0.9000]])
    """
    return torch.stack(list(masks)).amax(dim=0)


def distinct(instances: Sequence[Instance], same: float) -> list[Instance]:
    """Without those whose masks are another's of the same word again; of two the surer one stays.

    Args:
        instances: of one image.
        same: the share of their union from which two masks are one thing's.
    """
    kept: list[Instance] = []
    for one in sorted(instances, key=lambda instance: instance.score, reverse=True):
        if all(one.word != other.word or _overlap(one, other) < same for other in kept):
            kept.append(one)
    return kept


def _overlap(one: Instance, other: Instance) -> float:
    both = torch.minimum(one.mask, other.mask).sum()
    either = torch.maximum(one.mask, other.mask).sum()
    return float(both / either.clamp_min(torch.finfo(either.dtype).tiny))


def box_of(mask: Tensor) -> Box:
    """Around the pixels of a mask (H, W) that are likelier than not its thing's."""
    rows, columns = torch.where(mask >= 0.5)
    if not len(rows):
        return (0.0, 0.0, 0.0, 0.0)
    left, top = float(columns.min()), float(rows.min())
    return (left, top, float(columns.max()) + 1, float(rows.max()) + 1)


def pictures(images: Tensor, device: torch.device) -> list[Tensor]:
    """(3, H, W) uint8 each, as processors take pictures from files.

    Frames of a video have 8 bits, so that nothing is lost; those that were shrunk are rounded.
    """
    whole = (images.to(device).clamp(0, 1) * 255).round().to(torch.uint8)
    return list(whole)
