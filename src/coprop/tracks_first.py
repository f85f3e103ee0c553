"""Tracks first, then decide by sound: the other order of the same parts.

`CoProp` asks at each control point what sounds, and carries that on. Here everything that is seen
is tracked through the clip, whatever is heard, and of each segment its sound chooses among the
tracks, by what was seen of each at several frames:

frame every ``anchor_s`` --what is seen--> candidates, joined to the tracks that they continue
other frames --propagator--> all tracks
sound of a segment --`SourceSelector`--> which of its tracks are its mask
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from coprop.context import ALONE, AudioWindows, FrameContext
from coprop.errors import CoPropError
from coprop.inference.frame_masks import empty_mask, keyframe_mask
from coprop.inference.segment_tracker import SegmentTracker
from coprop.inference.turns import SegmentState, Turn
from coprop.keyframes.adapters.inference import evaluation_mode
from coprop.keyframes.candidates import SAME_THING, Candidate, overlap
from coprop.keyframes.grounded import GroundedNetwork
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.media.frame_images import bounded_size
from coprop.tracking import Tracking
from coprop.types import AudioTrack, ControlPoints, FrameMask, Progress, Segment
from coprop.utils.checks import number
from coprop.utils.precision import in_float32

if TYPE_CHECKING:
    from coprop.media.clip import Clip
    from coprop.media.reader import Frame
    from coprop.pipeline import CoProp

ANCHOR_S = 2.0
"""Seconds between the frames that are looked at, twice what the default has between keyframes."""

_MOST_TRACKS = 10  # of a frame: as many as the propagator follows as one group
_LEAST = 1e-4  # probability: its odds are finite
_THERE = 0.5  # probability above which a pixel is masked
_HELD_EDGE = 480  # pixels of the longer side: the default's propagator works on 449 at most
_LEVELS = 255  # to which probabilities are rounded while they are held


def tracks_first(
    pipeline: CoProp,
    clip: Clip,
    points: ControlPoints,
    *,
    anchor_s: float = ANCHOR_S,
    progress: Progress | None = None,
) -> Tracking:
    """Every frame of a clip with its mask, chosen by sound among the tracks of all that is seen.

    Frames in which nothing is heard are not tracked: their masks are empty. The tracks of the whole
    clip are held, 480 pixels long at most and compressed. Frames are gone through twice.

    Args:
        pipeline: whose keyframe segmenter, propagator and namer are used.
        clip: the clip; frames that can be gone through once only are no such.
        points: its control points.
        anchor_s: seconds between the frames that are looked at.
        progress: called frame by frame, as "tracks" and then as "frames".

    Raises:
        CoPropError: a segmenter that does not see things by itself, as the default does, a number
            out of range, or frames that can be gone through once only.
    """
    model = pipeline.segmenter
    if not isinstance(model, KeyframeSegmenter) or not isinstance(model.network, GroundedNetwork):
        raise CoPropError(
            "tracks first is for the default segmenter, which sees things whatever is heard; with "
            "others, which answer frame and sound at once, use the pipeline as it is."
        )
    wanted = "a number of seconds between the frames that are looked at, at least 0.001"
    anchor_s = number("anchor_s", anchor_s, wanted, low=0.001)
    if _once_only(clip.frames):
        raise CoPropError(
            "tracks first goes through the frames twice, and these can be gone through once; give "
            "a file, an array or a list."
        )
    tracks = _followed(pipeline, model, clip, anchor_s, progress)
    chosen = ChosenTracks(tracks, model.network, clip.audio, pipeline.device)
    options: dict[str, Any] = {"longest_s": None, "namer": pipeline.namer, "progress": progress}
    return Tracking(chosen, clip, points, **options)


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
        return {number: own for number, own in where if bool((own > _THERE).any())}


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
        labels = (sounding > _THERE).astype(np.uint8)
        both = np.stack([1 - sounding, sounding])
        return FrameMask(frame.index, frame.time_s, labels, both, (0, 1), held.is_anchor)


def _followed(
    pipeline: CoProp,
    segmenter: KeyframeSegmenter,
    clip: Clip,
    anchor_s: float,
    progress: Progress | None,
) -> Tracks:
    """The tracks of all that is seen where anything is heard: control points do not count."""
    tracker = CandidateTracker(
        segmenter,
        pipeline.propagator,
        clip.audio,
        working_edge=pipeline.working_edge,
        device=pipeline.device,
        dtype=pipeline.dtype,
    )
    one = np.ones(1)
    whole = ControlPoints(np.zeros(1), one, one.astype(bool))
    told = None if progress is None else _as_tracks(progress)
    for _ in Tracking(tracker, clip, whole, longest_s=anchor_s, namer=None, progress=told):
        pass
    return tracker.tracks


def _resized(soft: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(C, H, W) at another (height, width)."""
    if soft.shape[-2:] == size:
        return soft
    values = torch.from_numpy(np.array(soft))[None]  # a copy: masks are read-only
    values = F.interpolate(values, size, mode="bilinear", antialias=True, align_corners=False)
    return np.asarray(values[0].numpy())


def _once_only(frames: object) -> bool:
    """Whether frames, or the pictures that they are made of, can be gone through but once."""
    frames = getattr(frames, "source", frames)  # of which they are a part
    inner = getattr(frames, "pictures", getattr(frames, "frames", frames))
    return isinstance(frames, Iterator) or isinstance(inner, Iterator)


def _as_tracks(progress: Progress) -> Progress:
    return lambda _, completed, total: progress("tracks", completed, total)


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
