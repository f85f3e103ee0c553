"""Masks one by one, for video that is too long to keep or frames that come from elsewhere.

python examples/stream.py [VIDEO]
"""

import sys

import numpy as np

from coprop import CoProp
from coprop.media.reader import VideoFile


def main(path: str = "examples/clip.mp4") -> None:
    video = VideoFile(path)
    pictures = (frame.image for frame in video)  # any iterator of (H, W, 3) uint8 pictures

    pipeline = CoProp.from_pretrained()
    seconds_of_sound = 0.0
    for mask in pipeline.stream(pictures, audio=path, fps=video.frame_rate):
        sounding = 1 - mask.probabilities[0]  # soft mask of all that sounds, (H, W) in [0, 1]
        mark = "keyframe" if mask.is_keyframe else ""
        print(f"{mask.time_s:7.2f} s  {mask.area:6.1%}  up to {sounding.max():.2f}  {mark}")
        seconds_of_sound += float(np.any(mask.labels)) / float(video.frame_rate)
    print(f"something visible sounds for {seconds_of_sound:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
