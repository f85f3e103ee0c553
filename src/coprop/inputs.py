"""Paths and sound in memory, in the forms in which people bring them."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from coprop.checks import as_number, shown
from coprop.errors import AudioError, CoPropError
from coprop.types import Audio, AudioTrack

AnyPath = str | os.PathLike[str]
"""Where a file or a folder is."""

GivenSound = AudioTrack | tuple[Any, int] | Mapping[str, Any]
"""An `Audio` or another track; ``(waveform, sample_rate)``; or ``{"array": waveform,
"sampling_rate": rate}``, as the items of audio data sets are. Waveforms are what
`Audio.from_array` takes."""

_TRACK = ("sample_rate", "num_samples", "duration_s", "read", "resampled")


def is_path(value: object) -> TypeGuard[AnyPath]:
    """Whether it is text or a path object."""
    return isinstance(value, (str, os.PathLike))


def as_path(name: str, value: object, *, error: type[CoPropError] = CoPropError) -> Path:
    """A path, whatever it was given as.

    Args:
        name: of the argument, for the error.
        value: what was given.
        error: what is raised.

    Raises:
        CoPropError: it is no path, or one that no file can have.
    """
    text = os.fspath(value) if is_path(value) else None
    if not isinstance(text, str):
        raise error(f"{name} must be a path, as text or pathlib.Path, got {shown(value)}.")
    if not text:
        raise error(f"{name} is empty text, and no path; the current folder is '.'.")
    if "\0" in text:
        raise error(f"{name} is {text[:60]!r}, but no file can have a name with a NUL character.")
    try:
        os.lstat(text)
    except UnicodeEncodeError as fault:
        raise error(f"{name} is {text[:60]!r}, but no file can have such a name here.") from fault
    except OSError as fault:
        if fault.errno == errno.ENAMETOOLONG:
            raise error(f"{name} is longer than names of files can be: {text[:60]}...") from fault
    return Path(text)


def as_track(sound: object) -> AudioTrack:
    """A track, whatever it was given as.

    Raises:
        AudioError: it is no sound in memory.
    """
    if all(hasattr(sound, name) for name in _TRACK):
        return sound  # type: ignore[return-value]
    waveform_and_rate = _waveform_and_rate(sound)
    if waveform_and_rate is None:
        raise AudioError(_wanted(sound))
    waveform, rate = waveform_and_rate
    if as_number(waveform) is not None and as_number(rate) is None:
        raise AudioError("sound is (waveform, sample_rate), got the sample rate first; swap them.")
    return Audio.from_array(waveform, rate)


def _waveform_and_rate(sound: Any) -> tuple[Any, Any] | None:
    if isinstance(sound, (tuple, list)):
        return (sound[0], sound[1]) if len(sound) == 2 and not _all_numbers(sound) else None
    if is_path(sound) or not hasattr(sound, "__getitem__") or hasattr(sound, "dtype"):
        return None
    try:  # a dict, or a decoder that is indexed like one
        return sound["array"], sound["sampling_rate"]
    except (KeyError, TypeError, IndexError, ValueError):
        return None


def _all_numbers(values: Any) -> bool:
    return all(as_number(value) is not None for value in values)


def _wanted(sound: object) -> str:
    said = "sound is an Audio, (waveform, sample_rate), or a dict with array and sampling_rate"
    if is_path(sound):
        return (
            f"{said}; {shown(sound)} looks like a path: coprop.media.audio_file.AudioFile(path) "
            "opens a file as a track."
        )
    return (
        f"{said}, got {shown(sound)}; Audio.from_array(samples, sample_rate) makes one from an "
        "array."
    )
