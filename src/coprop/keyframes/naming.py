"""What is heard in a track, in words, by the default's hearing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from coprop.keyframes.grounded import GroundedNetwork
from coprop.loudness import is_silent, quiet_blocks
from coprop.sounds import GivenSound, as_track
from coprop.types import AudioTrack, ControlPoints
from coprop.windows import AudioWindows


def naming(
    detector: Callable[[AudioTrack], ControlPoints], network: GroundedNetwork
) -> Callable[[AudioTrack], ControlPoints]:
    """A detector that tells in words what sounds too: another's control points, named.

    Args:
        detector: finds the control points.
        network: what hears, see `name_sounds`.
    """

    def detect(audio: AudioTrack) -> ControlPoints:
        return name_sounds(detector(audio), audio, network)

    return detect


@torch.no_grad()
def name_sounds(
    points: ControlPoints, audio: GivenSound, network: GroundedNetwork
) -> ControlPoints:
    """The control points with the `categories` of what sounds between them.

    Of each span that is not silent it names the group that most probably sounds in its middle.

    Args:
        points: where the sounds change.
        audio: the track.
        network: what hears; a `KeyframeSegmenter`'s network of the architecture "grounded".
    """
    audio = as_track(audio)
    windows = AudioWindows(audio, network.sample_rate, network.window_s)
    quiet = quiet_blocks(audio)
    device = next(network.parameters()).device
    names: dict[str, None] = {}
    for span in points.spans(audio.duration_s):
        if not is_silent(quiet, span):
            sound = windows.within((span.start_s + span.end_s) / 2, span)
            heard = network.hear(sound.to(device))
            names[network.groups[int(heard.argmax())]] = None
    return replace(points, categories=tuple(names))
