"""Keyframes by words for what sounds, from models that segment what a text names."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from coprop.context import ALONE, FrameContext
from coprop.errors import CoPropError, ShapeError
from coprop.keyframes.instance_scoring import InstanceScorer, sounding_instances, times_around
from coprop.keyframes.model import check_input
from coprop.keyframes.motion_agreement import MotionAgreement
from coprop.keyframes.text.families import load_text_to_masks
from coprop.keyframes.text.instances import (
    Instance,
    TextToMasks,
    check_instances,
    distinct,
    soft_union,
)
from coprop.keyframes.text.phrases import Phrases, check_phrases, phrase_of
from coprop.keyframes.text_guided import TextGuided
from coprop.keyframes.timed import Moment
from coprop.types import Audio
from coprop.utils.checks import check_function, number, shown
from coprop.utils.paths import AnyPath
from coprop.values.categories import as_words

_LEAST = 1e-6  # of a probability: its logit is finite in single precision
_SAME = 0.8  # of their union that two masks have in common if they are one thing's
_MOST = 20  # instances of a word: the surest; each is followed by itself


@dataclass(frozen=True, eq=False)
class TextSegmenter(TextGuided):
    """A keyframe model that looks for what words name, with a published model.

    The words are those that `ControlPoints.categories` of the pipeline's detector has for what is
    heard around the keyframe, or else its own. Where a thing is not seen nothing is masked.

    Each word has a label, numbered in the order in which they are heard in the clip, or the place
    in ``classes`` plus 1. A word's things are one mask, the likeliest of them at each pixel.

    Args:
        model: a `TextToMasks`; `from_pretrained` loads one.
        phrases: what to look for where a sound of a name is heard, a table or a function; by
            default `audioset_phrases`, in which "Bark" is "dog".
        categories: the words; None for the detector's.
        instances: each thing has a label of its own, where the model tells them apart. In each
            keyframe those of a word are numbered from left to right.
        classes: words in the order of their labels, such as a dataset's; no others are looked for.
        instance_scorer: chooses, of the several things of a word, those that sound, such as
            `coprop.keyframes.motion_agreement.MotionAgreement`; by default all of them do.

    Raises:
        CoPropError: a model that cannot be called, or words or phrases that are none.

    Example:
        >>> segmenter = TextSegmenter.from_pretrained(
        ...     "IDEA-Research/grounding-dino-tiny", "facebook/sam2.1-hiera-tiny"
        ... )  # doctest: +SKIP
        >>> pipeline = CoProp.wrap(
        ...     segmenter, detector=ControlPointDetector.events()
        ... )  # doctest: +SKIP
    """

    model: TextToMasks
    phrases: Phrases | None = None
    categories: tuple[str, ...] | None = None
    instances: bool = False
    classes: tuple[str, ...] | None = None
    instance_scorer: InstanceScorer | None = None
    _numbers: dict[tuple[str, int], int] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        wanted = (
            "a function of images and words that returns instances, as "
            "coprop.keyframes.text.TextToMasks says"
        )
        check_function("model", self.model, ("images", "words"), wanted)
        check_phrases(self.phrases)
        if not isinstance(self.instances, bool):
            raise CoPropError(f"instances must be True or False, got {shown(self.instances)}.")
        if self.instance_scorer is not None:
            if not callable(self.instance_scorer):
                raise CoPropError(
                    "instance_scorer must be a function, as InstanceScorer in "
                    f"coprop.keyframes.instance_scoring says, got {shown(self.instance_scorer)}."
                )
            window_s = getattr(self.instance_scorer, "window_s", MotionAgreement.window_s)
            object.__setattr__(self, "window_s", window_s)
        object.__setattr__(self, "categories", as_words(self.categories))
        object.__setattr__(self, "classes", _classes(self.classes))
        if self.instances and self.classes:
            raise CoPropError(
                "instances=True numbers things as they come; leave out classes, which number words."
            )

    @classmethod
    def from_pretrained(
        cls,
        folder_or_hub_id: AnyPath,
        masks: AnyPath | None = None,
        *,
        threshold: float | None = None,
        phrases: Phrases | None = None,
        categories: Sequence[str] | None = None,
        instances: bool = False,
        classes: Sequence[str] | None = None,
        instance_scorer: InstanceScorer | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        local_files_only: bool = False,
    ) -> TextSegmenter:
        """Models in folders that transformers' ``save_pretrained`` wrote, or on the hub.

        Args:
            folder_or_hub_id: a detector of boxes (Grounding DINO, MM-Grounding-DINO, OWLv2), which
                needs ``masks``; or SAM 3 or CLIPSeg. No network is used for a folder.
            masks: SAM 2, SAM 2.1 or EdgeTAM, which makes masks of a detector's boxes.
            threshold: the least score, in [0, 1], of what is masked; by default transformers' own
                of the family: 0.25, OWLv2 0.1, SAM 3 0.3; CLIPSeg 0.5.
            phrases, categories, instances, classes, instance_scorer: see the class.
            device: where to compute; the CPU by default.
            dtype: of the weights; as they are stored by default.
            local_files_only: never ask the hub; what was fetched before is found.

        Raises:
            CheckpointError: there is no such model, it is gated, damaged or of another type.
            CoPropError: an option that is not for it, or out of range.
            MissingPackageError: transformers, or a class of it, is missing.
        """
        if threshold is not None:
            threshold = number("threshold", threshold, "a score in [0, 1]", low=0, high=1)
        options: dict[str, Any] = {
            "phrases": phrases,
            "categories": categories,
            "instances": instances,
            "classes": classes,
            "instance_scorer": instance_scorer,
        }
        cls(lambda images, words: [], **options)  # what is wrong with them is said before loading
        model = load_text_to_masks(
            folder_or_hub_id,
            masks,
            threshold=threshold,
            device=device,
            dtype=dtype,
            local_files_only=local_files_only,
        )
        return cls(model, **options)

    @property
    def network(self) -> nn.Module | None:
        """The model's, where it has one."""
        inner = getattr(self.model, "network", getattr(self.model, "model", self.model))
        return inner if isinstance(inner, nn.Module) else None

    @property
    def names(self) -> dict[int, str]:
        """What the labels stand for: of all classes, or of what has been looked for in a clip."""
        return {
            label: phrase if i == 0 else f"{phrase} {i + 1}"
            for (phrase, i), label in self._known().items()
        }

    @property
    def label_names(self) -> dict[int, str]:
        """What is masked with each label; things of one word that are told apart share it."""
        return {label: phrase for (phrase, _), label in self._known().items()}

    @property
    def surroundings(self) -> FrameContext:
        """The frames around a keyframe that the scorer looks at."""
        if self.instance_scorer is None:
            return ALONE
        return getattr(self.instance_scorer, "surroundings", MotionAgreement.surroundings)

    def find(self, frames: Tensor, words: Sequence[Sequence[str]]) -> list[list[Instance]]:
        """The instances in each of K frames.

        Args:
            frames: (K, 3, H, W) RGB in [0, 1].
            words: names of sounds, for each frame.

        Returns:
            For each frame what is found, whose words are the phrases that were looked for.

        Raises:
            ShapeError: other shapes.
            CoPropError: not a list of words for each frame.
            ModelOutputError: the model returns anything else.
        """
        tensor = isinstance(frames, Tensor)
        if not tensor or frames.ndim != 4 or frames.shape[1] != 3 or 0 in frames.shape:
            raise ShapeError(f"frames must be a tensor (K, 3, H, W), got {shown(frames)}.")
        if not isinstance(words, (list, tuple)) or len(words) != len(frames):
            raise CoPropError(
                f"words must be a list of words for each of {len(frames)} frames, got "
                f"{shown(words)}."
            )
        wanted = [self._phrases(as_words(own) or ()) for own in words]
        found = self.model(frames, wanted)
        check_instances(found, frames)
        return found

    def for_clip(self, num_frames: int | None, duration_s: float | None) -> TextSegmenter:
        """The same for another clip, with labels that begin anew."""
        fresh = copy(self)
        object.__setattr__(fresh, "_numbers", fresh._first())
        return fresh

    def at(self, moment: Moment) -> TextSegmenter:
        """Itself: what is seen depends on no time."""
        return self

    def __call__(self, frames: Tensor, audio: Tensor, around: Tensor | None = None) -> Tensor:
        """Logits (K, C, H, W), background first and 0: a label shows where its own is higher.

        Args:
            frames: (K, 3, H, W) RGB in [0, 1].
            audio: (K, samples) at 16 kHz, which only an instance scorer hears.
            around: (K, T, 3, H, W), the frames of `surroundings`, which only a scorer sees.

        Raises:
            CoPropError: nobody said what sounds.
            ShapeError: other shapes, or a scorer without its frames.
        """
        check_input(frames, audio)
        known, words = self._known(), self.words()
        found = self.find(frames, [words] * len(frames))
        if self.instance_scorer is not None:
            found = self._sounding(found, audio, around)
        if not self.instances:
            for phrase in self._phrases(words):
                known.setdefault((phrase, 0), _next(known))
        masks = [self._labelled(instances, known) for instances in found]
        soft = frames.new_zeros(len(frames), max(known.values(), default=1) + 1, *frames.shape[2:])
        for row, labelled in zip(soft, masks, strict=True):
            for label, mask in labelled.items():
                row[label] = mask
        logits = soft.float().clamp(_LEAST, 1 - _LEAST).logit()
        logits[:, 0] = 0
        return logits

    def _sounding(
        self, found: Sequence[list[Instance]], audio: Tensor, around: Tensor | None
    ) -> list[list[Instance]]:
        """Of each frame's instances those that the scorer takes to sound."""
        wanted = (len(found), self.surroundings.frames)
        if around is None or tuple(around.shape[:2]) != wanted:
            given = None if around is None else tuple(around.shape)
            raise ShapeError(
                f"around must be ({wanted[0]}, {wanted[1]}, 3, H, W) for the instance scorer, got "
                f"{given}; a pipeline gives it."
            )
        times_s = times_around(self.surroundings, self.window_s)
        tracks = [Audio(own.float().cpu().numpy(), self.sample_rate) for own in audio]
        return [
            sounding_instances(own, self.instance_scorer, near, times_s, track)
            for own, near, track in zip(found, around, tracks, strict=True)
        ]

    def _labelled(
        self, instances: Sequence[Instance], known: dict[tuple[str, int], int]
    ) -> dict[int, Tensor]:
        """A mask for each label; those of new instances are made known."""
        if not self.instances:
            of_words: dict[str, list[Tensor]] = {}
            for instance in instances:
                of_words.setdefault(instance.word, []).append(instance.mask)
            return {known[word, 0]: soft_union(masks) for word, masks in of_words.items()}
        labelled: dict[int, Tensor] = {}
        apart = distinct(instances, _SAME)
        for word in dict.fromkeys(instance.word for instance in apart):
            surest = [instance for instance in apart if instance.word == word][:_MOST]
            surest.sort(key=lambda instance: instance.box[0] + instance.box[2])
            for i, instance in enumerate(surest):
                labelled[known.setdefault((word, i), _next(known))] = instance.mask
        return labelled

    def _phrases(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """What to look for, each thing once."""
        phrases = dict.fromkeys(phrase_of(word, self.phrases) for word in words)
        wanted = tuple(phrase for phrase in phrases if phrase is not None)
        if self.classes is None:
            return wanted
        numbered = {phrase for phrase, _ in self._first()}
        return tuple(phrase for phrase in wanted if phrase in numbered)

    def _known(self) -> dict[tuple[str, int], int]:
        """Labels of phrases, and of their instances: the clip's, or those of one call."""
        return self._first() if self._numbers is None else self._numbers

    def _first(self) -> dict[tuple[str, int], int]:
        """The labels that are known beforehand."""
        if self.classes is None:
            return {}
        numbers: dict[tuple[str, int], int] = {}
        for place, word in enumerate(self.classes):
            phrase = phrase_of(word, self.phrases)
            if phrase is not None:
                numbers.setdefault((phrase, 0), place + 1)
        return numbers


def _next(known: dict[tuple[str, int], int]) -> int:
    return max(known.values(), default=0) + 1


def _classes(classes: object) -> tuple[str, ...] | None:
    if classes is None:
        return None
    listed = list(classes) if isinstance(classes, (list, tuple)) else None
    if not listed or not all(isinstance(word, str) and word.strip() for word in listed):
        raise CoPropError(f"classes must be a list of words, or None, got {shown(classes)}.")
    if len(listed) > 255 or len(set(listed)) != len(listed):
        raise CoPropError(
            f"classes must be words that differ, 255 at most since labels have 8 bits, got "
            f"{len(listed)}, {len(set(listed))} of them different."
        )
    return tuple(listed)
