"""Masks as pictures in the form in which predictions of the same run were written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from coprop.errors import OutputError
from coprop.keyframes.predictions.pictures import NUM_COLOURS, opened, read_picture
from coprop.keyframes.predictions.values import Values
from coprop.media.painting import voc_palette
from coprop.storage.files import replacing
from coprop.types import FrameMask

if TYPE_CHECKING:
    from PIL.Image import Image

_JPEG_QUALITY = 95  # of 100; what Pillow's authors call the highest that makes sense


@dataclass(frozen=True)
class PictureForm:
    """How a picture holds a prediction.

    Args:
        size: height and width.
        mode: of Pillow.
        format: of the file, as Pillow names it.
        palette: RGB of its entries, one after another; None without one.
        values: what its values mean.
        white: the value of what sounds, in masks.
    """

    size: tuple[int, int]
    mode: str
    format: str
    palette: tuple[int, ...] | None
    values: Values
    white: int

    @classmethod
    def of(cls, path: Path, values: Values, white: int) -> PictureForm:
        """The form of a picture that is there.

        Class ids get PASCAL VOC's palette where they are not the indices of its own.
        """
        with opened(path) as image:
            stored = image.getpalette("RGB") if image.mode == "P" else None
            if stored is not None and values == "labels":
                same = np.array_equal(np.asarray(image), read_picture(path).values)
                stored = stored if same else []
            return cls(
                (image.height, image.width),
                image.mode,
                image.format or "PNG",
                None if stored is None else tuple(stored),
                values,
                white,
            )

    def write(self, path: Path, mask: FrameMask) -> None:
        """Writes a mask in this form, resized bilinear to its size before it is thresholded.

        Raises:
            OutputError: it cannot be written, or has classes that the form has no values for.
        """
        soft, labels = self._resized(mask)
        if self.values == "labels":
            image = self._of_labels(path, labels)
        elif self.values == "mask":
            image = self._of_greys(np.where(labels > 0, self.white, 0).astype(np.uint8))
        else:
            image = self._of_greys(np.round(255 * (1 - soft[0]).clip(0, 1)).astype(np.uint8))
        more = {"quality": _JPEG_QUALITY} if self.format == "JPEG" else {}
        with replacing(path) as part:
            image.save(part, format=self.format, **more)

    def _resized(self, mask: FrameMask) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """(C, h, w) probabilities and (h, w) labels at this form's size."""
        if mask.probabilities is None:
            raise OutputError("a mask without its probabilities cannot be resized; keep them.")
        if mask.labels.shape == self.size:
            return mask.probabilities, mask.labels
        soft = torch.tensor(mask.probabilities, device="cpu")[None]
        soft = F.interpolate(soft, self.size, mode="bilinear", antialias=True, align_corners=False)
        channels = soft.argmax(dim=1)[0].numpy()
        return np.asarray(soft[0].numpy()), np.array(mask.classes, dtype=np.uint8)[channels]

    def _of_greys(self, greys: NDArray[np.uint8]) -> Image:
        from PIL import Image

        picture = Image.fromarray(greys)
        if self.palette is None:
            return picture.convert(self.mode)
        # The entries of a palette of greys are in any order.
        entries = np.array(self.palette, dtype=np.uint8)[::3]
        place = np.zeros(256, dtype=np.uint8)
        place[entries[::-1]] = np.arange(len(entries), dtype=np.uint8)[::-1]
        return _with_palette(place[greys], self.palette)

    def _of_labels(self, path: Path, labels: NDArray[np.uint8]) -> Image:
        from PIL import Image

        if self.mode == "P":
            colours = voc_palette().ravel().tolist()
            own = self.palette or ()
            return _with_palette(labels, (*own, *colours[len(own) :]))
        if self.mode in ("L", "LA"):
            return Image.fromarray(labels).convert(self.mode)
        if labels.max() >= NUM_COLOURS:
            raise OutputError(
                f"{path} cannot be written in AVSS's colours: there is none for the class "
                f"{labels.max()}."
            )
        return Image.fromarray(voc_palette()[labels]).convert(self.mode)


def _with_palette(indices: NDArray[np.uint8], palette: Any) -> Image:
    from PIL import Image

    picture = Image.fromarray(indices)
    picture.putpalette(list(palette))
    return picture
