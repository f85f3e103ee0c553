"""VGGish: names and shapes of the released port, and a computation independent of torch.nn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from coprop.encoders.log_mel import log_mel
from coprop.encoders.vggish import VGGish
from coprop.errors import CheckpointError, CoPropError

MANIFEST = Path(__file__).parents[1] / "golden" / "vggish.keys.tsv"


@pytest.fixture(scope="module")
def encoder() -> VGGish:
    torch.manual_seed(0)
    return VGGish(embeddings=False).eval()


@pytest.fixture
def sound() -> torch.Tensor:
    return 0.3 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(1))


def test_names_and_shapes_are_the_released_ones() -> None:
    rows = [line.split("\t") for line in MANIFEST.read_text().splitlines()]
    with torch.device("meta"):
        state = VGGish().state_dict()
    assert {name: "x".join(map(str, x.shape)) for name, x in state.items()} == {
        name: shape for name, shape, _ in rows
    }


def convolve(x: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """3x3 correlation of (c, h, w) with (d, c, 3, 3), zeros around, place by place."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.einsum("chwij,dcij->dhw", windows, weight, optimize=True)


def reference_map(spectrogram: NDArray[np.float64], encoder: VGGish) -> NDArray[np.float64]:
    state = {name: x.double().numpy() for name, x in encoder.state_dict().items()}
    x = spectrogram[None]
    for index in (0, 3, 6, 8, 11, 13):
        bias = state[f"features.{index}.bias"][:, None, None]
        x = np.maximum(convolve(x, state[f"features.{index}.weight"]) + bias, 0)
        if index not in (6, 11):
            c, h, w = x.shape
            x = x.reshape(c, h // 2, 2, w // 2, 2).max(axis=(2, 4))
    return x


def test_tokens_equal_an_independent_computation(encoder: VGGish, sound: torch.Tensor) -> None:
    spectrogram = log_mel(sound[:1, 200:15_800].double())[0].numpy()
    expected = reference_map(spectrogram, encoder).reshape(512, 24).T
    with torch.inference_mode():
        tokens = encoder.tokens(sound)[0].numpy()
    assert tokens.shape == (24, 512)
    np.testing.assert_allclose(tokens, expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 0.01


def test_embedding_flattens_channels_last_and_ends_in_relu(sound: torch.Tensor) -> None:
    torch.manual_seed(0)
    encoder = VGGish().eval()
    with torch.inference_mode():
        tokens = encoder.tokens(sound).double().numpy()
        embedding = encoder.embedding(sound).numpy()
    x = tokens.transpose(0, 2, 1).reshape(2, 512, 6, 4).transpose(0, 2, 3, 1).reshape(2, -1)
    for index in (0, 2, 4):
        layer = encoder.get_submodule(f"embeddings.{index}")
        x = np.maximum(x @ layer.weight.detach().T.numpy() + layer.bias.detach().numpy(), 0)
    assert embedding.shape == (2, 128)
    assert x.max() > 0
    np.testing.assert_allclose(embedding, x, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=12)
@given(batch=st.integers(1, 2), n=st.integers(1, 40_000))
def test_any_length_gives_the_same_number_of_tokens(encoder: VGGish, batch: int, n: int) -> None:
    with torch.inference_mode():
        tokens = encoder.tokens(torch.rand(batch, n) * 2 - 1)
    assert tokens.shape == (batch, 24, encoder.token_dim)
    assert tokens.isfinite().all()


def test_window_is_what_it_sees(encoder: VGGish, sound: torch.Tensor) -> None:
    window = round(encoder.window_s * encoder.sample_rate)
    assert window == 15_600
    longer = torch.cat([torch.ones(2, 500), sound[:, :window], torch.ones(2, 500)], dim=1)
    with torch.inference_mode():
        torch.testing.assert_close(encoder.tokens(longer), encoder.tokens(sound[:, :window]))


def test_embedding_without_the_head_says_so(encoder: VGGish, sound: torch.Tensor) -> None:
    with pytest.raises(CoPropError, match="embeddings=True"):
        encoder.embedding(sound)


def test_a_whole_checkpoint_loads_without_the_head(
    encoder: VGGish, sound: torch.Tensor, tmp_path: Path
) -> None:
    torch.save(encoder.state_dict() | {"embeddings.0.bias": torch.ones(4096)}, tmp_path / "v.pth")
    loaded = VGGish.from_checkpoint(tmp_path / "v.pth", embeddings=False)
    with torch.inference_mode():
        assert torch.equal(loaded.tokens(sound), encoder.tokens(sound))


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.ones(64, 3, 3, 3)}, tmp_path / "v.pth")
    with pytest.raises(CheckpointError, match=r"features\.0\.weight is \(64, 3, 3, 3\)"):
        VGGish.from_checkpoint(tmp_path / "v.pth", embeddings=False)
    with pytest.raises(CheckpointError, match=r"missing: features\.0\.bias"):
        VGGish.from_checkpoint(tmp_path / "v.pth", embeddings=False)


def test_half_precision_parameters_give_half_precision_tokens(sound: torch.Tensor) -> None:
    encoder = VGGish(embeddings=False).to(torch.bfloat16)
    with torch.inference_mode():
        assert encoder.tokens(sound).dtype == torch.bfloat16
