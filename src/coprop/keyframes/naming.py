"""Names for what is heard: of a segment with probabilities, or of control points in words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from coprop.context import AudioWindows
from coprop.encoders.yamnet import YAMNet, class_names
from coprop.errors import CoPropError, ModelOutputError
from coprop.keyframes.audio import classes_heard
from coprop.keyframes.vocabulary import shares
from coprop.silence import is_silent, quiet_blocks
from coprop.types import AudioTrack, ControlPoints, Segment
from coprop.utils.checks import check_function, shown
from coprop.values.categories import Category, as_categories
from coprop.values.given_sound import GivenSound, as_track

_LEAST = 0.1  # probability of what is named at all
_MOST = 3  # names
_NAMER = "a function of the sound and a segment of it that returns a tuple of Category"


class SoundNamer(Protocol):
    """What fills the naming slot: any function of a track and a segment of it."""

    def __call__(self, audio: AudioTrack, segment: Segment, /) -> tuple[Category, ...]:
        """What sounds in the segment, the best name first; empty where nothing can be named.

        Args:
            audio: the clip's sound.
            segment: where the same things sound, without silence; of a longer one, the 10 s around
                its first frame.
        """
        ...


@dataclass(frozen=True)
class AudioSetNamer:
    """Names what YAMNet hears in a segment's own sound, or in the 10 s in its middle.

    There are at most three names, of classes that are heard with a probability of 0.1 or more, the
    most probable first. Classes that say little ("Animal", "Music", "Inside, small room"), which
    are more probable than what they stand for, come after all others, and families of things
    ("Percussion", "Vehicle") after what is heard with a third of their probability.

    YAMNet is loaded, from inside the package, when it is first called, once for the process; it
    runs on the CPU. Threads may share a namer.
    """

    def __call__(self, audio: GivenSound, segment: Segment, /) -> tuple[Category, ...]:
        audio = as_track(audio)
        last_s = max(min(segment.end_s, audio.duration_s), segment.start_s)
        windows = AudioWindows(audio, YAMNet.sample_rate, YAMNet.window_s)
        sound = windows.whole((segment.start_s + last_s) / 2, replace(segment, end_s=last_s))
        with torch.no_grad():
            return names_of(classes_heard(_yamnet(), sound)[0])


AUDIOSET = AudioSetNamer()
"""The default."""


def names_of(classes: Tensor) -> tuple[Category, ...]:
    """(521,) probabilities of AudioSet's classes -> the names that `AudioSetNamer` gives."""
    heard = [
        Category(name, round(probability, 4))
        for name, probability in zip(class_names(), classes.tolist(), strict=True)
        if probability >= _LEAST
    ]
    heard.sort(key=lambda c: c.probability * shares().get(c.name, 1), reverse=True)
    return tuple(heard[:_MOST])


def name_sound(namer: SoundNamer | None, audio: AudioTrack, span: Segment) -> tuple[Category, ...]:
    """What sounds in a span of a track; nothing where nobody is asked.

    Raises:
        ModelOutputError: the namer returns anything but categories.
    """
    if namer is None:
        return ()
    given = namer(audio, span)
    try:
        return as_categories(given)
    except CoPropError as error:
        raise ModelOutputError(f"the namer returned something else: {error}") from error


def name_segment(
    points: ControlPoints, namer: SoundNamer | None, audio: AudioTrack, span: Segment
) -> tuple[Category, ...]:
    """What sounds in a segment, or in a part of it: the detector's own words, or else a namer's.

    Raises:
        ModelOutputError: the namer returns anything but categories.
    """
    own = points.named_at((span.start_s + span.end_s) / 2)
    return name_sound(namer, audio, span) if own is None else own


def naming(
    detector: Callable[[AudioTrack], ControlPoints], namer: SoundNamer = AUDIOSET
) -> Callable[[AudioTrack], ControlPoints]:
    """A detector that tells in words what sounds too: another's control points, named.

    Args:
        detector: finds the control points.
        namer: says what is heard from each to the next.

    Raises:
        CoPropError: one of them is no such function; from the detector that is returned, what
            `name_sounds` raises.
    """
    check_function("detector", detector, ("audio",), "a function of the sound")
    check_function("namer", namer, ("audio", "segment"), _NAMER)

    def detect(audio: AudioTrack) -> ControlPoints:
        return name_sounds(detector(audio), audio, namer)

    return detect


def name_sounds(
    points: ControlPoints, audio: GivenSound, namer: SoundNamer = AUDIOSET
) -> ControlPoints:
    """The control points with the `categories` of what is heard from each to the next, and their
    probabilities.

    What is silent, or begins after the track's end, has none.

    Args:
        points: where the sounds change.
        audio: the track.
        namer: says what is heard.

    Raises:
        CoPropError: no control points, or no such function.
        AudioError: no sound.
        ModelOutputError: the namer returns anything but categories.
    """
    if not isinstance(points, ControlPoints):
        raise CoPropError(f"points must be ControlPoints, got {shown(points)}.")
    check_function("namer", namer, ("audio", "segment"), _NAMER)
    audio = as_track(audio)
    quiet = quiet_blocks(audio)
    named: list[tuple[Category, ...]] = []
    for span in points.spans(audio.duration_s):
        named.append(() if is_silent(quiet, span) else name_sound(namer, audio, span))
    named += [()] * (int(points.flags.sum()) - len(named))
    return replace(
        points,
        categories=tuple(tuple(category.name for category in own) for own in named),
        probabilities=tuple(tuple(category.probability for category in own) for own in named),
    )


_loading = threading.Lock()
_loaded: list[YAMNet] = []


def _yamnet() -> YAMNet:
    """The process's only one."""
    with _loading:
        if not _loaded:
            _loaded.append(YAMNet.from_pretrained())
        return _loaded[0]
