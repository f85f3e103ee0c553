"""U2-Net small against the released file in its own runtime, on frames of any size."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from released_golden import frames, golden
from torch import Tensor

from coprop.encoders import u2net as module
from coprop.encoders.u2net import U2Net
from coprop.errors import ShapeError


@pytest.fixture(scope="module")
def u2net() -> U2Net:
    return U2Net.from_pretrained()


@pytest.fixture(autouse=True)
def _no_gradients() -> object:
    with torch.inference_mode():
        yield


def test_saliency_is_that_of_the_released_file(u2net: U2Net) -> None:
    """Its weights are floats; here they have float16's digits."""
    found = u2net.saliency(frames("u2net_image"))[0].numpy()
    expected = golden("u2net_saliency").astype(np.float32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.01)
    assert np.abs(found - expected).mean() < 5e-4
    assert 0.2 < (expected > 0.5).mean() < 0.6


def test_bfloat16_finds_the_same_object_roughly(u2net: U2Net) -> None:
    small = torch.nn.functional.interpolate(
        frames("u2net_image"), (106, 106), mode="bilinear", antialias=True
    )
    half = U2Net.from_pretrained().to(torch.bfloat16)
    logits = half(small)
    assert logits.dtype == torch.bfloat16
    found, expected = logits.float().sigmoid(), u2net(small).sigmoid()
    assert float((found - expected).abs().mean()) < 0.08
    assert float(((found > 0.5) == (expected > 0.5)).float().mean()) > 0.93


def test_under_autocast_the_decoder_that_needs_it_stays_in_float32(u2net: U2Net) -> None:
    image = frames("u2net_image")
    expected = u2net.saliency(image)
    with torch.autocast("cpu", torch.bfloat16):
        found = u2net.saliency(image)
    assert 0 < float((found - expected).abs().mean()) < 0.005


def test_it_can_be_trained() -> None:
    with torch.inference_mode(False), torch.enable_grad():
        network = U2Net()
        network(torch.rand(1, 3, 33, 40)).sum().backward()
        assert all(p.grad is not None for p in network.parameters())


def test_shapes_without_memory() -> None:
    with torch.device("meta"):
        network, video = U2Net(), torch.zeros(4, 3, 720, 1280)
    assert network(video).shape == (4, 1, 720, 1280)
    assert network.saliency(video).shape == (4, 720, 1280)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 50), (200, 100)])
def test_frames_of_any_size(u2net: U2Net, size: tuple[int, int]) -> None:
    images = frames("u2net_image")[..., : size[0], : size[1]]
    logits = u2net(images)
    assert logits.shape == (1, 1, *size)
    assert torch.isfinite(logits).all()
    saliency = u2net.saliency(images)
    assert saliency.shape == (1, *size)
    assert 0 <= float(saliency.min()) <= float(saliency.max()) <= 1


def test_saliency_follows_the_frames_size(u2net: U2Net) -> None:
    large = u2net.saliency(frames("deeplab_image"))  # the same picture
    assert large.shape == (1, 513, 513)
    small = u2net.saliency(frames("u2net_image"))
    again = torch.nn.functional.interpolate(small[:, None], (513, 513), mode="bilinear")[:, 0]
    assert float(((large > 0.5) == (again > 0.5)).float().mean()) > 0.97


def test_brightness_does_not_matter(u2net: U2Net) -> None:
    small = frames("u2net_image")[..., ::4, ::4]
    torch.testing.assert_close(u2net(0.5 * small), u2net(small), rtol=1e-3, atol=1e-2)
    assert torch.isfinite(u2net(torch.zeros(1, 3, 32, 32))).all()


def test_frames_of_a_batch_do_not_see_each_other(u2net: U2Net) -> None:
    image = frames("u2net_image")[..., ::3, ::3]
    pair = torch.cat([image, 0.3 * image.flip(3)])
    alone = torch.cat([u2net(one[None]) for one in pair])
    torch.testing.assert_close(u2net(pair), alone, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8, 3), (1, 4, 8, 8), (1, 3, 8, 0)])
def test_frames_of_another_shape_are_refused(u2net: U2Net, shape: tuple[int, ...]) -> None:
    for method in (u2net, u2net.saliency):
        with pytest.raises(ShapeError, match=r"frames must be \(B, 3, H, W\), got \("):
            method(torch.zeros(shape))


def test_integers_are_refused(u2net: U2Net) -> None:
    for method in (u2net, u2net.saliency):
        with pytest.raises(ShapeError, match=r"got torch\.uint8; divide uint8 frames by 255"):
            method(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_what_a_decoder_enters_by_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two maps joined are the largest of all, and a module holds what it is given until it returns.
    joined: list[weakref.ref[Tensor]] = []
    kept: list[bool] = []

    def noted(x: Tensor, rung: Tensor) -> Tensor:
        both = join(x, rung)
        joined.append(weakref.ref(both))
        return both

    join = module._joined
    monkeypatch.setattr(module, "_joined", noted)
    network = U2Net().eval()
    for decoder in network.decoders:
        decoder.register_forward_pre_hook(lambda *_: kept.append(joined[-1]() is not None))
    network(torch.rand(1, 3, 64, 64))
    assert kept == [False] * len(network.decoders)
