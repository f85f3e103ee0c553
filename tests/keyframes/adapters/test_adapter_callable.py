"""`CallableSegmenter`: what a plain function can ask for."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from adapter_standins import T, clip, examples, imagenet, small_vggish
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from coprop.encoders.vggish import VGGish
from coprop.errors import CoPropError, ModelOutputError, ShapeError
from coprop.keyframes.adapters import CallableSegmenter
from coprop.keyframes.model import ALONE, FrameContext, KeyframeModel


class Recorder:
    """Notes what it is given; its logits are the green channel and the red."""

    def __init__(self) -> None:
        self.frames: list[Tensor] = []
        self.sounds: list[Any] = []

    def __call__(self, frames: Tensor, sound: Any) -> Tensor:
        self.frames.append(frames)
        self.sounds.append(sound)
        return torch.cat(
            [frames[:, 1:2], frames[:, :1].mean((1, 2, 3), True) + 0 * frames[:, 1:2]], 1
        )


def test_a_plain_function_is_given_everything_as_it_is() -> None:
    fn, (frames, audio) = Recorder(), clip(3, (21, 30))
    segmenter = CallableSegmenter(fn)
    logits = segmenter(frames, audio)
    assert fn.frames[0] is frames
    assert fn.sounds[0] is audio
    torch.testing.assert_close(logits[:, :1], frames[:, 1:2])
    assert isinstance(segmenter, KeyframeModel)
    assert (segmenter.sample_rate, segmenter.window_s) == (16_000, 1.0)
    assert (segmenter.audio_span, segmenter.context) == ("frame", ALONE)


def test_size_and_normalisation() -> None:
    fn, (frames, audio) = Recorder(), clip(2, (45, 60))
    logits = CallableSegmenter(fn, size=(16, 24), normalise=True)(frames, audio)
    small = F.interpolate(frames, (16, 24), mode="bilinear", antialias=True)
    torch.testing.assert_close(fn.frames[0], imagenet(small))
    expected = F.interpolate(imagenet(small)[:, 1:2], (45, 60), mode="bilinear")
    torch.testing.assert_close(logits[:, :1], expected)


def test_logits_of_any_size_are_resized_back() -> None:
    frames, audio = clip(2, (45, 60))
    coarse = torch.randn(2, 3, 4, 6)
    logits = CallableSegmenter(lambda *_: coarse, size=(16, 24))(frames, audio)
    torch.testing.assert_close(logits, F.interpolate(coarse, (45, 60), mode="bilinear"))


def test_spectrograms_and_embeddings() -> None:
    fn, (frames, audio) = Recorder(), clip(3)
    segmenter = CallableSegmenter(fn, audio="log_mel")
    segmenter(frames, audio)
    assert segmenter.window_s == 0.975
    torch.testing.assert_close(fn.sounds[0], examples(audio))
    encoder = small_vggish()
    CallableSegmenter(fn, audio="embedding", vggish=encoder)(frames, audio)
    with torch.no_grad():
        torch.testing.assert_close(fn.sounds[1], encoder.embedding(audio))
    longer = F.pad(audio, (200, 200))  # of the second about the frame, the middle
    CallableSegmenter(fn, audio="log_mel", window_s=1.0)(frames, longer)
    torch.testing.assert_close(fn.sounds[2], examples(audio))


def test_paths_of_files_that_are_there_during_the_call() -> None:
    paths: list[str] = []

    def fn(frames: Tensor, sound: list[str]) -> Tensor:
        paths.extend(sound)
        read = []
        for path in sound:
            with wave.open(path) as file:
                assert (file.getnchannels(), file.getframerate()) == (1, 16_000)
                assert file.getsampwidth() == 2
                read.append(np.frombuffer(file.readframes(file.getnframes()), dtype="<i2"))
        loudness = torch.from_numpy(np.stack(read) / 32_768).float().abs().amax(1)
        return loudness.view(-1, 1, 1, 1).expand(-1, 1, *frames.shape[-2:])

    frames, _ = clip(3)
    # The first lies between two steps, the last is cut off.
    audio = torch.tensor([100.7 / 32_768, -1.0, 2.0]).view(3, 1).expand(3, 16_000)
    logits = CallableSegmenter(fn, audio="wav_path")(frames, audio)
    assert logits[:, 0, 0, 0].tolist() == [101 / 32_768, 1.0, 32_767 / 32_768]
    assert len(set(paths)) == 3
    assert not any(Path(path).exists() or Path(path).parent.exists() for path in paths)


def test_files_are_removed_after_a_failure() -> None:
    paths: list[str] = []

    def fn(frames: Tensor, sound: list[str]) -> Tensor:
        paths.extend(sound)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        CallableSegmenter(fn, audio="wav_path")(*clip(2))
    assert len(paths) == 2
    assert not any(Path(path).parent.exists() for path in paths)


@given(count=st.integers(1, 4), frames_per_call=st.integers(2, 5), data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_function_for_several_frames(count: int, frames_per_call: int, data: Any) -> None:
    fn = Recorder()
    mode = data.draw(st.sampled_from(["replicate", "window", "native"]))
    many = count * (1 if mode == "replicate" else frames_per_call)
    frames, audio = clip(many, (6, 8), seconds=0.01)
    segmenter = CallableSegmenter(fn, frames_per_call=frames_per_call, mode=mode)
    logits = segmenter(frames, audio)
    torch.testing.assert_close(logits[:, :1], frames[:, 1:2])  # row by row, in order
    assert [len(given) for given in fn.frames] == [frames_per_call] * count
    for call in range(count):
        if mode == "replicate":
            torch.testing.assert_close(fn.frames[call], frames[call].expand_as(fn.frames[call]))
            torch.testing.assert_close(fn.sounds[call], audio[call].expand_as(fn.sounds[call]))
        else:
            span = slice(call * frames_per_call, (call + 1) * frames_per_call)
            torch.testing.assert_close(fn.frames[call], frames[span])
            torch.testing.assert_close(fn.sounds[call], audio[span])
    placement = {"replicate": ALONE.placement, "window": "centre", "native": "block"}[mode]
    taken = 1 if mode == "replicate" else frames_per_call
    assert segmenter.context == FrameContext(taken, 1.0, placement)


def test_copies_may_be_written_into() -> None:
    def fn(frames: Tensor, sound: Tensor) -> Tensor:
        frames += torch.arange(len(frames)).view(-1, 1, 1, 1)
        return frames[:, :1]

    frames, audio = clip(2)
    kept = frames.clone()
    logits = CallableSegmenter(fn, frames_per_call=T)(frames, audio)
    torch.testing.assert_close(logits, kept[:, :1])
    assert torch.equal(frames, kept)


def test_files_for_several_frames() -> None:
    fn = Recorder()
    CallableSegmenter(fn, audio="wav_path", frames_per_call=T)(*clip(1))
    assert len(set(fn.sounds[0])) == T


def test_all_frames_of_a_context_at_once() -> None:
    fn, context = Recorder(), FrameContext(3, 0.5, "last")
    segmenter = CallableSegmenter(fn, context=context)
    segmenter(*clip(3))
    assert segmenter.context == context
    assert [len(given) for given in fn.frames] == [3]


@pytest.mark.parametrize("mode", ["window", "native"])
def test_a_number_of_frames_that_cannot_be_served(mode: Any) -> None:
    segmenter = CallableSegmenter(Recorder(), frames_per_call=T, mode=mode)
    with pytest.raises(ShapeError, match=r"5 frames at a time, got 7; give a multiple of 5"):
        segmenter(*clip(7))


@pytest.mark.parametrize("answer", [None, torch.zeros(2, 4), torch.zeros(3, 1, 4, 4), (1, 2)])
def test_what_is_no_logits_is_refused_before_it_is_resized(answer: Any) -> None:
    with pytest.raises(ModelOutputError, match=r"2 frames and should have returned .*\(2, C, h, w"):
        CallableSegmenter(lambda *_: answer, size=(8, 8))(*clip(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_s": 0.0}, "window_s"),
        ({"window_s": float("inf")}, "window_s"),
        ({"audio": "mfcc"}, "audio must be one of"),
        ({"audio_span": "second"}, "audio_span must be one of"),
        ({"size": (8,)}, "height and a width"),
        ({"audio": "log_mel", "sample_rate": 8000}, "VGGish hears 16000 Hz"),
        ({"audio": "embedding"}, r'vggish="vggish-10086976\.pth"'),
        ({"audio": "embedding", "vggish": VGGish(embeddings=False)}, "tokens only"),
        ({"vggish": VGGish(embeddings=False)}, "vggish is for audio"),
        *(({"frames_per_call": wrong}, "frames_per_call must be") for wrong in (0, 1.5, "5", None)),
        ({"size": (True, 8)}, "height and a width"),
        ({"frames_per_call": 5, "mode": "clip"}, "mode must be one of"),
        ({"mode": "native"}, "set frames_per_call"),
        ({"frames_per_call": 5, "placement": "last"}, 'for the mode "window"'),
        ({"frames_per_call": 5, "context": FrameContext(5)}, "either context"),
    ],
)
def test_options_that_cannot_be_are_refused(options: Any, message: str) -> None:
    with pytest.raises(CoPropError, match=message):
        CallableSegmenter(Recorder(), **options)


@pytest.mark.parametrize(("frames", "audio"), [((3, 8, 8), (1, 9)), ((2, 3, 8, 8), (1, 9))])
def test_other_shapes_are_refused(frames: Any, audio: Any) -> None:
    with pytest.raises(ShapeError, match=r"frames \(K, 3, H, W\)"):
        CallableSegmenter(Recorder())(torch.zeros(frames), torch.zeros(audio))


def test_it_says_what_it_does() -> None:
    def green(frames: Tensor, sound: Tensor) -> Tensor:
        return frames[:, 1:2]

    assert repr(CallableSegmenter(green)) == (
        "CallableSegmenter(green: samples of 1 s (frame), frames at their own size, "
        "each frame by itself)"
    )
    wide = CallableSegmenter(
        green, size=(224, 224), audio="log_mel", frames_per_call=5, mode="window"
    )
    assert "log_mel of 0.975 s (frame), frames at 224 x 224, " in repr(wide)
    assert "5 frames a second apart, the keyframe in the centre" in repr(wide)
