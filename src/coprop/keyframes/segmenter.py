"""The keyframe segmenter: one frame and its sound -> a mask of what sounds (paper section 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from coprop.checkpoints.weights import PretrainedModel
from coprop.context import ALONE, FrameContext
from coprop.encoders.released import check_frames
from coprop.errors import CoPropError, ShapeError
from coprop.keyframes.audio_queried import AudioQueriedConfig, AudioQueriedNetwork
from coprop.keyframes.candidates import Candidate, candidates_in
from coprop.keyframes.grounded import GroundedNetwork, released
from coprop.keyframes.model import AudioSpan, check_input
from coprop.keyframes.motion import SURROUNDINGS
from coprop.keyframes.selection import OFF_SCREEN
from coprop.keyframes.text_and_sound import TextAndSoundSegmenter
from coprop.keyframes.text_guided import TextGuidedSegmenter
from coprop.keyframes.vocabulary import groups_named
from coprop.utils.checks import check_choice, number, shown, whole
from coprop.values.categories import as_words

Architecture = Literal["grounded", "audio_queried"]
_LARGEST_EDGE = 16_384  # pixels; no video is wider
_STRIDE = 32  # the coarsest feature map's; working sizes are multiples of it


@dataclass(frozen=True)
class SegmenterConfig:
    """What a `KeyframeSegmenter` is built from.

    Args:
        architecture: "grounded", the default's small network, or "audio_queried", the paper's.
        working_edge: frames are resized to this longer side, in pixels.
        off_screen: of the default's, how often what sounds is outside the picture, in [0, 1]. At 0
            it masks the likeliest thing in the picture whatever is heard, at 1 only what is surely
            seen and heard.
        audio_queried: options of the paper's network.
    """

    architecture: Architecture = "audio_queried"
    working_edge: int = 448
    audio_queried: AudioQueriedConfig = field(default_factory=AudioQueriedConfig)
    off_screen: float = OFF_SCREEN

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, get_args(Architecture))
        wanted = "a probability, in [0, 1]"
        off_screen = number("off_screen", self.off_screen, wanted, low=0, high=1)
        object.__setattr__(self, "off_screen", off_screen)
        wanted = f"a whole number of pixels from 1 to {_LARGEST_EDGE}"
        edge = whole("working_edge", self.working_edge, wanted, low=1, high=_LARGEST_EDGE)
        object.__setattr__(self, "working_edge", edge)
        if not isinstance(self.audio_queried, AudioQueriedConfig):
            raise CoPropError(
                f"audio_queried must be an AudioQueriedConfig, got {shown(self.audio_queried)}; "
                "SegmenterConfig.from_dict() reads one from a dict."
            )

    def to_dict(self) -> dict[str, Any]:
        """The configuration as a dict that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SegmenterConfig:
        """The configuration stored as a dict.

        Raises:
            CoPropError: no dict, names that are no fields, or values out of range.
        """
        _check_names(cls, values)
        _check_names(AudioQueriedConfig, values.get("audio_queried") or {})
        own = {key: value for key, value in values.items() if key != "audio_queried"}
        return cls(**own, audio_queried=AudioQueriedConfig(**(values.get("audio_queried") or {})))


def _check_names(kind: type, values: object) -> None:
    known = {f.name for f in fields(kind)}
    if not isinstance(values, dict) or not set(values) <= known:
        raise CoPropError(
            f"{kind.__name__} takes an object with settings out of {sorted(known)}, got "
            f"{shown(values)}."
        )


class KeyframeSegmenter(PretrainedModel):
    """An audio-guided image segmentation model, with its working size.

    Args:
        config: which network, and its size; the paper's with ResNet-50 by default. Its weights are
            random until they are trained or loaded.
    """

    context: FrameContext = ALONE
    keyframes_per_call: int | None = None
    config_type = SegmenterConfig
    tags = ("audio-visual-segmentation",)

    def __init__(self, config: SegmenterConfig | None = None) -> None:
        super().__init__()
        self.config: SegmenterConfig = self.checked_config(config)
        self.network: GroundedNetwork | AudioQueriedNetwork
        self.audio_span: AudioSpan = "segment"
        if self.config.architecture == "grounded":
            self.network = GroundedNetwork(self.config.off_screen)
            self.audio_span = "whole"
        else:
            self.network = AudioQueriedNetwork(self.config.audio_queried)
        self.sample_rate = int(self.network.sample_rate)
        self.window_s = float(self.network.window_s)

    @property
    def surroundings(self) -> FrameContext:
        """Which frames ``around`` each keyframe are looked at as well, for what moves in them."""
        return SURROUNDINGS if isinstance(self.network, GroundedNetwork) else ALONE

    @torch.inference_mode()
    def forward(
        self,
        frames: Tensor,
        audio: Tensor,
        around: Tensor | None = None,
        categories: tuple[str, ...] | None = None,
    ) -> Tensor:
        """Logits of what sounds, at the frames' size.

        Args:
            frames: (K, 3, H, W) RGB in [0, 1].
            audio: (K, samples) mono sound around each frame, at `sample_rate`.
            around: (K, T, 3, H, W), for each frame those that `surroundings` names, itself
                included; None where they are not known. Looked at by the default's network alone.
            categories: words for what sounds, which the default's network alone knows: of what they
                name the sound chooses, and of all that is seen where that is nothing.

        Returns:
            (K, C, H, W) logits; C = 1 for binary networks.

        Raises:
            ShapeError: other shapes, or frames that are not floats.
            CoPropError: categories that are no words.
        """
        check_input(frames, audio)
        network = self.network
        if not isinstance(network, GroundedNetwork):
            return self._at_working_size(frames, lambda small: network(small, audio))
        near, named = None, None
        if around is not None:
            _check_around(around, frames)
            near = self._small_around(around)
        if categories:
            named = _named(network, as_words(categories) or (), frames)
        return self._at_working_size(frames, lambda small: network(small, audio, near, named))

    def set_off_screen(self, probability: float) -> None:
        """Changes `SegmenterConfig.off_screen`, of the default's network.

        Raises:
            CoPropError: out of range, or another architecture, which has no such number.
        """
        if not isinstance(self.network, GroundedNetwork):
            raise CoPropError(
                f'off_screen is for the architecture "grounded", not {self.config.architecture!r}.'
            )
        self.config = replace(self.config, off_screen=probability)
        self.network.selector.off_screen = self.config.off_screen

    def completed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The stored tensors, with those of released networks that come with the package."""
        if not isinstance(self.network, GroundedNetwork):
            return state
        return {f"network.{name}": tensor for name, tensor in released().items()} | state

    def text_guided(self) -> TextGuidedSegmenter:
        """The same network guided by words for what sounds, in place of the sound (paper table 4).

        Words that name none of the groups it knows leave the mask empty.

        Raises:
            CoPropError: an architecture that knows no words.
        """
        network = self.network
        if not isinstance(network, GroundedNetwork):
            raise CoPropError(
                'only segmenters of the architecture "grounded", such as the default, know things '
                "by name; give TextGuidedSegmenter a function of your own for others."
            )

        @torch.inference_mode()
        def segment(frames: Tensor, categories: tuple[str, ...]) -> Tensor:
            groups = _named(network, categories, frames)
            return self._at_working_size(frames, lambda small: network.segment(small, groups))

        return TextGuidedSegmenter(segment)

    def text_and_sound_guided(self) -> TextAndSoundSegmenter:
        """The same network guided by both: of what the words name, the sound chooses.

        Raises:
            CoPropError: an architecture that knows no words.
        """
        self.text_guided()  # which says so
        return TextAndSoundSegmenter(self)

    @torch.inference_mode()
    def candidates(self, frame: Tensor, around: Tensor | None = None) -> tuple[Candidate, ...]:
        """All that may sound in a frame, whatever is heard, with masks at the frame's size.

        Args:
            frame: (1, 3, H, W) RGB in [0, 1].
            around: (1, T, 3, H, W), as of `forward`.

        Raises:
            CoPropError: an architecture that knows no things.
            ShapeError: other shapes, or a frame that is not of floats.
        """
        network = self.network
        if not isinstance(network, GroundedNetwork):
            raise CoPropError(
                'only segmenters of the architecture "grounded", such as the default, see things '
                f"whatever is heard; this one is {self.config.architecture!r}."
            )
        small, near = self._small(frame), None
        if len(frame) != 1:
            raise ShapeError(f"frame must be a single one, (1, 3, H, W), got {tuple(frame.shape)}.")
        if around is not None:
            _check_around(around, frame)
            near = self._small_around(around)
        found = candidates_in(network, small, near)
        return tuple(replace(one, soft=_at(one.soft, frame)) for one in found)

    def _at_working_size(self, frames: Tensor, network: Callable[[Tensor], Tensor]) -> Tensor:
        size = (frames.shape[2], frames.shape[3])
        logits = network(self._small(frames))
        return F.interpolate(logits, size, mode="bilinear", align_corners=False)

    def _small(self, frames: Tensor) -> Tensor:
        """(K, 3, H, W) at the working size."""
        check_frames(frames)
        if frames.dtype == torch.float64:  # of whoever has that as default type
            frames = frames.to(next(self.parameters()).dtype)
        size = self._working_size(frames.shape[2], frames.shape[3])
        return F.interpolate(frames, size, mode="bilinear", antialias=True, align_corners=False)

    def _small_around(self, around: Tensor) -> Tensor:
        """(K, T, 3, H, W) at the working size."""
        small = self._small(around.flatten(0, 1))
        near: Tensor = rearrange(small, "(k t) c h w -> k t c h w", k=len(around))
        return near

    def _working_size(self, height: int, width: int) -> tuple[int, int]:
        scale = self.config.working_edge / max(height, width)
        return (
            max(round(height * scale / _STRIDE), 1) * _STRIDE,
            max(round(width * scale / _STRIDE), 1) * _STRIDE,
        )


def _at(mask: Tensor, frame: Tensor) -> Tensor:
    """(h, w) at the size of a frame."""
    size = (frame.shape[2], frame.shape[3])
    return F.interpolate(mask[None, None], size, mode="bilinear", align_corners=False)[0, 0]


def _named(network: GroundedNetwork, categories: tuple[str, ...], frames: Tensor) -> Tensor:
    """(K, G) 1 for the groups that the categories name, else 0."""
    named = groups_named(categories)
    groups = frames.new_tensor([group in named for group in network.groups])
    return groups.expand(len(frames), -1)


def _check_around(around: Tensor, frames: Tensor) -> None:
    expected = (len(frames), SURROUNDINGS.frames, *frames.shape[1:])
    if around.shape != expected:
        raise ShapeError(
            f"around must hold for each frame the {SURROUNDINGS.frames} of surroundings, "
            f"{expected}, got {tuple(around.shape)}."
        )
