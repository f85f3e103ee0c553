"""Which adapter a network gets, and what is said of one that is not known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from adapter_standins import CATR, CAVP, COMBO, TPAVI, AVSegFormer, SemanticTPAVI, clip, imagenet
from torch import Tensor, nn

from coprop.errors import CoPropError
from coprop.keyframes.adapters import (
    AVSegFormerAdapter,
    CAVPAdapter,
    COMBOAdapter,
    adapter_for,
    how_to_adapt,
)
from coprop.keyframes.model import KeyframeModel

SELF_CONTAINED = [
    (lambda: AVSegFormer(), AVSegFormerAdapter),
    (lambda: AVSegFormer(71, preprocess=True), AVSegFormerAdapter),
    (lambda: COMBO(use_pre_sam=False), COMBOAdapter),
    (lambda: CAVP(), CAVPAdapter),
]
known = pytest.mark.parametrize(("build", "adapter"), SELF_CONTAINED)


@known
def test_known_networks_get_their_adapter(build: Any, adapter: Any) -> None:
    model = build()
    found = adapter_for(model)
    assert type(found) is adapter
    assert isinstance(found, KeyframeModel)
    assert found.model is model


@known
@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        torch.compile,
        lambda model: torch.compile(nn.DataParallel(model)),
        lambda model: nn.DataParallel(torch.compile(model)),
    ],
)
def test_what_is_around_them_is_taken_off(build: Any, adapter: Any, wrap: Any) -> None:
    model = build()
    for found in (adapter_for(wrap(model)), adapter(wrap(model))):
        assert type(found) is adapter
        assert found.model is model


def test_distributed_training_is_taken_off(tmp_path: Any) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1
    )
    try:
        model = AVSegFormer()
        found = adapter_for(nn.parallel.DistributedDataParallel(model))
    finally:
        torch.distributed.destroy_process_group()
    assert isinstance(found, AVSegFormerAdapter)
    assert found.model is model


def test_a_class_of_one_s_own_that_derives_from_one() -> None:
    class Mine(AVSegFormer):
        pass

    assert isinstance(adapter_for(Mine()), AVSegFormerAdapter)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (TPAVI(), r'TPAVIAdapter\(model, vggish="vggish-10086976\.pth"\)'),
        (SemanticTPAVI(), r'TPAVIAdapter\(model, vggish="vggish-10086976\.pth"\)'),
        (nn.DataParallel(CATR()), r'CATRAdapter\(model, vggish="vggish-10086976\.pth"\)'),
        (COMBO(), r"COMBOAdapter\(model, pre_masks=fn\)"),
    ],
)
def test_networks_that_need_something_beside_them_say_so(model: Any, message: str) -> None:
    with pytest.raises(CoPropError, match=message):
        adapter_for(model)


def test_others_get_none() -> None:
    class MaskFormer(nn.Module):  # the one for pictures without sound
        pass

    class Pred_endecoder(nn.Module):  # noqa: N801
        def forward(self, video: Tensor) -> Tensor:
            return video

    class CAVP(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image

    for model in (nn.Linear(1, 1), MaskFormer(), Pred_endecoder(), CAVP()):
        assert adapter_for(model) is None
    assert adapter_for(lambda frames, audio: frames) is None


def test_how_to_adapt_shows_code_that_works() -> None:
    class Unknown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.drop = nn.Conv2d(3, 2, 3, stride=2), nn.Dropout()

        def forward(self, image: Tensor, sound: Tensor) -> Tensor:
            return self.drop(self.conv(image)) * sound.abs().mean(1).view(-1, 1, 1, 1)

    model = Unknown()
    text = how_to_adapt(nn.DataParallel(model))
    assert "Unknown.forward(image: 'Tensor', sound: 'Tensor') -> 'Tensor'" in text
    code = text.split("\n\n", 1)[1].rsplit("\n\n", 1)[0]
    assert len([line for line in code.splitlines() if line]) <= 10

    class CoProp:
        @staticmethod
        def wrap(model: nn.Module, *, adapter: Any) -> tuple[nn.Module, Any]:
            return model, adapter

    scope: dict[str, Any] = {"torch": torch, "F": F, "model": model, "CoProp": CoProp}
    exec(code, scope)
    wrapped, adapter = scope["pipeline"]
    assert wrapped is model
    assert not model.training
    frames, audio = clip(2, (45, 60))
    small = F.interpolate(frames, (224, 224), mode="bilinear", antialias=True)
    expected = F.interpolate(model(imagenet(small), audio), (45, 60), mode="bilinear")
    torch.testing.assert_close(adapter(frames, audio), expected)
    assert 'CallableSegmenter(function, size=(224, 224), normalise=True, audio="log_mel")' in text


def test_how_to_adapt_what_hides_its_arguments() -> None:
    class Hidden:
        __signature__ = "none"

        def __call__(self, *inputs: Tensor) -> Tensor:
            return inputs[0]

    class Opaque(nn.Module):
        forward = Hidden()

    text = how_to_adapt(Opaque())
    assert "Opaque.forward() wants" in text
    assert "def adapter(frames, audio):" in text
