"""What a process that is forked from this one does first."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache


@cache
def after_fork(function: Callable[[], None]) -> None:
    """Has a function called in each process that is forked from now on; once, if asked again."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)
