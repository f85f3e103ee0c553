"""Tracks first, then decide by sound: the other order of the same parts.

`CoProp` asks at each control point what sounds, and carries that on. Here everything that is seen
is tracked through the clip, whatever is heard, and of each segment its sound chooses among the
tracks, by what was seen of each at several frames:

frame every ``anchor_s`` --what is seen--> candidates, joined to the tracks that they continue
other frames --propagator--> all tracks
sound of a segment --`SourceSelector`--> which of its tracks are its mask
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from coprop.errors import CoPropError
from coprop.inference.chosen_tracks import ChosenTracks
from coprop.inference.tracks import CandidateTracker, Tracks
from coprop.keyframes.grounded import GroundedNetwork
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.tracking import Tracking
from coprop.types import ControlPoints, Progress
from coprop.utils.checks import number

if TYPE_CHECKING:
    from coprop.media.clip import Clip
    from coprop.pipeline import CoProp

ANCHOR_S = 2.0
"""Seconds between the frames that are looked at, twice what the default has between keyframes."""


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


def _once_only(frames: object) -> bool:
    """Whether frames, or the pictures that they are made of, can be gone through but once."""
    frames = getattr(frames, "source", frames)  # of which they are a part
    inner = getattr(frames, "pictures", getattr(frames, "frames", frames))
    return isinstance(frames, Iterator) or isinstance(inner, Iterator)


def _as_tracks(progress: Progress) -> Progress:
    return lambda _, completed, total: progress("tracks", completed, total)
