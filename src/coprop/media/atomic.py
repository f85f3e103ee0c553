"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av

from coprop.errors import OutputError


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turns the system's errors into one that names the path.

    Raises:
        OutputError: in place of any OSError.
    """
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"cannot write {path}: {reason}. Results need a directory that can be written to, "
            "on a disk with free space."
        ) from error


def part_of(path: Path) -> Path:
    """The temporary name, in the same directory, under which a file is written."""
    return path.with_name(path.name + ".part")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path; what was written there takes its place at the end.

    After an exception nothing is left of it, and a file that was there before stays.

    Raises:
        OutputError: the file cannot be written.
    """
    part = part_of(path)
    with output_errors(path):
        try:
            yield part
            part.replace(path)
        except BaseException:
            remove(part)
            raise


def remove(path: Path) -> None:
    """Removes a file if it is there and can be removed."""
    with suppress(OSError):
        path.unlink()
