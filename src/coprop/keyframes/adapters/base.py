"""What the adapters of published networks share."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import ClassVar, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from coprop.context import FrameContext
from coprop.encoders.log_mel import SAMPLE_RATE
from coprop.errors import CoPropError, ModelOutputError
from coprop.keyframes.adapters import inference, inputs
from coprop.keyframes.adapters.batching import Batching, Mode, WindowPlacement
from coprop.keyframes.adapters.inputs import Resize, Size
from coprop.keyframes.model import AudioSpan, check_input
from coprop.utils.checks import check_choice, is_plain

_SPANS = ("frame", "segment", "example")  # those of a fixed length, which published networks take


class NetworkAdapter(ABC):
    """A published network as keyframe model (`coprop.keyframes.model.KeyframeModel`).

    The network is run in evaluation mode, without gradients, on its own device and in its own
    precision, and is left as it was: nothing of it is changed, wrapped or copied.

    Args:
        model: the network, with its weights; ``DataParallel``, ``DistributedDataParallel`` and
            ``torch.compile`` around it are taken off.
        vggish: for networks that take its embeddings, the audio encoder that their scripts keep
            beside them, or the file of its weights.
        mode: which frames networks for five at a time are given
            (`coprop.keyframes.adapters.batching.Mode`).
        placement: where the keyframe lies, in the mode "window".
        size: frames are resized to this height and width, for most networks multiples of 32; None
            for those of the network's own loader.
        resize: how they get to that size; None for its own loader's way.
        audio_span: which sound goes with a frame: "frame", "segment" or, as AVSBench's scripts
            pair them, "example".

    Raises:
        CoPropError: not a network, no VGGish where it is needed, or an option that is out of range
            or not for this network.
        CheckpointError: a file that is not VGGish's.
    """

    sample_rate: int = SAMPLE_RATE
    window_s: float = inputs.EXAMPLE_S

    # What a family says of its networks: the name of their class; what their forward may take,
    # which tells them from others of that name; how many frames they take at a time, and how often
    # a lone one is repeated where fewer will do; whether they take VGGish's embeddings; which of
    # their attributes the adapter looks at or sets; and of which keys of the dicts that they return
    # it takes the values, none where it takes the first thing that they return.
    network_class: ClassVar[str]
    signatures: ClassVar[tuple[tuple[str, ...], ...]]
    clip_frames: ClassVar[int] = 1
    copies: ClassVar[int | None] = None
    takes_embeddings: ClassVar[bool] = False
    attributes: ClassVar[tuple[str, ...]] = ()
    used: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        model: nn.Module,
        *,
        vggish: inputs.VGGishSource | None = None,
        mode: Mode = "replicate",
        placement: WindowPlacement = "centre",
        size: Size | None = None,
        resize: Resize | None = None,
        audio_span: AudioSpan = "frame",
    ) -> None:
        name = type(self).__name__
        if not isinstance(model, nn.Module):
            raise CoPropError(
                f"{name} takes the network itself, a torch.nn.Module with its weights loaded, got "
                f"{type(model).__name__}."
            )
        check_choice("audio_span", audio_span, _SPANS)
        inputs.check_size(size)
        self.model = inference.unwrap(model)
        loader_size, loader_resize = self._loader()
        self.size = loader_size if size is None else size
        self.resize: Resize = loader_resize if resize is None else resize
        check_choice("resize", self.resize, get_args(Resize))
        self.audio_span: AudioSpan = audio_span
        self.batching = Batching(self.clip_frames, mode, placement, self.copies)
        if vggish is not None and not self.takes_embeddings:
            raise CoPropError(f"{name} takes no VGGish beside its network; leave vggish.")
        needed_by = f'{name}(model, vggish="vggish-10086976.pth")'
        self.vggish = inputs.vggish_of(vggish, needed_by) if self.takes_embeddings else None

    @classmethod
    def matches(cls, model: nn.Module) -> bool:
        """Whether a network, already unwrapped, is of this family."""
        named = cls.network_class in inference.class_names_of(model)
        return named and arguments_of(model) in cls.signatures

    @property
    def context(self) -> FrameContext:
        """The frames that the pipeline has to give."""
        return self.batching.context

    @property
    def keyframes_per_call(self) -> int | None:
        """1 for networks of a fixed number of frames; None for those that take any number."""
        return None if self.batching.frames == 1 else 1

    def __call__(self, frames: Tensor, audio: Tensor) -> Tensor:
        """Logits as of `KeyframeModel`, float32, on the frames' device.

        Raises:
            ShapeError: other shapes, or a K that the mode cannot serve.
            ModelOutputError: the network returned something else than it should.
        """
        check_input(frames, audio)
        device, dtype = inference.device_of(self.model), inference.dtype_of(self.model)
        with inference.evaluation_mode(self.model), inference.failures_explained(self._name):
            images = self._preprocess(frames.to(device).float())
            sound = self._sound(audio.to(device).float())
            logits = self.batching.run(self._checked, images.to(dtype), sound.to(dtype))
            return resize_logits(logits, (frames.shape[2], frames.shape[3])).to(frames.device)

    def __repr__(self) -> str:
        sound = f"{self._details()} of {self.window_s:g} s ({self.audio_span})"
        taken = f"{inputs.size_in_words(self.size)}, {self.batching}"
        return f"{type(self).__name__}({self._name}: {sound}, {taken})"

    @property
    def _name(self) -> str:
        return inference.class_names_of(self.model)[0]

    def _checked(self, images: Tensor, sound: Tensor) -> Tensor:
        return check_output(self._logits(images, sound), len(images), self._name)

    def _preprocess(self, frames: Tensor) -> Tensor:
        """Frames in [0, 1] as the network takes them, at its size."""
        return inputs.preprocess(frames, self.size, self.resize)

    def _sound(self, audio: Tensor) -> Tensor:
        """(K, samples) as the network takes it, one row a frame."""
        if self.vggish is None:
            return inputs.log_mel_examples(audio)
        return inputs.embeddings(self.vggish, audio)

    @abstractmethod
    def _loader(self) -> tuple[Size | None, Resize]:
        """To which size, and how, the network's own loader resizes frames."""

    @abstractmethod
    def _logits(self, images: Tensor, sound: Tensor) -> object:
        """The network's logits (N, C, h, w) of N frames."""

    @abstractmethod
    def _details(self) -> str:
        """The head, and the form of the sound, in words."""


def arguments_of(model: nn.Module) -> tuple[str, ...]:
    """The names of the arguments of a network's forward."""
    return tuple(inspect.signature(model.forward).parameters)


def first_of(output: object) -> object:
    """The first thing that a network returned, where it returned several."""
    return output[0] if isinstance(output, tuple | list) and output else output


def check_output(logits: object, count: int, name: str) -> Tensor:
    """The logits (count, C, h, w) that a network returned; of all else ModelOutputError."""
    if is_plain(logits) and logits.ndim == 4 and len(logits) == count:
        return logits
    given = f"{tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
    raise ModelOutputError(
        f"{name} was given {count} frames and should have returned logits ({count}, C, h, w), got "
        f"{given}; where it returns several things, hand on its logits alone, and where "
        "it takes clips of T frames, give CallableSegmenter frames_per_call=T."
    )


def resize_logits(logits: Tensor, size: Size) -> Tensor:
    """(K, C, h, w) logits -> (K, C, *size) float32, bilinear; nothing is thresholded before."""
    if logits.shape[-2:] == size:
        return logits.float()
    return F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)
