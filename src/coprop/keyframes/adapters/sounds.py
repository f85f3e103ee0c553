"""Sound as networks of the field take it: log-mel examples, VGGish embeddings, files."""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from coprop.encoders.audio import fit_window
from coprop.encoders.log_mel import EXAMPLE_SAMPLES, SAMPLE_RATE, vggish_examples
from coprop.encoders.vggish import VGGish
from coprop.errors import CoPropError
from coprop.paths import AnyPath

EXAMPLE_S = EXAMPLE_SAMPLES / SAMPLE_RATE
"""Length of the sound behind one VGGish example, 0.975 s."""

VGGishSource: TypeAlias = VGGish | AnyPath
"""A `VGGish`, or the file of its weights."""


def log_mel_examples(audio: Tensor) -> Tensor:
    """(K, n) samples at 16 kHz -> (K, 1, 96, 64): one VGGish example each, from their middle.

    Samples below 0.975 s are followed by zeros.
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
    """(K, n) samples in [-1, 1] as K mono wav files of 16 bits, there inside the context only."""
    scaled = (audio.detach().float().cpu() * 32_768).round().clamp(-32_768, 32_767)
    samples = scaled.to(torch.int16).numpy().astype("<i2")
    with tempfile.TemporaryDirectory(prefix="coprop-") as folder:
        paths = [str(Path(folder) / f"{k}.wav") for k in range(len(samples))]
        for path, values in zip(paths, samples, strict=True):
            with wave.open(path, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(sample_rate)
                file.writeframes(values.tobytes())
        yield paths
