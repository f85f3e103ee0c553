"""The files of the page's visitors, which go when the visitors do."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Visit:
    """A visitor's last video and what came of it.

    Args:
        video: the file as it was uploaded.
        folder: where its result and exports are.
    """

    video: Path
    folder: Path

    @property
    def result(self) -> Path:
        """The result folder."""
        return self.folder / "result"


class Visits:
    """One temporary folder for each visitor, with a name that nobody can guess.

    Args:
        place: the folder that they are in, where uploaded files are, too.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._visits: dict[str, Visit] = {}
        self._changing = threading.Lock()

    def begin(self, visitor: str, video: Path) -> Visit:
        """A fresh folder for a video; what came of the visitor's earlier one is removed.

        Args:
            visitor: the visitor's key.
            video: the file.
        """
        # The name is part of the overlay's address, which nobody is to guess.
        folder = tempfile.mkdtemp(prefix=secrets.token_hex(16), dir=self.place)
        visit = Visit(video, Path(folder))
        with self._changing:
            earlier = self._visits.get(visitor)
            self._visits[visitor] = visit
        if earlier is not None:
            self._remove(earlier, keep=video)
        return visit

    def clear(self, visit: Visit) -> None:
        """Removes what came of a video; the video itself may be tried again."""
        shutil.rmtree(visit.folder, ignore_errors=True)

    def of(self, visitor: str) -> Visit | None:
        """The visitor's last video; None where there is none, or no more."""
        with self._changing:
            return self._visits.get(visitor)

    def end(self, visitor: str) -> None:
        """Removes all that is a visitor's; safe to call again."""
        with self._changing:
            visit = self._visits.pop(visitor, None)
        if visit is not None:
            self._remove(visit)

    def _remove(self, visit: Visit, keep: Path | None = None) -> None:
        self.clear(visit)
        if visit.video != keep and self.place in visit.video.parents:
            visit.video.unlink(missing_ok=True)
