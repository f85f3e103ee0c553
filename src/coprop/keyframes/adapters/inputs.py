"""Frames and sound in the forms in which networks of the field take them.

Networks are trained on images that some library resized. Libraries differ, mostly where they
shrink: Pillow averages over all pixels that fall into one, OpenCV looks at the nearest four.
"""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from coprop.encoders.audio import fit_window
from coprop.encoders.log_mel import EXAMPLE_SAMPLES, SAMPLE_RATE, vggish_examples
from coprop.encoders.vggish import VGGish
from coprop.encoders.visual import normalised
from coprop.errors import CoPropError
from coprop.utils.paths import AnyPath

Size: TypeAlias = tuple[int, int]
"""Height and width in pixels."""

Resize = Literal["opencv", "pillow", "pillow_bicubic", "torch", "torch_antialias"]
"""How frames get to a network's size.

- "opencv": ``cv2.resize(image, size)``, bilinear and not antialiased, of bytes: the scripts of
  AVSBench.
- "pillow": ``image.resize(size, BILINEAR)``, antialiased, of bytes: most loaders.
- "pillow_bicubic": ``image.resize(size, BICUBIC)``, antialiased, of bytes.
- "torch": ``interpolate(frames, size, mode="bilinear")``, not antialiased, of floats.
- "torch_antialias": the same with ``antialias=True``.
"""

EXAMPLE_S = EXAMPLE_SAMPLES / SAMPLE_RATE
"""Length of the sound behind one VGGish example, 0.975 s."""

VGGishSource: TypeAlias = VGGish | AnyPath
"""A `VGGish`, or the file of its weights."""

_PEAK = 255  # of a byte
_OPENCV_BITS = 11  # of OpenCV's fixed-point weights


def check_size(size: Size | None) -> None:
    """Raise CoPropError unless a height and a width in pixels, or None."""
    sides = size if isinstance(size, (tuple, list)) and len(size) == 2 else ()
    if size is None or (sides and all(type(side) is int and side >= 1 for side in sides)):
        return
    raise CoPropError(
        f"size must be a height and a width in pixels, such as (224, 224), got {size!r}."
    )


def size_in_words(size: Size | None) -> str:
    """As adapters tell theirs: "frames at 224 x 224"."""
    return f"frames at {size[0]} x {size[1]}" if size else "frames at their own size"


def preprocess(frames: Tensor, size: Size | None, how: Resize, *, normalise: bool = True) -> Tensor:
    """Frames in [0, 1] as networks take them: resized, and of ImageNet's mean 0 and deviation 1.

    Bytes are resized before they are normalised, floats after it, as loaders do.
    """
    if not normalise:
        return resize_frames(frames, size, how)
    if how in ("torch", "torch_antialias"):
        return resize_frames(normalised(frames), size, how)
    return normalised(resize_frames(frames, size, how))


def resize_frames(frames: Tensor, size: Size | None, how: Resize) -> Tensor:
    """(K, 3, H, W) float in [0, 1] -> (K, 3, *size) float. None, or their own size: as they are.

    Where ``how`` is of bytes, frames are rounded to these, and the result is one of 256 steps.

    Example:
        >>> resize_frames(torch.rand(2, 3, 90, 160), (32, 64), "pillow").shape
        torch.Size([2, 3, 32, 64])
    """
    if size is None or frames.shape[-2:] == size:
        return frames
    if how in ("torch", "torch_antialias"):
        smooth = how == "torch_antialias"
        return F.interpolate(frames, size, mode="bilinear", antialias=smooth, align_corners=False)
    # Integers of 32 bits hold every sum below, and there is no device that lacks them.
    pixels = (frames * _PEAK).round().clamp(0, _PEAK).int()
    pixels = _opencv(pixels, size) if how == "opencv" else _pillow(pixels, size, how)
    return pixels.to(frames) / _PEAK


def _pillow(pixels: Tensor, size: Size, how: Resize) -> Tensor:
    """Pillow's own ``resize``, on the CPU."""
    from PIL import Image  # not loaded with coprop

    kernel = Image.Resampling.BILINEAR if how == "pillow" else Image.Resampling.BICUBIC
    images = pixels.byte().permute(0, 2, 3, 1).cpu().numpy()
    small = [np.asarray(Image.fromarray(x).resize(size[::-1], kernel)) for x in images]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).contiguous()


def _opencv(pixels: Tensor, size: Size) -> Tensor:
    """OpenCV's ``resize`` with INTER_LINEAR."""
    height, width = pixels.shape[-2:]
    if (height, width) == (2 * size[0], 2 * size[1]):  # it takes the mean of each four then
        four = pixels[..., ::2, ::2] + pixels[..., 1::2, ::2]
        return (four + pixels[..., ::2, 1::2] + pixels[..., 1::2, 1::2] + 2) >> 2
    left, right = _neighbours(pixels, -1, size[1], clamp_weights=True)
    rows = (left + right) >> 4  # 8 bits and 11 of the weights -> 15
    upper, lower = _neighbours(rows, -2, size[0], clamp_weights=False)
    return (((upper >> 16) + (lower >> 16) + 2) >> 2).clamp(0, _PEAK)


def _neighbours(
    pixels: Tensor, axis: int, length: int, *, clamp_weights: bool
) -> tuple[Tensor, Tensor]:
    """For each of ``length`` places along an axis its two neighbours, times their weights."""
    old = pixels.shape[axis]
    # Single precision, as there; the scale alone is of double precision.
    places = torch.arange(length, dtype=torch.float64, device="cpu")
    place = ((places + 0.5) * (old / length) - 0.5).float()
    first = place.floor()
    share = place - first
    if clamp_weights:
        share = torch.where((first < 0) | (first >= old - 1), 0.0, share)
    shape = [-1, *[1] * (-1 - axis)]

    def weighted(taps: Tensor, weights: Tensor) -> Tensor:
        chosen = pixels.index_select(axis, taps.long().clamp(0, old - 1).to(pixels.device))
        return chosen * (weights * (1 << _OPENCV_BITS)).round().int().to(pixels.device).view(shape)

    return weighted(first, 1 - share), weighted(first + 1, share)


def log_mel_examples(audio: Tensor) -> Tensor:
    """(K, n) samples at 16 kHz -> (K, 1, 96, 64): one VGGish example each, from their middle.

    Samples below 0.975 s are followed by zeros.

    Example:
        >>> log_mel_examples(torch.zeros(2, 16_000)).shape
        torch.Size([2, 1, 96, 64])
    """
    return vggish_examples(fit_window(audio, EXAMPLE_SAMPLES))


def vggish_of(source: VGGishSource | None, needed_by: str) -> VGGish:
    """The VGGish that a network needs beside it.

    Args:
        source: the encoder, or the file of its weights.
        needed_by: how it is to be given, as an example for the message.

    Raises:
        CoPropError: None, or one built without embeddings.
        CheckpointError: a file that is not VGGish's.
    """
    if source is None:
        raise CoPropError(
            "this model takes VGGish embeddings, and VGGish is not part of it; give the encoder or "
            f"the file of its weights, as in {needed_by}."
        )
    encoder = source if isinstance(source, VGGish) else VGGish.from_checkpoint(source)
    if encoder.embeddings is None:
        raise CoPropError("this VGGish has tokens only; build it with embeddings=True.")
    return encoder


def embeddings(encoder: VGGish, audio: Tensor) -> Tensor:
    """(K, n) samples at 16 kHz -> (K, 128) VGGish embeddings, on the samples' device."""
    device = next(encoder.parameters()).device
    with torch.no_grad():
        return encoder.embedding(audio.to(device)).to(audio.device)


@contextmanager
def wav_files(audio: Tensor, sample_rate: int) -> Iterator[list[str]]:
    """(K, n) samples in [-1, 1] as K mono wav files of 16 bits, there inside the context only.

    Example:
        >>> with wav_files(torch.zeros(2, 160), 16_000) as paths:
        ...     [Path(path).name for path in paths]
        ['0.wav', '1.wav']
    """
    scaled = (audio.detach().float().cpu() * 32_768).round().clamp(-32_768, 32_767)
    # What reads them may still have one open, which Windows does not remove.
    with tempfile.TemporaryDirectory(prefix="coprop-", ignore_cleanup_errors=True) as folder:
        paths = [str(Path(folder) / f"{k}.wav") for k in range(len(scaled))]
        for path, samples in zip(paths, scaled.numpy().astype("<i2"), strict=True):
            with wave.open(path, "wb") as file:
                file.setparams((1, 2, sample_rate, 0, "NONE", ""))
                file.writeframes(samples.tobytes())
        yield paths
