"""Things that move fast, as in real video: cut out of their photographs, before other pictures.

In `photographs` an object hardly moves against its background, and in `scene` it glides. Here it is
a layer of its own that may cross a third of the frame from one look to the next, turns, grows and
bends, leaves the frame and comes back; the camera pans and shakes; layers before it hide it now and
then. Its background is its own photograph without it, another one or a background picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from coprop.utils.brief import Brief
from tools.benchmark.library import Library, Source, load_picture
from tools.benchmark.photographs import Course

_WAVES = 2  # that bend an object
_BEND = 0.12  # the largest amplitude of each, of half the object's longer side
_SLOWEST, _FASTEST = 0.01, 0.33  # frame heights from one look to the next
_SMALLEST, _LARGEST = 0.12, 1.2  # an object's longer side, of the frame's shorter one
_HAND_HELD = 0.7  # of the cameras; the others stand still
_HIDING_SHARES = (0.4, 0.3, 0.3)  # how often nothing, one thing and two pass before the objects
_MOSTLY_HOLE = 0.35  # of a photograph; fewer are filled, as a fill is smooth
_TURNS = 0.25  # times to a sway between two looks at most: faster ones cannot be seen as such
_GRAIN = 0.02  # the largest standard deviation of a frame's noise
_VISIBLE = 0.002  # of the frame, that of each object shows at the keyframe
_TRIES = 20  # until all do; after that whatever shows is taken
_STILL = Course(0.0, 0.0, 1.0, 0.0)
_UNBENT = np.zeros((0, 5))


@dataclass(frozen=True, eq=False, repr=False)
class Layer(Brief):
    """A picture on its way through the frame. Lengths are in half heights of the frame.

    Args:
        picture: (4, h, w) RGB, multiplied by alpha, and alpha, in [0, 1].
        place: its middle (x, y), half its height, and its angle in radians, at time 0.
        courses: of the middle (x, y), of the height's logarithm, and of the angle.
        waves: (w, 5) that bend it: wave numbers (x, y) and amplitude in half heights of the
            picture, frequency in Hz, phase.
        boundless: whether it goes on beyond its edges, mirrored.
    """

    picture: Tensor
    place: tuple[float, float, float, float]
    courses: tuple[Course, Course, Course, Course]
    waves: NDArray[np.float64]
    boundless: bool = False

    def at(self, time_s: float, size: tuple[int, int]) -> Tensor:
        """(4, H, W) what it paints into a frame of (height, width) pixels."""
        height, width = size
        right, down, growth, turned = (course.at(time_s) for course in self.courses)
        x, y, half, angle = self.place
        rows = (torch.arange(height) + 0.5) * 2 / height - 1 - y - down
        columns = ((torch.arange(width) + 0.5) * 2 / width - 1) * width / height - x - right
        down_, right_ = torch.meshgrid(rows, columns, indexing="ij")
        half *= float(np.exp(growth))
        cos, sin = np.cos(angle + turned) / half, np.sin(angle + turned) / half
        places = torch.stack([cos * right_ + sin * down_, cos * down_ - sin * right_], dim=-1)
        for wave_x, wave_y, amplitude, frequency, phase in self.waves:
            turns = wave_x * places[..., 0] + wave_y * places[..., 1]
            wave = amplitude * torch.sin(turns + 2 * np.pi * frequency * time_s + phase)
            # Across the way it runs, so that it bends and does not squeeze.
            across = torch.tensor([-wave_y, wave_x]) / max(np.hypot(wave_x, wave_y), 1e-6)
            places = places + wave[..., None] * across
        places[..., 0] *= self.picture.shape[1] / self.picture.shape[2]
        padding = "reflection" if self.boundless else "zeros"
        return F.grid_sample(
            self.picture[None], places[None].float(), padding_mode=padding, align_corners=False
        )[0]


@dataclass(frozen=True, eq=False, repr=False)
class LivelyScene(Brief):
    """Layers over a background, some of which are objects with masks.

    Args:
        layers: the background first, the last in front.
        objects: which of the layers have masks.
        gain: course of the brightness, around 1.
        size: (height, width) of the frames.
        start_s: the time at which courses begin.
        grain: standard deviation of the noise.
        seed: of the noise.
    """

    layers: tuple[Layer, ...]
    objects: tuple[int, ...]
    gain: Course
    size: tuple[int, int]
    start_s: float
    grain: float
    seed: int

    def render(self, time_s: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The frame (H, W, 3) uint8 at a time, and the visible part of each object (O, H, W)."""
        since_s = time_s - self.start_s
        canvas, visible = torch.zeros(3, *self.size), torch.zeros(len(self.objects), *self.size)
        for number, layer in enumerate(self.layers):
            painted = layer.at(since_s, self.size)
            canvas = canvas * (1 - painted[3]) + painted[:3]
            visible = visible * (1 - painted[3])
            if number in self.objects:
                visible[self.objects.index(number)] = painted[3]
        noise = np.random.default_rng((self.seed, round(1000 * time_s)))
        frame = np.ascontiguousarray(canvas.permute(1, 2, 0).numpy())
        frame *= 1 + self.gain.at(since_s)
        frame += self.grain * noise.standard_normal(frame.shape, dtype=np.float32)
        return np.round(frame * 255).clip(0, 255).astype(np.uint8), visible.numpy() >= 0.5


def random_lively_scene(
    library: Library,
    rng: np.random.Generator,
    sources: list[Source],
    *,
    size: tuple[int, int],
    start_s: float,
    step_s: float,
) -> LivelyScene:
    """A scene of the given pictures, each an object; the same one twice is a look-alike.

    Args:
        library: where backgrounds and what hides come from.
        rng: the source of all randomness.
        sources: pictures to show, the last in front.
        size: (height, width) of the frames.
        start_s: when it begins.
        step_s: the time from one look to the next, which says how fast things may be.
    """
    for _ in range(_TRIES):
        scene = _draw(library, rng, sources, size, start_s, step_s)
        if scene.render(start_s)[1].mean(axis=(1, 2)).min() >= _VISIBLE:
            break
    return scene


def _draw(
    library: Library,
    rng: np.random.Generator,
    sources: list[Source],
    size: tuple[int, int],
    start_s: float,
    step_s: float,
) -> LivelyScene:
    camera = _courses(rng, step_s) if rng.random() < _HAND_HELD else (_STILL,) * 4
    layers = [_background(library, rng, sources[0], size, camera)]
    usual = _log_uniform(rng, _SMALLEST, _LARGEST)  # what comes together is alike in size
    for source in sources:
        longer, own = usual * float(rng.uniform(0.7, 1.4)), _courses(rng, step_s)
        layers.append(_cut_out(rng, source, longer, size, own, _waves(rng, step_s)))
    for _ in range(int(rng.choice(3, p=_HIDING_SHARES))):
        if rng.random() < 0.5:
            layers.append(_post(library, rng, size, camera))
        else:
            other = library.photographs[rng.integers(len(library.photographs))]
            longer = _log_uniform(rng, 2 * _SMALLEST, _LARGEST)
            own = camera if rng.random() < 0.5 else _courses(rng, step_s)
            layers.append(_cut_out(rng, other, longer, size, own, _UNBENT))
    return LivelyScene(
        tuple(layers),
        tuple(range(1, 1 + len(sources))),
        _course(rng, 0.05, step_s, 0.1),
        size,
        start_s,
        float(rng.uniform(0, _GRAIN)),
        int(rng.integers(2**31)),
    )


def _courses(rng: np.random.Generator, step_s: float) -> tuple[Course, Course, Course, Course]:
    """Of x, y, growth and turn, all of one thing, which may be quick in each."""
    pace = _log_uniform(rng, _SLOWEST, _FASTEST)
    x, y = 2 * pace * rng.dirichlet((1, 1))
    return (
        _course(rng, x, step_s, 0.9),
        _course(rng, y, step_s, 0.6),
        _course(rng, pace * rng.uniform(0, 0.5), step_s, 0.4),
        _course(rng, pace * rng.uniform(0, 1.5), step_s, 0.8),
    )


def _course(rng: np.random.Generator, each_step: float, step_s: float, reach: float) -> Course:
    """Sways within ``reach``, by ``each_step`` from look to look at its fastest, and drifts."""
    speed = each_step / step_s
    amplitude = reach * float(rng.uniform(0.1, 1))
    frequency = min(speed / (2 * np.pi * amplitude), _TURNS / step_s)
    drift = min(speed, reach / (4 * step_s)) * float(rng.normal(0, 0.3))
    return Course(drift, amplitude, frequency, float(rng.uniform(0, 2 * np.pi)))


def _log_uniform(rng: np.random.Generator, least: float, most: float) -> float:
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


def _waves(rng: np.random.Generator, step_s: float) -> NDArray[np.float64]:
    fastest = min(2.0, _TURNS / step_s)
    return np.stack(
        [
            rng.uniform(-3, 3, _WAVES),
            rng.uniform(-3, 3, _WAVES),
            rng.uniform(0, _BEND, _WAVES),
            rng.uniform(0, fastest, _WAVES),
            rng.uniform(0, 2 * np.pi, _WAVES),
        ],
        axis=1,
    )


def _cut_out(
    rng: np.random.Generator,
    source: Source,
    longer: float,
    size: tuple[int, int],
    courses: tuple[Course, Course, Course, Course],
    waves: NDArray[np.float64],
) -> Layer:
    """The object of a picture, its longer side in units of the frame's height."""
    picture = _soft_edged(source, rng)
    rows, columns = (picture[3].amax(axis) >= 0.5 for axis in (1, 0))
    (top, *_, bottom), (left, *_, right) = (
        torch.nonzero(x)[:, 0].tolist() for x in (rows, columns)
    )
    # A margin, into which it can bend.
    picture = F.pad(picture[:, top : bottom + 1, left : right + 1], (8, 8, 8, 8))
    pixels = longer * size[0] / max(picture.shape[1:])
    if pixels < 1:  # bilinear sampling alone would alias
        picture = F.interpolate(
            picture[None], scale_factor=pixels, mode="bilinear", antialias=True
        )[0]
    half = longer * picture.shape[1] / max(picture.shape[1:])
    ratio = size[1] / size[0]
    middle = (ratio * float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.8, 0.8)))
    return Layer(picture, (*middle, half, float(rng.normal(0, 0.2))), courses, waves)


def _background(
    library: Library,
    rng: np.random.Generator,
    source: Source,
    size: tuple[int, int],
    camera: tuple[Course, Course, Course, Course],
) -> Layer:
    """The object's own photograph without it, another with what it shows, or a background."""
    own = torch.from_numpy(load_picture(source.path).copy())
    hole = float((own[..., 3] > 0).float().mean())
    if source in library.photographs and hole < _MOSTLY_HOLE and rng.random() < 0.6:
        picture = filled(own)
    else:
        others = library.photographs if rng.random() < 0.5 else library.backgrounds
        other = others[rng.integers(len(others))]
        picture = torch.from_numpy(load_picture(other.path).copy()).permute(2, 0, 1)[:3] / 255
    if rng.random() < 0.5:
        picture = picture.flip(2)
    wide = max(1.0, picture.shape[1] / picture.shape[2] * size[1] / size[0])
    half = wide * float(rng.uniform(1.0, 1.8))  # half its height: it covers the frame
    pixels = (round(half * size[0]), round(half * size[0] * picture.shape[2] / picture.shape[1]))
    picture = F.interpolate(picture[None], pixels, mode="bilinear", antialias=True)[0]
    opaque = torch.cat([picture, torch.ones_like(picture[:1])])
    return Layer(opaque, (0.0, 0.0, half, 0.0), camera, _UNBENT, boundless=True)


def _post(
    library: Library,
    rng: np.random.Generator,
    size: tuple[int, int],
    camera: tuple[Course, Course, Course, Course],
) -> Layer:
    """A strip of some picture from top to bottom, as a tree or a post: it moves with the camera."""
    other = library.backgrounds[rng.integers(len(library.backgrounds))]
    picture = torch.from_numpy(load_picture(other.path).copy()).permute(2, 0, 1)[:3] / 255
    height = 3 * size[0]  # beyond the frame, as the camera moves
    width = max(round(size[0] * _log_uniform(rng, 0.03, 0.3)), 4)
    shape = (height, max(width, round(height * 0.3)))
    strip = F.interpolate(picture[None], shape, mode="bilinear", antialias=True)[0][..., :width]
    strip = F.pad(torch.cat([strip, torch.ones_like(strip[:1])]), (2, 2))
    ratio = size[1] / size[0]
    place = (ratio * float(rng.uniform(-1, 1)), 0.0, 3.0, float(rng.normal(0, 0.15)))
    bends = np.array([[0.0, rng.uniform(1, 6), rng.uniform(0, 0.03), 0.0, rng.uniform(0, 6)]])
    return Layer(strip, place, camera, bends)


def _soft_edged(source: Source, rng: np.random.Generator) -> Tensor:
    """(4, h, w) of a picture, flipped or not, in other light, with a soft edge."""
    picture = torch.from_numpy(load_picture(source.path).copy()).permute(2, 0, 1).float() / 255
    if rng.random() < 0.5:
        picture = picture.flip(2)
    alpha = F.avg_pool2d(picture[3:], 3, 1, 1)
    colour = (picture[:3] * float(rng.uniform(0.8, 1.15))).clamp(0, 1)
    return torch.cat([colour * alpha, alpha])


def filled(rgba: Tensor) -> Tensor:
    """(3, h, w) in [0, 1] of a picture (h, w, 4) whose object gives way to what is around it.

    Coarser and coarser means of what is known, until all is; then back, where something is missing.
    """
    picture = rgba.permute(2, 0, 1).float() / 255
    known = 1 - F.max_pool2d(picture[3:], 9, 1, 4)  # the edge has some of the object's colour
    return _smooth_fill(picture[None, :3] * known, known[None])[0]


def _smooth_fill(coloured: Tensor, known: Tensor) -> Tensor:
    """Of (1, 3, h, w), multiplied by how much of each pixel is known, (1, 1, h, w), all of them."""
    here = coloured / known.clamp_min(1e-3)
    if min(known.shape[2:]) < 2:
        return here
    colour, share = (F.avg_pool2d(x, 2, ceil_mode=True) for x in (coloured, known))
    more = (1 / share.clamp_min(1e-3)).clamp_max(4)  # half of it known is enough to know it
    beneath = F.interpolate(
        _smooth_fill(colour * more, share * more), known.shape[2:], mode="bilinear"
    )
    return known * here + (1 - known) * beneath
