"""Sound in memory, in the forms in which people bring it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coprop.errors import AudioError
from coprop.utils.checks import as_number, shown
from coprop.utils.paths import is_opened, is_path
from coprop.values.audio import Audio, AudioTrack

GivenSound = AudioTrack | tuple[Any, int] | Mapping[str, Any]
"""An `Audio` or another track; ``(waveform, sample_rate)``; or ``{"array": waveform,
"sampling_rate": rate}``, as the items of audio data sets are. Waveforms are what
`Audio.from_array` takes."""

_TRACK = ("sample_rate", "num_samples", "duration_s", "read", "resampled")


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
    if is_opened(sound):
        return f"{said}, or a path; got {shown(sound)}, an opened file or its bytes: give its path."
    return (
        f"{said}, got {shown(sound)}; Audio.from_array(samples, sample_rate) makes one from an "
        "array."
    )
