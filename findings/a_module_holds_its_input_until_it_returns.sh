#!/usr/bin/env bash
# Packages: torch 2.14.1, with Python 3.11 or later.
# Behaviour: forward(self, x) that goes on with x = self.first(x) lets go of its input after the
#   first layer, as it reads; and so it is where forward, or any function, is called by itself. As
#   module(x) it is not: what calls forward keeps the arguments until forward has returned. So the
#   largest map of a U-shaped network, two maps joined, stays in memory throughout the stage that
#   it enters, though its first layer alone needs it, also without gradients. To call the first
#   layer before the stage, on the joined maps, is what frees them.
# Seen: a temporary of 16 MiB, asked for by a weak reference after forward's first layer. Called as
#   a function: gone. module.forward: gone. module(): there, also in inference_mode, and so in
#   nn.Sequential. First layer outside of the module: gone.
# Source: tried on 2026-12-01.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet torch==2.14.1 numpy
cd "$folder"
"$python" - <<'PYTHON'
import sys
import weakref

import torch
from torch import nn

assert sys.version_info >= (3, 11), "before 3.11 the caller of any function holds what it gives"
alive, given = [], []


def joined():
    x = torch.cat([torch.zeros(1, 8, 512, 512)] * 2, 1)
    given.append(weakref.ref(x))
    return x


class Asks(nn.Module):
    def forward(self, x):
        alive.append(given[-1]() is not None)
        return x


class Stage(nn.Module):
    def __init__(self, first):
        super().__init__()
        self.first, self.then = first, Asks()

    def forward(self, x):
        x = self.first(x)
        return self.then(x)


def function(x):
    x = first(x)
    return Asks()(x)


first = nn.Conv2d(16, 4, 1)
stage, chain = Stage(first), nn.Sequential(first, Asks())
with torch.inference_mode():
    calls = {
        "function": lambda: function(joined()),
        "module.forward": lambda: stage.forward(joined()),
        "module()": lambda: stage(joined()),
        "nn.Sequential": lambda: chain(joined()),
        "first layer outside": lambda: stage.then(first(joined())),
    }
    outputs = {name: call() for name, call in calls.items()}
for name, there in zip(calls, alive, strict=True):
    print(f"{name}: the input is {'there' if there else 'gone'} after the first layer")
assert all(torch.equal(outputs["function"], y) for y in outputs.values())
assert dict(zip(calls, alive, strict=True)) == {
    "function": False,
    "module.forward": False,
    "module()": True,
    "nn.Sequential": True,
    "first layer outside": False,
}
PYTHON
