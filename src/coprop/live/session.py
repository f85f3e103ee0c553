"""`LiveSession`: frames and sound are pushed in as they come, and masks come out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import ArrayLike

from coprop.errors import AudioError, CoPropError, MediaError
from coprop.inference.carrier import Carrier
from coprop.inference.segment_tracker import SegmentTracker
from coprop.inference.turns import Turn
from coprop.keyframes.naming import SoundNamer
from coprop.live.changes import LiveChanges
from coprop.live.intake import FrameIntake, SoundIntake
from coprop.live.latency import LOOK_AHEAD_S, Latency, Stopwatch
from coprop.live.plan import LivePlan
from coprop.live.sound import SETTLED_S, LiveSound
from coprop.types import SAME_S, AudioTrack, ControlPoints, FrameMask, Segment
from coprop.utils.brief import counted
from coprop.utils.checks import number

if TYPE_CHECKING:
    from coprop.media.reader import Frame

LONGEST_LOOK_AHEAD_S = 5.0
"""Seconds; whoever can wait longer has `stream` for it."""

MOST_APART_S = 10.0
"""How far sound may be behind the frames, or ahead of them, in seconds."""

_OFTEN_S = 0.2  # from one look at what is new in the sound to the next


class LiveSession:
    """Masks of a stream that is still going on; made by `coprop.CoProp.live`.

    The mask of a frame comes when ``look_ahead_s`` of sound after it have come in, and nothing that
    is later has any part in it. Memory does not grow with the stream, but for a few numbers for
    each change. A session is used from one thread; it is a context manager, which closes it.

    Args:
        tracker: makes the tracker of masks for a track of sound.
        detector: of control points.
        frame_rate: frames a second.
        sample_rate: of the sound, in Hz.
        look_ahead_s: seconds, 0 to 5.
        longest_s: the longest time between keyframes; None for no limit.
        namer: says what sounds in each segment; None for nobody.

    Attributes:
        dropped: frames that never came, by their numbers or times, and those that were refused.
        look_ahead_s, frame_rate, sample_rate: as given.

    Raises:
        CoPropError: a rate or look-ahead out of its range.
    """

    def __init__(
        self,
        tracker: Callable[[AudioTrack], SegmentTracker],
        detector: Callable[[AudioTrack], ControlPoints],
        frame_rate: float,
        sample_rate: int,
        *,
        look_ahead_s: float = LOOK_AHEAD_S,
        longest_s: float | None,
        namer: SoundNamer | None,
    ) -> None:
        wanted = f"a number of seconds, from 0 to {LONGEST_LOOK_AHEAD_S:g}"
        self.look_ahead_s = number(
            "look_ahead_s", look_ahead_s, wanted, low=0, high=LONGEST_LOOK_AHEAD_S
        )
        self._frames, self._sounds = FrameIntake(frame_rate), SoundIntake(sample_rate)
        self._sound = LiveSound(self._sounds.rate)
        self._tracker = tracker(self._sound)
        self._carried = Carrier(self._tracker)
        self._plan = LivePlan(self._sound, longest_s, namer)
        self._changes = LiveChanges(detector, self._sound, self.look_ahead_s)
        self._analysed_s = -1.0
        self._waiting: deque[Frame] = deque()  # for their sound
        self._held: deque[Frame] = deque()  # masked already, but near to those that are not
        self._before_s: float | None = None  # when the last frame that had its turn was shown
        self._turn: Turn | None = None  # of the frame that is masked next, where that has failed
        self._stopwatch = Stopwatch()
        self._made: list[FrameMask] = []  # masks that have not been handed out yet
        self._refused = 0
        self._ended = self._closed = False

    def __repr__(self) -> str:
        return (
            f"LiveSession({self.frame_rate:g} frames/s, {self.sample_rate} Hz, looking "
            f"{self.look_ahead_s:g} s ahead, {counted(self._stopwatch.masks, 'mask')})"
        )

    @property
    def frame_rate(self) -> float:
        return self._frames.rate

    @property
    def sample_rate(self) -> int:
        return self._sounds.rate

    @property
    def dropped(self) -> int:
        return self._frames.missing + self._refused

    @property
    def sound(self) -> LiveSound:
        """What is kept of the sound."""
        return self._sound

    @property
    def latency(self) -> Latency | None:
        """How long masks have taken; None before the first."""
        return self._stopwatch.read()

    @property
    def control_points(self) -> ControlPoints:
        """Those found so far, each at the time at which things changed, in order."""
        return self._plan.control_points

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Those that have ended, with what sounded in them; after `finish`, all."""
        return tuple(self._plan.segments)

    def push(
        self,
        frame: ArrayLike | torch.Tensor | None = None,
        samples: Any = None,
        *,
        time_s: float | None = None,
        number: int | None = None,
    ) -> list[FrameMask]:
        """Takes the next frame, the next sound, or both, and returns the masks that are ready.

        Sound is one stream without gaps, in blocks of any size. It may come up to 10 s before or
        after the frames that it belongs to; frames wait for it. What is wrong with a frame or a
        block is told before anything of it is taken, and the session goes on without it.

        Args:
            frame: (H, W, 3) array, (3, H, W) tensor or PIL image, all of one size.
            samples: (n,), (n, channels) or (channels, n) float in [-1, 1] or signed integers.
            time_s: when the frame is shown, in seconds since the first sample; by default frames
                follow one another at the frame rate.
            number: of the frame, from 0, where a camera counts those that are lost as well.

        Raises:
            ShapeError, AudioError, MediaError: a frame or samples that cannot be used.
            CoPropError: the session has ended.
            ModelOutputError: a model broke its contract.
        """
        if self._ended:
            raise CoPropError("the session has ended; begin another one with pipeline.live().")
        begun = time.perf_counter()
        if frame is None and (time_s is not None or number is not None):
            raise MediaError("time_s and number are a frame's, but no frame came with them.")
        taken = None if frame is None else self._frames.frame(frame, time_s, number)
        block = None if samples is None else self._sounds.mono(samples)
        if block is not None:
            self._sound.feed(block)
        if taken is not None:
            self._check_apart(taken)
            self._frames.taken(taken)
            self._waiting.append(taken)
        return self._ready(begun)

    def next_number(self, time_s: float) -> int:
        """The number that a frame shown at a time would get by its time."""
        return self._frames.number_at(time_s)

    def finish(self) -> list[FrameMask]:
        """The masks of the frames that still wait; the stream has ended. Again: none.

        After an error of a model it can be called again, and goes on.
        """
        if self._closed:
            return []
        begun = time.perf_counter()
        if not self._ended:
            self._ended = True
            self._sound.feed(self._sounds.rest())
            self._sound.finish()
        masks = self._ready(begun)
        self._plan.finish(self._before_s, self._frame_s())
        self.close()
        return masks

    def close(self) -> None:
        """Ends the session without the masks that are still to come; again does nothing."""
        self._ended = self._closed = True
        self._waiting.clear()
        self._held.clear()
        self._turn = None
        self._made.clear()

    def __enter__(self) -> LiveSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_apart(self, frame: Frame) -> None:
        behind_s = frame.time_s - self._sound.end_s
        if -MOST_APART_S - SAME_S <= behind_s <= MOST_APART_S + SAME_S:
            return
        self._refused += 1
        where = "ahead of" if behind_s < 0 else "behind"
        raise AudioError(
            f"the sound is {abs(behind_s):.2f} s {where} frame {frame.index} at "
            f"{frame.time_s:.2f} s, and may be {MOST_APART_S:g} s; push both together, or give "
            "frames the times at which they are shown, with time_s=."
        )

    def _ready(self, begun: float) -> list[FrameMask]:
        """The masks of all frames whose sound has come in.

        After an error those that were made before it are kept, for the next time.
        """
        while self._waiting:
            frame = self._waiting[0]
            needed_s = frame.time_s + self.look_ahead_s
            if self._sound.end_s < needed_s - SAME_S and not self._ended:
                break
            waited_s = max(self._sound.end_s - frame.time_s, 0.0)
            self._made.append(self._mask(frame, needed_s))
            self._waiting.popleft()
            self._held.append(frame)
            self._stopwatch.note(waited_s, time.perf_counter() - begun)
        masks, self._made = self._made, []
        return masks

    def _mask(self, frame: Frame, needed_s: float) -> FrameMask:
        # The plan tells once of each frame what is to be done with it: after an error, too.
        turn = self._turn = self._turn or self._next_turn(frame, needed_s)
        mask = self._carried.mask(turn)
        self._turn = None
        if turn.starts:
            self._plan.masked(mask, self._tracker.label_names)
        return mask

    def _next_turn(self, frame: Frame, needed_s: float) -> Turn:
        # At the end of the stream nothing more will be heard than has been.
        self._sound.hear_until(max(min(needed_s, self._sound.end_s) - SETTLED_S, 0.0))
        frame_s = self._frame_s(frame)
        if self._analysed_s < 0 or frame.time_s - self._analysed_s >= _OFTEN_S - SAME_S:
            self._analysed_s = frame.time_s
            for change in self._changes.update():
                self._plan.add(change)
        self._before_s = frame.time_s
        return self._plan.turn(self._tracker, frame, self._around(frame), frame_s)

    def _frame_s(self, frame: Frame | None = None) -> float:
        """How long frames are shown: as long as the last one was, or as their rate says."""
        usual_s = 1 / self.frame_rate
        if frame is None or self._before_s is None:
            return usual_s
        return min(frame.time_s - self._before_s, usual_s)

    def _around(self, frame: Frame) -> tuple[Frame, ...]:
        """The frames that are there and may be looked at: none that is later than the sound is."""
        context = self._tracker.context
        while self._held and self._held[0].time_s < frame.time_s - context.before_s:
            self._held.popleft()
        if context.frames == 1:
            return (frame,)
        latest_s = frame.time_s + self.look_ahead_s + SAME_S
        return (*self._held, *(f for f in self._waiting if f.time_s <= latest_s))
