"""The network of the propagator: AOT (Yang et al. 2021) with audio inserted (paper section 3.4).

It holds no state: memory goes in and comes out as values. Parameter names of everything but
``audio_insert`` are those of the official AOT files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, cat, nn
from torch.nn import functional as F

from coprop.brief import Brief
from coprop.propagation.attention import to_grid, to_tokens
from coprop.propagation.audio_insert import AudioInsert, build_audio_encoder
from coprop.propagation.backbones import build_backbone
from coprop.propagation.config import PropagatorConfig
from coprop.propagation.lstt import Draft, Grid, LongShortTermTransformer
from coprop.propagation.memory import KeysValues


@dataclass(frozen=True, eq=False, repr=False)
class FrameFeatures(Brief):
    """One frame as the network sees it, audio included.

    Args:
        shortcuts: feature maps at strides 4, 8 and 16, for the decoder.
        projected: (B, C, h, w), the deepest map at the transformer's width.
        audio: (B, N, token_dim) tokens of the frame's sound; None without audio modules.
    """

    shortcuts: tuple[Tensor, Tensor, Tensor]
    projected: Tensor
    audio: Tensor | None

    @property
    def grid(self) -> Grid:
        height, width = self.projected.shape[-2:]
        return height, width

    @property
    def tokens(self) -> Tensor:
        return to_tokens(self.projected)


class PropagationNetwork(nn.Module):
    """Encoder, audio insertion, identity bank, transformer and decoder."""

    def __init__(self, config: PropagatorConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.embedding_dim
        self.encoder = build_backbone(config.encoder)
        self.encoder_projector = nn.Conv2d(self.encoder.channels[3], dim, 1)
        self.patch_wise_id_bank = nn.Conv2d(1 + config.max_objects, dim, 17, 16, padding=8)
        self.LSTT = LongShortTermTransformer(
            dim, config.num_layers, config.num_heads, config.drop_path
        )
        self.decoder = Decoder(
            in_channels=dim * (1 + config.num_layers),
            shortcut_channels=self.encoder.channels[:3],
            hidden=config.decoder_dim,
            out_channels=1 + config.max_objects,
        )
        self._initialise()
        self.audio_insert = self._build_audio_insert()

    def encode(self, frame: Tensor, samples: Tensor | None) -> FrameFeatures:
        """Features of a frame with its sound (equation 6).

        Levels 1 to 3 are the maps at strides 4, 8 and 16 that the decoder's shortcuts see; where
        the deepest map is the third one (ResNet-50), the projection sees what it heard as well.
        Level 4 is the projected feature, which enters the transformer and the decoder.

        Args:
            frame: (B, 3, H, W) RGB in [0, 1]; H and W are multiples of 16 plus 1.
            samples: (B, n) sound of the frame; ignored without audio modules.
        """
        *maps, deep = self.encoder(frame)
        deep_is_third = deep is maps[2]
        if self.audio_insert is None or samples is None:
            return FrameFeatures((maps[0], maps[1], maps[2]), self.encoder_projector(deep), None)
        audio = self.audio_insert.encoder.tokens(samples)
        x4, x8, x16 = (
            self.audio_insert.insert(level, maps[level - 1], audio) for level in (1, 2, 3)
        )
        projected = self.encoder_projector(x16 if deep_is_third else deep)
        return FrameFeatures((x4, x8, x16), self.audio_insert.insert(4, projected, audio), audio)

    def identify(self, mask: Tensor, features: FrameFeatures) -> Tensor:
        """Identity embedding, from the mask and from the frame's audio.

        Args:
            mask: (B, 1 + max_objects, H, W) probabilities at the frame's size, background first.
            features: the frame that the mask is of.

        Returns:
            (B, h * w, C) identity of each token.
        """
        identity = self.patch_wise_id_bank(mask)
        if self.audio_insert is not None and features.audio is not None:
            objects = mask[:, 1:].sum(1, keepdim=True)
            identity = self.audio_insert.identity(identity, objects, features.audio)
        return to_tokens(identity)

    def refer(self, features: FrameFeatures, mask: Tensor) -> KeysValues:
        """Memory of a frame whose mask is given; the mask is as `identify` takes it."""
        return self.LSTT.refer(features.tokens, self.identify(mask, features), features.grid)

    def propagate(
        self, features: FrameFeatures, long_term: KeysValues, short_term: KeysValues
    ) -> tuple[Tensor, Draft]:
        """Find the objects in memory again in a new frame (equation 7).

        Returns:
            Logits (B, 1 + max_objects, H', W') at stride 4, and the frame's draft for memory.
        """
        outputs, draft = self.LSTT(features.tokens, long_term, short_term, features.grid)
        return self.decode(outputs, features), draft

    def decode(self, outputs: Sequence[Tensor], features: FrameFeatures) -> Tensor:
        """Logits at stride 4 from the transformer's tokens and the frame's features."""
        maps = [to_grid(x, *features.grid) for x in outputs]
        logits: Tensor = self.decoder(cat([features.projected, *maps], dim=1), features.shortcuts)
        return logits

    def remember(self, draft: Draft, features: FrameFeatures, mask: Tensor) -> KeysValues:
        """Memory of a propagated frame, once its mask is known."""
        return self.LSTT.commit(draft, self.identify(mask, features))

    def _build_audio_insert(self) -> AudioInsert | None:
        config = self.config
        if not config.insert_levels:
            return None
        channels = (*self.encoder.channels[:3], config.embedding_dim)
        return AudioInsert(
            build_audio_encoder(config.audio_encoder),
            {level: channels[level - 1] for level in config.insert_levels},
            identity_dim=config.embedding_dim,
            width=config.insert_dim,
            num_heads=config.num_heads,
        )

    def _initialise(self) -> None:
        """AOT's initial weights: identities orthogonal, the transformer's matrices Xavier."""
        bank = self.patch_wise_id_bank.weight
        nn.init.orthogonal_(bank, gain=17**-2)
        for parameter in self.LSTT.parameters():
            if parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)


class ConvGN(nn.Module):
    """The decoder's step: convolution, group normalisation in 8 groups, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
        self.gn = nn.GroupNorm(8, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.gn(self.conv(x)))


class Decoder(nn.Module):
    """Feature pyramid from stride 16 to stride 4, with the encoder's maps as shortcuts."""

    def __init__(
        self, in_channels: int, shortcut_channels: Sequence[int], hidden: int, out_channels: int
    ) -> None:
        super().__init__()
        half = hidden // 2
        channels_4x, channels_8x, channels_16x = shortcut_channels
        self.conv_in = ConvGN(in_channels, hidden, 1)
        self.conv_16x = ConvGN(hidden, hidden, 3)
        self.conv_8x = ConvGN(hidden, half, 3)
        self.conv_4x = ConvGN(half, half, 3)
        self.adapter_16x = nn.Conv2d(channels_16x, hidden, 1)
        self.adapter_8x = nn.Conv2d(channels_8x, hidden, 1)
        self.adapter_4x = nn.Conv2d(channels_4x, half, 1)
        self.conv_out = nn.Conv2d(half, out_channels, 1)

    def forward(self, x: Tensor, shortcuts: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        x4, x8, x16 = shortcuts
        x = self.conv_16x(self.conv_in(x) + self.adapter_16x(x16))
        x = self.conv_8x(resize_logits(x, x8.shape[-2:]) + self.adapter_8x(x8))
        x = self.conv_4x(resize_logits(x, x4.shape[-2:]) + self.adapter_4x(x4))
        logits: Tensor = self.conv_out(x)
        return logits


def resize_logits(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear with corners aligned, as sizes of a multiple of 16 plus 1 call for."""
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)
