"""Adapters in the pipeline: a clip of the benchmark is asked as the benchmark's scripts ask it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from adapter_standins import COMBO, TPAVI, AVSegFormer, T, examples, imagenet, small_vggish

from coprop import CoProp
from coprop.keyframes.adapters import AVSegFormerAdapter, COMBOAdapter, TPAVIAdapter
from coprop.media.clip import Clip
from coprop.types import Audio
from pipeline_samples import Shifter, changes_at

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, (T, 32, 64, 3)).astype(np.uint8)
SOUND = (0.2 * RNG.standard_normal(T * 16_000)).astype(np.float32)
PICTURES = torch.from_numpy(FRAMES).permute(0, 3, 1, 2).float() / 255
EXAMPLES = torch.from_numpy(SOUND).unfold(0, 15_600, 15_360)


def of_every_frame(pipeline: CoProp) -> Any:
    clip = Clip(FRAMES, Audio(SOUND, 16_000), fps=1)
    masks = list(pipeline.every_frame(clip))
    return torch.stack([torch.from_numpy(mask.probabilities) for mask in masks])


def wrapped(model: Any, adapter: Any) -> CoProp:
    return CoProp.wrap(model, adapter=adapter, detector=changes_at(), propagator=Shifter())


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_tpavi_on_a_clip_of_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    model, vggish = TPAVI(), small_vggish()
    adapter = TPAVIAdapter(model, vggish=vggish, mode="native", size=(32, 64), audio_span="example")
    given = of_every_frame(wrapped(model, adapter))
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self, *_, **__: self)
    with torch.no_grad():
        direct = model.eval()(imagenet(PICTURES), vggish.embedding(EXAMPLES))[0]
    torch.testing.assert_close(given[:, 1:], direct.sigmoid(), rtol=0, atol=1e-4)


def test_avsegformer_on_a_clip_of_five_seconds() -> None:
    model = AVSegFormer()
    adapter = AVSegFormerAdapter(model, size=(32, 64), audio_span="example")
    given = of_every_frame(wrapped(model, adapter))
    with torch.no_grad():
        direct = model.eval()(examples(EXAMPLES), imagenet(PICTURES))[0]
    torch.testing.assert_close(given[:, 1:], direct.sigmoid(), rtol=0, atol=1e-4)


def test_combo_on_a_clip_of_five_seconds() -> None:
    model = COMBO(use_pre_sam=False)
    adapter = COMBOAdapter(model, mode="native", size=(32, 64), audio_span="example")
    given = of_every_frame(wrapped(model, adapter))
    video = {"images": 255 * PICTURES, "audio_log_mel": examples(EXAMPLES)}
    with torch.no_grad():
        direct = torch.stack([each["sem_seg"] for each in model.eval()([video])])
    torch.testing.assert_close(given, direct.softmax(1), rtol=0, atol=1e-4)


def test_an_adapter_alone_tells_the_device() -> None:
    adapter = AVSegFormerAdapter(AVSegFormer().to("meta"))
    assert CoProp.wrap(adapter, propagator=Shifter()).device.type == "meta"
