"""Makes helper modules beside the tests, and the project's tools, importable from every test."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

for folder in ("media", "data", "tools/benchmark"):
    sys.path.insert(0, str(Path(__file__).parent / folder))

# Shells start what runs in the background with Ctrl-C ignored; the tests of interrupts need it.
signal.signal(signal.SIGINT, signal.default_int_handler)
