"""Of the tracks of a clip, those that the sound of each segment chooses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from coprop.context import ALONE, AudioWindows, FrameContext
from coprop.inference.frame_masks import empty_mask
from coprop.inference.tracks import THERE, Tracks
from coprop.inference.turns import SegmentState, Turn
from coprop.keyframes.adapters.inference import evaluation_mode
from coprop.keyframes.grounded import GroundedNetwork
from coprop.types import AudioTrack, FrameMask, Segment
from coprop.utils.precision import in_float32

if TYPE_CHECKING:
    from coprop.media.reader import Frame


class ChosenTracks:
    """Known tracks in place of a `SegmentTracker`: of each segment, those that its sound chooses.

    Args:
        tracks: of the clip.
        network: sees, hears and selects.
        audio: the clip's sound.
        device: where the network is.
    """

    context: FrameContext = ALONE
    label_names: Mapping[int, str] = MappingProxyType({})  # all that sounds has one label

    def __init__(
        self, tracks: Tracks, network: GroundedNetwork, audio: AudioTrack, device: torch.device
    ) -> None:
        self._tracks = tracks
        self._network = network
        self._device = device
        self._windows = AudioWindows(audio, network.sample_rate, network.window_s)

    def wants(self, frame: Frame) -> bool:
        """Each segment has a choice."""
        return True

    def start(self, turn: Turn, *, logits: Tensor | None = None) -> SegmentState:
        """The first mask of a segment; which of its tracks sound goes with the state."""
        chosen = self._sounding(turn.sources, turn.frame.time_s)
        return SegmentState(self._mask(turn.frame, chosen), chosen)

    def step(self, frame: Frame, state: SegmentState) -> SegmentState:
        """The next frame's mask, of the same tracks."""
        return SegmentState(self._mask(frame, state.memory), state.memory)

    def silent(self, frame: Frame, before: FrameMask | None) -> FrameMask:
        """The empty mask of a frame in which nothing is heard."""
        return empty_mask(frame)

    @torch.no_grad()
    def _sounding(self, sources: Segment, time_s: float) -> frozenset[int]:
        """Which of the tracks that are seen in a segment sound in it."""
        first_s, masks = min(sources.start_s, time_s), self._tracks.masks.values()
        inside = (m for m in masks if first_s <= m.time_s <= max(sources.end_s, time_s))
        shown = sorted({number for m in inside for number in m.ids})
        if not shown:
            return frozenset()
        # What is seen once in a while is less sure than what is seen whenever one looks.
        seen = torch.stack([torch.stack(self._tracks.seen[n]).mean(dim=0) for n in shown])
        groups, unknown = seen[:, :-1], seen[:, -1]
        sound = self._windows.whole(time_s, sources).to(self._device)
        with evaluation_mode(self._network), in_float32(self._device):
            heard = self._network.audio(sound)
            selector = self._network.selector
            selection = selector.select(groups.amax(dim=0)[None], unknown.amax()[None], heard)
        least = selector.contending * groups.amax(dim=0)
        sounding = ((groups >= least) & (selection.groups[0] > 0)).any(dim=1)
        if bool(selection.other[0] > 0):
            sounding[unknown.argmax()] = True
        return frozenset(n for n, one in zip(shown, sounding.tolist(), strict=True) if one)

    def _mask(self, frame: Frame, chosen: frozenset[int]) -> FrameMask:
        held = self._tracks.masks.get(frame.index)
        if held is None:
            return empty_mask(frame)
        height, width = frame.image.shape[:2]
        sounding = held.probability(chosen, (height, width))
        labels = (sounding > THERE).astype(np.uint8)
        both = np.stack([1 - sounding, sounding])
        return FrameMask(frame.index, frame.time_s, labels, both, (0, 1), held.is_anchor)
