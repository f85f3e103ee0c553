"""The picture of a clip of the open benchmark: sizes, speeds and one object before another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from tools.benchmark.library import Library, Source
from tools.benchmark.mixing import Schedule
from tools.benchmark.scene import Scene, Sprite, random_scene

_PROBES = 16  # times at which a scene is tried out, half a second apart in clips of 8 s
_SEEN = 0.75  # share of those at which an object sounds, at which it must be seen
_TRIES = 24
_MOTIONS = (0.0, 1.0, 1.0, 2.0)  # a quarter stand still, a quarter hurry


@dataclass(frozen=True, eq=False)
class Layout:
    """A scene and how it was drawn.

    Args:
        scene: with the sprites in the order of the pictures given.
        pictures: the pictures chosen.
        background: the picture behind them.
        motion: 0 for a still scene, 1 for usual speeds, 2 for twice these.
        crossing: (before, behind) numbers of the objects of which one passes before the other.
        seen: over the objects the least share of the time that they sound in which they are seen.
    """

    scene: Scene
    pictures: tuple[Source, ...]
    background: Source
    motion: float
    crossing: tuple[int, int] | None
    seen: float


def sample_layout(
    library: Library,
    choose_pictures: Callable[[], Sequence[Source]],
    sources: Sequence[int | None],
    schedule: Schedule,
    *,
    occlusion: bool,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Layout:
    """Draws pictures and their places until objects are seen most of the time that they sound.

    Args:
        library: where the background comes from.
        choose_pictures: draws the objects' pictures, also from ``rng``, in painting order.
        sources: for each object its number in the schedule, or None.
        schedule: what sounds when.
        occlusion: let one object pass before another.
        size: (height, width) of the frames.
        rng: the source of all randomness.
    """
    duration_s = schedule.times_s[-1]
    tried: list[Layout] = []
    for number in range(_TRIES):
        pictures = tuple(choose_pictures())
        motion = float(rng.choice(_MOTIONS))
        background = library.backgrounds[int(rng.integers(len(library.backgrounds)))]
        scene = random_scene(
            _with_background(library, background), rng, list(pictures), size=size, motion=motion
        )
        # Thin things may have to be large to be seen at all.
        sizes = (0.7, 1.25) if number < _TRIES // 2 else (1.0, 1.5)
        sprites = [_scaled(sprite, sizes, motion, duration_s, rng) for sprite in scene.sprites]
        crossing = _cross(sprites, duration_s, rng) if occlusion and len(sprites) > 1 else None
        scene = replace(scene, sprites=tuple(sprites))
        seen = _share_seen(scene, sources, schedule)
        tried.append(Layout(scene, pictures, background, motion, crossing, seen))
        if seen >= _SEEN:
            break
    return max(tried, key=lambda layout: layout.seen)


def _with_background(library: Library, background: Source) -> Library:
    other = copy(library)
    other.backgrounds = [background]
    return other


def _scaled(
    sprite: Sprite,
    sizes: tuple[float, float],
    motion: float,
    duration_s: float,
    rng: np.random.Generator,
) -> Sprite:
    """Smaller or larger; a third come nearer or go away while the clip runs."""
    size = sprite.size * float(np.exp(rng.uniform(*np.log(sizes))))
    goes = rng.random() < 1 / 3 and motion > 0
    factor = float(np.exp(rng.uniform(-0.5, 0.5)))  # at the end, against the beginning
    growth = (factor - 1) / duration_s if goes else sprite.growth
    return replace(sprite, size=size, growth=growth)


def _cross(sprites: list[Sprite], duration_s: float, rng: np.random.Generator) -> tuple[int, int]:
    """Sends one sprite past another that is painted before it; changes the list."""
    before = int(rng.integers(1, len(sprites)))
    behind = int(rng.integers(before))
    middle_s = float(rng.uniform(0.3, 0.7)) * duration_s
    target = sprites[behind]
    x = target.centre[0] + target.velocity[0] * middle_s
    y = target.centre[1] + target.velocity[1] * middle_s
    speed = float(rng.uniform(0.08, 0.2) * rng.choice([-1, 1]))
    drop = float(rng.uniform(-0.12, 0.12))
    sprites[before] = replace(
        sprites[before],
        centre=(x - speed * middle_s, y + drop),
        velocity=(speed, 0.0),
    )
    return before, behind


def _share_seen(scene: Scene, sources: Sequence[int | None], schedule: Schedule) -> float:
    times_s = (np.arange(_PROBES) + 0.5) * schedule.times_s[-1] / _PROBES
    seen = np.array([scene.render(float(t))[1].any(axis=(1, 2)) for t in times_s])
    shares = []
    for number, source in enumerate(sources):
        sounds = np.array([source in schedule.at(float(time_s)) for time_s in times_s])
        if sounds.any():
            shares.append(float(seen[sounds, number].mean()))
    return min(shares, default=1.0)
