"""From labelled datasets to batches: frames, the sound around them and their masks.

Sample number k is the same whenever and wherever it is asked for: its clip follows from the seed
and the epoch in which k lies, and all that is random in it from the seed and k. So a training can
stop anywhere, and any number of processes can share its samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from coprop.context import AudioWindows
from coprop.data.labelled import LabelledClip, LabelledDataset
from coprop.errors import DatasetError
from coprop.propagation.masks import VOID
from coprop.training.recipes import Recipe
from coprop.training.views import View, between, random_view, see, whole_view
from coprop.types import Segment

if TYPE_CHECKING:
    from coprop.keyframes.segmenter import KeyframeSegmenter
    from coprop.propagation.propagator import AudioInsertPropagator

_Item = TypeVar("_Item")

Sample = dict[str, Tensor]
"""Of one clip: frames (F, 3, h, w) in [0, 1], sounds (F, n), labels (F, h, w) uint8."""

_END_S = 1e9  # after the end of every clip: the last segment has no change behind it


@dataclass(frozen=True)
class SampleOptions:
    """What samples depend on, beside their numbers.

    Args:
        size: height and width of frames.
        sample_rate: of the sound, in Hz.
        window_s: how much of it goes with a frame.
        seed: of everything random.
        augment: mirror frames, and cut out parts.
        frames_per_clip: most frames of a clip; None for all that are annotated.
        cached_clips: clips kept in memory.
    """

    size: tuple[int, int]
    sample_rate: int
    window_s: float
    seed: int = 0
    augment: bool = True
    frames_per_clip: int | None = None
    cached_clips: int = 0

    @classmethod
    def of(cls, recipe: Recipe, model: KeyframeSegmenter | AudioInsertPropagator) -> SampleOptions:
        """A recipe's, with the sound that its model takes."""
        names = ("seed", "augment", "frames_per_clip", "cached_clips")
        return cls(
            (recipe.size[0], recipe.size[1]),
            model.sample_rate,
            model.window_s,
            **{name: getattr(recipe, name) for name in names},
        )


class ClipSamples(Dataset[Sample]):
    """Samples by number, endlessly many: every clip once in an epoch, in an order of its own.

    Args:
        dataset: the clips.
        options: of the samples.
        clips: those of its clips that are used; by default all.

    Raises:
        DatasetError: there is no clip; of a clip when its turn comes.
    """

    def __init__(
        self, dataset: LabelledDataset, options: SampleOptions, clips: Sequence[int] | None = None
    ) -> None:
        self.dataset = dataset
        self.options = options
        self.clips = tuple(range(len(dataset)) if clips is None else clips)
        if not self.clips:
            raise DatasetError(f"{dataset.name} has no clips to train on.")
        self._cache: dict[int, LabelledClip] = {}
        self._marks: dict[int, _Marks] = {}

    def clip_of(self, number: int) -> int:
        """The index in the dataset of the clip that sample ``number`` is from."""
        epoch, place = divmod(number, len(self.clips))
        return self.clips[int(_order(self.options.seed, epoch, len(self.clips))[place])]

    def __getitem__(self, number: int) -> Sample:
        index = self.clip_of(number)
        rng = np.random.default_rng((self.options.seed, number))
        return self._sample(index, self._clip(index), rng)

    def _clip(self, index: int) -> LabelledClip:
        if index in self._cache:
            return self._cache[index]
        clip = self._cache[index] = self.dataset[index]
        while len(self._cache) > self.options.cached_clips:
            self._cache.pop(next(iter(self._cache)))  # the one that was read first
        return clip

    def _marked(self, index: int, clip: LabelledClip) -> _Marks:
        """Looked up in the clip once: to find them takes all of its masks."""
        if index not in self._marks:
            self._marks[index] = _marks(clip)
        return self._marks[index]

    def _sample(self, index: int, clip: LabelledClip, rng: np.random.Generator) -> Sample:
        raise NotImplementedError


class KeyframeSamples(ClipSamples):
    """Annotated frames of a clip, each with the sound that the pipeline gives a keyframe.

    That is the window around the frame, moved to lie between the changes that the dataset knows.

    Args:
        dataset: the clips.
        options: of the samples.
        key_frames: pairs of a clip's and a frame's index (see `coprop.data.subsets.key_frames`),
            to train on these alone; by default all annotated frames.

    Raises:
        DatasetError: no key frame at all; from samples, a clip that cannot be read or that has no
            annotated frame.
    """

    def __init__(
        self,
        dataset: LabelledDataset,
        options: SampleOptions,
        key_frames: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        if key_frames is not None and not key_frames:
            raise DatasetError(f"{dataset.name} has no key frame; train on all frames.")
        self._key_frames: dict[int, list[int]] = {}
        for clip, frame in key_frames or ():
            self._key_frames.setdefault(clip, []).append(frame)
        super().__init__(dataset, options, sorted(self._key_frames) or None)

    def _sample(self, index: int, clip: LabelledClip, rng: np.random.Generator) -> Sample:
        chosen = self._key_frames.get(index) or self._marked(index, clip).annotated
        most = self.options.frames_per_clip
        if most is not None and most < len(chosen):
            chosen = sorted(int(i) for i in rng.choice(chosen, most, replace=False))
        images, times_s, labels = _read(clip, chosen)
        windows = AudioWindows(clip.audio, self.options.sample_rate, self.options.window_s)
        edges_s = (0.0, *(clip.change_times_s or ()), _END_S)
        segments = [Segment(*edge) for edge in pairwise(edges_s)]
        sounds = [
            windows.within(time_s, next(s for s in segments if time_s < s.end_s))[0]
            for time_s in times_s
        ]
        views = [_view(_shape(image), self.options, rng) for image in images]
        return _stacked(images, sounds, labels, views, self.options.size)


class PropagatorSamples(ClipSamples):
    """Sequences of annotated frames with their sounds, and what is to be followed through them.

    Followed is what the first frame's mask has; what appears later is background, as it waits for
    a keyframe of its own. Labels become random identities from 1 to ``max_objects``; where a frame
    has more than these, the others are `VOID`. A clip with fewer annotated frames than a sequence
    has (of S4 and v1s the training clips have one) gives a still sequence: moving views of one of
    its frames, as AOT is pre-trained on pictures.

    Args:
        dataset: the clips.
        options: of the samples; ``frames_per_clip`` is the length of a sequence.
        max_objects: identities.

    Raises:
        DatasetError: from samples, as for `KeyframeSamples`.
    """

    def __init__(self, dataset: LabelledDataset, options: SampleOptions, max_objects: int) -> None:
        super().__init__(dataset, options)
        self.max_objects = max_objects
        self.length = options.frames_per_clip or 2

    def _sample(self, index: int, clip: LabelledClip, rng: np.random.Generator) -> Sample:
        marks, options = self._marked(index, clip), self.options
        annotated = marks.annotated
        still = len(annotated) < self.length
        if still:
            chosen = [annotated[int(rng.integers(len(annotated)))]] * self.length
        else:
            chosen = _sequence(marks, self.length, rng)
        images, times_s, labels = _read(clip, chosen)
        shape = _shape(images[0])
        if still:
            views = _moving_views(shape, options, rng, self.length)
        else:
            views = [_view(shape, options, rng)] * self.length
        windows = AudioWindows(clip.audio, options.sample_rate, options.window_s)
        sounds = [windows.centred(time_s)[0] for time_s in times_s]
        sample = _stacked(images, sounds, labels, views, options.size)
        sample["labels"] = _identified(sample["labels"], self.max_objects, rng)
        return sample


def join_keyframes(samples: Sequence[Sample]) -> Sample:
    """One batch of all frames; ``weights`` (F,) give every clip the same weight, 1 in sum."""
    batch = {name: torch.cat([s[name] for s in samples]) for name in samples[0]}
    counts = [len(s["frames"]) for s in samples]
    batch["weights"] = torch.cat([torch.full((n,), 1 / n) for n in counts])
    return batch


def stack_sequences(samples: Sequence[Sample]) -> Sample:
    """One batch with a new first axis."""
    return {name: torch.stack([s[name] for s in samples]) for name in samples[0]}


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch, count)).permutation(count)


@dataclass(frozen=True)
class _Marks:
    """Numbers of a clip's frames: those with a mask, and those in which something sounds."""

    annotated: list[int]
    sounding: frozenset[int]


def _marks(clip: LabelledClip) -> _Marks:
    masks = ((i, truth.labels) for i, truth in enumerate(clip.truth))
    sounding = {i: bool(labels.any()) for i, labels in masks if labels is not None}
    if not sounding:
        raise DatasetError(f"{clip.name} has no annotated frame; it cannot be trained on.")
    return _Marks(list(sounding), frozenset(i for i, sounds in sounding.items() if sounds))


def _read(
    clip: LabelledClip, chosen: Sequence[int]
) -> tuple[list[Tensor], list[float], list[Tensor]]:
    """Pictures (3, H, W) uint8, times and labels (H, W) of frames in the order of ``chosen``."""
    try:
        frames, truth = _picked(clip.frames, chosen), _picked(clip.truth, chosen)
    except (IndexError, KeyError) as error:
        raise DatasetError(
            f"{clip.name} has more truths than frames; give one for each."
        ) from error
    images = [torch.from_numpy(np.array(frame.image)).permute(2, 0, 1) for frame in frames]
    labels = [torch.from_numpy(np.array(mask.labels)) for mask in truth]
    for image, mask in zip(images, labels, strict=True):
        if mask.shape != image.shape[1:]:
            raise DatasetError(
                f"{clip.name} has a frame of {tuple(image.shape[1:])} with labels of "
                f"{tuple(mask.shape)}; resize the labels to the frame, by nearest neighbours."
            )
    return images, [frame.time_s for frame in frames], labels


def _picked(items: Iterable[_Item], chosen: Sequence[int]) -> list[_Item]:
    """The items of these numbers, in this order, each read once."""
    wanted = set(chosen)
    if isinstance(items, _ByNumber):
        found = {i: items[i] for i in wanted}
    else:
        each = zip(range(max(wanted) + 1), items, strict=False)
        found = {i: item for i, item in each if i in wanted}
    return [found[i] for i in chosen]


@runtime_checkable
class _ByNumber(Protocol):
    def __getitem__(self, index: int, /) -> Any: ...


def _sequence(marks: _Marks, length: int, rng: np.random.Generator) -> list[int]:
    """Annotated frames in equal steps, from one in which something sounds where there is any."""
    annotated = marks.annotated
    steps = range(1, (len(annotated) - 1) // (length - 1) + 1)
    all_of_them = [annotated[s::step][:length] for step in steps for s in range(len(annotated))]
    whole = [frames for frames in all_of_them if len(frames) == length]
    good = [frames for frames in whole if frames[0] in marks.sounding] or whole
    return list(good[int(rng.integers(len(good)))])


def _identified(labels: Tensor, max_objects: int, rng: np.random.Generator) -> Tensor:
    """Labels (T, h, w) as random identities: those of the first frame, background for others."""
    present = [int(v) for v in np.unique(labels[0].numpy()) if v not in (0, VOID)]
    present = [present[i] for i in rng.permutation(len(present))]
    identities = rng.permutation(max_objects) + 1
    table = torch.zeros(256, dtype=torch.uint8)
    table[present] = VOID
    table[VOID] = VOID
    for label, identity in zip(present, identities, strict=False):
        table[label] = int(identity)
    return table[labels.long()]


def _shape(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]


def _view(shape: tuple[int, int], options: SampleOptions, rng: np.random.Generator) -> View:
    return random_view(shape, options.size, rng) if options.augment else whole_view(shape)


def _moving_views(
    shape: tuple[int, int], options: SampleOptions, rng: np.random.Generator, count: int
) -> list[View]:
    first, last = (random_view(shape, options.size, rng) for _ in range(2))
    mirrored = first.mirrored and options.augment
    return [between(first, last, n / (count - 1), mirrored=mirrored) for n in range(count)]


def _stacked(
    images: Sequence[Tensor],
    sounds: Sequence[Tensor],
    labels: Sequence[Tensor],
    views: Sequence[View],
    size: tuple[int, int],
) -> Sample:
    seen = [see(*x, size) for x in zip(images, labels, views, strict=True)]
    return {
        "frames": torch.stack([frame for frame, _ in seen]),
        "sounds": torch.stack(list(sounds)),
        "labels": torch.stack([mask for _, mask in seen]),
    }
