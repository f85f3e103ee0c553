"""The files of the page's visitors, which go when the visitors do."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from coprop.errors import MediaError


@dataclass(frozen=True)
class Visit:
    """A visitor's last video and what came of it.

    Args:
        video: its file, in the folder.
        folder: where it, its result and what is downloaded are.
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
        place: the folder that they are in.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._visits: dict[str, Visit] = {}
        self._waiting: list[str] = []
        self._changing = threading.Lock()

    def wait(self, visitor: str) -> None:
        """Puts a visitor at the end of those who wait for their turn."""
        with self._changing:
            self._waiting = [each for each in self._waiting if each != visitor] + [visitor]

    def before(self, visitor: str) -> int | None:
        """How many wait before a visitor; None where this one does not."""
        with self._changing:
            return self._waiting.index(visitor) if visitor in self._waiting else None

    def begin(self, visitor: str, upload: Path) -> Visit:
        """A fresh folder for a video, at its visitor's turn; the earlier one is removed.

        Args:
            visitor: the visitor's key.
            upload: the file. Visitors who bring the same one share it, so it is not this
                visitor's to remove; a link of it stays as long as it is needed.

        Raises:
            MediaError: the file is no longer there.
        """
        # The name is part of the overlay's address, which nobody is to guess.
        folder = Path(tempfile.mkdtemp(prefix=secrets.token_hex(16), dir=self._place))
        visit = Visit(folder / "video" / upload.name, folder)
        with self._changing:
            self._waiting = [each for each in self._waiting if each != visitor]
            earlier = self._visits.get(visitor)
            self._visits[visitor] = visit
        if earlier is not None:
            self.clear(earlier)
        visit.video.parent.mkdir()
        try:
            _link(upload, visit.video)
        except FileNotFoundError as error:
            self.clear(visit)
            raise MediaError("The video is no longer here; please bring it again.") from error
        return visit

    def of(self, visitor: str) -> Visit | None:
        """The visitor's last video; None where there is none, or no more."""
        with self._changing:
            return self._visits.get(visitor)

    def clear(self, visit: Visit) -> None:
        """Removes a video and what came of it; what was uploaded may be tried again."""
        shutil.rmtree(visit.folder, ignore_errors=True)

    def end(self, visitor: str) -> None:
        """Removes all that is a visitor's; safe to call again."""
        with self._changing:
            self._waiting = [each for each in self._waiting if each != visitor]
            visit = self._visits.pop(visitor, None)
        if visit is not None:
            self.clear(visit)


def _link(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(file, place)
