"""YAMNet: which of AudioSet's 521 classes sound, at any time of a sound of any length.

A MobileNet (v1) over 0.96 s of log-mel spectrogram, by Google (Apache-2.0), trained on AudioSet.
Batch normalisation is part of its convolutions. The released activations are 8-bit integers; these
are floats, so that scores differ by a few hundredths.
"""

from __future__ import annotations

import csv
import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.encoders.audio import fit_window
from coprop.encoders.log_mel import (
    EXAMPLE_FRAMES,
    EXAMPLE_SAMPLES,
    SAMPLE_RATE,
    LogMel,
    check_samples,
)
from coprop.encoders.released import WEIGHTS, ConvReLU6, ReleasedNetwork
from coprop.errors import CoPropError, ShapeError
from coprop.utils.checks import number

CLASSES = 521
_FRAME_SAMPLES = 160  # from one column of the spectrogram to the next: 10 ms
# Of the logarithm, less than VGGish's, whose spectrogram is the same in all else.
_OFFSET, _VGGISH_OFFSET = 0.001, 0.01
# Channels and stride of each depthwise-separable block.
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2))
_FINE_LAYERS = 13  # up to the first map at stride 16: later ones have seen the whole window
_PATCHES_AT_ONCE = 64  # bounds memory at 0.1 GB, and is as fast as more


class YAMNet(ReleasedNetwork):
    """Audio encoder (see `coprop.encoders.audio.AudioEncoder`), and a classifier of sounds.

    `scores` and `embeddings` take mono sound at 16 kHz in [-1, 1] of any length n >= 1 and cut it
    into patches of `window_s` (0.975 s), one every `hop_s`: patch k begins at k hop_s. There are
    1 + ceil((n / 16000 - window_s) / hop_s) of them, at least one, and zeros follow the sound where
    the last is not full. `tokens` and `embedding` see one window, as those of other encoders do.

    Weights are random; `from_pretrained()` has the released ones.
    """

    folder = "yamnet"
    sample_rate: int = SAMPLE_RATE
    window_s: float = EXAMPLE_SAMPLES / SAMPLE_RATE
    token_dim: int = 1024
    embedding_dim: int = 1024

    def __init__(self) -> None:
        super().__init__()
        self._log_mel = LogMel()
        layers = [ConvReLU6(1, 32, 3, stride=2)]
        before = 32
        for after, stride in (*_BLOCKS, (1024, 1)):
            layers.append(ConvReLU6(before, before, 3, stride=stride, depthwise=True))
            layers.append(ConvReLU6(before, after))
            before = after
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(self.embedding_dim, CLASSES)
        self.to(memory_format=torch.channels_last)  # takes 0.6 of the time on CPUs

    def scores(self, samples: Tensor, *, hop_s: float = 0.48) -> Tensor:
        """(B, n) -> (B, patches, 521) float32: each class's probability in each patch.

        The classes are those of `class_names`; several may sound at once, so the probabilities do
        not add up to one.

        Args:
            samples: (B, n) floats.
            hop_s: from one patch to the next, a multiple of 0.01 s. The default overlaps patches
                by half, as the release does; 0.05 gives curves that can be cut in time. The
                spectrogram is made once, and each patch costs some 70 million multiplications.

        Raises:
            ShapeError: samples of another shape or dtype, or none.
            CoPropError: a hop that is not a multiple of 0.01 s.
        """
        return self.classify(self.embeddings(samples, hop_s=hop_s))

    def embeddings(self, samples: Tensor, *, hop_s: float = 0.48) -> Tensor:
        """(B, n) -> (B, patches, 1024), at least 0; arguments and errors as of `scores`."""
        patches = self.patches(samples, hop_s=hop_s)
        chunks = torch.split(patches.flatten(0, 1), _PATCHES_AT_ONCE)
        embeddings = torch.cat([self.maps(chunk).mean(dim=(2, 3)) for chunk in chunks])
        return embeddings.reshape(*patches.shape[:2], self.embedding_dim)

    def classify(self, embeddings: Tensor) -> Tensor:
        """(..., 1024) -> (..., 521) float32 probabilities."""
        scores: Tensor = self.classifier(embeddings).float().sigmoid()
        return scores

    def tokens(self, samples: Tensor) -> Tensor:
        """(B, n) -> (B, 6, 1024), at least 0: 3 steps in time by 2 in frequency, time first.

        Of longer sound the middle `window_s` is heard; zeros follow shorter sound.
        """
        check_samples(samples, least=1)
        patches = self.log_mel(fit_window(samples, EXAMPLE_SAMPLES))
        return self.maps(patches).flatten(2).transpose(1, 2)

    def embedding(self, samples: Tensor) -> Tensor:
        """(B, n) -> (B, 1024): the mean of the tokens."""
        return self.tokens(samples).mean(1)

    def patches(self, samples: Tensor, *, hop_s: float = 0.48) -> Tensor:
        """(B, n) -> (B, patches, 96, 64) `log_mel` of each patch; errors as of `scores`."""
        check_samples(samples, least=1)
        hop = _frames_per_hop(hop_s)
        beyond = max(samples.shape[1] - EXAMPLE_SAMPLES, 0)
        count = 1 + -(-beyond // (hop * _FRAME_SAMPLES))
        length = EXAMPLE_SAMPLES + (count - 1) * hop * _FRAME_SAMPLES
        spectrogram = self.log_mel(F.pad(samples, (0, length - samples.shape[1])))
        return spectrogram.unfold(1, EXAMPLE_FRAMES, hop).transpose(2, 3)

    def log_mel(self, samples: Tensor) -> Tensor:
        """(B, n) -> (B, 1 + (n - 400) // 160, 64) float32, at least ln 0.001 = -6.908."""
        vggish: Tensor = self._log_mel(samples)
        return torch.log(vggish.exp() + (_OFFSET - _VGGISH_OFFSET))

    def maps(self, patches: Tensor) -> Tensor:
        """(N, 96, 64) `log_mel` -> (N, 1024, 3, 2): the last map, time by frequency.

        Raises:
            ShapeError: patches of another shape.
        """
        if patches.ndim != 3 or patches.shape[1:] != (EXAMPLE_FRAMES, 64):
            raise ShapeError(
                f"patches must be (N, 96, 64), got {tuple(patches.shape)}; patches() makes them."
            )
        maps: Tensor = self.layers(patches.unsqueeze(1).to(self.classifier.weight.dtype))
        return maps

    def forward(self, samples: Tensor) -> Tensor:
        return self.scores(samples)


class FineYAMNet(YAMNet):
    """YAMNet for whoever asks what sounds just now: more and finer tokens of the same window.

    A token sees 0.6 s of the sound around it in a middle map, and all of the window in the last
    one. The middle map tells one moment from the next, the last one what it is that sounds.
    """

    token_dim: int = 512 + 1024

    def tokens(self, samples: Tensor) -> Tensor:
        """(B, n) -> (B, 24, 1536), at least 0: 6 steps in time by 4 in frequency, time first.

        Of longer sound the middle `window_s` is heard; zeros follow shorter sound.
        """
        check_samples(samples, least=1)
        patches = self.log_mel(fit_window(samples, EXAMPLE_SAMPLES))
        middle = self.layers[:_FINE_LAYERS](patches.unsqueeze(1).to(self.classifier.weight.dtype))
        last = F.interpolate(self.layers[_FINE_LAYERS:](middle), scale_factor=2.0, mode="nearest")
        return torch.cat((middle, last), dim=1).flatten(2).transpose(1, 2)


@functools.cache
def class_names() -> tuple[str, ...]:
    """AudioSet's names of the 521 classes, in the order of the scores."""
    return tuple(row["display_name"] for row in _class_rows())


@functools.cache
def class_ids() -> tuple[str, ...]:
    """AudioSet's machine ids of the 521 classes, such as "/m/09x0r" for speech."""
    return tuple(row["mid"] for row in _class_rows())


def _class_rows() -> list[dict[str, str]]:
    path = WEIGHTS / YAMNet.folder / "classes.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _frames_per_hop(hop_s: float) -> int:
    wanted = "a multiple of 0.01 s, such as 0.48 or 0.05"
    frames = number("hop_s", hop_s, wanted, above=0) * SAMPLE_RATE / _FRAME_SAMPLES
    if frames < 0.5 or abs(frames - round(frames)) > 1e-6:
        raise CoPropError(f"hop_s must be {wanted}, got {hop_s}.")
    return round(frames)
