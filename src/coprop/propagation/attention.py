"""The attentions of AOT (Yang et al. 2021; paper section 3.4, "Propagation Process").

Tokens are (B, N, C), row by row over an (H, W) grid where there is one. All attention has several
heads, each of which has d = C / num_heads channels. Parameter names follow the official AOT files.
"""

from __future__ import annotations

import math

import torch
from einops import einsum, rearrange
from torch import Tensor, nn
from torch.nn import functional as F

_LONGEST_PERIOD = 10_000.0  # of the sines, as in Vaswani et al. 2017; AOT's weights expect it
_NOT_ZERO = 1e-6  # keeps a grid of one row or column, whose last index is 0, from 0 / 0; as in AOT
_WINDOW_RADIUS = 7  # tokens of stride 16: AOT's 15 x 15 window, 112 pixels to each side


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
    """(B, H * W, C) to (B, C, H, W)."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], height, width)


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
    out: Tensor = rearrange(F.scaled_dot_product_attention(q, k, v), "b h n d -> b n (h d)")
    return out


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


class ShortTermAttention(nn.Module):
    """Readout of a square window of the previous frame around the same place: objects move little.

    Scores carry a learnt relative term from the unscaled query, and each place in the window has
    a learnt relative value. Places outside the image take no part.

    Args:
        channels: C of the tokens.
        num_heads: divides C.
        radius: of the window, in tokens; it has (2 radius + 1)^2 places.
    """

    def __init__(self, channels: int, num_heads: int, radius: int = _WINDOW_RADIUS) -> None:
        super().__init__()
        self.num_heads, self.radius = num_heads, radius
        places = (2 * radius + 1) ** 2
        head_dim = channels // num_heads
        self.relative_emb_k = nn.Conv2d(channels, num_heads * places, 1, groups=num_heads)
        self.relative_emb_v = nn.Parameter(torch.zeros(num_heads, head_dim, places))
        self.projection = nn.Linear(channels, channels)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, height: int, width: int) -> Tensor:
        """Attend from (B, H * W, C) to a grid of the same size."""
        grid = {"y": height, "x": width}
        relative = self.relative_emb_k(to_grid(query, height, width))
        relative = rearrange(relative, "b (h w) y x -> b h y x w", h=self.num_heads)
        q, k, v = (
            rearrange(t, "b (y x) (h d) -> b h y x d", h=self.num_heads, **grid)
            for t in (query, key.to(query.dtype), value.to(query.dtype))
        )
        scores = self._scores(q / math.sqrt(q.shape[-1]), k) + relative
        outside = ~self._inside(height, width, query.device)
        weights = scores.masked_fill(outside, -math.inf).softmax(-1)
        out = self._gather(weights, v) + einsum(
            weights, self.relative_emb_v.to(weights.dtype), "b h y x w, h d w -> b h y x d"
        )
        projected: Tensor = self.projection(rearrange(out, "b h y x d -> b (y x) (h d)"))
        return projected

    # One matrix product for each row of queries covers the 2r+1 rows of keys around it; the window
    # is a band along its diagonal. The band is read, and written, by a change of row length: no
    # index tensors, and (W + 2r) / 480 of the memory that unfolding 256 channels would take.

    def _rows(self, grid: Tensor) -> Tensor:
        """(B, h, H, W, d) to the rows around each row, (B, h, H, (2r+1) (W+2r), d), zero-padded."""
        r = self.radius
        rows = F.pad(grid, (0, 0, r, r, r, r)).unfold(2, 2 * r + 1, 1)
        return rows.movedim(-1, 3).flatten(3, 4)

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        """Dot products with every place of the window: (B, h, H, W, (2r+1)^2)."""
        side = 2 * self.radius + 1
        dense = query @ self._rows(key).transpose(-1, -2)
        width, reach = dense.shape[-2:]
        band = F.pad(dense.flatten(-2), (0, width)).view(*dense.shape[:-1], reach + 1)
        rows = band[..., :reach].view(*dense.shape[:-1], side, reach // side)
        return rows[..., :side].flatten(-2)

    def _gather(self, weights: Tensor, value: Tensor) -> Tensor:
        """Weighted sum of the window's values: (B, h, H, W, d)."""
        side, width = 2 * self.radius + 1, weights.shape[-2]
        rows = weights.view(*weights.shape[:-1], side, side)
        band = F.pad(rows, (0, width - 1)).flatten(-2)
        reach = band.shape[-1]
        dense = F.pad(band, (0, 1)).flatten(-2)[..., : width * reach]
        return dense.view(band.shape) @ self._rows(value).to(weights.dtype)

    def _inside(self, height: int, width: int, device: torch.device) -> Tensor:
        """Which places of each window lie in the image: (H, W, (2r+1)^2) bool."""
        offset = torch.arange(-self.radius, self.radius + 1, device=device)
        y = torch.arange(height, device=device)[:, None] + offset
        x = torch.arange(width, device=device)[:, None] + offset
        y_inside, x_inside = (y >= 0) & (y < height), (x >= 0) & (x < width)
        return (y_inside[:, None, :, None] & x_inside[None, :, None, :]).flatten(-2)
