"""AOT's long short-term transformer (Yang et al. 2021): paper section 3.4, the Propagator Block.

Tokens are (B, N, C), row by row over the stride-16 grid. Parameters are named as in the official
files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coprop.propagation.attention import (
    LongTermAttention,
    SelfAttention,
    ShortTermAttention,
    sine_position,
    to_grid,
    to_tokens,
)
from coprop.propagation.memory import KeysValues

Grid = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Draft:
    """A frame on its way into memory: (L, B, N, C) keys, and contents that lack their identity."""

    keys: Tensor
    contents: Tensor


class DepthwiseActivation(nn.Module):
    """Group norm, GELU and a depthwise 5x5 convolution over the grid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gn = nn.GroupNorm(32, channels)
        self.conv = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False)

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        return to_tokens(self.conv(F.gelu(self.gn(to_grid(tokens, *grid)))))


class PropagationBlock(nn.Module):
    """Self-attention, then long- and short-term attention to memory, then a two-layer MLP."""

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
        self.linear1 = nn.Linear(channels, 4 * channels)
        self.activation = DepthwiseActivation(4 * channels)
        self.linear2 = nn.Linear(4 * channels, channels)

    def describe(self, x: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The tokens after self-attention, their keys (queries as well) and their contents."""
        n = self.norm1(x)
        x = x + self._drop(self.self_attn(n + position, n + position, n))
        content = self.norm2(x)
        return x, self.linear_Q(content), content

    def identified(self, content: Tensor, identity: Tensor) -> Tensor:
        """The values that memory holds: contents that carry whose they are."""
        value: Tensor = self.linear_V(content + identity)
        return value

    def match(
        self, x: Tensor, key: Tensor, long_term: KeysValues, short_term: KeysValues, grid: Grid
    ) -> Tensor:
        """The tokens after reading one layer's long- and short-term memory."""
        recalled = self.long_term_attn(key, long_term.keys, long_term.values)
        x = x + recalled + self.short_term_attn(key, short_term.keys, short_term.values, *grid)
        hidden = self.activation(self.linear1(self.norm3(x)), grid)
        return x + self._drop(self.linear2(hidden))

    def _drop(self, residual: Tensor) -> Tensor:
        """Stochastic depth: in training, whole samples go without this residual."""
        if not self.training or self.drop_path == 0:
            return residual
        kept = torch.full_like(residual[:, :1, :1], 1 - self.drop_path).bernoulli()
        return residual * kept / (1 - self.drop_path)


class LongShortTermTransformer(nn.Module):
    """A stack of propagation blocks; every block's output goes, normalised, to the decoder."""

    def __init__(self, channels: int, num_layers: int, num_heads: int, drop_path: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            PropagationBlock(channels, num_heads, drop_path) for _ in range(num_layers)
        )
        self.decoder_norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(num_layers))

    def refer(self, tokens: Tensor, identity: Tensor, grid: Grid) -> KeysValues:
        """Memory of a frame whose identity is known; the frame is matched with itself."""
        position = sine_position(*grid, tokens.shape[-1], like=tokens)
        memories = []
        for layer in self._blocks():
            tokens, key, content = layer.describe(tokens, position)
            memory = KeysValues(key, layer.identified(content, identity))
            tokens = layer.match(tokens, key, memory, memory, grid)
            memories.append(memory)
        return KeysValues(
            torch.stack([memory.keys for memory in memories]),
            torch.stack([memory.values for memory in memories]),
        )

    def forward(
        self, tokens: Tensor, long_term: KeysValues, short_term: KeysValues, grid: Grid
    ) -> tuple[Sequence[Tensor], Draft]:
        """Carry identities from memory to a new frame.

        Returns:
            Each block's normalised tokens, (B, N, C), and what memory will need of the frame.
        """
        position = sine_position(*grid, tokens.shape[-1], like=tokens)
        outputs, keys, contents = [], [], []
        for i, (layer, norm) in enumerate(zip(self._blocks(), self.decoder_norms, strict=True)):
            tokens, key, content = layer.describe(tokens, position)
            tokens = layer.match(tokens, key, _layer(long_term, i), _layer(short_term, i), grid)
            outputs.append(norm(tokens))
            keys.append(key)
            contents.append(content)
        return outputs, Draft(torch.stack(keys), torch.stack(contents))

    def commit(self, draft: Draft, identity: Tensor) -> KeysValues:
        """Memory of a propagated frame, once its identity (B, N, C) is known."""
        values = [
            layer.identified(content, identity)
            for layer, content in zip(self._blocks(), draft.contents, strict=True)
        ]
        return KeysValues(draft.keys, torch.stack(values))

    def _blocks(self) -> list[PropagationBlock]:
        return [layer for layer in self.layers if isinstance(layer, PropagationBlock)]


def _layer(memory: KeysValues, i: int) -> KeysValues:
    return KeysValues(memory.keys[i], memory.values[i])
