"""Frames are resized as the loaders of each network resize them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from adapter_standins import CATR, CAVP, COMBO, TPAVI, AVSegFormer, SemanticTPAVI, clip, imagenet
from adapter_standins import small_vggish as make_vggish
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from coprop.errors import CoPropError
from coprop.keyframes.adapters import (
    AVSegFormerAdapter,
    CallableSegmenter,
    CATRAdapter,
    CAVPAdapter,
    COMBOAdapter,
    TPAVIAdapter,
)
from coprop.keyframes.adapters.inputs import Resize, preprocess, resize_frames

VGGISH = make_vggish()


def pixels_of(frames: Tensor) -> Tensor:
    return (frames[0].permute(1, 2, 0) * 255).round().int()


def random_picture(h: int, w: int) -> Any:
    picture = np.random.default_rng(h * w).integers(0, 256, (h, w, 3), dtype=np.uint8)
    return picture, torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.integers(1, 90))
@settings(deadline=None)
def test_pillow_at_any_size(h: int, w: int, height: int, width: int) -> None:
    picture, frames = random_picture(h, w)
    expected = np.asarray(Image.fromarray(picture).resize((width, height), Image.BILINEAR))
    found = pixels_of(resize_frames(frames, (height, width), "pillow"))
    assert torch.equal(found, torch.tensor(expected).int())


@pytest.mark.parametrize(
    ("of", "to"),
    [((360, 480), (224, 224)), ((224, 224), (512, 512)), ((585, 1040), (224, 224))],
)
def test_both_of_pillows_kernels(of: tuple[int, int], to: tuple[int, int]) -> None:
    picture, frames = random_picture(*of)
    kernels: tuple[tuple[Resize, Any], ...] = (
        ("pillow", Image.BILINEAR),
        ("pillow_bicubic", Image.BICUBIC),
    )
    for how, kernel in kernels:
        expected = np.asarray(Image.fromarray(picture).resize(to[::-1], kernel))
        assert torch.equal(pixels_of(resize_frames(frames, to, how)), torch.tensor(expected).int())


def ramp(height: int, width: int) -> Tensor:
    values = torch.arange(height * width * 3) * 37 % 251
    return values.view(1, height, width, 3).permute(0, 3, 1, 2).float() / 255


@pytest.mark.parametrize(
    ("frames", "size", "channel", "expected"),  # of cv2.resize, OpenCV 5.0
    [
        (
            ramp(9, 13),
            (4, 5),
            0,
            [[81, 87, 125, 162, 149], [158, 96, 203, 108, 58], [92, 73, 92, 130, 123]],
        ),
        (
            ramp(9, 13),
            (11, 16),
            1,
            [
                [37, 117, 73, 46, 136, 226, 120, 156, 144, 85, 167, 54, 105, 77, 34, 114],
                [174, 122, 125, 120, 90, 181, 75, 110, 172, 182, 128, 162, 122, 117, 119, 68],
                [191, 90, 109, 160, 154, 133, 130, 114, 149, 184, 78, 168, 94, 98, 156, 153],
            ],
        ),
        (
            ramp(8, 6),
            (4, 3),
            2,
            [[149, 120, 91], [100, 134, 105], [115, 148, 119], [129, 100, 134]],
        ),
    ],
)
def test_opencv_to_the_bit(frames: Tensor, size: Any, channel: int, expected: Any) -> None:
    found = pixels_of(resize_frames(frames, size, "opencv"))[..., channel].tolist()
    assert found[: len(expected)] == expected


def test_floats_are_resized_after_they_are_normalised() -> None:
    frames, _ = clip(2, (45, 60))
    for how, antialias in (("torch", False), ("torch_antialias", True)):
        expected = F.interpolate(imagenet(frames), (16, 24), mode="bilinear", antialias=antialias)
        torch.testing.assert_close(preprocess(frames, (16, 24), how), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        (AVSegFormerAdapter(AVSegFormer()), "pillow"),
        (AVSegFormerAdapter(AVSegFormer(71)), "pillow"),
        (TPAVIAdapter(TPAVI(), vggish=VGGISH), "opencv"),
        (TPAVIAdapter(SemanticTPAVI(), vggish=VGGISH), "pillow"),
        (CATRAdapter(CATR(), vggish=VGGISH), "torch"),
        (COMBOAdapter(COMBO(use_pre_sam=False)), "opencv"),
        (COMBOAdapter(COMBO(use_pre_sam=False, is_avss_data=True)), "pillow"),
        (CAVPAdapter(CAVP(), size=(32, 32)), "pillow_bicubic"),
    ],
)
def test_the_default_is_the_loaders(adapter: Any, expected: Resize) -> None:
    frames, _ = clip(1, (45, 60))
    size = (32, 64)
    given_: list[Any] = []
    assert adapter.resize == expected
    adapter.size = size
    hook = adapter.model.backbone.register_forward_hook(lambda m, args, out: given_.append(args[0]))
    adapter(frames, torch.zeros(1, 16_000))
    hook.remove()
    wanted = preprocess(frames, size, expected)
    torch.testing.assert_close(given_[0][:1], wanted, rtol=1e-4, atol=1e-4)


def test_another_may_be_chosen() -> None:
    seen: list[Tensor] = []

    def fn(frames: Tensor, sound: Tensor) -> Tensor:
        seen.append(frames)
        return frames[:, :1] - 1

    frames, audio = clip(1, (45, 60))
    CallableSegmenter(fn, size=(16, 24), resize="opencv")(frames, audio)
    torch.testing.assert_close(seen[0], resize_frames(frames, (16, 24), "opencv"))
    assert TPAVIAdapter(TPAVI(), vggish=VGGISH, resize="pillow").resize == "pillow"
    for build in (
        lambda: CallableSegmenter(fn, resize="cubic"),  # type: ignore[arg-type]
        lambda: AVSegFormerAdapter(AVSegFormer(), resize="cubic"),  # type: ignore[arg-type]
    ):
        with pytest.raises(CoPropError, match=r"resize must be one of .*'cubic'"):
            build()
