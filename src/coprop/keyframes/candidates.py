"""All that may sound in a frame, whatever is heard: each thing that is seen, with what it may be.

One thing is often seen as several groups, a dog as a dog and as a cat. Groups whose masks are the
same place are one candidate, which keeps the probabilities of all its names.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from coprop.keyframes.selection import SEEN
from coprop.keyframes.visual import VisualEvidence

if TYPE_CHECKING:
    from coprop.keyframes.grounded import GroundedNetwork

MOST_CANDIDATES = 6
"""Groups whose masks are made, the likeliest first: the benchmark shows five things at most."""

SAME_THING = 0.5
"""Share of their union that two masks of one thing have in common, at least."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A thing that is seen in one frame.

    Args:
        soft: (h, w) in [0, 1], its mask.
        groups: (G,) in [0, 1], the probability that a thing of the group is in the picture, for
            the groups that it may be of; 0 for others.
        other: in [0, 1], the probability that it is a thing which is not recognised.
    """

    soft: Tensor
    groups: Tensor
    other: float


def candidates_in(
    network: GroundedNetwork, frame: Tensor, around: Tensor | None
) -> tuple[Candidate, ...]:
    """What is seen in a frame, the likeliest first, with masks at a quarter of its size.

    Args:
        network: the default's.
        frame: (1, 3, h, w) RGB in [0, 1], sides multiples of 32.
        around: (1, T, 3, h, w), as of `GroundedNetwork`; None where they are not known.
    """
    visual = network.unexplained(network.visual(frame, around))
    seen = network.selector.seen(visual)[0]
    unknown = float(network.selector.stands_out(visual)[0] * (1 - seen.max()))
    named = seen.argsort(descending=True)[:MOST_CANDIDATES]
    named = named[seen[named] >= SEEN]
    alone = seen.new_zeros(len(named) + 1, len(seen))
    alone[range(len(named)), named] = 1
    others = seen.new_zeros(len(named) + 1)
    others[-1] = 1  # the last is what stands out without being recognised
    masks = network.decoder(_repeated(visual, len(alone)), alone, others).float().sigmoid()[:, 0]
    found = [
        Candidate(mask, seen * group, 0.0) for mask, group in zip(masks, alone[:-1], strict=False)
    ]
    if unknown >= SEEN:
        found.append(Candidate(masks[-1], torch.zeros_like(seen), unknown))
    return _distinct(found)


def overlap(one: Tensor, other: Tensor) -> float:
    """Intersection over union of two soft masks (h, w), above one half; 0 of empty ones."""
    a, b = one > 0.5, other > 0.5
    return float((a & b).sum()) / max(float((a | b).sum()), 1.0)


def _distinct(found: list[Candidate]) -> tuple[Candidate, ...]:
    """Those of the same place joined; the first one's mask is kept. What has no place is none."""
    kept: list[Candidate] = []
    for one in found:
        if not bool((one.soft > 0.5).any()):
            continue
        for i, other in enumerate(kept):
            if overlap(one.soft, other.soft) >= SAME_THING:
                groups, unknown = one.groups + other.groups, max(one.other, other.other)
                kept[i] = Candidate(other.soft, groups, unknown)
                break
        else:
            kept.append(one)
    return tuple(kept)


def _repeated(visual: VisualEvidence, count: int) -> VisualEvidence:
    """The evidence of one frame, (1, ...) each, as that of so many."""

    def repeated(x: Tensor) -> Tensor:
        return x.expand(count, *x.shape[1:])

    values = {f.name: getattr(visual, f.name) for f in fields(visual)}
    pyramid = tuple(repeated(level) for level in values.pop("pyramid"))
    return VisualEvidence(pyramid, **{name: repeated(x) for name, x in values.items()})
