"""The attentions against plain dense references."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from coprop.propagation.attention import ShortTermAttention, Window, attend, sine_position


def random_short_term(channels: int = 8, heads: int = 2) -> ShortTermAttention:
    attention = ShortTermAttention(channels, heads).requires_grad_(False)
    torch.nn.init.normal_(attention.relative_emb_v)
    return attention


def window_of(height: int, width: int, device: str = "cpu") -> Window:
    return Window.of(height, width, device=torch.device(device))


def dense_reference(
    attention: ShortTermAttention, q: Tensor, k: Tensor, v: Tensor, height: int, width: int
) -> Tensor:
    """Every query against every key, one by one, with keys beyond the window left out."""
    batch, tokens, channels = q.shape
    heads, head_dim, _ = attention.relative_emb_v.shape
    image = q.transpose(1, 2).reshape(batch, channels, height, width)
    relative = attention.relative_emb_k(image).view(batch, heads, 15, 15, height, width)
    out = torch.zeros(batch, tokens, heads, head_dim, dtype=q.dtype)
    q, k, v = (x.view(batch, height, width, heads, head_dim) for x in (q, k, v))
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                places = [
                    (dy, dx)
                    for dy in range(-7, 8)
                    for dx in range(-7, 8)
                    if 0 <= y + dy < height and 0 <= x + dx < width
                ]
                for h in range(heads):
                    scores = torch.stack(
                        [
                            q[b, y, x, h] @ k[b, y + dy, x + dx, h] / math.sqrt(head_dim)
                            + relative[b, h, dy + 7, dx + 7, y, x]
                            for dy, dx in places
                        ]
                    )
                    for p, (dy, dx) in zip(scores.softmax(0), places, strict=True):
                        learnt = attention.relative_emb_v[h, :, (dy + 7) * 15 + dx + 7]
                        out[b, y * width + x, h] += p * (v[b, y + dy, x + dx, h] + learnt)
    result: Tensor = attention.projection(out.flatten(2))
    return result


@settings(deadline=None, max_examples=5)
@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99))
def test_short_term_equals_dense_attention(height: int, width: int, seed: int) -> None:
    torch.manual_seed(seed)
    attention = random_short_term(4).double()
    q, k, v = torch.randn(3, 1, height * width, 4, dtype=torch.float64)
    expected = dense_reference(attention, q, k, v, height, width)
    torch.testing.assert_close(attention(q, k, v, window_of(height, width)), expected)


def test_short_term_of_a_single_row_and_column() -> None:
    torch.manual_seed(0)
    attention = random_short_term().double()
    for height, width in ((1, 20), (20, 1), (1, 1)):
        q, k, v = torch.randn(3, 2, height * width, 8, dtype=torch.float64)
        expected = dense_reference(attention, q, k, v, height, width)
        torch.testing.assert_close(attention(q, k, v, window_of(height, width)), expected)


def test_short_term_gradients() -> None:
    torch.manual_seed(0)
    attention = random_short_term(4, 1).double()
    inputs = tuple(torch.randn(3, 1, 6, 4, dtype=torch.float64).requires_grad_().unbind(0))
    assert torch.autograd.gradcheck(lambda q, k, v: attention(q, k, v, window_of(2, 3)), inputs)


class LargestTensor(TorchDispatchMode):
    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.elements = max(self.elements, out.numel())
        return out


def test_short_term_makes_no_tensor_like_the_unfolded_one() -> None:
    channels, height, width = 256, 36, 64
    with torch.device("meta"):
        attention = ShortTermAttention(channels, 8)
        tokens = torch.empty(1, height * width, channels)
    with torch.no_grad(), LargestTensor() as largest:
        attention(tokens, tokens, tokens, window_of(height, width, "meta"))
    assert 0 < largest.elements < channels * 225 * height * width / 5


@pytest.mark.parametrize("keys", [1, 7, 40])  # few, and many
def test_attend_is_softmax_attention_per_head(keys: int) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 5, 8), torch.randn(2, keys, 8), torch.randn(2, keys, 8)
    expected = [
        (q[..., s] @ k[..., s].mT / 2).softmax(-1) @ v[..., s] for s in (slice(4), slice(4, 8))
    ]
    torch.testing.assert_close(attend(q, k, v, num_heads=2), torch.cat(expected, -1))


def test_in_half_precision_windows_are_attended_in_single() -> None:
    """Of numbers in bfloat16, what comes out is the exact result, rounded once."""
    torch.manual_seed(0)
    exact = random_short_term().to(torch.float64)
    torch.nn.init.eye_(exact.projection.weight)
    torch.nn.init.zeros_(exact.projection.bias)
    half = copy.deepcopy(exact).to(torch.bfloat16)
    exact.load_state_dict({name: x.double() for name, x in half.state_dict().items()})
    tokens = [3 * torch.randn(1, 12 * 9, 8).bfloat16() for _ in range(3)]
    found = half(*tokens, window_of(12, 9))
    assert found.dtype == torch.bfloat16
    expected = exact(*(x.double() for x in tokens), window_of(12, 9))
    torch.testing.assert_close(found.double(), expected, rtol=2**-8, atol=1e-4)


def test_position_matches_the_recorded_one(aot_l_golden: dict[str, Tensor]) -> None:
    expected = aot_l_golden["A.pos_emb"].transpose(0, 1)
    position = sine_position(9, 13, 256, like=torch.zeros(1))
    torch.testing.assert_close(position, expected, rtol=0, atol=1e-5)


def test_position_of_a_single_row_is_finite() -> None:
    assert sine_position(1, 1, 32, like=torch.zeros(1)).isfinite().all()
