"""Audio Insertion (paper section 3.4, equation 6; its table 5 compares the levels).

Equation 6 embeds a frame's sound in its image features by cross-attention: with video features V at
one of four levels and tokens A of the frame's sound,

    V' = V + softmax((V W_q) (A W_k)^T / sqrt(d)) (A W_v) W_o

where W_q, W_k, W_v and W_o are learnt. W_o starts at zero, as a zero convolution does (Zhang et al.
2023): a network that has just been given audio is exactly what it was without, so that AOT's
weights stay useful, and gradients reach all of W_o in the first step and the others in the second.

The paper has sound in the identification embedding too, beside the mask; `AudioIdentity` is that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coprop.encoders.audio import AudioEncoder
from coprop.propagation.attention import attend, to_grid, to_tokens
from coprop.propagation.config import AudioEncoderName, PropagatorConfig
from coprop.propagation.masks import PATCH, STRIDE
from coprop.propagation.sound_gate import MOMENTS, SoundGate, silent

_TOKENS = MOMENTS * 4  # of every encoder here: steps in time by bands of frequency
_GATE_WIDTH = 64  # what it compares is one sound with another, less than what is inserted


class AudioInsertBlock(nn.Module):
    """Cross-attention from a video feature map to the frame's audio tokens (equation 6).

    Both are normalised first. The softmax runs over the audio tokens, so there have to be several:
    over one it would be constant, and every place of the map would hear the same.

    Args:
        channels: C of the video feature map.
        audio_dim: width of the audio tokens.
        width: of queries, keys and values together; the paper's is 256.
        num_heads: of the attention; divides the width.

    Example:
        >>> block = AudioInsertBlock(channels=24, audio_dim=128, width=64, num_heads=8)
        >>> video, audio = torch.rand(1, 24, 9, 13), torch.rand(1, 24, 128)
        >>> bool((block(video, audio) == video).all())  # until training changes W_o
        True
    """

    def __init__(self, channels: int, audio_dim: int, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.video_norm = nn.LayerNorm(channels)
        self.audio_norm = nn.LayerNorm(audio_dim)
        self.query = nn.Linear(channels, width)
        self.key = nn.Linear(audio_dim, width)
        self.value = nn.Linear(audio_dim, width)
        self.projection = silent(nn.Linear(width, channels))

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        """(B, C, h, w) video features and (B, N, audio_dim) tokens to (B, C, h, w)."""
        height, width = video.shape[-2:]
        tokens = self.video_norm(to_tokens(video))
        audio = self.audio_norm(audio)
        q, k, v = self.query(tokens), self.key(audio), self.value(audio)
        inserted: Tensor = self.projection(attend(q, k, v, self.num_heads))
        return video + to_grid(inserted, height, width)


class AudioIdentity(nn.Module):
    """Adds the frame's sound to the identification embedding of its objects.

    The mean audio token is projected to the embedding's width and weighed, at each place of the
    grid, by how much of the identity bank's patch there is object: background stays as it was.

    Args:
        channels: C of the identification embedding.
        audio_dim: width of the audio tokens.
    """

    def __init__(self, channels: int, audio_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(audio_dim)
        self.projection = silent(nn.Linear(audio_dim, channels))

    def forward(self, identity: Tensor, objects: Tensor, audio: Tensor) -> Tensor:
        """The identification embedding with sound.

        Args:
            identity: (B, C, h, w).
            objects: (B, 1, 16 h - 15, 16 w - 15) probability of any object, in [0, 1].
            audio: (B, N, audio_dim) tokens.
        """
        coverage = F.avg_pool2d(objects, PATCH, STRIDE, padding=PATCH // 2, count_include_pad=False)
        sound: Tensor = self.projection(self.norm(audio).mean(1))
        return identity + coverage * sound[:, :, None, None]


class AudioInsert(nn.Module):
    """All audio modules: encoder, one block for each chosen level, the identity's, and the gate.

    Args:
        encoder: the audio encoder.
        channels: width of the video feature at each chosen level, in 1 to 4.
        identity_dim: width of the identification embedding.
        width: width of the cross-attention.
        num_heads: its heads.
        gated: whether there is a `SoundGate`, too.
    """

    def __init__(
        self,
        encoder: AudioEncoder,
        channels: Mapping[int, int],
        identity_dim: int,
        width: int,
        num_heads: int,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        # A token's place in time and frequency, which attention does not see by itself.
        self.position = nn.Parameter(torch.zeros(_TOKENS, encoder.token_dim))
        self.levels = nn.ModuleDict(
            {
                str(level): AudioInsertBlock(dim, encoder.token_dim, width, num_heads)
                for level, dim in channels.items()
            }
        )
        self.identity = AudioIdentity(identity_dim, encoder.token_dim)
        self.sound_gate = SoundGate(encoder.token_dim, _GATE_WIDTH) if gated else None

    @classmethod
    def of(cls, config: PropagatorConfig, level_channels: Sequence[int]) -> AudioInsert:
        """The modules that a configuration asks for, with random weights, and silent until trained.

        Args:
            config: which levels hear, and through what.
            level_channels: width of the video feature at each of the levels 1 to 4.
        """
        return cls(
            build_audio_encoder(config.audio_encoder),
            {level: level_channels[level - 1] for level in config.insert_levels},
            identity_dim=config.embedding_dim,
            width=config.insert_dim,
            num_heads=config.num_heads,
            gated=config.sound_gate,
        )

    def tokens(self, samples: Tensor) -> Tensor:
        """(B, n) samples around a frame to (B, N, token_dim) tokens."""
        return self.encoder.tokens(samples)

    def placed(self, tokens: Tensor) -> Tensor:
        """(B, N, token_dim) tokens that know their place, as blocks and identity take them."""
        return tokens + self.position

    def insert(self, level: int, video: Tensor, audio: Tensor) -> Tensor:
        """The (B, C, h, w) feature map of a level, with audio where that level was chosen."""
        if str(level) not in self.levels:
            return video
        inserted: Tensor = self.levels[str(level)](video, audio)
        return inserted

    def heard(self, tokens: Tensor) -> Tensor | None:
        """What the sound gate compares of (B, N, token_dim) tokens; None without a gate."""
        return None if self.sound_gate is None else self.sound_gate.heard(tokens)


def build_audio_encoder(name: AudioEncoderName) -> AudioEncoder:
    """The audio encoder of that name; YAMNet as it was released, the others with random weights.

    All give 24 tokens for about a second of sound.

    >>> build_audio_encoder("small").tokens(torch.zeros(1, 16_000)).shape
    torch.Size([1, 24, 128])
    """
    if name == "small":
        from coprop.encoders.audio import SmallAudioEncoder

        return SmallAudioEncoder()
    if name == "yamnet":
        from coprop.encoders.yamnet import FineYAMNet

        return FineYAMNet.from_pretrained()
    from coprop.encoders.vggish import VGGish

    return VGGish(embeddings=False)
