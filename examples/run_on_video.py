"""Masks of what sounds in a video, with the model that comes inside the package.

python examples/run_on_video.py [VIDEO] [FOLDER]
"""

import sys

from coprop import CoProp


def main(video: str = "examples/clip.mp4", folder: str = "out") -> None:
    pipeline = CoProp.from_pretrained()
    result = pipeline(video)

    for segment in result.segments:
        inside = [m for m in result.masks if segment.start_s <= m.time_s < segment.end_s]
        area = sum(mask.area for mask in inside) / max(len(inside), 1)
        names = ", ".join(f"{c.name} {c.probability:.2f}" for c in segment.categories)
        print(f"{segment.start_s:6.2f} to {segment.end_s:6.2f} s: {area:6.1%} is masked  {names}")

    print("labels:", result.labels.shape, result.labels.dtype)  # (T, H, W) uint8
    result.save(folder, force=True)  # masks/, overlay.mp4, timeline.png, result.json


if __name__ == "__main__":
    main(*sys.argv[1:])
