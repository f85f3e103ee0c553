"""The network of the propagator: AOT (Yang et al. 2021) with audio inserted (paper section 3.4).

One frame takes this way, in the words of AOT and STM (Oh et al. 2019):

    frame, sound --encode--> features                        image encoder, audio insert: equation 6
    features, memory --propagate--> logits, query frame      propagator block: equation 7; decoder
    query frame, mask, sound --memorise--> memory entry      identification embedding
    reference frame, mask, sound --memorise_reference--> memory entry
    logits, sound, reference sound --gate--> logits          sound gate

The network holds no state: memory goes in and comes out as values. Tensors are (B, C, h, w) maps or
(B, N, C) tokens, row by row over the (h, w) grid at stride 16. Parameters of everything but
``audio_insert`` are named as in the official AOT files, hence ``LSTT`` and ``linear_Q``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coprop.propagation.attention import (
    LongTermAttention,
    Places,
    SelfAttention,
    ShortTermAttention,
    Window,
    to_grid,
    to_tokens,
)
from coprop.propagation.audio_insert import AudioInsert
from coprop.propagation.backbones import build_backbone
from coprop.propagation.config import PropagatorConfig
from coprop.propagation.masks import PATCH, STRIDE, resize_logits
from coprop.propagation.memory import KeysValues, QueryFrame
from coprop.utils.brief import Brief

# AOT's numbers: its official weights were trained with these, and no others fit them.
_BLOCK_GROUPS = 32  # groups of the normalisation inside a block's MLP
_DECODER_GROUPS = 8  # groups of the decoder's normalisations
_MLP_RATIO = 4  # hidden width of a block's MLP over the width of its tokens
_MLP_KERNEL = 5  # side of the depthwise convolution in it, in tokens
_STAGES = ("encode", "propagate", "memorise", "memorise_reference")  # what runs in frames


class IdentityBank(nn.Conv2d):
    """A learnt vector for the background and each object at each place of a patch.

    It takes masks of fewer objects as well, whose channels after the last would be empty.
    """

    def forward(self, mask: Tensor) -> Tensor:
        weight = self.weight[:, : mask.shape[1]]
        return F.conv2d(mask, weight, self.bias, self.stride, PATCH // 2)


@dataclass(frozen=True, eq=False, repr=False)
class FrameFeatures(Brief):
    """One frame as the network sees it, audio included.

    Args:
        shortcuts: (B, C_l, h_l, w_l) at strides 4, 8 and 16, for the decoder.
        projected: (B, C, h, w), the deepest map at the width of the tokens.
        audio: (B, N, token_dim) tokens of the frame's sound; None without audio modules.
        sound: what the sound gate compares of them; None without one.
    """

    shortcuts: tuple[Tensor, Tensor, Tensor]
    projected: Tensor
    audio: Tensor | None = None
    sound: Tensor | None = None

    @property
    def tokens(self) -> Tensor:
        return to_tokens(self.projected)


class PropagationNetwork(nn.Module):
    """Image encoder, audio insert, identity bank, transformer and decoder.

    Args:
        config: widths, depths and what hears; see `PropagatorConfig`.
    """

    def __init__(self, config: PropagatorConfig) -> None:
        super().__init__()
        dim = config.embedding_dim
        self.encoder = build_backbone(config.encoder)
        self.encoder_projector = nn.Conv2d(self.encoder.channels[3], dim, 1)
        self.patch_wise_id_bank = IdentityBank(
            1 + config.max_objects, dim, PATCH, STRIDE, padding=PATCH // 2
        )
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
        level_channels = (*self.encoder.channels[:3], dim)
        self.audio_insert = AudioInsert.of(config, level_channels) if config.insert_levels else None

    def compile(self, **options: Any) -> None:
        """Compile what runs in each frame; ``options`` are `torch.compile`'s."""
        for name in _STAGES:
            stage = getattr(type(self), name).__get__(self)
            self.__dict__[name] = torch.compile(stage, fullgraph=True, **options)

    def __getstate__(self) -> dict[str, Any]:
        """Copies, and what is pickled, are as before `compile`."""
        return {name: value for name, value in self.__dict__.items() if name not in _STAGES}

    def encode(self, frame: Tensor, samples: Tensor | None) -> FrameFeatures:
        """Features of a frame with its sound inserted (equation 6).

        Levels 1 to 3 are the maps at strides 4, 8 and 16 that the decoder's shortcuts see; where
        the deepest map is the third one (ResNet-50), the projection sees what was inserted there.
        Level 4 is the projected feature, which enters the transformer and the decoder.

        Args:
            frame: (B, 3, H, W) RGB in [0, 1]; H and W are multiples of 16 plus 1.
            samples: (B, n) sound of the frame; ignored without audio modules.
        """
        *maps, deep = self.encoder(frame)
        deep_is_third = deep is maps[2]
        if self.audio_insert is None or samples is None:
            return FrameFeatures((maps[0], maps[1], maps[2]), self.encoder_projector(deep))
        heard = self.audio_insert.tokens(samples)
        audio = self.audio_insert.placed(heard)
        x4, x8, x16 = (
            self.audio_insert.insert(level, maps[level - 1], audio) for level in (1, 2, 3)
        )
        projected = self.encoder_projector(x16 if deep_is_third else deep)
        tokens = self.audio_insert.insert(4, projected, audio)
        return FrameFeatures((x4, x8, x16), tokens, audio, self.audio_insert.heard(heard))

    def identify(self, mask: Tensor, features: FrameFeatures) -> Tensor:
        """Identification embedding: whose each token is, by the mask and by the frame's sound.

        AOT's identity bank has a learnt vector for the background and each object at each place of
        a patch; a token gets the sum over its patch. The sound is added where objects are.

        Args:
            mask: (B, 1 + n, H, W) probabilities at the frame's size, background first, of n
                objects, at most ``max_objects``.
            features: of the frame that the mask is of.

        Returns:
            (B, N, C).
        """
        identity = self.patch_wise_id_bank(mask)
        if self.audio_insert is not None and features.audio is not None:
            objects = mask[:, 1:].sum(1, keepdim=True)
            identity = self.audio_insert.identity(identity, objects, features.audio)
        return to_tokens(identity)

    def propagate(
        self,
        features: FrameFeatures,
        long_term: KeysValues,
        short_term: KeysValues,
        places: Places,
        num_objects: int,
    ) -> tuple[Tensor, QueryFrame]:
        """Find the objects that memory holds in the frame (equation 7), and decode their mask.

        Args:
            features: of the frame.
            long_term: (L, B, S * N, C), of S reference and memory frames.
            short_term: (L, B, N, C), of the frame before.
            places: of the tokens.
            num_objects: n, the identities in use; the others take no part.

        Returns:
            Logits (B, 1 + n, H', W') at stride 4, and the frame on its way into memory.
        """
        embeddings, query = self.LSTT(features.tokens, long_term, short_term, places)
        maps = [to_grid(x, *features.projected.shape[-2:]) for x in embeddings]
        pyramid_top = torch.cat([features.projected, *maps], dim=1)
        logits: Tensor = self.decoder(pyramid_top, features.shortcuts, 1 + num_objects)
        return logits, query

    def memorise(self, query: QueryFrame, features: FrameFeatures, mask: Tensor) -> KeysValues:
        """Memory of a frame that was propagated to; the mask is as `identify` takes it."""
        return self.LSTT.memorise(query, self.identify(mask, features))

    def memorise_reference(
        self, features: FrameFeatures, mask: Tensor, places: Places
    ) -> KeysValues:
        """Memory of a reference frame, whose mask is given; it is as `identify` takes it."""
        identity = self.identify(mask, features)
        return self.LSTT.memorise_reference(features.tokens, identity, places)

    def gate(self, logits: Tensor, sound: Tensor | None, reference: Tensor | None) -> Tensor:
        """Logits (B, C, H, W), shut while what sounded at the reference frame does not.

        Args:
            logits: of the frame, background first.
            sound: of the frame's features; without one nothing is shut.
            reference: of the reference frame's.
        """
        gate = None if self.audio_insert is None else self.audio_insert.sound_gate
        if gate is None or sound is None or reference is None:
            return logits
        silence = gate(reference, sound).to(logits.dtype)
        # Not clamp_min, through which no gradient would reach a fresh gate, whose silence is 0.
        raised = torch.maximum(silence, torch.zeros_like(silence))
        return torch.cat((logits[:, :1] + raised[:, None, None, None], logits[:, 1:]), dim=1)

    def _initialise(self) -> None:
        """AOT's initial weights: identities orthogonal, the transformer's matrices Xavier."""
        # The gain is AOT's: a token sums the vectors of all places of its patch.
        nn.init.orthogonal_(self.patch_wise_id_bank.weight, gain=PATCH**-2)
        for parameter in self.LSTT.parameters():
            if parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)


class LongShortTermTransformer(nn.Module):
    """L propagator blocks; the output of each goes, normalised, to the decoder."""

    def __init__(self, channels: int, num_layers: int, num_heads: int, drop_path: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            PropagatorBlock(channels, num_heads, drop_path) for _ in range(num_layers)
        )
        self.decoder_norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(num_layers))

    def forward(
        self, tokens: Tensor, long_term: KeysValues, short_term: KeysValues, places: Places
    ) -> tuple[Sequence[Tensor], QueryFrame]:
        """Carry identities from memory to a frame's tokens (B, N, C).

        Returns:
            Each block's embedding (B, N, C), and the frame on its way into memory.
        """
        embeddings, keys, contents = [], [], []
        for i, (block, norm) in enumerate(zip(self._blocks(), self.decoder_norms, strict=True)):
            tokens, key, content = block.attend_self(tokens, places.position)
            tokens = block.attend_memory(
                tokens, key, long_term.of_layer(i), short_term.of_layer(i), places.window
            )
            embeddings.append(norm(tokens))
            keys.append(key)
            contents.append(content)
        return embeddings, QueryFrame(torch.stack(keys), torch.stack(contents))

    def memorise(self, query: QueryFrame, identity: Tensor) -> KeysValues:
        """Memory (L, B, N, C) of a frame, once its identification embedding (B, N, C) is known."""
        values = [
            block.value(content, identity)
            for block, content in zip(self._blocks(), query.contents, strict=True)
        ]
        return KeysValues(query.keys, torch.stack(values))

    def memorise_reference(self, tokens: Tensor, identity: Tensor, places: Places) -> KeysValues:
        """Memory (L, B, N, C) of a frame whose identity is given; it is its own memory."""
        layers = []
        for block in self._blocks():
            tokens, key, content = block.attend_self(tokens, places.position)
            own = KeysValues(key, block.value(content, identity))
            tokens = block.attend_memory(tokens, key, own, own, places.window)
            layers.append(own)
        return KeysValues.of_layers(layers)

    def _blocks(self) -> list[PropagatorBlock]:
        return [layer for layer in self.layers if isinstance(layer, PropagatorBlock)]


class PropagatorBlock(nn.Module):
    """The paper's propagator block, AOT's LSTT block (equation 7).

    Self-attention relates the frame's tokens; long-term attention reads the reference and memory
    frames, short-term attention the frame before; a two-layer MLP with GELU follows.
    """

    def __init__(self, channels: int, num_heads: int, drop_path: float) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(channels)
        self.self_attn = SelfAttention(channels, num_heads)
        self.norm2 = nn.LayerNorm(channels)
        self.linear_Q = nn.Linear(channels, channels)
        self.linear_V = nn.Linear(channels, channels)
        self.long_term_attn = LongTermAttention(channels, num_heads)
        self.short_term_attn = ShortTermAttention(channels, num_heads)
        self.norm3 = nn.LayerNorm(channels)
        self.linear1 = nn.Linear(channels, _MLP_RATIO * channels)
        self.activation = DepthwiseActivation(_MLP_RATIO * channels)
        self.linear2 = nn.Linear(_MLP_RATIO * channels, channels)

    def attend_self(self, x: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The tokens after self-attention, their keys and their contents, each (B, N, C).

        Keys are queries as well: AOT matches a frame with memory by one projection of both.
        """
        n = self.norm1(x)
        x = x + self._drop(self.self_attn(n + position, n + position, n))
        content = self.norm2(x)
        return x, self.linear_Q(content), content

    def value(self, content: Tensor, identity: Tensor) -> Tensor:
        """What memory holds for each token: its content with its identification embedding."""
        value: Tensor = self.linear_V(content + identity)
        return value

    def attend_memory(
        self,
        x: Tensor,
        query: Tensor,
        long_term: KeysValues,
        short_term: KeysValues,
        window: Window,
    ) -> Tensor:
        """The tokens with the readout of long- and short-term memory, after the MLP."""
        readout = self.long_term_attn(query, long_term.keys, long_term.values)
        x = x + readout + self.short_term_attn(query, short_term.keys, short_term.values, window)
        hidden = self.activation(self.linear1(self.norm3(x)), window.height, window.width)
        return x + self._drop(self.linear2(hidden))

    def _drop(self, residual: Tensor) -> Tensor:
        """Stochastic depth: in training, whole samples go without this residual."""
        if not self.training or self.drop_path == 0:
            return residual
        kept = torch.full_like(residual[:, :1, :1], 1 - self.drop_path).bernoulli()
        return residual * kept / (1 - self.drop_path)


class DepthwiseActivation(nn.Module):
    """The MLP's activation: group norm, GELU and a depthwise convolution over the grid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gn = nn.GroupNorm(_BLOCK_GROUPS, channels)
        self.conv = nn.Conv2d(
            channels, channels, _MLP_KERNEL, padding=_MLP_KERNEL // 2, groups=channels, bias=False
        )

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        return to_tokens(self.conv(F.gelu(self.gn(to_grid(tokens, height, width)))))


class ConvGN(nn.Module):
    """The decoder's step: convolution, group normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
        self.gn = nn.GroupNorm(_DECODER_GROUPS, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.gn(self.conv(x)), inplace=True)


class Decoder(nn.Module):
    """Feature pyramid from stride 16 to stride 4, with the encoder's maps as shortcuts.

    It halves in width at stride 8, as AOT's does.
    """

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

    def forward(self, x: Tensor, shortcuts: tuple[Tensor, Tensor, Tensor], channels: int) -> Tensor:
        """(B, in_channels, h, w) and the shortcuts to the first logits, (B, channels, H', W')."""
        x4, x8, x16 = shortcuts
        x = self.conv_16x(self.conv_in(x) + self.adapter_16x(x16))
        x = self.conv_8x(resize_logits(x, x8.shape[-2:]) + self.adapter_8x(x8))
        x = self.conv_4x(resize_logits(x, x4.shape[-2:]) + self.adapter_4x(x4))
        weight, bias = self.conv_out.weight[:channels], self.conv_out.bias
        return F.conv2d(x, weight, None if bias is None else bias[:channels])
