"""The Audio-Insert Block (paper section 3.4, equation 6; table 5 compares levels).

Every residual ends in a gate that starts at zero: a network that has just been given audio behaves
exactly as it did without, and training opens the gates.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coprop.encoders.audio import AudioEncoder
from coprop.propagation.attention import attend, to_grid, to_tokens
from coprop.propagation.config import AudioEncoderName


class AudioInsertBlock(nn.Module):
    """Cross-attention from a video feature map to the frame's audio tokens, gated residual."""

    def __init__(self, channels: int, audio_dim: int, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.video_norm = nn.LayerNorm(channels)
        self.audio_norm = nn.LayerNorm(audio_dim)
        self.query = nn.Linear(channels, width)
        self.key = nn.Linear(audio_dim, width)
        self.value = nn.Linear(audio_dim, width)
        self.projection = nn.Linear(width, channels)
        self.gate = nn.Parameter(torch.zeros(channels))

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        """(B, C, H, W) and (B, N, audio_dim) to (B, C, H, W)."""
        height, width = video.shape[-2:]
        tokens = self.video_norm(to_tokens(video))
        audio = self.audio_norm(audio)
        q, k, v = self.query(tokens), self.key(audio), self.value(audio)
        heard = self.gate * self.projection(attend(q, k, v, self.num_heads))
        return video + to_grid(heard, height, width)


class AudioIdentity(nn.Module):
    """Adds what is heard to the identity of the objects, and to nothing else.

    The mean audio token is projected to the identity's width and weighed, at each place of the
    grid, by how much of the identity bank's 17x17 patch there is object.
    """

    def __init__(self, channels: int, audio_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(audio_dim)
        self.projection = nn.Linear(audio_dim, channels)
        self.gate = nn.Parameter(torch.zeros(channels))

    def forward(self, identity: Tensor, objects: Tensor, audio: Tensor) -> Tensor:
        """Identity (B, C, h, w), object probability (B, 1, 16h - 15, 16w - 15), audio tokens."""
        coverage = F.avg_pool2d(objects, 17, 16, padding=8, count_include_pad=False)
        heard: Tensor = self.gate * self.projection(self.norm(audio).mean(1))
        return identity + coverage * heard[:, :, None, None]


class AudioInsert(nn.Module):
    """All that hears: the audio encoder, one block for each chosen level, and the identity's part.

    Args:
        encoder: the audio encoder.
        channels: width of the video feature at each chosen level, in 1 to 4.
        identity_dim: width of the identity embedding.
        width: width of the cross-attention.
        num_heads: its heads.
    """

    def __init__(
        self,
        encoder: AudioEncoder,
        channels: Mapping[int, int],
        identity_dim: int,
        width: int,
        num_heads: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.levels = nn.ModuleDict(
            {
                str(level): AudioInsertBlock(dim, encoder.token_dim, width, num_heads)
                for level, dim in channels.items()
            }
        )
        self.identity = AudioIdentity(identity_dim, encoder.token_dim)

    def insert(self, level: int, video: Tensor, audio: Tensor) -> Tensor:
        """The feature map of a level, with audio where that level was chosen."""
        if str(level) not in self.levels:
            return video
        heard: Tensor = self.levels[str(level)](video, audio)
        return heard


def build_audio_encoder(name: AudioEncoderName) -> AudioEncoder:
    """The audio encoder of that name, with random weights."""
    if name == "small":
        from coprop.encoders.small_audio import SmallAudioEncoder

        return SmallAudioEncoder()
    from coprop.encoders.vggish import VGGish

    return VGGish(embeddings=False)
