#!/usr/bin/env bash
# Packages: torch 2.14.1.
# Behaviour: what is added to a trained network often begins at exactly 0 (zero-initialised
#   projections) and may be meant to act to one side only. x.clamp(min=0), x.clamp(min=tensor(0.)) and
#   torch.maximum(x, zeros) have the same values, and one would take them for one function. At the
#   bound they are not: with a number no gradient comes through, as with relu, relu6 and hardtanh;
#   with a tensor, as with maximum, half of it does. So a one-sided branch that begins at zero never
#   learns behind clamp with a number, without any error, and does behind the other two.
# Seen: gradients at x = 0: clamp(min=0) 0, clamp_min(0) 0, relu 0, clamp(min=tensor) 0.5, maximum
#   0.5. A linear layer of zeros, after 200 steps towards a target of ones: 0 still behind the first
#   three, within 0.01 of the target behind the other two.
# Source: run on 2026-11-30, CPU.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet torch==2.14.1 numpy
cd "$folder"
"$python" - <<'PYTHON'
import torch

torch.manual_seed(0)
inputs = torch.randn(64, 8)
inputs[:, 0] = 1
ways = {
    "clamp(min=0)": lambda x: x.clamp(min=0),
    "clamp_min(0)": lambda x: x.clamp_min(0),
    "relu": torch.relu,
    "clamp(min=tensor)": lambda x: x.clamp(min=torch.tensor(0.0)),
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
}
values = torch.linspace(-1, 1, 21)
seen = {}
for name, way in ways.items():
    assert torch.equal(way(values), torch.relu(values)), name
    x = torch.zeros(1, requires_grad=True)
    way(x).sum().backward()
    layer = torch.nn.Linear(8, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.03)
    for _ in range(200):
        optimizer.zero_grad()
        (way(layer(inputs)) - 1).square().mean().backward()
        optimizer.step()
    seen[name] = (x.grad.item(), way(layer(inputs)).mean().item())
    print(f"{name}: gradient at the bound {seen[name][0]}, mean after training {seen[name][1]:.3f}")
for name in ("clamp(min=0)", "clamp_min(0)", "relu"):
    assert seen[name] == (0.0, 0.0), seen[name]
for name in ("clamp(min=tensor)", "maximum"):
    assert seen[name][0] == 0.5, seen[name]
    assert abs(seen[name][1] - 1) < 0.01, seen[name]
PYTHON
