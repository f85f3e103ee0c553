"""What the parts of the sources builder share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TUXPAINT = "usr/share/tuxpaint/stamps"
RCC = "usr/share/gcompris-qt/rcc"
SCRATCH_MEDIA = "usr/share/scratch/Media"


@dataclass(frozen=True)
class Entry:
    """One picture, background or recording; several paths are pieces of one recording.

    Entries of one series (takes of one session, one speaker) are kept together.
    """

    kind: str
    paths: tuple[Path, ...]
    group: str | None
    source: str
    licence: str
    ships: bool = True
    test_only: bool = False
    series: str = ""
