"""Keyframes guided by words and by sound: of what the words name, the sound chooses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

from coprop.context import FrameContext
from coprop.keyframes.model import AudioSpan
from coprop.values.categories import as_words

if TYPE_CHECKING:
    from coprop.keyframes.segmenter import KeyframeSegmenter


@dataclass(frozen=True, eq=False)
class TextAndSoundSegmenter:
    """The default guided by words for what is heard, as `TextGuidedSegmenter` is, and by the sound.

    Args:
        segmenter: the default's.
        categories: the words; where there are none, the pipeline fills in the detector's.
    """

    segmenter: KeyframeSegmenter
    categories: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "categories", as_words(self.categories))

    def guided_by(self, categories: tuple[str, ...] | None) -> TextAndSoundSegmenter:
        """The same model, with words for what sounds."""
        return replace(self, categories=categories)

    @property
    def sample_rate(self) -> int:
        return self.segmenter.sample_rate

    @property
    def window_s(self) -> float:
        return self.segmenter.window_s

    @property
    def audio_span(self) -> AudioSpan:
        return self.segmenter.audio_span

    @property
    def context(self) -> FrameContext:
        return self.segmenter.context

    @property
    def surroundings(self) -> FrameContext:
        return self.segmenter.surroundings

    def __call__(self, frames: Tensor, audio: Tensor, around: Tensor | None = None) -> Tensor:
        """Logits (K, C, H, W) as of `KeyframeSegmenter`; without words, by the sound alone."""
        device = next(self.segmenter.parameters()).device
        near = None if around is None else around.to(device)
        logits: Tensor = self.segmenter(frames.to(device), audio.to(device), near, self.categories)
        return logits
