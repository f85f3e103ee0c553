"""A control point detector of your own: a change wherever sound or silence begins.

python examples/own_detector.py [VIDEO]
"""

import sys

import numpy as np

from coprop import ControlPoints, CoProp
from coprop.types import AudioTrack

STEP_S = 0.1


def on_and_off(audio: AudioTrack) -> ControlPoints:
    """Control points where the sound sets in or stops.

    Args:
        audio: mono sound of any length, read piece by piece so that memory stays bounded.
    """
    step = round(STEP_S * audio.sample_rate)
    starts = range(0, max(audio.num_samples, 1), step)
    power = np.array([np.square(audio.read(start, start + step)).mean() for start in starts])
    heard = np.sqrt(power) > 0.01
    changes = heard[1:] != heard[:-1]
    flags = np.concatenate([[True], changes])  # the beginning is a control point
    scores = flags.astype(np.float64)
    return ControlPoints(np.arange(len(flags)) * STEP_S, scores, flags)


def main(video: str = "examples/clip.mp4") -> None:
    pipeline = CoProp.from_pretrained()
    pipeline.detector = on_and_off
    result = pipeline(video)
    print("changes at", [round(time, 2) for time in result.control_points.change_times_s], "s")


if __name__ == "__main__":
    main(*sys.argv[1:])
