#!/usr/bin/env bash
# Packages: av 18.1.0 (with its own FFmpeg libraries), numpy 2.3.4.
# Behaviour: to write a cut-out as VP9 or ProRes with alpha, RGBA frames are reformatted to yuva420p or
#   yuva444p. Alpha is no colour: it has 8 bits before and after, and the plane is as large as the
#   frame, so one would expect it to be copied. swscale computes it anew with the colours, and about a
#   tenth of the soft values come out one too low or too high, in all subsamplings alike; 0 and 255
#   stay. A cut-out that is to be as soft as its mask to the bit has to be built plane by plane.
# Seen: a disc with a soft edge, 90 x 130: 1256 of 11700 values of alpha differ by 1 in yuva420p,
#   yuva422p and yuva444p; with the same disc in 0 and 255 none differs.
# Source: run on 2026-11-29; VideoFrame.reformat of PyAV, sws_scale of libswscale behind it.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet av==18.1.0 numpy==2.3.4
cd "$folder"
"$python" - <<'PYTHON'
import av
import numpy as np

height, width = 90, 130
y, x = np.mgrid[:height, :width]
distance = np.hypot(y - height / 2, x - width / 2)
soft = np.clip(255 * (1.2 - distance / (height / 3)), 0, 255).astype(np.uint8)
hard = np.where(soft > 127, 255, 0).astype(np.uint8)
colours = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def changed(alpha: np.ndarray, layout: str) -> tuple[int, int]:
    frame = av.VideoFrame.from_ndarray(np.dstack([colours, alpha]), format="rgba")
    plane = frame.reformat(format=layout).planes[3]
    after = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, -1)[:height, :width]
    difference = np.abs(after.astype(int) - alpha)
    return int(np.count_nonzero(difference)), int(difference.max())


for layout in ("yuva420p", "yuva422p", "yuva444p"):
    count, most = changed(soft, layout)
    print(f"{layout}: {count} of {soft.size} values of a soft alpha differ, by {most} at most")
    assert count > soft.size // 50, count
    assert most == 1, most
    assert changed(hard, layout) == (0, 0)
PYTHON
