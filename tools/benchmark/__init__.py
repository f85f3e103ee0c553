"""The open benchmark: clips composed of pictures and recordings, everything about them known.

``python -m tools.benchmark`` writes them into a folder; `composed` makes simpler ones while they
are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tools.benchmark.composed_clips import ComposedClips


def composed(root: Path, split: str, limit: int | None) -> ComposedClips:
    """What ``--dataset tools.benchmark:composed`` of the coprop commands reads.

    Args:
        root: a sources folder, as ``python -m tools.sources`` builds it.
        split: "train", "validation", for which "val" stands as well, or "test".
        limit: how many clips; None for 40.

    Raises:
        CoPropError: no such folder, or nothing of the split in it.
    """
    from tools.benchmark.composed_clips import ComposedClips

    split = "validation" if split == "val" else split
    return ComposedClips(root, 40 if limit is None else limit, split=split)
