"""How much memory this process has taken."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_resource: Any
try:
    import resource as _resource
except ImportError:  # Windows
    _resource = None

_MIB = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss
_STATUS = Path("/proc/self/status")  # of Linux; in KiB
_PEAK = "VmHWM:"


def peak_mib() -> float | None:
    """The largest resident set so far, in MiB; None where the system does not tell.

    On Linux ``getrusage`` counts what the process had that started this one, too.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(_PEAK):
                return int(line.split()[1]) / 2**10
    if _resource is None:
        return None
    largest: float = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss
    return largest / _MIB
