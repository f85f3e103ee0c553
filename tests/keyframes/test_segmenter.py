"""`KeyframeSegmenter`: any frame in, logits of its size out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from coprop import KeyframeSegmenter
from coprop.errors import CoPropError, ShapeError
from coprop.keyframes.adapters import CallableSegmenter
from coprop.keyframes.audio_queried import AudioQueriedConfig
from coprop.keyframes.model import KeyframeModel
from coprop.keyframes.segmenter import SegmenterConfig

QUERIED = AudioQueriedConfig(
    visual="resnet18", width=32, heads=2, encoder_layers=1, decoder_layers=1, num_classes=4
)


@pytest.fixture(scope="module", params=["grounded", "audio_queried"])
def segmenter(request: pytest.FixtureRequest) -> KeyframeSegmenter:
    torch.manual_seed(0)
    return KeyframeSegmenter(SegmenterConfig(request.param, 64, QUERIED)).eval()


def channels(segmenter: KeyframeSegmenter) -> int:
    return 1 if segmenter.config.architecture == "grounded" else 4


@pytest.mark.usefixtures("small_pictures")
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (47, 31), (64, 64), (90, 160), (300, 20)])
def test_logits_have_the_frames_size(segmenter: KeyframeSegmenter, size: tuple[int, int]) -> None:
    logits = segmenter(torch.rand(1, 3, *size), 0.1 * torch.randn(1, 8000))
    assert logits.shape == (1, channels(segmenter), *size)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@pytest.mark.usefixtures("small_pictures")
def test_keyframes_of_a_batch_do_not_see_each_other(segmenter: KeyframeSegmenter) -> None:
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(3, 3, 48, 64, generator=generator)
    audio = 0.1 * torch.randn(3, 40_000, generator=generator)
    together = segmenter(frames, audio)
    alone = torch.cat([segmenter(frames[k : k + 1], audio[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("small_pictures")
def test_what_is_around_a_frame_has_its_shape(segmenter: KeyframeSegmenter) -> None:
    frames, audio = torch.rand(2, 3, 48, 64), torch.zeros(2, 8000)
    around = torch.rand(2, 4, 3, 48, 64)
    assert segmenter(frames, audio, around).shape[-2:] == (48, 64)
    if segmenter.surroundings.frames > 1:
        for wrong in (around[:1], around[:, :3], around[..., :32]):
            with pytest.raises(ShapeError, match=r"around must hold .*\(2, 4, 3, 48, 64\)"):
                segmenter(frames, audio, wrong)


@pytest.mark.usefixtures("small_pictures")
def test_frames_are_worked_on_at_the_working_edge(
    segmenter: KeyframeSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []

    def note(module: Any, args: Any) -> None:
        sizes.append(tuple(args[0].shape[-2:]))

    hook = segmenter.network.register_forward_pre_hook(note)
    for size in [(1080, 1920), (36, 64), (10, 1000), (500, 500)]:
        segmenter(torch.rand(1, 3, *size), torch.randn(1, 100))
    hook.remove()
    assert sizes == [(32, 64), (32, 64), (32, 64), (64, 64)]


@pytest.mark.parametrize(
    ("frames", "audio"),
    [
        ((3, 20, 20), (1, 100)),
        ((1, 4, 20, 20), (1, 100)),
        ((1, 20, 20, 3), (1, 100)),
        ((1, 3, 20, 20), (100,)),
        ((2, 3, 20, 20), (1, 100)),
        ((1, 3, 20, 20), (2, 100)),
        ((1, 3, 20, 20), (1, 0)),
        ((1, 3, 0, 20), (1, 100)),
        ((0, 3, 20, 20), (0, 100)),
    ],
)
def test_other_shapes_are_refused(
    segmenter: KeyframeSegmenter, frames: tuple[int, ...], audio: tuple[int, ...]
) -> None:
    with pytest.raises(ShapeError, match=r"frames \(K, 3, H, W\) and audio \(K, samples\)"):
        segmenter(torch.zeros(frames), torch.zeros(audio))


@pytest.mark.usefixtures("small_pictures")
def test_frames_of_other_types(segmenter: KeyframeSegmenter) -> None:
    frames, audio = torch.rand(1, 3, 48, 64).double(), torch.zeros(1, 8000)
    torch.testing.assert_close(segmenter(frames, audio), segmenter(frames.float(), audio))
    with pytest.raises(ShapeError, match=r"torch\.uint8; divide uint8 frames by 255"):
        segmenter((255 * frames).byte(), audio)


@pytest.mark.usefixtures("small_pictures")
def test_what_the_default_alone_is_asked(segmenter: KeyframeSegmenter) -> None:
    frame, audio = torch.rand(1, 3, 48, 64), torch.zeros(1, 8000)
    if segmenter.config.architecture != "grounded":
        return
    for words in ("dog", (3,)):
        with pytest.raises(CoPropError, match="tuple of words"):
            segmenter(frame, audio, categories=words)
    for wrong in (frame[0], frame.expand(2, -1, -1, -1), frame.byte()):
        with pytest.raises(ShapeError, match="frame"):
            segmenter.candidates(wrong)
    for wrong in (frame, frame[:, None]):
        with pytest.raises(ShapeError, match="around must hold"):
            segmenter.candidates(frame, wrong)


def test_it_fills_the_slot(segmenter: KeyframeSegmenter) -> None:
    assert isinstance(segmenter, KeyframeModel)
    assert isinstance(CallableSegmenter(lambda frames, audio: frames[:, :1]), KeyframeModel)
    whole = segmenter.config.architecture == "grounded"
    assert segmenter.audio_span == ("whole" if whole else "segment")
    assert (segmenter.sample_rate, segmenter.window_s > 0) == (
        16_000,
        True,
    )


@pytest.mark.parametrize(
    "options", [{"architecture": "grund"}, {"working_edge": 0}, {"audio_queried": {"width": 64}}]
)
def test_settings_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(CoPropError, match=next(iter(options))):
        SegmenterConfig(**options)


def test_a_config_survives_json() -> None:
    config = SegmenterConfig("audio_queried", 96, QUERIED)
    assert SegmenterConfig.from_dict(config.to_dict()) == config
    assert SegmenterConfig.from_dict({"architecture": "grounded"}).audio_queried
