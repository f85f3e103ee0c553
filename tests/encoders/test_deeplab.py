"""DeepLabv3 against the released file in its own runtime, on frames of any size."""

from __future__ import annotations

import pytest
import torch
from released_golden import frames, golden

from coprop.encoders.deeplab import CLASS_NAMES, DeepLab
from coprop.errors import ShapeError


@pytest.fixture(scope="module")
def deeplab() -> DeepLab:
    return DeepLab.from_pretrained()


@pytest.fixture(autouse=True)
def _no_gradients() -> object:
    with torch.inference_mode():
        yield


def test_labels_are_those_of_the_released_file(deeplab: DeepLab) -> None:
    """Its activations are 8-bit integers, so that pixels at the edges of things differ."""
    found = deeplab.labels(frames("deeplab_image"))
    expected = torch.from_numpy(golden("deeplab_labels"))[None]
    assert found.dtype == torch.uint8
    assert float((found == expected).float().mean()) >= 0.98
    bird = CLASS_NAMES.index("bird")
    both = ((found == bird) & (expected == bird)).sum()
    either = ((found == bird) | (expected == bird)).sum()
    assert float(both / either) > 0.9


def test_bfloat16_has_the_same_labels(deeplab: DeepLab) -> None:
    small = frames("deeplab_image")[..., ::2, ::2]
    half = DeepLab.from_pretrained().to(torch.bfloat16)
    assert half(small).dtype == torch.bfloat16
    expected = deeplab.labels(small)
    assert (expected > 0).float().mean() > 0.05
    assert float((half.labels(small) == expected).float().mean()) >= 0.99


def test_shapes_without_memory() -> None:
    with torch.device("meta"):
        network, video = DeepLab(), torch.zeros(4, 3, 720, 1280)
    assert network(video).shape == (4, 21, 720, 1280)
    assert network.labels(video).shape == (4, 720, 1280)
    assert network.coarse_logits(video).shape == (4, 21, 46, 81)
    assert network.features(video).shape == (4, 256, 46, 81)


@pytest.mark.parametrize("size", [(1, 1), (2, 17), (16, 33), (97, 130), (128, 64)])
def test_frames_of_any_size(deeplab: DeepLab, size: tuple[int, int]) -> None:
    images = frames("deeplab_image")[..., : size[0], : size[1]]
    logits = deeplab(images)
    assert logits.shape == (1, 21, *size)
    assert torch.isfinite(logits).all()


def test_a_coarse_place_is_a_pixel(deeplab: DeepLab) -> None:
    images = frames("deeplab_image")[..., 128:230, 100:300]
    coarse, fine = deeplab.coarse_logits(images), deeplab(images)
    assert coarse.shape == (1, 21, 8, 14)
    torch.testing.assert_close(fine[..., ::16, ::16], coarse[..., :7, :13], rtol=0, atol=1e-3)


def test_grey_beyond_the_edge_is_what_is_added(deeplab: DeepLab) -> None:
    images = frames("deeplab_image")[..., 100:220, 100:250]
    padded = torch.full((1, 3, 129, 161), 128 / 255)
    padded[..., :120, :150] = images
    expected = deeplab(padded)[..., :120, :150]
    torch.testing.assert_close(deeplab(images), expected, rtol=1e-4, atol=1e-3)


def test_frames_of_a_batch_do_not_see_each_other(deeplab: DeepLab) -> None:
    image = frames("deeplab_image")[..., 128:257, 128:257]
    pair = torch.cat([image, image.flip(3)])
    alone = torch.cat([deeplab(one[None]) for one in pair])
    torch.testing.assert_close(deeplab(pair), alone, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8, 3), (1, 4, 8, 8), (1, 3, 0, 8)])
def test_frames_of_another_shape_are_refused(deeplab: DeepLab, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"frames must be \(B, 3, H, W\), got \("):
        deeplab.labels(torch.zeros(shape))


def test_integers_are_refused(deeplab: DeepLab) -> None:
    with pytest.raises(ShapeError, match=r"got torch\.uint8; divide uint8 frames by 255"):
        deeplab(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
