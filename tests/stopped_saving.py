"""What a kill at any moment of a call leaves of a folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_CHANGES = ("mkdir", "rename", "replace", "rmdir", "unlink", "write_bytes", "write_text")


def states_of(folder: Path, states: Path, call: Callable[[], object]) -> list[Path]:
    """Copies of a folder before each change to files that a call makes, and at its end."""
    found: list[Path] = []

    def keep() -> None:
        found.append(states / str(len(found)))
        # Files take the place of others and are never written on, so that links will do.
        shutil.copytree(folder, found[-1], copy_function=os.link)

    def after_keeping(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*given: Any, **more: Any) -> Any:
            keep()
            return change(*given, **more)

        return changed

    with pytest.MonkeyPatch.context() as patched:
        for name in _CHANGES:
            patched.setattr(Path, name, after_keeping(getattr(Path, name)))
        call()
    keep()
    return found
