"""What the adapters of published networks share."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod

from torch import Tensor, nn

from coprop.encoders.log_mel import SAMPLE_RATE
from coprop.errors import CoPropError
from coprop.keyframes.adapters.calling import device_of, dtype_of, lent, unwrapped
from coprop.keyframes.adapters.failures import explained
from coprop.keyframes.adapters.pictures import (
    check_input,
    check_output,
    logits_at,
)
from coprop.keyframes.adapters.resizing import (
    Resize,
    Size,
    check_resize,
    check_size,
    prepared,
)
from coprop.keyframes.adapters.serving import Serving
from coprop.keyframes.adapters.sounds import EXAMPLE_S, log_mel_examples
from coprop.keyframes.model import AudioSpan, FrameContext

SPANS: tuple[AudioSpan, ...] = ("frame", "segment", "example")
"""Those of a fixed length, which is what published networks take."""


class NetworkAdapter(ABC):
    """A published network as keyframe model (`coprop.keyframes.model.KeyframeModel`).

    The network is run in evaluation mode, without gradients, on its own device and in its own
    precision, and is left as it was: nothing of it is changed, wrapped or copied.

    Args:
        model: the network, with its weights; ``DataParallel``, ``DistributedDataParallel`` and
            ``torch.compile`` around it are taken off.
        size: frames are resized to this height and width; None leaves them as they are.
        resize: how they get to that size; None for subclasses that choose it themselves.
        audio_span: which sound goes with a frame; "example" is how AVSBench's scripts pair them.
        serving: how many frames the network takes at a time.

    Raises:
        CoPropError: not a network, or an option out of range.
    """

    sample_rate: int = SAMPLE_RATE
    window_s: float = EXAMPLE_S

    def __init__(
        self,
        model: nn.Module,
        *,
        size: Size | None,
        resize: Resize | None,
        audio_span: AudioSpan,
        serving: Serving,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise CoPropError(
                f"{type(self).__name__} takes the network itself, a torch.nn.Module with its "
                f"weights loaded, got {type(model).__name__}."
            )
        if audio_span not in SPANS:
            raise CoPropError(f"audio_span must be one of {SPANS}, got {audio_span!r}.")
        check_size(size)
        check_resize(resize or "pillow")
        self.model = unwrapped(model)
        self.size = size
        self.resize: Resize = resize or "pillow"
        self.audio_span: AudioSpan = audio_span
        self.serving = serving

    @staticmethod
    @abstractmethod
    def recognises(model: nn.Module) -> bool:
        """Whether a network, already unwrapped, is of this family."""

    @property
    def context(self) -> FrameContext:
        return self.serving.context

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
        with lent(self.model), explained(type(self.model).__name__):
            pictures = self._pictures(frames.to(device).float())
            sound = self._sound(audio.to(device).float())
            logits = self.serving.run(self._checked, pictures.to(dtype), sound.to(dtype))
            return logits_at(logits, (frames.shape[2], frames.shape[3])).to(frames.device)

    def _checked(self, pictures: Tensor, sound: Tensor) -> Tensor:
        return check_output(self._logits(pictures, sound), len(pictures), type(self.model).__name__)

    def _pictures(self, frames: Tensor) -> Tensor:
        """Frames in [0, 1] as the network takes them, at its size."""
        return prepared(frames, self.size, self.resize)

    def _sound(self, audio: Tensor) -> Tensor:
        """(K, samples) as the network takes it, one row a frame."""
        return log_mel_examples(audio)

    @abstractmethod
    def _logits(self, pictures: Tensor, sound: Tensor) -> object:
        """The network's logits (N, C, h, w) of N frames."""

    @abstractmethod
    def _details(self) -> str:
        """The head, and the form of the sound, in words."""

    def __repr__(self) -> str:
        size = f"{self.size[0]} x {self.size[1]}" if self.size else "their own size"
        return (
            f"{type(self).__name__}({type(self.model).__name__}: {self._details()} of "
            f"{self.window_s:g} s ({self.audio_span}), frames at {size}, {self.serving})"
        )


def has_class(model: nn.Module, name: str) -> bool:
    """Whether a network's class, or one that it derives from, has this name."""
    return any(kind.__name__ == name for kind in type(model).__mro__)


def arguments_of(model: nn.Module) -> tuple[str, ...]:
    """The names of the arguments of a network's forward."""
    return tuple(inspect.signature(model.forward).parameters)


def first_of(output: object) -> object:
    """The first thing that a network returned, where it returned several."""
    return output[0] if isinstance(output, tuple | list) and output else output
