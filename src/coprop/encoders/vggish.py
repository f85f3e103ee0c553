"""VGGish, the audio encoder of the audio-visual segmentation literature.

A VGG of six convolutions over 0.96 s of log-mel spectrogram, and three fully connected layers.
Parameters are named as in the PyTorch port of the AudioSet release, whose files load. The port's
post-processing (PCA and quantisation), which segmentation models leave off, is not here.
"""

from __future__ import annotations

from torch import Tensor, nn

from coprop.checkpoints.undrawn import to_be_filled
from coprop.checkpoints.weights import load_state_dict, read_state_dict
from coprop.encoders.audio import fit_window
from coprop.encoders.log_mel import EXAMPLE_SAMPLES, SAMPLE_RATE, LogMel
from coprop.errors import CoPropError
from coprop.utils.paths import AnyPath

_MAP = 6 * 4  # places of the last feature map: time by frequency
_HEAD = "embeddings."


class VGGish(nn.Module):
    """Audio encoder (see `coprop.encoders.audio.AudioEncoder`) that sees 0.975 s at 16 kHz.

    Args:
        embeddings: whether to build the fully connected layers, which hold 67 of 72 million
            parameters. Without them there are tokens only.
    """

    sample_rate: int = SAMPLE_RATE
    window_s: float = EXAMPLE_SAMPLES / SAMPLE_RATE
    token_dim: int = 512
    embedding_dim: int = 128

    embeddings: nn.Sequential | None

    def __init__(self, *, embeddings: bool = True) -> None:
        super().__init__()
        self.log_mel = LogMel()
        self.features = _convolutions()
        self.embeddings = _fully_connected(self.embedding_dim) if embeddings else None

    @classmethod
    def from_checkpoint(cls, path: AnyPath, *, embeddings: bool = True) -> VGGish:
        """Reads the PyTorch port's file, such as ``vggish-10086976.pth``, or a safetensors file.

        Args:
            path: of the file.
            embeddings: as in the constructor; where False, the file's head is left out.

        Raises:
            CheckpointError: a file that is not there, not readable, or not VGGish's.
        """
        state = read_state_dict(path)
        if not embeddings:
            state = {name: x for name, x in state.items() if not name.startswith(_HEAD)}
        with to_be_filled():
            encoder = cls(embeddings=embeddings)
        load_state_dict(encoder, state, str(path))
        return encoder.float()

    def tokens(self, samples: Tensor) -> Tensor:
        """(B, n) -> (B, 24, 512), at least 0: 6 steps in time by 4 in frequency, time first.

        Of longer sound the middle `window_s` is heard; zeros follow shorter sound.

        Raises:
            ShapeError: samples of another shape or dtype.
        """
        spectrogram = self.log_mel(fit_window(samples, EXAMPLE_SAMPLES)).unsqueeze(1)
        features: Tensor = self.features(spectrogram.to(next(self.features.parameters())))
        return features.flatten(2).transpose(1, 2)

    def embedding(self, samples: Tensor) -> Tensor:
        """(B, n) -> (B, 128), at least 0.

        Raises:
            CoPropError: built with ``embeddings=False``.
        """
        if self.embeddings is None:
            raise CoPropError(
                "this VGGish has tokens only; build it with embeddings=True to get embeddings."
            )
        embedding: Tensor = self.embeddings(self.tokens(samples).flatten(1))
        return embedding


def _convolutions() -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 1
    for width, depth in ((64, 1), (128, 1), (256, 2), (512, 2)):
        for _ in range(depth):
            convolution = nn.Conv2d(before, width, 3, padding=1)
            # There is no normalisation: PyTorch's own start would fade the sound layer by layer.
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            layers += [convolution, nn.ReLU()]
            before = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def _fully_connected(embedding_dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(VGGish.token_dim * _MAP, 4096),
        nn.ReLU(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, embedding_dim),
        nn.ReLU(),
    )
