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
_STATUS = Path("/proc/self/status")  # of Linux, in KiB
_PEAK, _NOW = "VmHWM:", "VmRSS:"


def peak_mib() -> float | None:
    """The largest resident set so far, in MiB; None where the system does not tell.

    On Linux ``getrusage`` counts what the process had that started this one, too.
    """
    told = _status(_PEAK)
    if told is not None or _resource is None:
        return told
    largest: float = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss
    return largest / _MIB


def resident_mib() -> float | None:
    """The resident set, in MiB; where the system does not tell, the largest one so far."""
    told = _status(_NOW)
    return peak_mib() if told is None else told


def _status(name: str) -> float | None:
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 2**10
    return None
