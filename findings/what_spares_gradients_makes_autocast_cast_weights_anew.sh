#!/usr/bin/env bash
# Packages: torch 2.14.1.
# Behaviour: under torch.autocast a layer that is called again and again, as those of a network that
#   goes from frame to frame, has its weights cast to half precision once: autocast keeps them until
#   its context ends. That holds only where gradients could be wanted of the weights. Frozen ones
#   (requires_grad_(False)), and any within torch.inference_mode, are cast anew in each call, though
#   both are what one does for inference, to have less work. torch.no_grad with weights that are not
#   frozen is what keeps them; nothing that comes out differs.
# Seen: casts of the weights in 10 calls of a linear layer in one autocast context on the CPU. Not
#   frozen: 1 with gradients, 1 in no_grad, 10 in inference_mode. Frozen: 10 in each of the three.
# Source: counted with torch's profiler on 2026-12-01.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet torch==2.14.1 numpy
cd "$folder"
"$python" - <<'PYTHON'
import torch
from torch.profiler import ProfilerActivity, profile

CALLS = 10


def outputs_and_casts(mode, frozen):
    torch.manual_seed(0)
    layer = torch.nn.Linear(256, 256, bias=False).requires_grad_(not frozen)
    x = torch.randn(4, 256).bfloat16()  # is what autocast wants: only weights are left to cast
    with mode(), torch.autocast("cpu", torch.bfloat16):
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            for _ in range(CALLS):
                y = layer(x)
    return y.detach(), sum(e.count for e in seen.key_averages() if e.key == "aten::_to_copy")


modes = (torch.enable_grad, torch.no_grad, torch.inference_mode)
runs = {(m.__name__, frozen): outputs_and_casts(m, frozen) for m in modes for frozen in (False, True)}
for (mode, frozen), (_, casts) in runs.items():
    print(f"{mode}, {'frozen' if frozen else 'not frozen'}: {casts} casts in {CALLS} calls")
first = runs["enable_grad", False][0]
assert all(torch.equal(first, y) for y, _ in runs.values())
kept = {("enable_grad", False), ("no_grad", False)}
for key, (_, casts) in runs.items():
    assert casts == (1 if key in kept else CALLS), (key, casts)
PYTHON
