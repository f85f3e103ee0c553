"""Run-length encodings of masks, in the forms that other programs read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LONGEST_RUN = 1 << 16  # of one code of Label Studio's
_WORD, _SIZES = 8, (3, 4, 8, 16)  # bits of a value, and of the lengths that its codes can have


def run_lengths(flat: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Lengths of the runs of a flat mask, of zeros and ones in turn; the first is of zeros.

    Args:
        flat: (n,) bool, at least one.
    """
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(edges, prepend=0, append=flat.size)
    return np.concatenate([[0], lengths]) if flat[0] else lengths


def coco_counts(mask: NDArray[np.bool_]) -> str:
    """A mask as the text that stands for its runs in COCO's ``counts``.

    Columns come one after another. From the fourth on, a run is written as what it has more than
    the one two before it. Each number is cut into groups of five bits, the lowest first; a sixth
    bit says that more follow, and 48 is added to make it a printable character.

    Args:
        mask: (H, W) bool.
    """
    runs = run_lengths(mask.ravel(order="F")).astype(np.int64)
    rest = runs.copy()
    rest[3:] -= runs[1:-2]
    groups, used = [], []
    open_ = np.ones(len(rest), dtype=bool)
    while open_.any():
        group = rest & 0x1F
        rest = rest >> 5
        more = np.where(group & 0x10, rest != -1, rest != 0)
        groups.append(group + 48 + np.where(more, 0x20, 0))
        used.append(open_)
        open_ = open_ & more
    characters = np.stack(groups, axis=1)[np.stack(used, axis=1)]
    return bytes(characters.astype(np.uint8)).decode("ascii")


def row_runs(mask: NDArray[np.bool_]) -> str:
    """A mask as CVAT writes it: lengths of the runs, row after row, with commas between them.

    Args:
        mask: (H, W) bool, of the mask's own box.
    """
    return ",".join(map(str, run_lengths(mask.ravel())))


def brush_codes(mask: NDArray[np.bool_]) -> list[int]:
    """A mask as Label Studio's brushes keep it: bytes of a stream of bits.

    The stream holds a picture of red, green, blue and alpha, 255 inside and 0 outside. It begins
    with how many values there are (32 bits), the bits of a value less one (5) and the bits of the
    four kinds of length less one (4 each). Each run then is a 1, the kind of its length (2 bits),
    the length less one and the value.

    Args:
        mask: (H, W) bool.
    """
    runs = run_lengths(mask.ravel()) * 4
    parts = [f"{4 * mask.size:032b}{_WORD - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    for position, run in enumerate(runs.tolist()):
        value = "1" * _WORD if position % 2 else "0" * _WORD
        whole, left = divmod(run, _LONGEST_RUN)
        parts += [f"111{'1' * 16}{value}"] * whole
        if left:
            kind = next(kind for kind, size in enumerate(_SIZES) if left <= 1 << size)
            parts.append(f"1{kind:02b}{left - 1:0{_SIZES[kind]}b}{value}")
    bits = "".join(parts)
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))
