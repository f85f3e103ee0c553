"""Predictions as pictures: masks and label maps in grey, in palettes and in AVSS's colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coprop.errors import PredictionError
from coprop.keyframes.predictions.values import Raw
from coprop.media.painting import voc_palette
from coprop.utils.brief import first_line

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
NUM_COLOURS = 71  # classes of AVSS, each with its colour of PASCAL VOC's palette

_MOST_DIGITS = 12  # of a number; more are part of a name
_SOLID = 3  # pixels: no wider are the mixed colours that resizing leaves between two areas
_SOLID_JPEG = 9  # where colours were stored at half the size, and in blocks of 8
_BLACK_OR_WHITE = 32  # how far JPEG leaves a mask's two values, at usual qualities


def read_picture(path: Path) -> Raw:
    """A picture as one prediction.

    Grey ones have their values, also where they come as a palette or as RGB of equal channels.
    Palettes of colours have their indices as class ids, unless their colours are those of AVSS in
    another order. Colours are class ids of AVSS, see `labels_from_colours`. Alpha is left out.

    Raises:
        PredictionError: no picture, or one of more than 8 bits.
    """
    with opened(path) as image:
        try:
            image.load()
        except Exception as error:  # Pillow raises many kinds of error for damaged pictures
            raise _damaged(path, error) from error
        return _raw(image, path)


def _raw(image: Image, path: Path) -> Raw:
    lossy = image.format == "JPEG"
    if image.mode == "P":
        indices, colours = np.asarray(image), _palette(image, path)
        if not _is_grey(colours) and not _is_reordered(colours, indices):
            return Raw(indices, str(path), ids=True)
        pixels = colours[indices]
    elif image.mode in ("1", "L", "LA"):
        return Raw(_steady(np.asarray(image.convert("L")), lossy=lossy), str(path))
    elif image.mode.startswith(("I", "F")):
        return Raw(_eight_bits(path, np.asarray(image)), str(path))
    else:
        pixels = np.asarray(image.convert("RGB"))
    if _is_grey(pixels.reshape(-1, 3)):
        return Raw(_steady(np.ascontiguousarray(pixels[..., 0]), lossy=lossy), str(path))
    return Raw(labels_from_colours(pixels, lossy=lossy), str(path), ids=True)


def labels_from_colours(pixels: NDArray[np.uint8], *, lossy: bool = False) -> NDArray[np.uint8]:
    """(H, W) class ids of AVSS by colour.

    Where all colours are exact, each pixel has its own. Where some are none of the 71, as in
    pictures that were resized in colour, each pixel has the nearest one; of classes that nowhere
    fill 3 x 3 pixels, which mixed colours between two areas do not, it has the next nearest. In
    JPEG that is 9 x 9.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        lossy: whether they come from JPEG.
    """
    palette = voc_palette()[:NUM_COLOURS].astype(np.int32)
    packed = pixels.astype(np.int32) @ (1 << 16, 1 << 8, 1)
    colours, place = np.unique(packed, return_inverse=True)
    rgb = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1)
    far = ((rgb[:, None] - palette[None]) ** 2).sum(axis=2)
    labels = far.argmin(axis=1)[place].reshape(packed.shape)
    if far.min(axis=1).max() > 0:
        side = _SOLID_JPEG if lossy else _SOLID
        solid = [c for c in np.unique(labels) if _fills(labels == c, side)]
        labels = np.array(solid or [0])[far[:, solid or [0]].argmin(axis=1)][place]
    return np.asarray(labels.reshape(packed.shape), dtype=np.uint8)


def numbers_of(paths: Sequence[Path]) -> tuple[int, ...] | None:
    """The number at the end of each file's name; None where not all have one.

    Raises:
        PredictionError: two files of one number.
    """
    found: dict[int, Path] = {}
    for path in paths:
        digits = path.stem[len(path.stem.rstrip("0123456789")) :]
        if not 0 < len(digits) <= _MOST_DIGITS:
            return None
        if int(digits) in found:
            raise PredictionError(
                f"{found[int(digits)]} and {path} both have the number {int(digits)}; give a "
                "folder with the predictions of one clip."
            )
        found[int(digits)] = path
    return tuple(found)


def opened(path: Path) -> Image:
    """The picture, whose pixels are read when they are asked for.

    Raises:
        PredictionError: it cannot be read.
    """
    import PIL.Image

    try:
        return PIL.Image.open(path)
    except Exception as error:  # as above
        raise _damaged(path, error) from error


def _palette(image: Image, path: Path) -> NDArray[np.uint8]:
    """(256, 3) RGB; colours that the file leaves out are black."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    stored = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    if not len(stored):  # all would be black: nothing anywhere
        raise _damaged(path, ValueError("it has no palette"))
    colours[: len(stored)] = stored
    return colours


def _is_reordered(colours: NDArray[np.uint8], indices: NDArray[np.uint8]) -> bool:
    """Whether the colours in use are all AVSS's, but not each at the place of its class."""
    used, classes = np.unique(indices), voc_palette()
    if np.array_equal(colours[used], classes[used]):
        return False
    known = {tuple(colour) for colour in classes[:NUM_COLOURS].tolist()}
    return all(tuple(colour) in known for colour in colours[used].tolist())


def _is_grey(colours: NDArray[np.uint8]) -> bool:
    return bool((colours == colours[:, :1]).all())


def _steady(values: NDArray[np.uint8], *, lossy: bool) -> NDArray[np.uint8]:
    """A mask's own two values, where JPEG has blurred them."""
    near_white, near_black = values >= 255 - _BLACK_OR_WHITE, values <= _BLACK_OR_WHITE
    if lossy and float((near_white | near_black).mean()) > 0.9:  # all but its edges
        return np.where(values > 127, 255, 0).astype(np.uint8)
    return values


def _eight_bits(path: Path, values: NDArray[np.generic]) -> NDArray[np.generic]:
    if values.dtype.kind in "iu" and values.size and values.max() > 255:
        raise PredictionError(
            f"{path} has values up to {values.max()}, but pictures are taken with 8 bits; save it "
            "so, or save an array (.npy) of labels or probabilities."
        )
    return values


def _fills(area: NDArray[np.bool_], side: int) -> bool:
    """Whether a square of so many pixels fits into an area somewhere."""
    for axis in (0, 1):
        length = area.shape[axis] - side + 1
        if length < 1:
            return False
        parts = [np.take(area, range(i, i + length), axis=axis) for i in range(side)]
        area = np.logical_and.reduce(parts)
    return bool(area.any())


def _damaged(path: Path, error: Exception) -> PredictionError:
    return PredictionError(
        f"the picture {path} cannot be read: {first_line(error)}. Write it again, it is damaged "
        "or no picture."
    )
