"""A live session written down as it goes, in the form of ``coprop run``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from coprop.errors import MediaError
from coprop.live.session import LiveSession
from coprop.live.sources import Moment
from coprop.media.overlap import Behind
from coprop.media.reader import Frame
from coprop.media.writer import ResultWriter
from coprop.results.writing import Report
from coprop.types import AudioTrack, FrameMask


def record(
    session: LiveSession,
    moments: Iterable[Moment],
    directory: Path,
    *,
    sound: Any,
    name: str,
    audio: AudioTrack | None = None,
    force: bool = False,
    told: Callable[[FrameMask, LiveSession], None] = lambda mask, session: None,
) -> dict[str, Any]:
    """Pushes what comes in until nothing does, or Ctrl-C, and writes a result folder.

    Args:
        session: makes the masks.
        moments: what comes in.
        directory: where to write.
        sound: what the overlay sounds like, see `ResultWriter`.
        name: of what is seen, for result.json.
        audio: the sound, for the timeline, where all of it is there at the end.
        force: replace an earlier result there.
        told: called with each mask.

    Returns:
        the content of result.json, with ``latency`` and ``dropped``.

    Raises:
        MediaError: not one frame came in.
    """
    report, shown = Report(), dict[int, Frame]()

    def write(pair: tuple[Frame, FrameMask]) -> None:
        writer.write(*pair)
        report.add(pair[1])

    def give(masks: Iterable[FrameMask]) -> None:
        for mask in masks:
            behind.give((shown.pop(mask.index), mask))
            told(mask, session)

    with ResultWriter(directory, sound=sound, force=force) as writer:
        with Behind(write) as behind:
            try:
                for moment in moments:
                    give(_pushed(session, moment, shown))
            except KeyboardInterrupt:  # how a camera is stopped
                pass
            give(session.finish())
        if not report.frames:
            raise MediaError(f"not one frame has come from {name}.")
        points, segments = session.control_points, session.segments
        content = report.to_dict(name, points, segments)
        latency = session.latency
        content["latency"] = None if latency is None else latency.to_dict()
        content["look_ahead_s"], content["dropped"] = session.look_ahead_s, session.dropped
        writer.finish(content, audio=audio, control_points=points, segments=segments, title=name)
    return content


def _pushed(session: LiveSession, moment: Moment, shown: dict[int, Frame]) -> list[FrameMask]:
    if moment.picture is None:
        return session.push(samples=moment.samples)
    number = session.next_number(moment.time_s)
    shown[number] = Frame(number, moment.time_s, moment.picture)
    return session.push(moment.picture, moment.samples, time_s=moment.time_s, number=number)
