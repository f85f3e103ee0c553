"""How much memory this process has taken."""

from __future__ import annotations

import sys
from typing import Any

_resource: Any
try:
    import resource as _resource
except ImportError:  # Windows
    _resource = None

_MIB = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss


def peak_mib() -> float | None:
    """The largest resident set so far, in MiB; None where the system does not tell."""
    if _resource is None:
        return None
    largest: float = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss
    return largest / _MIB
