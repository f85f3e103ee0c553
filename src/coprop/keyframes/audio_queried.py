"""The paper's keyframe processor (section 3.3): masks of what sounds, asked for by the sound.

Image features meet the audio tokens in cross-attention at each level. The coarse levels, flattened
and concatenated with the audio tokens, go through a transformer encoder. Queries made from the
audio then read the result, and each query's product with the finest features is a mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.encoders.audio import AudioEncoder
from coprop.encoders.vggish import VGGish
from coprop.encoders.visual import VisualEncoder
from coprop.errors import CoPropError, ShapeError
from coprop.utils.checks import whole

_SMALLEST_SIDE = 32  # pixels: one place of the coarsest level, at stride 32
_ENCODED_LEVELS = 2  # the coarsest; at 512 x 512 pixels they are 1280 places, the next 4096 more

# Far beyond any published network; a damaged file's sizes are refused before memory is asked for.
_SIZES = {
    "width": 8192,
    "heads": 256,
    "encoder_layers": 100,
    "decoder_layers": 100,
    "num_classes": 256,
}

# Of every transformer layer here; the feed-forward part is 4 times as wide, as is usual.
_LAYER: dict[str, Any] = {"dropout": 0.0, "batch_first": True, "norm_first": True}


@dataclass(frozen=True)
class AudioQueriedConfig:
    """Sizes of an `AudioQueriedNetwork`.

    Args:
        visual: the backbone's name in timm, such as "resnet50" or "pvt_v2_b5".
        width: channels of all that follows the backbones; a multiple of 4 and of ``heads``.
        heads: of every attention.
        encoder_layers: of the transformer encoder.
        decoder_layers: of the audio-queried decoder.
        num_classes: 1 for binary masks; for semantic ones the classes with the background, which
            is class 0 (71 in AVSBench-semantic).

    Raises:
        CoPropError: sizes that are not positive, or a width that does not divide.

    Example:
        >>> AudioQueriedConfig("pvt_v2_b5", num_classes=71).width
        256
    """

    visual: str = "resnet50"
    width: int = 256
    heads: int = 8
    encoder_layers: int = 3
    decoder_layers: int = 3
    num_classes: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.visual, str):
            raise CoPropError(f"visual must be a backbone's name in timm, got {self.visual!r}.")
        for name, high in _SIZES.items():
            wanted = f"a whole number, at least 1 and at most {high}"
            value = whole(name, getattr(self, name), wanted, low=1, high=high)
            object.__setattr__(self, name, value)
        if self.width % 4 or self.width % self.heads:
            raise CoPropError(
                f"width must be a multiple of 4 and of heads, got width {self.width} and "
                f"{self.heads} heads; 256 and 8 are usual."
            )


class AudioQueriedNetwork(nn.Module):
    """Keyframes and the sound around them -> mask logits at stride 4.

    All weights are random until they are trained or loaded: ``visual.load_checkpoint(path)`` reads
    the image backbone, and ``audio=VGGish.from_checkpoint(path, embeddings=False)`` the sound's.

    Args:
        config: sizes.
        audio: the audio encoder, a module; VGGish where left out.

    Attributes:
        sample_rate: of the sound it takes, in Hz.
        window_s: how much sound it sees around a frame, in seconds.
    """

    def __init__(
        self, config: AudioQueriedConfig | None = None, *, audio: AudioEncoder | None = None
    ) -> None:
        super().__init__()
        self.config = config = config or AudioQueriedConfig()
        width = config.width
        self.visual = VisualEncoder(config.visual)
        self.audio = VGGish(embeddings=False) if audio is None else audio
        self.sample_rate = self.audio.sample_rate
        self.window_s = self.audio.window_s
        self.audio_projection = nn.Sequential(
            nn.Linear(self.audio.token_dim, width), nn.LayerNorm(width)
        )
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 1), _norm(width))
            for channels in self.visual.channels
        )
        self.fusions = nn.ModuleList(_AudioFusion(width, config.heads) for _ in self.projections)
        self.encoder = _JointEncoder(width, config.heads, config.encoder_layers)
        self.pyramid = _Pyramid(width, len(self.projections))
        self.decoder = _AudioQueriedDecoder(config)

    def forward(self, frames: Tensor, audio: Tensor) -> Tensor:
        """Mask logits of each frame, given its own sound.

        Args:
            frames: (K, 3, h, w) RGB in [0, 1], sides of at least 32 pixels, odd ones too.
            audio: (K, n) samples at ``sample_rate``, centred on the frame.

        Returns:
            (K, C, ceil(h / 4), ceil(w / 4)) logits with C = ``num_classes``: for the sigmoid where
            C = 1, else for the softmax, with channel 0 the background.

        Raises:
            ShapeError: other shapes, or smaller frames.
        """
        _check_shapes(frames, audio)
        sound = self.audio_projection(self.audio.tokens(audio))
        sound = sound + _sinusoids(sound.shape[1], sound.shape[2], sound)
        levels = [
            fusion(projection(level), sound)
            for level, projection, fusion in zip(
                self.visual(frames), self.projections, self.fusions, strict=True
            )
        ]
        coarse, places, sound = self.encoder(levels[-_ENCODED_LEVELS:], sound)
        pixels = self.pyramid(levels[:-_ENCODED_LEVELS] + coarse)
        return cast(Tensor, self.decoder(sound, places, pixels))


class _AudioFusion(nn.Module):
    """Cross-attention in which every place of a feature map asks the audio tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, level: Tensor, sound: Tensor) -> Tensor:
        places = _flatten(level)
        heard, _ = self.attention(self.norm(places), sound, sound, need_weights=False)
        return _unflatten(places + heard, level)


class _JointEncoder(nn.Module):
    """A transformer encoder over the places of several levels and the audio tokens together."""

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.origins = nn.Parameter(0.02 * torch.randn(_ENCODED_LEVELS + 1, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 4 * width, **_LAYER) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, levels: list[Tensor], sound: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Returns the levels as maps, all their places (K, P, width), and the audio tokens."""
        parts = [_flatten(level + _positions_2d(level)) for level in levels] + [sound]
        sizes = [part.shape[1] for part in parts]
        x = torch.cat([p + origin for p, origin in zip(parts, self.origins, strict=True)], dim=1)
        for layer in self.layers:
            x = layer(x)
        *places, sound = self.norm(x).split(sizes, dim=1)
        maps = [_unflatten(p, level) for p, level in zip(places, levels, strict=True)]
        return maps, torch.cat(places, dim=1), sound


class _Pyramid(nn.Module):
    """Carries coarse features down to the finest level."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.smooth = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, bias=False), _norm(width), nn.GELU()
            )
            for _ in range(levels - 1)
        )
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, levels: list[Tensor]) -> Tensor:
        *finer, x = levels
        for level, smooth in zip(reversed(finer), self.smooth, strict=True):
            x = F.interpolate(x, level.shape[-2:], mode="bilinear", align_corners=False)
            x = smooth(x + level)
        return cast(Tensor, self.out(x))


class _AudioQueriedDecoder(nn.Module):
    """One query for each class, made from the audio, that looks for its class in the image."""

    def __init__(self, config: AudioQueriedConfig) -> None:
        super().__init__()
        width, heads = config.width, config.heads
        self.classes = nn.Parameter(torch.randn(config.num_classes, width))
        self.listen = nn.MultiheadAttention(width, heads, batch_first=True)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(width, heads, 4 * width, **_LAYER)
            for _ in range(config.decoder_layers)
        )
        self.mask = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
        )

    def forward(self, sound: Tensor, places: Tensor, pixels: Tensor) -> Tensor:
        classes = self.classes.expand(len(sound), -1, -1)
        heard, _ = self.listen(classes, sound, sound, need_weights=False)
        queries = classes + heard
        for layer in self.layers:
            queries = layer(queries, places)
        masks = torch.einsum("kcd,kdhw->kchw", self.mask(queries), pixels)
        return masks / math.sqrt(pixels.shape[1])


def _check_shapes(frames: Tensor, audio: Tensor) -> None:
    if frames.ndim != 4 or frames.shape[1] != 3 or min(frames.shape[2:]) < _SMALLEST_SIDE:
        raise ShapeError(
            f"frames must be (K, 3, h, w) with sides of at least {_SMALLEST_SIDE} pixels, got "
            f"{tuple(frames.shape)}; enlarge smaller ones, and put the colours before the sides."
        )
    if audio.ndim != 2 or len(audio) != len(frames) or not audio.shape[1]:
        raise ShapeError(
            f"audio must be (K, n), a window of sound for each of the {len(frames)} frames, got "
            f"{tuple(audio.shape)}."
        )


def _norm(width: int) -> nn.Module:
    """Groups of 8 channels, or of 4: a lone channel at a lone place would be normalised away."""
    return nn.GroupNorm(width // math.gcd(8, width), width)


def _flatten(level: Tensor) -> Tensor:
    """(K, d, h, w) -> (K, h * w, d)."""
    return level.flatten(2).transpose(1, 2)


def _unflatten(places: Tensor, like: Tensor) -> Tensor:
    """(K, h * w, d) -> the shape of ``like``."""
    return places.transpose(1, 2).reshape(like.shape)


def _positions_2d(level: Tensor) -> Tensor:
    """(d, h, w) for (K, d, h, w): half of the channels tell the row, half the column."""
    _, width, h, w = level.shape
    rows = _sinusoids(h, width // 2, level)[:, None].expand(h, w, -1)
    columns = _sinusoids(w, width // 2, level).expand(h, w, -1)
    return torch.cat([rows, columns], dim=-1).permute(2, 0, 1)


def _sinusoids(length: int, width: int, like: Tensor) -> Tensor:
    """(length, width) as in "Attention Is All You Need", section 3.5."""
    positions = torch.arange(length, device=like.device, dtype=torch.float32)
    exponents = torch.arange(0, width, 2, device=like.device, dtype=torch.float32) / width
    angles = positions[:, None] / 10_000**exponents
    return torch.cat([angles.sin(), angles.cos()], dim=1).to(like.dtype)
