"""Clips of two like things of which one moves with its sound, the other with a sound unheard."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coprop.types import Audio
from coprop.utils.brief import Brief
from tools.benchmark.library import SOURCE_RATE, Library, load_sound
from tools.benchmark.mixing import continuous_source, in_a_room, noise
from tools.benchmark.scene import Scene, Sprite, random_scene

SECONDS, FPS, SIZE = 3.0, 20.0, (144, 192)
KINDS = ("bob", "shake", "grow", "turn")
_REACH = {"bob": (0.015, 0.06), "shake": (0.01, 0.03), "grow": (0.03, 0.12), "turn": (3.0, 12.0)}
"""How far the loudest sound moves a thing: shares of the frame and of its size, and degrees."""

_SHAKES_HZ = (3.0, 8.0)
_LATEST_S = 0.06  # after the sound
_ENVELOPE_S = 0.04  # of sound behind each value of what moves a thing
_JITTER = 0.006  # of the frame's width, at most: a hand that holds the camera
_NOISE = 6 / 255  # of the range of grey, at most


@dataclass(frozen=True, eq=False, repr=False)
class TwoAlike(Brief):
    """One clip.

    Args:
        frames: (T, H, W, 3) uint8.
        masks: (2, T, H, W) bool, what is seen of each thing.
        audio: the sound of one of them.
        sounding: which one.
        kinds: how each moves.
    """

    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    audio: Audio
    sounding: int
    kinds: tuple[str, str]

    @property
    def times_s(self) -> tuple[float, ...]:
        """(T,) of the frames."""
        return tuple((np.arange(len(self.frames)) / FPS).tolist())


def compose(library: Library, rng: np.random.Generator) -> TwoAlike:
    """A clip of random things, sounds and motions."""
    groups = [group for group in library.groups if len(library.sounds[group]) > 1]
    group = groups[rng.integers(len(groups))]
    pictures = library.pictures[group]
    first = pictures[rng.integers(len(pictures))]
    # Half are copies of one picture, half two of a kind.
    second = first if rng.random() < 0.5 else pictures[rng.integers(len(pictures))]
    scene = random_scene(library, rng, [first, second], size=SIZE)
    scene = replace(scene, sprites=tuple(_small(sprite) for sprite in scene.sprites))
    recordings = rng.choice(len(library.sounds[group]), 2, replace=False)
    count = round(SECONDS * SOURCE_RATE)
    sounds = [
        continuous_source(load_sound(library.sounds[group][i].path), count, SOURCE_RATE, rng)[0]
        for i in recordings
    ]
    sounding = int(rng.integers(2))
    kinds = [KINDS[i] for i in rng.integers(len(KINDS), size=2)]
    heard = in_a_room(sounds[0], SOURCE_RATE, rng)[:count] + noise(count, rng)
    heard /= max(1.0, float(np.abs(heard).max()))
    moved_by = sounds if sounding == 0 else sounds[::-1]
    motions = [
        Motion(
            kind, float(rng.uniform(*_REACH[kind])), _driver(sound, rng), rng.uniform(*_SHAKES_HZ)
        )
        for kind, sound in zip(kinds, moved_by, strict=True)
    ]
    frames, masks = _rendered(scene, motions, rng)
    audio = Audio(heard.astype(np.float32), SOURCE_RATE)
    return TwoAlike(frames, masks, audio, sounding, (kinds[0], kinds[1]))


@dataclass(frozen=True, eq=False)
class Motion:
    """How a thing moves with a sound.

    Args:
        kind: of `KINDS`.
        reach: how far the loudest sound moves it.
        driver: (T,) in [0, 1], how loud its sound is at each frame.
        rate_hz: of what shakes.
    """

    kind: str
    reach: float
    driver: NDArray[np.float64]
    rate_hz: float

    def at(self, sprite: Sprite, number: int) -> Sprite:
        """The thing as it is at a frame, but for its path."""
        moved, time_s = self.reach * float(self.driver[number]), number / FPS
        x, y = sprite.centre
        if self.kind == "bob":
            return replace(sprite, centre=(x, y - moved))
        if self.kind == "shake":
            moved *= np.sin(2 * np.pi * self.rate_hz * time_s)
            return replace(sprite, centre=(x + moved, y))
        if self.kind == "grow":
            return replace(sprite, size=sprite.size * (1 + moved))
        return replace(sprite, tilt=(sprite.tilt[0] + moved, sprite.tilt[1]))


def _small(sprite: Sprite) -> Sprite:
    """The same with a picture of no more pixels than are drawn: it is drawn many times."""
    wanted = 2 * sprite.size * min(SIZE)
    shrink = int(max(sprite.picture.shape[:2]) / wanted)
    if shrink < 2:
        return sprite
    return replace(sprite, picture=np.asarray(Image.fromarray(sprite.picture).reduce(shrink)))


def _driver(sound: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """(T,) in [0, 1]: a sound's level at the frames, some hundredths of a second late."""
    late_s, width = rng.uniform(0, _LATEST_S), round(_ENVELOPE_S * SOURCE_RATE)
    power = np.cumsum(np.pad(sound**2, (width, 0)))
    power = (power[width:] - power[:-width]) / width
    at = np.arange(round(SECONDS * FPS)) / FPS - late_s
    level = np.sqrt(power[np.clip(np.round(at * SOURCE_RATE), 0, len(sound) - 1).astype(int)])
    return np.asarray(np.clip(level / max(float(np.percentile(level, 95)), 1e-6), 0, 1))


def _rendered(
    scene: Scene, motions: list[Motion], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    frames, masks = [], []
    amount, grain = rng.uniform(0, _JITTER) * SIZE[1], rng.uniform(0, _NOISE) * 255
    shaken = _walk(rng, round(SECONDS * FPS)) * amount
    (corner, velocity) = scene.pan
    for number, (down, right) in enumerate(shaken):
        sprites = tuple(
            motion.at(sprite, number) for motion, sprite in zip(motions, scene.sprites, strict=True)
        )
        # The things go with the camera's jitter, as the background does.
        sprites = tuple(
            replace(s, centre=(s.centre[0] - right / SIZE[1], s.centre[1] - down / SIZE[0]))
            for s in sprites
        )
        pan = ((corner[0] + down, corner[1] + right), velocity)
        picture, seen = replace(scene, sprites=sprites, pan=pan).render(number / FPS)
        noisy = picture + grain * rng.standard_normal(picture.shape)
        frames.append(np.clip(np.round(noisy), 0, 255).astype(np.uint8))
        masks.append(seen)
    return np.stack(frames), np.stack(masks, axis=1)


def _walk(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """(count, 2) of standard deviation about 1: what a hand does, slow and quick."""
    steps = rng.standard_normal((count, 2))
    walked = np.zeros((count, 2))
    for i in range(1, count):
        walked[i] = 0.85 * walked[i - 1] + 0.5 * steps[i]
    return walked
