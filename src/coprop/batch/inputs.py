"""Which videos are meant: paths, folders and lists become a list of files, each content once."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from coprop.batch.content import content_id, file_status
from coprop.batch.lists import is_list, read_list
from coprop.errors import CoPropError, MediaError
from coprop.media.folders import is_video
from coprop.storage.files import is_hidden

_log = logging.getLogger(__name__)

_RESULT = {"result.json", "masks"}  # in a folder that has both, the overlay is no video to segment


@dataclass(frozen=True)
class Source:
    """A video to be segmented.

    Args:
        path: its file, absolute; the first of those with this content.
        copies: the other files with the same content.
    """

    path: Path
    copies: tuple[Path, ...] = ()


@dataclass
class Inputs:
    """What was found.

    Args:
        sources: the videos, in the order in which they were given; folders are sorted.
        failures: what cannot be a video, and why, such as a folder without permission.
    """

    sources: list[Source] = field(default_factory=list)
    failures: list[tuple[Path, str]] = field(default_factory=list)


def find_videos(given: Sequence[Path], out: Path) -> Inputs:
    """The videos that paths, folders and lists stand for.

    Folders are searched with what is below them and behind links, for files with a film's suffix;
    hidden files, earlier results and what lies in ``out`` are left out. A file that is named is
    taken, whatever its suffix. What is not there, or cannot be read, is left for whoever reads it.

    Args:
        given: of the command line.
        out: where results go.

    Raises:
        MediaError: a list that cannot be used, a folder that holds no video, or a file that is
            part of the results in ``out``.
    """
    found = Inputs()
    files: dict[Path, None] = {}
    for path in _unlisted(given):
        if not path.is_dir():
            _refuse_own(path, out)
            files[path.absolute()] = None
            continue
        before = len(found.failures)
        inside = sorted(_videos_below(path.absolute(), out.absolute(), found))
        if not inside and len(found.failures) == before:
            raise MediaError(
                f"{path} is a directory without videos; a file of another suffix can be given by "
                "its name."
            )
        files.update(dict.fromkeys(inside))
    found.sources = without_copies(files)
    return found


def without_copies(files: Iterable[Path]) -> list[Source]:
    """Files with the same content made one, in the order of the first of each.

    Only files of one size are read: those of different sizes cannot be the same.
    """
    files = list(files)
    of_size: dict[int, list[Path]] = defaultdict(list)
    for file in files:
        try:
            of_size[file_status(file).st_size].append(file)
        except MediaError:  # told when its turn comes
            continue
    first: dict[Path, Path] = {}
    for same_size in of_size.values():
        known: dict[str, Path] = {}
        for file in same_size if len(same_size) > 1 else ():
            try:
                first[file] = known.setdefault(content_id(file), file)
            except CoPropError:
                continue
    copies: dict[Path, list[Path]] = {file: [] for file in files if first.get(file, file) == file}
    for file in files:
        if file not in copies:
            _log.info("%s has the content of %s", file, first[file])
            copies[first[file]].append(file)
    return [Source(file, tuple(others)) for file, others in copies.items()]


def shard_of(sources: Sequence[Source], shard: tuple[int, int]) -> list[Source]:
    """Every N-th video, beginning with the i-th.

    Args:
        sources: all of them: each process has to find the same ones in the same order.
        shard: (i, N), i from 1 to N.
    """
    number, count = shard
    return list(sources[number - 1 :: count])


def _unlisted(given: Iterable[Path]) -> Iterator[Path]:
    for path in given:
        if is_list(path):
            yield from read_list(path)
        else:
            yield path


def _refuse_own(path: Path, out: Path) -> None:
    if out.absolute() in path.absolute().parents and (out / "collection.json").exists():
        raise MediaError(f"{path} is part of the results in {out}; choose another folder for them.")


def _videos_below(folder: Path, out: Path, found: Inputs) -> Iterator[Path]:
    """Files with a film's suffix; links are followed, but to no folder twice."""

    def failed(error: OSError) -> None:
        reason = f"cannot be searched: {error.strerror}. Check its permissions."
        found.failures.append((Path(error.filename), f"{error.filename} {reason}"))

    seen = set()
    for root, folders, files in os.walk(folder, onerror=failed, followlinks=True):
        place, real = Path(root), os.path.realpath(root)
        if real in seen or place == out or {*folders, *files} >= _RESULT:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in files:
            if not is_hidden(name) and is_video(place / name):
                yield place / name
