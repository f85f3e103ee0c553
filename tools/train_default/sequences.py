"""Sequences in which only sound can tell: what a keyframe shows falls silent, and sounds again.

In some, things move fast; the others are composed of cut-outs, or are photographs that move.

A sequence begins with a keyframe in which some of the things in the picture sound. Control points
would say when that changes; here none of them is known. So the propagator has to hear it: followed
things fall silent one by one or together, others take over, silent look-alikes stand by.
What counts is the change since the keyframe.

Where nothing that is followed sounds, all of it is followed on unseen: that masks are shut then is
the sound gate's matter, which learns it from `random_hearing`, of sound alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coprop.context import AudioWindows
from coprop.types import Audio
from tools.benchmark.keyframe_masks import as_segmented
from tools.benchmark.library import SOURCE_RATE, Library, random_picture, random_recording
from tools.benchmark.lively import LivelyScene, random_lively_scene
from tools.benchmark.mixing import Schedule, random_schedule, render
from tools.benchmark.photographs import MovingPhotograph, random_photograph
from tools.benchmark.scene import Scene, random_scene, random_sprite

VOID = 255
_SIZES = ((145, 257), (193, 257), (241, 241), (193, 337), (257, 337), (257, 449))  # h, w in pixels
_SIZE_SHARES = (0.2, 0.3, 0.1, 0.15, 0.1, 0.15)  # large frames are what is used, but cost most
_LIVELY = 0.3  # with 0.5 what glides is followed worse than before
_PHOTOGRAPHS = 0.5  # of the others
_LOOK_ALIKE = 0.35  # how often one passes by something lively
_LEAD_S = 1.0  # of sound before the keyframe: windows are centred
_AMBIGUOUS_S = 0.06  # at a change a window holds as much of the one as of the other
_BLUR_S = 0.04  # the longest exposure
_LOOKS = 5  # of which a blurred frame is the mean
_COMPOSED = 0.7  # of what is heard without pictures, as in sequences
_AT_ONSET, _ONSET_S = 0.7, 0.25  # of the others, how often and how soon keyframes follow an onset

Course = Literal["stays", "falls silent", "returns"]
_COURSES: tuple[Course, ...] = ("stays", "falls silent", "returns")
_COURSE_SHARES = (0.5, 0.22, 0.28)
# Keyframes may be wrong, or what sounds be out of the picture, or nothing be heard: as long as the
# sound stays what it was at the keyframe, its mask is to stay too.
_UNRELATED, _SILENT = 0.35, 0.5
_DIGITAL = 0.4  # of those: samples of 0, as of a muted track


@dataclass(frozen=True, eq=False)
class Sequence:
    """A keyframe and the frames after it.

    Args:
        frames: (T, 3, h, w) in [0, 1], the keyframe first.
        sounds: (T, n), around each frame.
        labels: (T, h, w), identities of followed things that sound, or of all of them where none
            does; 255 for void.
        keyframe_mask: (h, w) labels as a segmenter would give them, not quite true.
    """

    frames: Tensor
    sounds: Tensor
    labels: Tensor
    keyframe_mask: Tensor


@dataclass(frozen=True, eq=False)
class Hearing:
    """The sound of a keyframe and of the frames after it.

    Args:
        sounds: (T, n), around each frame.
        sounding: (T,) 1 where something sounds that is followed, 0 where nothing does, NaN where
            that changes just now.
    """

    sounds: Tensor
    sounding: Tensor


@dataclass(frozen=True)
class SequenceOptions:
    """What sequences are like.

    Args:
        sample_rate: of the sound, in Hz.
        window_s: of the sound with each frame, in seconds.
        num_frames: T, the keyframe included.
        identities: the most that may be asked for.
    """

    sample_rate: int
    window_s: float
    num_frames: int
    identities: int


def random_size(rng: np.random.Generator) -> tuple[int, int]:
    """(height, width) of a batch's frames, in pixels."""
    return _SIZES[int(rng.choice(len(_SIZES), p=_SIZE_SHARES))]


def random_sequence(
    library: Library, rng: np.random.Generator, size: tuple[int, int], options: SequenceOptions
) -> Sequence:
    """A sequence over 0.3 to 6 s, composed of the library's pictures and recordings."""
    times_s = _times_s(rng, options.num_frames)
    scene: Scene | MovingPhotograph | LivelyScene
    followed = [0]
    if library.photographs and rng.random() < _LIVELY:
        scene, groups = _lively(library, rng, size, times_s)
    elif library.photographs and rng.random() < _PHOTOGRAPHS:
        scene, groups = _photograph(library, rng, size)
    else:
        scene, groups = _composition(library, rng, size)
        followed = rng.permutation(len(groups))[: int(rng.integers(1, 3))].tolist()
    samples, schedule = _sound(library, rng, groups, followed, times_s)
    windows = AudioWindows(Audio(samples, SOURCE_RATE), options.sample_rate, options.window_s)
    identities = np.zeros(len(groups), dtype=np.uint8)
    # One for all, as binary keyframes ask for, or one each.
    identities[followed] = 1
    if rng.random() < 0.2:
        identities[followed] = rng.permutation(options.identities)[: len(followed)] + 1
    exposure_s = float(rng.uniform(0.01, _BLUR_S)) if rng.random() < 0.2 else 0.0
    shown = [_show(scene, float(t), exposure_s) for t in times_s]
    labels = [
        _label(masks, identities, schedule, float(t))
        for (_, masks), t in zip(shown, times_s, strict=True)
    ]
    keyframe_mask = _paint(shown[0][1], identities)
    if rng.random() < 0.6:
        keyframe_mask = as_segmented(keyframe_mask, shown[0][1], rng)
    return Sequence(
        torch.stack([torch.from_numpy(frame).permute(2, 0, 1) for frame, _ in shown]).float() / 255,
        torch.stack([windows.centred(float(t))[0] for t in times_s]),
        torch.from_numpy(np.stack(labels)).long(),
        torch.from_numpy(keyframe_mask).long(),
    )


def random_hearing(library: Library, rng: np.random.Generator, options: SequenceOptions) -> Hearing:
    """What is heard in a sequence, without its pictures.

    Most are as in `random_sequence`. In the others things come and go as in the benchmark's clips,
    and the keyframe mostly follows an onset, as it does after a control point.
    """
    times_s = _times_s(rng, options.num_frames)
    if rng.random() < _COMPOSED:
        count = int(rng.integers(1, 4))
        groups = [str(g) for g in rng.choice(library.groups, count, replace=False)]
        followed = rng.permutation(count)[: int(rng.integers(1, 3))].tolist()
        samples, schedule = _sound(library, rng, groups, followed, times_s)
    else:
        samples, schedule, followed, times_s = _coming_and_going(library, rng, times_s)
    windows = AudioWindows(Audio(samples, SOURCE_RATE), options.sample_rate, options.window_s)
    heard = [[not own.isdisjoint(followed) for own in _around(schedule, t)] for t in times_s]
    return Hearing(
        torch.stack([windows.centred(float(t))[0] for t in times_s]),
        torch.tensor([float(any(own)) if any(own) == all(own) else torch.nan for own in heard]),
    )


def _coming_and_going(
    library: Library, rng: np.random.Generator, times_s: NDArray[np.float64]
) -> tuple[NDArray[np.float32], Schedule, list[int], NDArray[np.float64]]:
    """Sound, when what sounds, what of it is followed, and the times of the frames in it."""
    groups = [str(g) for g in rng.choice(library.groups, rng.integers(2, 5))]
    lasts_s = float(times_s[-1] - times_s[0])
    planned = random_schedule(rng, len(groups), lasts_s + float(rng.uniform(4, 7)))
    recordings = [random_recording(library, rng, group) for group in groups]
    samples, schedule = render(recordings, planned, SOURCE_RATE, rng)
    latest_s = schedule.times_s[-1] - lasts_s
    sounding = [
        k for k, own in enumerate(schedule.sounding) if own and schedule.times_s[k] < latest_s
    ]
    if not sounding:  # one in seventy is silent throughout
        return _coming_and_going(library, rng, times_s)
    state = int(rng.choice(sounding))
    begins_s, ends_s = schedule.times_s[state], min(schedule.times_s[state + 1], latest_s)
    if rng.random() < _AT_ONSET:
        ends_s = min(ends_s, begins_s + _ONSET_S)
    among = sorted(schedule.sounding[state])
    followed = rng.permutation(among)[: int(rng.integers(1, len(among) + 1))].tolist()
    start_s = float(rng.uniform(begins_s, ends_s))
    return samples, schedule, followed, start_s + times_s - times_s[0]


def _sound(
    library: Library,
    rng: np.random.Generator,
    groups: list[str],
    followed: list[int],
    times_s: NDArray[np.float64],
) -> tuple[NDArray[np.float32], Schedule]:
    """What is heard from `_LEAD_S` before the first frame to as long after the last, and when."""
    duration_s = float(times_s[-1]) + _LEAD_S
    planned = _schedule(rng, len(groups), followed, float(times_s[-1]), duration_s)
    heard = groups
    if rng.random() < _UNRELATED:
        planned = Schedule((0.0, duration_s), (frozenset(followed),))
        heard = [str(g) for g in rng.choice(library.groups, len(groups))]
    recordings = [random_recording(library, rng, group) for group in heard]
    samples, schedule = render(recordings, planned, SOURCE_RATE, rng)
    if heard is not groups and rng.random() < _SILENT:
        samples = _nothing_but_noise(samples, rng)
    return samples, schedule


def _composition(
    library: Library, rng: np.random.Generator, size: tuple[int, int]
) -> tuple[Scene, list[str]]:
    """Cut-outs over a background, and what they are."""
    groups = [str(g) for g in rng.choice(library.groups, rng.integers(2, 4), replace=False)]
    if rng.random() < 0.25:
        groups.append(groups[0])  # a look-alike, which has another voice or none
    pictures = [random_picture(library, rng, group) for group in groups]
    scene = random_scene(library, rng, pictures, size=size, motion=float(rng.uniform(0.3, 4)))
    return scene, groups


def _photograph(
    library: Library, rng: np.random.Generator, size: tuple[int, int]
) -> tuple[MovingPhotograph, list[str]]:
    """A photograph, some cut-out before it now and then, and what they are.

    What is in the photograph may be heard as something else: what counts is the change.
    """
    motion = float(rng.uniform(0.3, 4))
    source = library.photographs[rng.integers(len(library.photographs))]
    group = source.group if source.group in library.groups else rng.choice(library.groups)
    groups = [str(group)]
    sprites = []
    if rng.random() < 0.3:
        other = str(rng.choice(library.groups))
        picture = random_picture(library, rng, other)
        sprites.append(random_sprite(rng, picture, int(rng.integers(3)), 3, motion))
        groups.append(other)
    return random_photograph(rng, source, tuple(sprites), size=size, motion=motion), groups


def _lively(
    library: Library,
    rng: np.random.Generator,
    size: tuple[int, int],
    times_s: NDArray[np.float64],
) -> tuple[LivelyScene, list[str]]:
    """Things that move fast, the first of them followed, and what they are."""
    sources = [library.photographs[rng.integers(len(library.photographs))]]
    if rng.random() < _LOOK_ALIKE:
        sources.append(sources[0])
    if rng.random() < 0.2:
        sources.append(random_picture(library, rng, str(rng.choice(library.groups))))
    groups = [s.group if s.group in library.groups else rng.choice(library.groups) for s in sources]
    scene = random_lively_scene(
        library,
        rng,
        sources,
        size=size,
        start_s=float(times_s[0]),
        step_s=float(np.median(np.diff(times_s))),
    )
    return scene, [str(group) for group in groups]


def _times_s(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Of a video's frames, 0.04 to 1 s apart mostly, a few further; the keyframe is the first."""
    step_s = float(np.exp(rng.uniform(np.log(0.04), np.log(1.0))))
    steps_s = step_s * rng.choice([1.0, 1.0, 1.0, 2.0], size=count - 1)
    return np.asarray(_LEAD_S + np.r_[0.0, np.cumsum(steps_s)])


def _schedule(
    rng: np.random.Generator, count: int, followed: list[int], last_s: float, end_s: float
) -> Schedule:
    """Followed things sound at the keyframe, and take their course; the others come and go."""
    together = rng.random() < 0.6
    courses = rng.choice(_COURSES, size=len(followed), p=_COURSE_SHARES).tolist()
    spans: dict[int, list[tuple[float, float]]] = {}
    cuts = np.sort(rng.uniform(_LEAD_S + 0.02, max(last_s, _LEAD_S + 0.1), 2)).tolist()
    for index, course in zip(followed, courses, strict=True):
        if not together:
            cuts = np.sort(rng.uniform(_LEAD_S + 0.02, max(last_s, _LEAD_S + 0.1), 2)).tolist()
        course = courses[0] if together else course
        spans[index] = {
            "stays": [(0.0, end_s)],
            "falls silent": [(0.0, cuts[0])],
            "returns": [(0.0, cuts[0]), (cuts[1], end_s)],
        }[course]
    takes_over = rng.random() < 0.7
    for index in set(range(count)) - set(followed):
        if takes_over and rng.random() < 0.6:
            spans[index] = [(cuts[0] if rng.random() < 0.6 else 0.0, end_s)]
    edges = sorted({0.0, end_s, *(t for own in spans.values() for span in own for t in span)})
    states = [
        frozenset(i for i, own in spans.items() if any(a <= t < b for a, b in own))
        for t in edges[:-1]
    ]
    kept = [0, *(k for k in range(1, len(states)) if states[k] != states[k - 1])]
    return Schedule((*(edges[k] for k in kept), end_s), tuple(states[k] for k in kept))


def _nothing_but_noise(
    samples: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Digital silence, or the sound far below a steady noise, of -60 dB, silence too, to -15 dB."""
    if rng.random() < _DIGITAL:
        return np.zeros_like(samples)
    level = 10 ** (rng.uniform(-60, -15) / 20)
    faint = samples * level * 10 ** rng.uniform(-4, -1.5)
    return (faint + level * rng.standard_normal(len(samples))).astype(np.float32)


def _show(
    scene: Scene | MovingPhotograph | LivelyScene, time_s: float, exposure_s: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The frame and the visible masks; with an exposure, blurred by what moves in it."""
    frame, masks = scene.render(time_s)
    if exposure_s == 0:
        return frame, masks
    shifts = np.linspace(-exposure_s / 2, exposure_s / 2, _LOOKS)
    looks = [scene.render(time_s + float(shift))[0].astype(np.float32) for shift in shifts]
    return np.mean(looks, axis=0).astype(np.uint8), masks


def _paint(masks: NDArray[np.bool_], identities: NDArray[np.uint8]) -> NDArray[np.uint8]:
    label = np.zeros(masks.shape[1:], dtype=np.uint8)
    for mask, identity in zip(masks, identities, strict=True):
        label[mask] = identity
    return label


def _label(
    masks: NDArray[np.bool_], identities: NDArray[np.uint8], schedule: Schedule, time_s: float
) -> NDArray[np.uint8]:
    """What is to be followed; void where that changes just now."""
    before, now, after = (_wanted(own, identities) for own in _around(schedule, time_s))
    label = _paint(masks, identities * now)
    for index in np.flatnonzero((before != now) | (now != after)):
        label[masks[index]] = VOID
    return label


def _around(schedule: Schedule, time_s: float) -> list[frozenset[int]]:
    """What sounds just before a time, at it and just after; where they differ, it changes."""
    return [schedule.at(time_s + shift) for shift in (-_AMBIGUOUS_S, 0.0, _AMBIGUOUS_S)]


def _wanted(sounding: frozenset[int], identities: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Of the followed things those that sound, or all of them where none does."""
    followed = identities > 0
    wanted = followed & np.isin(np.arange(len(identities)), list(sounding))
    return wanted if wanted.any() else followed
