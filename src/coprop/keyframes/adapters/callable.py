"""A plain function as keyframe model, with the size, sound and number of frames that it wants."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from coprop.context import ALONE, FrameContext
from coprop.encoders.log_mel import SAMPLE_RATE
from coprop.encoders.vggish import VGGish
from coprop.errors import CoPropError
from coprop.keyframes.adapters import inference, inputs
from coprop.keyframes.adapters.base import check_output, resize_logits
from coprop.keyframes.adapters.batching import Batching, Mode, WindowPlacement
from coprop.keyframes.adapters.inputs import Resize, Size, VGGishSource
from coprop.keyframes.model import (
    LONGEST_WINDOW_S,
    MOST_KEYFRAMES,
    AudioSpan,
    Outputs,
    as_logits,
    check_input,
)
from coprop.utils.checks import check_choice, check_function, number, whole
from coprop.values.audio import HIGHEST_RATE

AudioForm = Literal["samples", "log_mel", "embedding", "wav_path"]
"""The form in which a function takes the sound of N frames.

- "samples": (N, n) mono in [-1, 1].
- "log_mel": (N, 1, 96, 64), VGGish's spectrograms.
- "embedding": (N, 128), VGGish's embeddings.
- "wav_path": a list of N paths of mono wav files of 16 bits, which are removed after the call.
"""

AdaptedFunction = Callable[[Tensor, Any], Tensor]
"""``fn(frames (N, 3, h, w), sound) -> logits (N, C, h', w')``."""


class CallableSegmenter:
    """A plain function as keyframe model: ``fn(frames, sound) -> logits``.

    Where the function is a network, or a method of one, or its network is named, that is run in
    evaluation mode, on the device where it is when it is called, and left as it was.

    Args:
        fn: takes frames (N, 3, h, w) RGB in [0, 1] and their sound; returns logits (N, C, h, w).
        sample_rate: of the sound it takes, in Hz.
        window_s: how much sound it takes with a frame, in seconds; by default 1, or for the forms
            of VGGish its 0.975.
        audio_span: which sound goes with a frame.
        context: which other frames it wants to see, where it takes all of them in one call.
        size: frames are resized to this height and width, and logits of any size back to the
            frames' own. None: as they are.
        resize: how frames get to that size.
        normalise: whether frames get ImageNet's mean 0 and deviation 1.
        audio: the form of the sound.
        vggish: the encoder, or the file of its weights, for embeddings.
        frames_per_call: T, where it takes just so many frames; 1 where any number will do.
        mode: which T frames it is given (`coprop.keyframes.adapters.batching.Mode`).
        placement: where the keyframe lies, in the mode "window".
        outputs: what it returns (`coprop.keyframes.model.Outputs`).
        keyframes_per_call: how many keyframes it is given in one call, 1 to 64; None for as many
            as the pipeline carries on at once. 1 for functions with other frames in a call.
        network: the network that it calls.
        gradients: whether the network takes gradients inside its forward.

    Raises:
        CoPropError: an option out of range, or options that contradict each other.
        CheckpointError: a file that is not VGGish's.

    Example:
        >>> bright = lambda frames, sound: 9 * frames[:, :1] - 6  # (N, 3, 32, 32) -> (N, 1, 32, 32)
        >>> segmenter = CallableSegmenter(bright, size=(32, 32))
        >>> segmenter(torch.rand(2, 3, 90, 160), torch.zeros(2, 16_000)).shape
        torch.Size([2, 1, 90, 160])
    """

    def __init__(
        self,
        fn: AdaptedFunction,
        *,
        sample_rate: int = SAMPLE_RATE,
        window_s: float | None = None,
        audio_span: AudioSpan = "frame",
        context: FrameContext = ALONE,
        size: Size | None = None,
        resize: Resize = "torch_antialias",
        normalise: bool = False,
        audio: AudioForm = "samples",
        vggish: VGGishSource | None = None,
        frames_per_call: int = 1,
        mode: Mode = "replicate",
        placement: WindowPlacement = "centre",
        outputs: Outputs = "logits",
        keyframes_per_call: int | None = None,
        network: nn.Module | None = None,
        gradients: bool = False,
    ) -> None:
        if window_s is None:
            window_s = inputs.EXAMPLE_S if audio in ("log_mel", "embedding") else 1.0
        check_function("the model", fn, ("frames", "audio"), "a function of frames and their sound")
        if not isinstance(context, FrameContext):
            raise CoPropError(f"context must be a FrameContext, got {context!r}.")
        wanted = f"a whole number of Hz from 1 to {HIGHEST_RATE}"
        sample_rate = whole("sample_rate", sample_rate, wanted, low=1, high=HIGHEST_RATE)
        wanted = f"a length of sound from one sample to {LONGEST_WINDOW_S} s, usually 1"
        least = 1 / sample_rate
        window_s = number("window_s", window_s, wanted, low=least, high=LONGEST_WINDOW_S)
        check_choice("audio_span", audio_span, get_args(AudioSpan))
        check_choice("audio", audio, get_args(AudioForm))
        check_choice("resize", resize, get_args(Resize))
        check_choice("outputs", outputs, get_args(Outputs))
        inputs.check_size(size)
        self.batching = Batching(frames_per_call, mode, placement)
        takes_one = self.batching.frames == 1
        if not takes_one and context != ALONE:
            raise CoPropError(
                "give either context, for a function that takes all its frames at once, or "
                "frames_per_call and mode, which choose the context."
            )
        self.fn = fn
        self.sample_rate = sample_rate
        self.window_s = window_s
        self.audio_span: AudioSpan = audio_span
        self.size = size
        self.resize: Resize = resize
        self.outputs: Outputs = outputs
        self.network = network
        self.gradients = gradients
        self.normalise = normalise
        self.audio: AudioForm = audio
        self.context = context if takes_one else self.batching.context
        self.keyframes_per_call = _per_call(keyframes_per_call, lone=takes_one and context == ALONE)
        self.vggish = _vggish(audio, sample_rate, vggish)

    def __call__(self, frames: Tensor, audio: Tensor) -> Tensor:
        """The function's logits as of `KeyframeModel`; resized where it has a size of its own.

        Raises:
            ShapeError: other shapes, or a K that the mode cannot serve.
            ModelOutputError: frames were to be resized or repeated, and the function returned
                something else than logits of each.
        """
        check_input(frames, audio)
        network = inference.network_of(self)
        if network is None:
            with torch.set_grad_enabled(self.gradients), _cuda_without_gpu(frames.device):
                return _detached(self._logits(frames, audio))
        device = inference.device_of(network)
        with inference.evaluation_mode(network, gradients=self.gradients):
            logits = _detached(self._logits(frames.to(device), audio.to(device)))
        return logits.to(frames.device) if isinstance(logits, Tensor) else logits

    def _logits(self, frames: Tensor, audio: Tensor) -> Tensor:
        images = inputs.preprocess(frames, self.size, self.resize, normalise=self.normalise)
        if self.size is None and self.batching.frames == 1:
            return self._call(images, self._sound(audio))
        logits = self.batching.run(self._checked, images, self._sound(audio))
        return resize_logits(logits, (frames.shape[2], frames.shape[3])) if self.size else logits

    def __repr__(self) -> str:
        at_once = self.batching.frames == 1 and self.context != ALONE
        taken = self.context if at_once else self.batching
        return (
            f"CallableSegmenter({self._name}: {self.audio} of {self.window_s:g} s "
            f"({self.audio_span}), {inputs.size_in_words(self.size)}, {taken})"
        )

    @property
    def _name(self) -> str:
        return str(getattr(self.fn, "__name__", type(self.fn).__name__))

    def _sound(self, audio: Tensor) -> Tensor:
        if self.audio == "log_mel":
            return inputs.log_mel_examples(audio)
        return audio if self.vggish is None else inputs.embeddings(self.vggish, audio)

    def _call(self, images: Tensor, sound: Tensor) -> Tensor:
        unsaid = self.batching.frames == 1 and self.context == ALONE
        with inference.failures_explained(self._name, given=len(images) if unsaid else None):
            if self.audio != "wav_path":
                return as_logits(self.fn(images, sound), self.outputs, self._name)
            with inputs.wav_files(sound, self.sample_rate) as paths:
                return as_logits(self.fn(images, paths), self.outputs, self._name)

    def _checked(self, images: Tensor, sound: Tensor) -> Tensor:
        return check_output(self._call(images, sound), len(images), "the function")


def _per_call(given: int | None, *, lone: bool) -> int | None:
    if given is None:
        return None if lone else 1
    wanted = f"a whole number of keyframes from 1 to {MOST_KEYFRAMES}, or None"
    count = whole("keyframes_per_call", given, wanted, low=1, high=MOST_KEYFRAMES)
    if count > 1 and not lone:
        raise CoPropError(
            f"keyframes_per_call={count} is for functions that take each frame by itself; with "
            "context or frames_per_call a call is one keyframe's."
        )
    return count


def _detached(logits: Tensor) -> Tensor:
    return logits.detach() if isinstance(logits, Tensor) else logits


def _cuda_without_gpu(device: torch.device) -> AbstractContextManager[object]:
    """``tensor.cuda()`` in a function's code stays on the device where there is no GPU."""
    return nullcontext() if torch.cuda.is_available() else inference.cuda_redirected(device)


def _vggish(audio: AudioForm, sample_rate: int, source: VGGishSource | None) -> VGGish | None:
    if audio in ("log_mel", "embedding") and sample_rate != SAMPLE_RATE:
        raise CoPropError(
            f"VGGish hears {SAMPLE_RATE} Hz, got sample_rate={sample_rate} for {audio!r}."
        )
    if audio == "embedding":
        needed_by = 'CallableSegmenter(fn, audio="embedding", vggish="vggish-10086976.pth")'
        return inputs.vggish_of(source, needed_by)
    if source is not None:
        raise CoPropError(f'vggish is for audio="embedding", got audio={audio!r}.')
    return None
