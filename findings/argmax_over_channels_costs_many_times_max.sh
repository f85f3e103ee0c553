#!/usr/bin/env bash
# Packages: torch 2.14.1.
# Behaviour: labels are made of scores (1, C, H, W) by scores.argmax(dim=1). torch.max(dim=1) finds
#   the same index and the value besides, so one would expect argmax to cost no more. On CPUs it costs
#   many times as much where the classes are not the last dimension, as they never are in
#   segmentation: its kernel goes from class to class at each place, while that of max goes through
#   whole maps. scores.max(dim=1).indices gives the same labels, the first of equals included. With
#   two classes, at the size of a small video, argmax alone took longer than the network before it.
# Seen: 2 classes, 360 x 640, one thread: argmax(dim=1) 25 to 215 ms, max(dim=1) 2 to 3 ms; with the
#   classes as the last dimension argmax takes 2 to 3 ms too. With 21 classes argmax takes 3 times as
#   long as max.
# Source: run on 2026-11-29, CPU with AVX2; the smallest of nine timings each, in turns.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet torch==2.14.1 numpy
cd "$folder"
"$python" - <<'PYTHON'
import time

import torch

torch.set_num_threads(1)
scores = torch.randn(1, 2, 360, 640, generator=torch.Generator().manual_seed(0)).round(decimals=1)
last = scores.permute(0, 2, 3, 1).contiguous()
ways = {
    "argmax(dim=1)": lambda: scores.argmax(dim=1),
    "max(dim=1)": lambda: scores.max(dim=1).indices,
    "argmax(dim=-1)": lambda: last.argmax(dim=-1),
}
fastest = dict.fromkeys(ways, float("inf"))
for _ in range(9):
    for name, way in ways.items():
        began = time.perf_counter()
        way()
        fastest[name] = min(fastest[name], 1000 * (time.perf_counter() - began))
print({name: f"{ms:.1f} ms" for name, ms in fastest.items()})
labels = [way() for way in ways.values()]
assert torch.equal(labels[0], labels[1])  # ties, of which rounding makes many, included
assert torch.equal(labels[0], labels[2])
ratio = fastest["argmax(dim=1)"] / fastest["max(dim=1)"]
print(f"argmax takes {ratio:.1f} times as long as max")
assert ratio > 3, ratio
PYTHON
