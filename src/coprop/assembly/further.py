"""What a pipeline does beside whole clips: live sessions, corrections, its model alone."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import TYPE_CHECKING

from coprop.context import with_neighbours
from coprop.inference.segment_tracker import SegmentTracker
from coprop.keyframes.naming import SoundNamer
from coprop.live.latency import LOOK_AHEAD_S
from coprop.media.clip import Clip
from coprop.prompts import Prompt
from coprop.result import Result
from coprop.results.corrections import corrected
from coprop.types import AudioTrack, ControlPoints, FrameMask

if TYPE_CHECKING:
    from coprop.live.session import LiveSession


class Further:
    """Methods of `coprop.CoProp`, which has what they use."""

    detector: Callable[[AudioTrack], ControlPoints]
    max_segment_s: float | None
    namer: SoundNamer | None

    def _tracker_for(self, audio: AudioTrack, clip: Clip | None = None) -> SegmentTracker:
        raise NotImplementedError

    def live(
        self, frame_rate: float, sample_rate: int, *, look_ahead_s: float = LOOK_AHEAD_S
    ) -> LiveSession:
        """A session into which frames and sound are pushed as they come, for masks at once.

        Args:
            frame_rate: frames a second.
            sample_rate: of the sound, in Hz.
            look_ahead_s: how much sound after a frame is waited for, in seconds, 0 to 5. With less
                than 0.6 s a mask outlives its sound by what is missing, and with less than half a
                second the default's keyframe model sees fewer frames of what moves.

        Raises:
            CoPropError: a rate or a time out of its range.
        """
        from coprop.live.session import LiveSession

        return LiveSession(
            self._tracker_for,
            self.detector,
            frame_rate,
            sample_rate,
            look_ahead_s=look_ahead_s,
            longest_s=self.max_segment_s,
            namer=self.namer,
        )

    def correct(self, result: Result, prompts: Iterable[Prompt]) -> Result:
        """The result with supplied masks, carried on in their segments; others stay as they are.

        Args:
            result: of this pipeline, with its video: of a call, or `Result.load` with it.
            prompts: masks or boxes. Each holds from its frame to the end of its segment, or to the
                next prompt.

        Raises:
            CoPropError: no prompt, or one where nothing is heard or no frame is.
            MediaError: the video is not there, or not what it was.
        """
        return corrected(
            result, prompts, lambda clip: self._tracker_for(clip.audio, clip), self.max_segment_s
        )

    def every_frame(
        self,
        clip: Clip,
        points: ControlPoints | None = None,
        *,
        numbers: Container[int] | None = None,
    ) -> Iterator[FrameMask]:
        """Yields the keyframe model's own mask of every frame, as it is used without coprop.

        Nothing of the pipeline takes part, for comparison: the model is asked in silence too.

        Args:
            clip: the clip.
            points: where a text-guided model takes its words from.
            numbers: of the frames that are asked for, from 0; None for all.
        """
        tracker = self._tracker_for(clip.audio, clip)
        for frame, around in with_neighbours(clip.frames, tracker.context):
            if numbers is not None and frame.index not in numbers:
                continue
            words = None if points is None else points.categories_at(frame.time_s)
            yield tracker.alone(frame, around, words)
