"""What the adapters of published networks share."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import ClassVar, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from coprop.checks import is_plain
from coprop.encoders.log_mel import SAMPLE_RATE
from coprop.errors import CoPropError, ModelOutputError
from coprop.keyframes.adapters.batching import Batching, Mode, WindowPlacement
from coprop.keyframes.adapters.inference import (
    device_of,
    dtype_of,
    evaluation_mode,
    failures_explained,
    unwrapped,
)
from coprop.keyframes.adapters.inputs import (
    EXAMPLE_S,
    Resize,
    Size,
    VGGishSource,
    check_input,
    check_size,
    embeddings,
    log_mel_examples,
    prepared,
    size_in_words,
    vggish_of,
)
from coprop.keyframes.model import AudioSpan, FrameContext, check_choice

SPANS: tuple[AudioSpan, ...] = ("frame", "segment", "example")
"""Those of a fixed length, which is what published networks take."""

_CLIP = 5  # frames: a literal in the code of TPAVI and CATR, AVSBench's clips of five seconds


class NetworkAdapter(ABC):
    """A published network as keyframe model (`coprop.keyframes.model.KeyframeModel`).

    The network is run in evaluation mode, without gradients, on its own device and in its own
    precision, and is left as it was: nothing of it is changed, wrapped or copied.

    Args:
        model: the network, with its weights; ``DataParallel``, ``DistributedDataParallel`` and
            ``torch.compile`` around it are taken off.
        size: frames are resized to this height and width, multiples of 32; None for those of the
            network's own loader.
        resize: how they get to that size; None for its own loader's way.
        audio_span: which sound goes with a frame: "frame", "segment" or, as AVSBench's scripts
            pair them, "example".

    Raises:
        CoPropError: not a network, or an option out of range.
    """

    sample_rate: int = SAMPLE_RATE
    window_s: float = EXAMPLE_S

    network_class: ClassVar[str]
    """The name of the network's class,"""
    signatures: ClassVar[tuple[tuple[str, ...], ...]]
    """and what its forward may take, which tells it from others of that name."""

    def __init__(
        self,
        model: nn.Module,
        *,
        size: Size | None = None,
        resize: Resize | None = None,
        audio_span: AudioSpan = "frame",
    ) -> None:
        if not isinstance(model, nn.Module):
            raise CoPropError(
                f"{type(self).__name__} takes the network itself, a torch.nn.Module with its "
                f"weights loaded, got {type(model).__name__}."
            )
        check_choice("audio_span", audio_span, SPANS)
        check_size(size)
        self.model = unwrapped(model)
        loader_size, loader_resize = self._loader()
        self.size = loader_size if size is None else size
        self.resize: Resize = loader_resize if resize is None else resize
        check_choice("resize", self.resize, get_args(Resize))
        self.audio_span: AudioSpan = audio_span
        self.batching = Batching()

    @classmethod
    def recognises(cls, model: nn.Module) -> bool:
        """Whether a network, already unwrapped, is of this family."""
        named = any(kind.__name__ == cls.network_class for kind in type(model).__mro__)
        return named and arguments_of(model) in cls.signatures

    @property
    def context(self) -> FrameContext:
        """The frames that the pipeline has to give."""
        return self.batching.context

    def __call__(self, frames: Tensor, audio: Tensor) -> Tensor:
        """Logits of what sounds in each frame.

        Args:
            frames: (K, 3, H, W) RGB in [0, 1].
            audio: (K, samples) mono sound of each, in [-1, 1] at `sample_rate`.

        Returns:
            (K, C, H, W) float32 logits at the frames' size, on their device.

        Raises:
            ShapeError: other shapes, or a K that the mode cannot serve.
            ModelOutputError: the network returned something else than it should.
        """
        check_input(frames, audio)
        device, dtype = device_of(self.model), dtype_of(self.model)
        with evaluation_mode(self.model), failures_explained(type(self.model).__name__):
            pictures = self._pictures(frames.to(device).float())
            sound = self._sound(audio.to(device).float())
            logits = self.batching.run(self._checked, pictures.to(dtype), sound.to(dtype))
            return logits_at(logits, (frames.shape[2], frames.shape[3])).to(frames.device)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({type(self.model).__name__}: {self._details()} of "
            f"{self.window_s:g} s ({self.audio_span}), {size_in_words(self.size)}, {self.batching})"
        )

    def _checked(self, pictures: Tensor, sound: Tensor) -> Tensor:
        return check_output(self._logits(pictures, sound), len(pictures), type(self.model).__name__)

    def _pictures(self, frames: Tensor) -> Tensor:
        """Frames in [0, 1] as the network takes them, at its size."""
        return prepared(frames, self.size, self.resize)

    def _sound(self, audio: Tensor) -> Tensor:
        """(K, samples) as the network takes it, one row a frame."""
        return log_mel_examples(audio)

    @abstractmethod
    def _loader(self) -> tuple[Size | None, Resize]:
        """To which size, and how, the network's own loader resizes frames."""

    @abstractmethod
    def _logits(self, pictures: Tensor, sound: Tensor) -> object:
        """The network's logits (N, C, h, w) of N frames."""

    @abstractmethod
    def _details(self) -> str:
        """The head, and the form of the sound, in words."""


class ClipAdapter(NetworkAdapter):
    """A published network that takes five frames at a time.

    Args:
        mode: which five frames it is given (`coprop.keyframes.adapters.batching.Mode`).
        placement: where the keyframe lies, in the mode "window".
        model, size, resize, audio_span: see `NetworkAdapter`.
    """

    copies: ClassVar[int | None] = None
    """How often a lone frame is given in the mode "replicate"; None for five times."""

    def __init__(
        self,
        model: nn.Module,
        *,
        mode: Mode = "replicate",
        placement: WindowPlacement = "centre",
        size: Size | None = None,
        resize: Resize | None = None,
        audio_span: AudioSpan = "frame",
    ) -> None:
        super().__init__(model, size=size, resize=resize, audio_span=audio_span)
        self.batching = Batching(_CLIP, mode, placement, self.copies)


class EmbeddingAdapter(ClipAdapter):
    """A published network that takes five frames and VGGish's embeddings of their sound.

    Args:
        vggish: the audio encoder that its scripts keep beside it, or the file of its weights.
        model, mode, placement, size, resize, audio_span: see `ClipAdapter`.

    Raises:
        CoPropError: no VGGish, or an option out of range.
        CheckpointError: a file that is not VGGish's.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        vggish: VGGishSource | None = None,
        mode: Mode = "replicate",
        placement: WindowPlacement = "centre",
        size: Size | None = None,
        resize: Resize | None = None,
        audio_span: AudioSpan = "frame",
    ) -> None:
        super().__init__(
            model,
            mode=mode,
            placement=placement,
            size=size,
            resize=resize,
            audio_span=audio_span,
        )
        needed_by = f'{type(self).__name__}(model, vggish="vggish-10086976.pth")'
        self.vggish = vggish_of(vggish, needed_by)

    def _sound(self, audio: Tensor) -> Tensor:
        return embeddings(self.vggish, audio)


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


def logits_at(logits: Tensor, size: Size) -> Tensor:
    """(K, C, h, w) logits -> (K, C, *size) float32, bilinear; nothing is thresholded before."""
    if logits.shape[-2:] == size:
        return logits.float()
    return F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)
