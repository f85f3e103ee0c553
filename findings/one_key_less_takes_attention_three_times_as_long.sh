#!/usr/bin/env bash
# Packages: torch 2.14.1.
# Behaviour: in cross-attention from a map to few tokens (words, moments of a sound) one would expect
#   the time of torch.nn.functional.scaled_dot_product_attention to grow with the keys, or to hang on
#   the map alone. On CPUs it is set by how many keys are left of a multiple of the vector's width:
#   the fused kernel takes the exponentials of these one by one. So 31 keys take three times as long
#   as 32, and longer than 64; 15 take four times as long as 16. The same attention as two matrix
#   products and a softmax along the queries, with the keys first, has no such steps: of few keys it
#   is quicker by half or more wherever some are left over.
# Seen: 8 heads of width 16, 6000 queries, one thread: 15 keys 8.9 ms, 16 keys 2.5; 31 keys 9.2, 32
#   keys 3.1; 63 keys 10.3, 64 keys 4.9. By products: 2.3, 2.0, 4.7, 4.2 ms for 15, 16, 31, 32.
# Source: run on 2026-11-30, CPU with AVX-512; the smallest of fifteen timings each, in turns.
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
from torch.nn.functional import scaled_dot_product_attention

torch.set_num_threads(1)
torch.manual_seed(0)
query = torch.randn(1, 8, 6000, 16)
pairs = {n: (torch.randn(1, 8, n, 16), torch.randn(1, 8, n, 16)) for n in (15, 16, 31, 32, 63, 64)}


def by_products(key, value):
    scores = (key / 4) @ query.transpose(-1, -2)
    return scores.softmax(-2).transpose(-1, -2) @ value


fastest = {}
for _ in range(15):
    for count, (key, value) in pairs.items():
        for name, way in (
            ("fused", lambda: scaled_dot_product_attention(query, key, value)),
            ("products", lambda: by_products(key, value)),
        ):
            began = time.perf_counter()
            way()
            took = 1000 * (time.perf_counter() - began)
            fastest[name, count] = min(took, fastest.get((name, count), took))
for count, pair in pairs.items():
    torch.testing.assert_close(
        by_products(*pair), scaled_dot_product_attention(query, *pair), rtol=1e-4, atol=1e-5
    )
    print(f"{count} keys: fused {fastest['fused', count]:.1f} ms, "
          f"products {fastest['products', count]:.1f} ms")
for fewer, more in ((15, 16), (31, 32), (63, 64)):
    ratio = fastest["fused", fewer] / fastest["fused", more]
    print(f"{fewer} keys take {ratio:.1f} times as long as {more}")
    assert ratio > 1.5, ratio
assert fastest["fused", 31] > fastest["fused", 64]
assert fastest["products", 31] < fastest["fused", 31]
PYTHON
