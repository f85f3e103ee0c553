#!/usr/bin/env bash
# Packages: timm 1.0.31, torchvision 0.29.1, torch 2.14.1.
# Behaviour: a program that only wants a small network from timm, in eager mode, loads torch's compiler
#   and sympy with it. timm's layers import torchvision's feature extraction, whatever network is asked
#   for; that package imports all of its models and operators, and one operator (RoI align) imports
#   torch._dynamo.utils at its head, to compile itself lazily "to avoid importing dynamo eagerly".
#   With the compiler come torch.distributed's tensors, fully sharded training and symbolic shapes. A
#   command that builds one EfficientNet of 5 million weights starts in more than twice the time that
#   torch itself needs, before a weight is read.
# Seen: "import torch" leaves torch._dynamo, sympy and torch.distributed.fsdp unloaded; "import timm"
#   after it loads all three, some 1,500 modules more, and takes 1.1 to 1.6 times torch's own
#   processor time again (3 s where torch takes 2.5). The network alone, written out in torch, none.
# Source: run on 2026-11-29 on a CPU; torchvision/ops/roi_align.py and timm/layers/_fx.py read there.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet timm==1.0.31 torchvision==0.29.1 torch==2.14.1 numpy
cd "$folder"
"$python" -c "import torch, timm"  # bytecode is compiled now
"$python" - <<'PYTHON'
import sys
import time

COMPILER = {"torch._dynamo", "sympy", "torch.distributed.fsdp"}

begun = time.process_time()
import torch

torch_s, torch_modules = time.process_time() - begun, len(sys.modules)
assert not COMPILER & set(sys.modules), COMPILER & set(sys.modules)

begun = time.process_time()
import timm

timm_s = time.process_time() - begun
more = len(sys.modules) - torch_modules
print(f"torch: {torch_s:.1f} s, {torch_modules} modules; timm: {timm_s:.1f} s, {more} modules more")
assert set(sys.modules) >= COMPILER, COMPILER - set(sys.modules)
assert more > 700, more
assert timm_s > 0.5 * torch_s, (timm_s, torch_s)
timm.create_model("tf_efficientnet_lite0", pretrained=False)  # what all that was loaded for
PYTHON
