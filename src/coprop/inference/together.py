"""Several segments as one batch: they do not depend on one another.

What comes out is what one segment after another gives, in the same order, with the errors where
they belong: a segment that fails does so at its turn, after the masks of those before it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from torch import Tensor

from coprop.inference.turns import AtOnce, Turn, frames_joined
from coprop.propagation.memory import PropagationState
from coprop.utils.brief import counted, first_line, one_line

if TYPE_CHECKING:
    from coprop.inference.segment_tracker import SegmentTracker
    from coprop.inference.turns import SegmentState


@dataclass
class _Run:
    """A segment on its way: its state, and the frames that are still to come."""

    state: SegmentState
    steps: list[Turn]


class Together:
    """Does ahead, for the turns of a window, what can be done for several of them at once.

    Args:
        tracker: makes the masks.
        at_once: how much is done together.
    """

    def __init__(self, tracker: SegmentTracker, at_once: AtOnce) -> None:
        self._tracker = tracker
        self._at_once = at_once
        self._per_call = at_once.keyframes
        self._alone = at_once.segments == 1
        self._answers: dict[int, Tensor] = {}
        self._ready: dict[int, SegmentState | Exception] = {}

    def __call__(self, window: list[Turn]) -> Iterator[Turn]:
        """Yields the turns of a window; what `after` needs for each is there when it comes.

        The window is emptied: frames are let go one by one, before the next ones are read.
        """
        firsts = [i for i, turn in enumerate(window) if turn.starts]
        if len(firsts) < 2:
            yield from _emptied(window)
            return
        self._ask([window[i] for i in firsts if not window[i].given])
        runs = [window[a:b] for a, b in pairwise([*firsts, len(window)])]
        del window[firsts[0] :]
        yield from _emptied(window)
        for i in range(0, len(runs), self._at_once.segments):
            group = runs[i : i + self._at_once.segments]
            if len(group) > 1 and not self._alone:
                self._carry(group)
            for run in group:
                yield from _emptied(run)
        self._answers.clear()

    def after(self, turn: Turn, state: SegmentState | None) -> SegmentState | None:
        """The state after a frame that is not silent; None where nothing has been started yet.

        Raises:
            Exception: what went wrong with this frame when it was done ahead.
        """
        ready = self._ready.pop(turn.frame.index, None)
        if isinstance(ready, Exception):
            raise ready
        if ready is not None:
            return ready
        if turn.starts:
            return self._started(turn)
        return None if state is None else self._tracker.step(turn.frame, state)

    def _started(self, turn: Turn) -> SegmentState | None:
        if turn.given:
            return self._tracker.prompted(turn)
        logits = self._answers.pop(turn.frame.index, None)
        return self._tracker.start(turn, logits=logits)

    def _ask(self, turns: Sequence[Turn]) -> None:
        """The keyframe model's answers, where it takes several keyframes in a call."""
        waiting = list(turns)
        while self._per_call > 1 and waiting:
            now, waiting = waiting[: self._per_call], waiting[self._per_call :]
            try:
                answers = self._tracker.answers(now)
            except Exception as error:
                # Where the fault lies in one of them, it is told at its turn.
                self._per_call = 1
                warnings.warn(
                    f"the keyframe model failed on {counted(len(now), 'keyframe')} in one call "
                    f"({one_line(first_line(error))}); from here on it is given them one by one. "
                    "keyframes_per_call=1 says so beforehand.",
                    stacklevel=2,
                )
                return
            self._answers.update((t.frame.index, a) for t, a in zip(now, answers, strict=True))

    def _carry(self, group: Sequence[Sequence[Turn]]) -> None:
        """Starts segments, and follows them as far as they go together."""
        runs = []
        for first, *others in group:
            try:
                state = self._started(first)
            except Exception as error:  # raised at its turn; what comes after is not reached
                self._ready[first.frame.index] = error
                break
            if state is None:
                break
            self._ready[first.frame.index] = state
            run = _Run(state, [turn for turn in others if turn.span is not None])
            if state.memory is not None and run.steps:
                runs.append(run)
        runs.sort(key=lambda run: (repr(run.state.memory.kind), -len(run.steps)))
        for _, same in groupby(runs, key=lambda run: run.state.memory.kind):
            alike = list(same)
            size = self._batch_size(alike[0].state.memory)
            for i in range(0, len(alike), size):
                self._follow(alike[i : i + size])

    def _batch_size(self, memory: PropagationState) -> int:
        if self._tracker.device.type != "cpu":
            return self._at_once.segments
        return frames_joined(memory.size)

    def _follow(self, runs: list[_Run]) -> None:
        """Steps segments of one kind, the longest first, until one is left, which goes on alone."""
        done = 0
        while len(runs) > 1 and not self._alone:
            memory = PropagationState.joined([run.state.memory for run in runs])
            for i in range(done, len(runs[-1].steps)):
                frames = [run.steps[i].frame for run in runs]
                try:
                    masks, after = self._tracker.step_joined(
                        frames, memory, [run.state.mask for run in runs]
                    )
                except Exception:  # one by one, each error comes at its turn
                    self._alone = True
                    break
                memory, done = after, i + 1
                for run, frame, mask in zip(runs, frames, masks, strict=True):
                    # Nobody steps from here but the last, which gets its memory below.
                    run.state = replace(run.state, mask=mask, memory=None)
                    self._ready[frame.index] = run.state
            for run, own in zip(runs, memory.split(), strict=True):
                run.state = replace(run.state, memory=own)
                last = run.steps[done - 1] if done else None
                if last is not None:
                    self._ready[last.frame.index] = run.state
            runs = [run for run in runs if len(run.steps) > done]


def _emptied(turns: list[Turn]) -> Iterator[Turn]:
    """Yields the turns of a list, which no longer holds them."""
    turns.reverse()
    while turns:
        yield turns.pop()
