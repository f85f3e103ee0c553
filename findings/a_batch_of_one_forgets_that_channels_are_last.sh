#!/usr/bin/env bash
# Packages: torch 2.14.1.
# Behaviour: tokens (B, H * W, C) of a transformer are made a map by transpose(1, 2).reshape(B, C, H, W),
#   a view with the channels last in memory, and is_contiguous(memory_format=channels_last) is True.
#   With two pictures convolutions keep it. With one, the commonest batch in use, the view's stride of
#   the batch, which addresses nothing, is C in place of H * W * C; operators go by the strides, and
#   convolution, group norm, pooling and resizing of that map give channels first.
#   contiguous(memory_format=channels_last), the remedy one would try, returns the same tensor, as it
#   is contiguous already; to(memory_format=channels_last) does set the strides, as does making the
#   map by unflatten(1, (H, W)).permute(0, 3, 1, 2), which is the same memory and no copy.
# Seen: 64 channels, 48 x 64: strides (64, 1, 4096, 64) against (196608, 1, 4096, 64); from the first,
#   bilinear resizing takes 16 to 21 times as long, mean pooling 12 to 15, group norm and depthwise
#   convolution 2.4 to 3.7; values are the same. Batch norm, ReLU and a convolution whose own weights
#   are channels last give channels last from both. Tests with batches of two do not show it.
# Source: run on 2026-11-30 on a CPU, one thread. The strides are known since 2021 (pytorch issue 68430,
#   open in the copy read, and 78611); that contiguous() and to() differ, the memory format tutorial
#   says only of one channel or one place (as pytorch pull request 96791 quotes it).
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
from torch import nn

torch.set_num_threads(1)
torch.set_grad_enabled(False)
LAST = torch.channels_last
C, H, W = 64, 48, 64
operators = {
    "convolution": nn.Conv2d(C, C, 3, padding=1),
    "depthwise convolution": nn.Conv2d(C, C, 3, padding=1, groups=C),
    "group norm": nn.GroupNorm(8, C),
    "mean pooling": nn.AvgPool2d(2),
    "bilinear resizing": nn.Upsample(scale_factor=4, mode="bilinear"),
}
for batch in (2, 1):
    tokens = torch.randn(batch, H * W, C)
    reshaped = tokens.transpose(1, 2).reshape(batch, C, H, W)
    permuted = tokens.unflatten(1, (H, W)).permute(0, 3, 1, 2)
    print(f"batch of {batch}: {reshaped.stride()}, permuted {permuted.stride()}")
    assert reshaped.data_ptr() == permuted.data_ptr()
    assert reshaped.is_contiguous(memory_format=LAST)
    assert reshaped.contiguous(memory_format=LAST) is reshaped
    assert reshaped.to(memory_format=LAST).stride() == permuted.stride()
    for name, operator in operators.items():
        outputs = operator(reshaped), operator(permuted)
        assert outputs[1].is_contiguous(memory_format=LAST), (batch, name)
        assert outputs[0].is_contiguous() == (batch == 1), (batch, name)
        assert torch.allclose(*outputs, atol=1e-4), name
for operator in (nn.BatchNorm2d(C).eval(), nn.ReLU(), nn.Conv2d(C, C, 3).to(memory_format=LAST)):
    assert operator(reshaped).stride() == operator(permuted).stride(), operator

for name, operator in operators.items():
    fastest = [float("inf")] * 2
    for _ in range(7):
        for index, grid in enumerate((reshaped, permuted)):
            began = time.process_time()
            operator(grid)
            fastest[index] = min(fastest[index], time.process_time() - began)
    ratio = fastest[0] / fastest[1]
    print(f"{name} of one: channels first, {ratio:.1f} times as long")
assert ratio > 2, ratio  # resizing, the last
PYTHON
