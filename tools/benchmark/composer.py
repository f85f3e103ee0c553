"""Clips composed from pictures and recordings, with everything about them known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coprop.types import Audio
from coprop.utils.brief import Brief
from tools.benchmark.library import SOURCE_RATE, Library, random_picture, random_recording
from tools.benchmark.mixing import Schedule, random_schedule, render
from tools.benchmark.scene import Scene, random_scene


@dataclass(frozen=True, eq=False, repr=False)
class ComposedClip(Brief):
    """A clip whose sounding objects, masks and change times are known.

    Args:
        scene: what is seen; `Scene.render` gives frames and the visible objects' masks. Objects
            that sound come first, then bystanders that never do.
        schedule: what sounds when. Its first `num_sounding` sources are the scene's first objects;
            any further source is off-screen.
        num_sounding: how many of the scene's objects sound at some time.
        audio: the sound, mono at 44.1 kHz.
        fps: frames per second.
        off_screen: groups of the sources that are heard and not seen.
    """

    scene: Scene
    schedule: Schedule
    num_sounding: int
    audio: Audio
    fps: float
    off_screen: tuple[str, ...] = ()

    @property
    def num_frames(self) -> int:
        return round(self.schedule.times_s[-1] * self.fps)

    def sounding(self, time_s: float) -> NDArray[np.bool_]:
        """(O,) True for the scene's objects that sound at a time."""
        now = self.schedule.at(time_s)
        objects = range(len(self.scene.sprites))
        return np.array([i < self.num_sounding and i in now for i in objects], dtype=bool)

    def sounds_off_screen(self, time_s: float) -> bool:
        """Whether something sounds at a time that is not in the picture."""
        return any(source >= self.num_sounding for source in self.schedule.at(time_s))

    def frames(self) -> Iterator[tuple[float, NDArray[np.uint8], NDArray[np.bool_]]]:
        """Yields (time_s, frame (H, W, 3), object masks (O, H, W)), rendered one by one."""
        for index in range(self.num_frames):
            time_s = index / self.fps
            yield time_s, *self.scene.render(time_s)


def compose_clip(
    library: Library,
    rng: np.random.Generator,
    *,
    duration_s: float = 8.0,
    fps: float = 10.0,
    size: tuple[int, int] = (288, 384),
) -> ComposedClip:
    """One to three objects that take turns, sometimes beside a bystander or an off-screen source.

    Args:
        library: pictures and recordings to use.
        rng: the source of all randomness; the same state gives the same clip.
        duration_s: length in seconds.
        fps: frames per second.
        size: (height, width) of the frames in pixels.
    """
    visible, hidden = int(rng.integers(1, 4)), int(rng.random() < 0.2)
    groups = [str(g) for g in rng.choice(library.groups, visible + hidden, replace=False)]
    pictures = [random_picture(library, rng, group) for group in groups[:visible]]
    if rng.random() < 0.3:
        pictures.append(random_picture(library, rng, None))
    scene = random_scene(library, rng, pictures, size=size)
    recordings = [random_recording(library, rng, group) for group in groups]
    planned = random_schedule(rng, len(groups), duration_s)
    samples, schedule = render(recordings, planned, SOURCE_RATE, rng)
    audio, hidden_groups = Audio(samples, SOURCE_RATE), tuple(groups[visible:])
    return ComposedClip(scene, schedule, visible, audio, fps, hidden_groups)
