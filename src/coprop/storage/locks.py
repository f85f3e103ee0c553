"""One writer at a time: locks that end with the process which holds them, however it ends."""

from __future__ import annotations

import errno
import os
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from coprop.errors import LockedError
from coprop.storage.files import output_errors
from coprop.utils.forks import after_fork

_posix: Any
_windows: Any
try:
    import fcntl as _posix
except ImportError:
    _posix = None
try:
    import msvcrt as _windows
except ImportError:
    _windows = None

LOCK = ".coprop.lock"
"""The file in a folder that is being written, ``.NAME.coprop.lock`` beside a file that is; one that
a killed process left is taken over."""

_UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
_ATTEMPTS = 100  # each fails only if another writer ended at that very moment
_LOOK_S = 0.05  # between two looks at a lock that is waited for
_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()


class WriterLock:
    """Says that this process writes a folder or a file; a context manager.

    The operating system holds the lock and gives it back when the process ends, also by a kill. A
    file system without locks is written without one.

    Args:
        path: the file that is locked; see `of_folder` and `of_file`.
        what: what is written, for the message.
        made: a folder to remove again if nothing is in it in the end.
        wait_s: how long to wait for another writer, in seconds.

    Raises:
        LockedError: another writer is at work.
        OutputError: there is no permission to write.
    """

    def __init__(
        self, path: Path, what: Path, *, made: Path | None = None, wait_s: float = 0.0
    ) -> None:
        self._descriptor = _acquired(path, what, time.monotonic() + wait_s)
        self._release = weakref.finalize(self, _release, self._descriptor, path, made, os.getpid())
        after_fork(_close_copies)
        _held.add(self)

    @classmethod
    def of_folder(cls, folder: Path) -> WriterLock:
        """The lock of a folder, which is made if it is not there."""
        with output_errors(folder):
            new = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
        return cls(folder / LOCK, folder, made=folder if new else None)

    @classmethod
    def of_file(cls, path: Path, *, wait_s: float = 0.0) -> WriterLock:
        """The lock of a file, which need not be there yet; its folder is made."""
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return cls(path.with_name(f".{path.name}{LOCK}"), path, wait_s=wait_s)

    def release(self) -> None:
        """Lets others write."""
        self._release()

    def __enter__(self) -> WriterLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _acquired(path: Path, what: Path, deadline: float) -> int:
    attempts = _ATTEMPTS
    while attempts:
        with output_errors(what):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if _locked(descriptor):
            if _is_still_there(path, descriptor):
                return descriptor
            attempts -= 1  # of a writer that ended, and took its file away, just now
        elif time.monotonic() >= deadline:
            attempts = 0
        else:
            time.sleep(_LOOK_S)
        os.close(descriptor)
    raise LockedError(
        f"{what} is being written by another process. Wait until that has ended, or choose "
        "another place."
    )


def _is_still_there(path: Path, descriptor: int) -> bool:
    if _posix is None:  # nobody can have removed what is open
        return True
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _locked(descriptor: int) -> bool:
    """Whether the file is this process's now; a file system without locks locks nothing."""
    try:
        if _posix is not None:
            _posix.flock(descriptor, _posix.LOCK_EX | _posix.LOCK_NB)
        elif _windows is not None:
            _windows.locking(descriptor, _windows.LK_NBLCK, 1)
    except OSError as error:
        return error.errno in _UNSUPPORTED
    return True


def _release(descriptor: int, path: Path, made: Path | None, process: int) -> None:
    if os.getpid() != process:  # a fork's copy
        return
    if _posix is None:  # Windows removes no file that is open
        os.close(descriptor)
    with suppress(OSError):
        path.unlink()
    if _posix is not None:
        os.close(descriptor)
    if made is not None:
        with suppress(OSError):
            made.rmdir()


def _close_copies() -> None:
    """Of forked workers, so that a lock ends with the process that took it."""
    for lock in list(_held):
        if lock._release.alive:
            with suppress(OSError):
                os.close(lock._descriptor)
            lock._release.detach()
