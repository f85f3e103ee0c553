"""Records what the released networks make of the example clip, for the tests of their ports.

    pip install ai-edge-litert onnxruntime
    python -m tools.train_default.record_encoder_outputs SOURCES tests/golden/released_encoders.npz

SOURCES is the folder that `convert_encoders.py` reads. The released files run in their own
runtimes; of coprop only YAMNet's spectrogram is used. Images and sounds are stored beside the
outputs, so that the tests depend on no decoder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import av
import numpy as np
import onnxruntime
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from PIL import Image

from coprop.encoders.yamnet import YAMNet
from tools.train_default.convert_encoders import read

CLIP = Path(__file__).parents[2] / "examples" / "clip.mp4"
SOUNDS_S = (0.6, 1.9, 3.9, 5.1, 6.5)
PICTURE_S = 6.0
WINDOW = 15_600


def sound() -> NDArray[np.int16]:
    """The clip's sound, mono at 16 kHz."""
    resampler = av.AudioResampler("s16", "mono", 16_000)
    with av.open(str(CLIP)) as container:
        frames = [out for each in container.decode(audio=0) for out in resampler.resample(each)]
    return np.concatenate([each.to_ndarray()[0] for each in frames])


def picture() -> Image.Image:
    """The clip's frame at `PICTURE_S`."""
    with av.open(str(CLIP)) as container:
        for frame in container.decode(video=0):
            if frame.time >= PICTURE_S:
                image: Image.Image = frame.to_image()
                return image
    raise SystemExit(f"{CLIP} has no frame at {PICTURE_S} s.")


def run(content: bytes, inputs: NDArray[np.generic]) -> NDArray[np.generic]:
    """What TensorFlow Lite makes of one input."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()

    samples = sound()
    samples = np.stack([samples[(at := round(s * 16_000)) : at + WINDOW] for s in SOUNDS_S])
    log_mel = YAMNet().log_mel(torch.from_numpy(samples / np.float32(32_768))).numpy()
    yamnet = read(arguments.sources, "yamnet_spectra_in.tflite")
    scores = np.concatenate([run(yamnet, each[None]) for each in log_mel])

    large = np.asarray(picture().resize((513, 513), Image.Resampling.BILINEAR))
    deeplab = read(arguments.sources, "deeplabv3_mnv2_pascal_quant.tflite")
    labels = run(deeplab, large[None])[0].astype(np.uint8)

    small = np.asarray(picture().resize((320, 320), Image.Resampling.BILINEAR))
    pixels = small / np.float32(small.max())
    mean, spread = np.array([(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)], dtype=np.float32)
    pixels = (pixels - mean) / spread
    session = onnxruntime.InferenceSession(read(arguments.sources, "u2netp.onnx"))
    saliency = session.run(None, {"input.1": pixels.transpose(2, 0, 1)[None]})[0][0, 0]

    np.savez_compressed(
        arguments.out,
        yamnet_samples=samples,
        yamnet_scores=scores,
        deeplab_image=large,
        deeplab_labels=labels,
        u2net_image=small,
        u2net_saliency=saliency.astype(np.float16),
    )


if __name__ == "__main__":
    main()
