"""What a video is known by: its content, wherever it lies and whatever it is called."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from coprop.errors import MediaError
from coprop.utils.brief import first_line
from coprop.utils.paths import no_such_file

DIGITS = 20
"""Of an id: 80 bits, so that even among a thousand million videos two hardly share one."""

_BLOCK = 1 << 20  # bytes read at once


def content_id(path: Path) -> str:
    """The first 20 digits of the SHA-256 of a file's content, as ``sha256sum`` prints it.

    Raises:
        MediaError: no such file, no regular file, one that cannot be read, or one that was
            written to meanwhile.
    """
    before = file_status(path)
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise _unreadable(path, error) from error
    after = file_status(path)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise MediaError(f"{path} was changed while it was read; wait until it is complete.")
    return digest.hexdigest()[:DIGITS]


def file_status(path: Path) -> os.stat_result:
    """What the system knows of a file, of the one that a link leads to.

    Raises:
        MediaError: no such file, or no regular one: a pipe would be waited for without end.
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise MediaError(
                f"{path} is a link to {path.readlink()}, which is not there; mend or remove it."
            ) from error
        raise MediaError(no_such_file(path)) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(found.st_mode):
        raise MediaError(f"{path} is a directory; give the path of a video.")
    if not stat.S_ISREG(found.st_mode):
        raise MediaError(f"{path} is no regular file but a pipe or a device; save it as a file.")
    return found


def _unreadable(path: Path, error: OSError | ValueError) -> MediaError:
    return MediaError(
        f"{path} cannot be read: {first_line(error)}. Check the file and its permissions."
    )
