"""The attentions of AOT (Yang et al. 2021; paper section 3.4, "Propagation Process").

Tokens are (B, N, C), row by row over an (H, W) grid where there is one. All attention has several
heads, each of which has d = C / num_heads channels. Parameter names follow the official AOT files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from coprop.propagation.masks import STRIDE, Size, full
from coprop.utils.brief import Brief
from coprop.utils.precision import in_float32

_LONGEST_PERIOD = 10_000.0  # of the sines, as in Vaswani et al. 2017; AOT's weights expect it
_NOT_ZERO = 1e-6  # keeps a grid of one row or column, whose last index is 0, from 0 / 0; as in AOT
# Keys, fewer than which a CPU's fused kernel is slow: it takes what is left of 16 one by one.
_MANY = 32
_RADIUS = 7  # tokens of stride 16: AOT's 15 x 15 window, 112 pixels to each side
# Sides of the blocks of queries that short-term attention takes at once, in tokens. Of 4 to 16, on
# a CPU, 8 takes the least time: smaller blocks copy more keys, larger ones score more in vain.
_TILE = 8


def sine_position(height: int, width: int, channels: int, like: Tensor) -> Tensor:
    """Sine position embedding, (1, height * width, channels).

    The first half of the channels encodes y and the second x, sine and cosine interleaved, over
    coordinates scaled to [0, 2 pi], so that it means the same place at every size of frame.

    Args:
        height: rows of the grid.
        width: its columns.
        channels: a multiple of 4.
        like: whose device and precision it gets.

    >>> sine_position(9, 13, 128, like=torch.zeros(1)).shape
    torch.Size([1, 117, 128])
    """
    half = channels // 2
    exponent = torch.arange(half, device=like.device).div(2, rounding_mode="floor") * 2 / half
    period = _LONGEST_PERIOD**exponent

    def axis(length: int) -> Tensor:
        index = torch.arange(length, device=like.device, dtype=torch.float32)
        angle = (index / (length - 1 + _NOT_ZERO) * 2 * math.pi)[:, None] / period
        return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=-1).flatten(1)

    y = axis(height)[:, None].expand(height, width, half)
    x = axis(width)[None].expand(height, width, half)
    return torch.cat((y, x), dim=-1).view(1, height * width, channels).to(like.dtype)


def to_tokens(grid: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H * W, C)."""
    return grid.flatten(2).transpose(1, 2)


def to_grid(tokens: Tensor, height: int, width: int) -> Tensor:
    """(B, H * W, C) to (B, C, H, W), whose channels come last in memory.

    By way of (B, H, W, C): a view of B = 1 that is made from (B, C, H * W) has strides by which
    torch takes it for one whose channels come first, and goes on with copies in that order.
    """
    return tokens.reshape(len(tokens), height, width, -1).permute(0, 3, 1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, num_heads: int) -> Tensor:
    """Multi-head softmax attention: (B, N, C) over (B, M, C) gives (B, N, C).

    Keys and values are read at the query's precision: under autocast, memory may hold another.

    >>> memory = torch.rand(1, 6, 8)
    >>> attend(torch.rand(1, 3, 8), memory, memory, num_heads=2).shape
    torch.Size([1, 3, 8])
    """
    q, k, v = (
        rearrange(x, "b n (h d) -> b h n d", h=num_heads)
        for x in (query, key.to(query.dtype), value.to(query.dtype))
    )
    few = k.shape[2] < _MANY and q.device.type == "cpu"
    read = _attend_to_few(q, k, v) if few else F.scaled_dot_product_attention(q, k, v)
    out: Tensor = rearrange(read, "b h n d -> b n (h d)")
    return out


def _attend_to_few(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """`torch.nn.functional.scaled_dot_product_attention`, product by product.

    Over 24 keys the fused kernel takes nearly three times as long on a CPU. Keys come first, so
    that the softmax goes along whole rows of queries.
    """
    q, k, v = (full(x) for x in (query, key, value))
    scores = (k / math.sqrt(k.shape[-1])) @ q.transpose(-1, -2)
    return (scores.softmax(-2).transpose(-1, -2) @ v).to(query.dtype)


class SelfAttention(nn.Module):
    """Attention among a frame's own tokens, with its own projections of query, key and value."""

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.linear_Q = nn.Linear(channels, channels)
        self.linear_K = nn.Linear(channels, channels)
        self.linear_V = nn.Linear(channels, channels)
        self.projection = nn.Linear(channels, channels)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        q, k, v = self.linear_Q(query), self.linear_K(key), self.linear_V(value)
        out: Tensor = self.projection(attend(q, k, v, self.num_heads))
        return out


class LongTermAttention(nn.Module):
    """Readout of all tokens of all reference and memory frames, wherever in the frame they are.

    The block projects query, key and value, which the short-term attention shares.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.projection = nn.Linear(channels, channels)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out: Tensor = self.projection(attend(query, key, value, self.num_heads))
        return out


@dataclass(frozen=True, eq=False, repr=False)
class Window(Brief):
    """A square window around each token of a grid, and the tiles in which tokens are taken.

    Args:
        height: H, rows of the grid.
        width: W, its columns.
        outside: (tiles, a b, (2r+1)^2), what is added to scores: -inf for places outside the grid,
            else 0. Tiles of a x b tokens cover the grid, row by row; those at its end may reach
            beyond it.

    >>> Window.of(17, 29, device=torch.device("cpu")).outside.shape
    torch.Size([12, 48, 225])
    """

    height: int
    width: int
    outside: Tensor

    @classmethod
    def of(cls, height: int, width: int, *, device: torch.device) -> Window:
        """The windows of a grid."""
        (rows, a), (columns, b) = _tiles(height), _tiles(width)
        offset = torch.arange(-_RADIUS, _RADIUS + 1, device=device)

        def beyond(tiles: int, side: int, length: int) -> Tensor:
            token = torch.arange(tiles * side, device=device)[:, None]
            place = token + offset
            # Tokens beyond the grid are cut off in the end. Until then they have to see something:
            # a softmax over nothing is NaN, and NaN spreads in gradients.
            outside = ((place < 0) | (place >= length)) & (token < length)
            return outside.view(tiles, side, -1)

        y, x = beyond(rows, a, height), beyond(columns, b, width)
        outside = y[:, None, :, None, :, None] | x[None, :, None, :, None, :]
        added = torch.zeros_like(outside, dtype=torch.float32).masked_fill_(outside, -math.inf)
        return cls(height, width, added.reshape(rows * columns, a * b, -1))

    def tiled(self, tokens: Tensor, num_heads: int, margin: int = 0) -> Tensor:
        """(B, H W, C) tokens in tiles, with those around: (B, h, tiles, (a+2m) (b+2m), d)."""
        (rows, a), (columns, b) = _tiles(self.height), _tiles(self.width)
        grid = tokens.reshape(tokens.shape[0], self.height, self.width, -1)
        below, right = rows * a - self.height, columns * b - self.width
        if margin or below or right:
            grid = F.pad(grid, (0, 0, margin, margin + right, margin, margin + below))
        tiles = grid.unfold(1, a + 2 * margin, a).unfold(2, b + 2 * margin, b)
        out: Tensor = rearrange(tiles, "n y x (h d) a b -> n h (y x) (a b) d", h=num_heads)
        return out

    def untiled(self, tiles: Tensor) -> Tensor:
        """(B, h, tiles, a b, d) to tokens (B, H W, C)."""
        (rows, a), (columns, _) = _tiles(self.height), _tiles(self.width)
        grid: Tensor = rearrange(
            tiles, "n h (y x) (a b) d -> n (y a) (x b) (h d)", y=rows, x=columns, a=a
        )
        return grid[:, : self.height, : self.width].flatten(1, 2)

    def band(self, dense: Tensor) -> Tensor:
        """Of (..., a b, (a+2r) (b+2r)), all keys around a tile, each token's own (2r+1)^2; a view.

        The token in row i and column j of a tile sees rows i to i + 2r and columns j to j + 2r.
        """
        side, (_, a), (_, b) = 2 * _RADIUS + 1, _tiles(self.height), _tiles(self.width)
        keys, reach = dense.shape[-1], b + 2 * _RADIUS
        leading = dense.shape[:-2].numel()
        return dense.as_strided(
            (leading, a, b, side, side),
            (a * b * keys, b * keys + reach, keys + 1, reach, 1),
        )


def _tiles(length: int) -> tuple[int, int]:
    """How many tiles cover a side of the grid, and how long each is."""
    count = -(-length // _TILE)
    return count, -(-length // count)


@dataclass(frozen=True, eq=False, repr=False)
class Places(Brief):
    """What the transformer has to know of where tokens are: the same for all frames of a size.

    Args:
        position: (1, h w, C) position embedding.
        window: around each token, for short-term attention.
    """

    position: Tensor
    window: Window

    @classmethod
    def of(cls, size: Size, like: Tensor) -> Places:
        """Those of frames of (height, width) pixels, at the device and precision of ``like``.

        Args:
            size: multiples of 16 plus 1.
            like: has C channels in its first axis, as the identity bank's weight has.
        """
        height, width = ((side - 1) // STRIDE + 1 for side in size)
        position = sine_position(height, width, like.shape[0], like)
        return cls(position, Window.of(height, width, device=like.device))


class ShortTermAttention(nn.Module):
    """Readout of a square window of the previous frame around the same place: objects move little.

    Scores carry a learnt relative term from the unscaled query, and each place in the window has
    a learnt relative value. Places outside the image take no part.

    Each tile of queries is multiplied with all keys around it; a query's own window is a band in
    these scores, which is read, and written, in place: no index tensors, and a fiftieth of the
    memory that unfolding 256 channels would take.

    Args:
        channels: C of the tokens.
        num_heads: divides C.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        places = (2 * _RADIUS + 1) ** 2
        head_dim = channels // num_heads
        self.relative_emb_k = nn.Conv2d(channels, num_heads * places, 1, groups=num_heads)
        self.relative_emb_v = nn.Parameter(torch.zeros(num_heads, head_dim, places))
        self.projection = nn.Linear(channels, channels)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, window: Window) -> Tensor:
        """Attend from tokens (B, N, C) to those of a frame of the same size."""
        if query.device.type == "cpu":  # where parts of rows are slow to add in half precision
            with in_float32(query.device):
                read = self._read(full(query), full(key), full(value), window)
        else:
            read = self._read(query, key, value, window)
        projected: Tensor = self.projection(read.to(query.dtype))
        return projected

    def _read(self, query: Tensor, key: Tensor, value: Tensor, window: Window) -> Tensor:
        """What tokens read of the window around them, (B, N, C)."""
        heads = self.num_heads
        q = window.tiled(query, heads)
        k, v = (window.tiled(x.to(query.dtype), heads, margin=_RADIUS) for x in (key, value))
        at_once = 1 if _stays_in_cache(query) else q.shape[2]
        tiles = [torch.split(x, at_once, dim=2) for x in (q, k, v)]
        tiles.append(torch.split(window.outside, at_once))
        read = [self._read_tiles(window, *each) for each in zip(*tiles, strict=True)]
        return window.untiled(torch.cat(read, dim=2))

    def _read_tiles(
        self, window: Window, q: Tensor, k: Tensor, v: Tensor, outside: Tensor
    ) -> Tensor:
        """The same of some tiles: (B, h, tiles, a b, d), and (B, h, tiles, (a+2r) (b+2r), d)."""
        dense = (q / math.sqrt(q.shape[-1])) @ k.transpose(-1, -2)
        band = window.band(dense)
        scores = self._relative_scores(q)
        scores.view(band.shape).add_(band)
        weights = scores.add_(outside).softmax(-1)
        # The scores are read; the weights take their place.
        window.band(dense.zero_()).copy_(weights.view(band.shape))
        read: Tensor = (dense @ v).add_(self._relative_values(weights))
        return read

    def _relative_scores(self, query: Tensor) -> Tensor:
        """(B, h, tiles, a b, d) to (B, h, tiles, a b, (2r+1)^2): the 1x1 convolution, as product.

        Its channels are those of the heads, one after the other.
        """
        weight = self.relative_emb_k.weight.view(self.num_heads, -1, query.shape[-1])
        bias: Any = self.relative_emb_k.bias
        scores = query.flatten(2, 3) @ weight.to(query.dtype).transpose(1, 2)
        scores.add_(bias.to(scores.dtype).view(self.num_heads, 1, -1))
        return scores.view(*query.shape[:4], -1)

    def _relative_values(self, weights: Tensor) -> Tensor:
        """(B, h, tiles, a b, (2r+1)^2) to (B, h, tiles, a b, d)."""
        values = self.relative_emb_v.to(weights.dtype).transpose(1, 2)
        return (weights.flatten(2, 3) @ values).view(*weights.shape[:4], -1)


def _stays_in_cache(x: Tensor) -> bool:
    """Whether small pieces are faster: on a CPU, but for graphs, which they would make long."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()
