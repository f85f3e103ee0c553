"""All that is seen in a clip, followed through it whatever is heard, and held."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from coprop.inference.frame_masks import keyframe_mask
from coprop.inference.segment_tracker import SegmentTracker
from coprop.inference.turns import SegmentState, Turn
from coprop.keyframes.adapters.inference import evaluation_mode
from coprop.keyframes.candidates import SAME_THING, Candidate, overlap
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.media.frame_images import bounded_size
from coprop.types import FrameMask

if TYPE_CHECKING:
    from coprop.media.reader import Frame

THERE = 0.5
"""Probability above which a pixel is masked."""

_MOST_TRACKS = 10  # of a frame: as many as the propagator follows as one group
_LEAST = 1e-4  # probability: its odds are finite
_HELD_EDGE = 480  # pixels of the longer side: the default's propagator works on 449 at most
_LEVELS = 255  # to which probabilities are rounded while they are held


@dataclass(frozen=True, eq=False)
class HeldMask:
    """One frame's tracks.

    Args:
        time_s: of the frame.
        ids: (K,) of the tracks that are seen in it.
        size: (height, width) at which they are held.
        data: their probabilities and the background's before them, (K + 1, *size), compressed.
        is_anchor: whether the frame was looked at.
    """

    time_s: float
    ids: tuple[int, ...]
    size: tuple[int, int]
    data: bytes
    is_anchor: bool

    @classmethod
    def of(cls, mask: FrameMask, ids: tuple[int, ...]) -> HeldMask:
        """A frame's mask of tracks, whose channels after the background's have these numbers."""
        height, width = mask.labels.shape
        size, data = bounded_size(height, width, _HELD_EDGE), b""
        if ids and mask.probabilities is not None:  # asked for last: they are made then
            soft = _resized(mask.probabilities, size)
            data = zlib.compress(np.rint(soft * _LEVELS).astype(np.uint8).tobytes(), 1)
        return cls(mask.time_s, ids, size, data, mask.is_keyframe)

    def probability(self, chosen: frozenset[int], shape: tuple[int, int]) -> NDArray[np.float32]:
        """(H, W) float32 that a pixel is of any of the chosen tracks."""
        channels = [i for i, own in enumerate(self.ids, start=1) if own in chosen]
        if not channels:
            return np.zeros(shape, dtype=np.float32)
        levels = np.frombuffer(zlib.decompress(self.data), dtype=np.uint8)
        levels = levels.reshape(-1, *self.size)[channels]
        share = levels.sum(axis=0, dtype=np.float32) / np.float32(_LEVELS)
        resized: NDArray[np.float32] = _resized(share[None], shape)[0]
        return resized.clip(max=1)


@dataclass
class Tracks:
    """A clip's tracks.

    Attributes:
        masks: by the frame's number; frames without one were silent.
        seen: of each track by its number, what was seen of it at each anchor in its life: (G + 1,),
            the probabilities of the groups, and at the end that of something unknown.
    """

    masks: dict[int, HeldMask] = field(default_factory=dict)
    seen: dict[int, list[Tensor]] = field(default_factory=lambda: defaultdict(list))


class CandidateTracker(SegmentTracker):
    """Follows all that is seen; what is seen at a keyframe continues the tracks that it covers.

    Args:
        segmenter: the default's.
        parts, options: of `SegmentTracker`.
    """

    def __init__(self, segmenter: KeyframeSegmenter, *parts: Any, **options: Any) -> None:
        super().__init__(segmenter, *parts, **options)
        self.tracks = Tracks()
        self._segmenter = segmenter
        self._state: SegmentState | None = None
        self._ids: tuple[int, ...] = ()  # of the state's channels
        self._numbers = count()

    @torch.no_grad()
    def start(self, turn: Turn, *, logits: Tensor | None = None) -> SegmentState:
        """The tracks in a frame that is looked at, whatever is heard."""
        frame = turn.frame
        image = self._image(frame)
        near = self._near(frame, image, turn.around)
        with self._computing(self._device, self._segmenter), evaluation_mode(self._segmenter):
            found = self._segmenter.candidates(image, near)
        before = self._before(frame, image)
        now: dict[int, Tensor] = {}
        for candidate, known in _continued(found, before):
            number = next(self._numbers) if known is None else known
            now[number] = candidate.soft
            evidence = torch.cat([candidate.groups, candidate.groups.new_tensor([candidate.other])])
            self.tracks.seen[number].append(evidence)
        for number in before.keys() - now.keys():  # there, as the propagator says, but not seen
            now[number] = before[number]
            self.tracks.seen[number].append(torch.zeros_like(self.tracks.seen[number][0]))
        kept = list(now)[:_MOST_TRACKS]
        shared = _shared([now[number] for number in kept], image)
        state = self._started(frame, *keyframe_mask(frame, shared))
        if state.memory is not None:
            self._ids = tuple(kept[channel - 1] for channel in state.mask.classes[1:])
        return self._held(frame, state)

    def step(self, frame: Frame, state: SegmentState) -> SegmentState:
        """The next frame's tracks."""
        return self._held(frame, super().step(frame, state))

    def _held(self, frame: Frame, state: SegmentState) -> SegmentState:
        self._state = state
        ids = () if state.memory is None else self._ids
        self.tracks.masks[frame.index] = HeldMask.of(state.mask, ids)
        return state

    def _before(self, frame: Frame, image: Tensor) -> dict[int, Tensor]:
        """Where each track is in this frame, (h, w) in [0, 1], if it is anywhere."""
        if self._state is None or self._state.memory is None:
            return {}
        carried = super().step(frame, self._state).mask.probabilities
        soft = torch.from_numpy(np.array(carried)).to(image.device)[None]
        if soft.shape[-2:] != image.shape[-2:]:
            soft = F.interpolate(soft, image.shape[-2:], mode="bilinear", align_corners=False)
        where = zip(self._ids, soft[0, 1:], strict=True)
        return {number: own for number, own in where if bool((own > THERE).any())}


def _resized(soft: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(C, H, W) at another (height, width)."""
    if soft.shape[-2:] == size:
        return soft
    values = torch.from_numpy(np.array(soft))[None]  # a copy: masks are read-only
    values = F.interpolate(values, size, mode="bilinear", antialias=True, align_corners=False)
    return np.asarray(values[0].numpy())


def _continued(
    found: Sequence[Candidate], before: dict[int, Tensor]
) -> Iterator[tuple[Candidate, int | None]]:
    """Yields each candidate with the number of the track that it continues, if it does."""
    left = dict(before)
    for candidate in found:
        shared = {number: overlap(candidate.soft, own) for number, own in left.items()}
        best = max(shared, key=lambda number: shared[number], default=None)
        if best is not None and shared[best] < SAME_THING:
            best = None
        left.pop(best, None)  # type: ignore[arg-type]
        yield candidate, best


def _shared(softs: Sequence[Tensor], image: Tensor) -> Tensor:
    """(1, K + 1, h, w) probabilities in sum 1, of K soft masks (h, w): STM's soft aggregation."""
    if not softs:
        return torch.ones_like(image[:, :1])
    own = torch.stack(list(softs)).float()
    nothing = (1 - own).prod(dim=0, keepdim=True)
    odds = torch.cat([nothing, own]).clamp(_LEAST, 1 - _LEAST)
    odds = odds / (1 - odds)
    return (odds / odds.sum(dim=0))[None]
