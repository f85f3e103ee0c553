"""The open benchmark: clips in three subsets, each with everything about it known.

A clip follows from the sources, the config, the seed, and its split, subset and number alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coprop.errors import DatasetError
from coprop.types import Audio
from coprop.utils.brief import Brief
from coprop.utils.paths import AnyPath, as_path
from tools.benchmark.config import SUBSETS, ClipConfig, SubsetRule, unseen_groups
from tools.benchmark.layout import Layout, sample_layout
from tools.benchmark.library import SOURCE_RATE, Library, Source, load_sound
from tools.benchmark.manifest import SPLITS
from tools.benchmark.mixing import Schedule
from tools.benchmark.mixtures import Material, Mixture, Role, sample_mixture, sample_picture
from tools.benchmark.sound import SoundEvent, fitting_schedule, render_sound


@dataclass(frozen=True)
class SceneObject:
    """One thing to be seen in a clip.

    Args:
        picture: what is shown.
        role: "sounding", or the kind of silent object.
        source: its number in the schedule; None for what never sounds.
        seen_in_training: whether training clips show its group, and for what sounds, whether it
            sounds there; None without a group.
    """

    picture: Source
    role: Role
    source: int | None
    seen_in_training: bool | None


@dataclass(frozen=True, eq=False, repr=False)
class BenchmarkClip(Brief):
    """A clip of the benchmark.

    Args:
        name: "m3-0007": its subset and number.
        subset: "s4", "m3" or "moc".
        split: "train", "validation" or "test".
        objects: in painting order; object i has label i + 1 in the masks.
        recordings: of the schedule's sources; what is no object's source is off-screen.
        music: what plays softly throughout, or None.
        schedule: which sources sound when, as it is heard.
        events: changes of loudness and room that are no change of sources.
        layout: the scene.
        audio: mono at 44.1 kHz.
        fps: frames per second.
    """

    name: str
    subset: str
    split: str
    objects: tuple[SceneObject, ...]
    recordings: tuple[Source, ...]
    music: Source | None
    schedule: Schedule
    events: tuple[SoundEvent, ...]
    layout: Layout
    audio: Audio
    fps: float

    @property
    def num_frames(self) -> int:
        return round(self.schedule.times_s[-1] * self.fps)

    def sounding(self, time_s: float) -> NDArray[np.bool_]:
        """(O,) True for the objects that sound at a time."""
        now = self.schedule.at(time_s)
        return np.array([thing.source in now for thing in self.objects], dtype=bool)

    def frames(self) -> Iterator[tuple[float, NDArray[np.uint8], NDArray[np.uint8]]]:
        """Yields (time_s, frame (H, W, 3), label map (H, W)), rendered one by one.

        The label map has i + 1 where object i is seen, 0 for the background. Less than one percent
        of the frame does not count as seen.
        """
        numbers = np.arange(1, len(self.objects) + 1, dtype=np.uint8)[:, None, None]
        for index in range(self.num_frames):
            time_s = index / self.fps
            image, masks = self.layout.scene.render(time_s)
            labels = (masks * numbers).max(axis=0) if len(masks) else np.zeros(image.shape[:2])
            yield time_s, image, labels.astype(np.uint8)


def read_material(
    folder: AnyPath,
    split: str,
    unseen: Collection[str] | None = None,
    left_out: Collection[str] = (),
) -> Material:
    """What the clips of a split are made of.

    Args:
        folder: a sources folder with all splits.
        split: "train", "validation" or "test".
        unseen: groups that training clips keep out; by default the scarcest, see `unseen_groups`.
        left_out: paths of test files, from the folder, that are not used.

    Raises:
        CoPropError: no such folder, no material of a split, or another split.
        DatasetError: an unseen group that test clips cannot have, or none left to train on.
    """
    if split not in SPLITS:
        raise DatasetError(f"there is no split {split!r}; choose one of {SPLITS}.")
    train, test = (Library(folder, name) for name in ("train", "test"))
    if left_out:
        test = test.without(
            {as_path("folder", folder, error=DatasetError) / path for path in left_out}
        )
    kept_out = _scarcest(train, test) if unseen is None else frozenset(unseen)
    unknown = sorted(kept_out - set(test.groups))
    if unknown:
        raise DatasetError(
            f"unseen groups must have test pictures and recordings; {', '.join(unknown)} "
            f"{'has' if len(unknown) == 1 else 'have'} not. Choose among {', '.join(test.groups)}."
        )
    trained = frozenset(train.groups) - kept_out
    shown = frozenset(group for group in train.pictures if group is not None) - kept_out
    if not trained:
        raise DatasetError("every group that could be trained on is unseen; keep fewer unseen.")
    if split == "train":
        return Material(train, trained, frozenset(), kept_out, True, shown)
    held_out = test if split == "test" else Library(folder, split)
    testable = frozenset(held_out.groups)
    return Material(held_out, testable & trained, testable - trained, kept_out, False, shown)


def _scarcest(train: Library, test: Library) -> frozenset[str]:
    return unseen_groups(
        {
            group: min(len(kind.get(group, ())) for kind in (train.pictures, train.sounds))
            for group in test.groups
        }
    )


def compose_benchmark_clip(
    material: Material, subset: str, split: str, number: int, *, seed: int, config: ClipConfig
) -> BenchmarkClip:
    """One clip, the same whenever the arguments are.

    Args:
        material: of the split, from `read_material`.
        subset: "s4", "m3" or "moc".
        split: "train", "validation" or "test".
        number: of the clip, from 0.
        seed: of all randomness, 0 or more.
        config: numbers that hold for all clips.

    Raises:
        DatasetError: too little material for the subset.
    """
    rng = np.random.default_rng((seed, SPLITS.index(split), list(SUBSETS).index(subset), number))
    kind = SUBSETS[subset]
    mixture = sample_mixture(material, kind, config, rng)
    occlusion = bool(rng.random() < config.occlusion)
    mixture = _with_occluder(mixture, material, occlusion)
    audio, schedule, events = _sound(mixture, kind, config, rng)
    order = [int(i) for i in rng.permutation(len(mixture.shown))]
    layout = sample_layout(
        material.library,
        lambda: [sample_picture(material, mixture.shown[i][1], rng) for i in order],
        [i if i < len(mixture.visible) else None for i in order],
        schedule,
        occlusion=occlusion,
        size=config.size,
        rng=rng,
    )
    return BenchmarkClip(
        name=f"{subset}-{number:04d}",
        subset=subset,
        split=split,
        objects=_objects(mixture, order, layout, material),
        recordings=mixture.recordings,
        music=mixture.music,
        schedule=schedule,
        events=events,
        layout=layout,
        audio=audio,
        fps=config.fps,
    )


def _with_occluder(mixture: Mixture, material: Material, occlusion: bool) -> Mixture:
    """A thing that makes no sound, to pass before the only object."""
    alone = len(mixture.shown) == 1 and None in material.library.pictures
    if not (occlusion and alone):
        return mixture
    thing: tuple[Role, str | None] = ("bystander", None)
    return Mixture(mixture.visible, (thing,), mixture.off_screen, mixture.recordings, mixture.music)


def _objects(
    mixture: Mixture, order: list[int], layout: Layout, material: Material
) -> tuple[SceneObject, ...]:
    objects = []
    for picture, i in zip(layout.pictures, order, strict=True):
        role, group = mixture.shown[i]
        sounds = i < len(mixture.visible)
        # What sounds was seen in training only if it was heard there too.
        known = material.seen if sounds else material.shown_in_training
        seen = None if group is None else group in known
        objects.append(SceneObject(picture, role, i if sounds else None, seen))
    return tuple(objects)


def _sound(
    mixture: Mixture, subset: SubsetRule, config: ClipConfig, rng: np.random.Generator
) -> tuple[Audio, Schedule, tuple[SoundEvent, ...]]:
    planned = fitting_schedule(
        subset, len(mixture.visible), len(mixture.recordings), config.duration_s, rng
    )
    samples, heard, events = render_sound(
        [load_sound(recording.path) for recording in mixture.recordings],
        planned,
        None if mixture.music is None else load_sound(mixture.music.path),
        config,
        SOURCE_RATE,
        rng,
    )
    return Audio(samples, SOURCE_RATE), heard, events
