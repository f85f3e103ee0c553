#!/usr/bin/env bash
# Packages: torch 2.14.1.
# Behaviour: scaled_dot_product_attention takes values of another width than queries and keys; its help
#   names no price. One would expect narrower values to cost less. On CPUs the fused kernel takes one
#   width for all three only: otherwise the maths is done in steps, silently, with the whole matrix of
#   queries by keys in memory. Narrow values padded with zeros to the keys' width, and the result cut,
#   give the same numbers several times quicker, though more is multiplied; for wide values queries
#   and keys can be padded (with scale, which would follow their width). The reason is told only
#   where all other kernels are forbidden.
# Seen: 2 heads, 4096 places, keys of 32, values of 4: _scaled_dot_product_attention_math, a softmax of
#   128 MiB (the values have 128 KiB), 4.6 to 5.3 times as long as padded to 32, which takes
#   _scaled_dot_product_flash_attention_for_cpu and no softmax; equal to 6e-7. Values of 64: 3.4 to
#   3.8 times. Not always: one head, 1200 places, keys of 256, values of 39 gained no time by padding.
# Source: run on 2026-11-30, CPU with AVX2, one thread; operators and memory from torch.profiler.
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
from torch.nn.functional import pad
from torch.nn.functional import scaled_dot_product_attention as attend
from torch.profiler import ProfilerActivity, profile

FUSED = "aten::_scaled_dot_product_flash_attention_for_cpu"
MATHS = "aten::_scaled_dot_product_attention_math"
HEADS, PLACES, WIDTH = 2, 4096, 32
torch.set_num_threads(1)
torch.manual_seed(0)
queries, keys = both = torch.randn(2, 1, HEADS, PLACES, WIDTH)
narrow, wide = torch.randn(1, HEADS, PLACES, 4), torch.randn(1, HEADS, PLACES, 64)
ways = {
    "narrow": lambda: attend(queries, keys, narrow),
    "narrow, padded": lambda: attend(queries, keys, pad(narrow, (0, 28)))[..., :4],
    "wide": lambda: attend(queries, keys, wide),
    "wide, padded": lambda: attend(*pad(both, (0, 32)), wide, scale=WIDTH**-0.5),
}
for name, way in ways.items():
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        way()
    memory = {event.key: event.self_cpu_memory_usage for event in profiled.key_averages()}
    taken, softmax = (FUSED in memory, MATHS in memory), memory.get("aten::_softmax", 0)
    print(f"{name}: fused, maths {taken}, softmax {softmax >> 20} MiB")
    fused = name.endswith("padded")
    assert taken == (fused, not fused), sorted(memory)
    assert softmax == (0 if fused else 4 * HEADS * PLACES**2), softmax

fastest = dict.fromkeys(ways, float("inf"))
for _ in range(4):
    for name, way in ways.items():
        began = time.process_time()
        way()
        fastest[name] = min(fastest[name], 1000 * (time.process_time() - began))
print({name: f"{ms:.0f} ms" for name, ms in fastest.items()})
for name in ("narrow", "wide"):
    ratio = fastest[name] / fastest[f"{name}, padded"]
    apart = (ways[name]() - ways[f"{name}, padded"]()).abs().max().item()
    print(f"{name}: {ratio:.1f} times as long as padded, {apart:.0e} apart")
    assert ratio > 1.7, ratio
    assert apart < 1e-5, apart
PYTHON
