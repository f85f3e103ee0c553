"""Makes the helper modules of tests/media and tests/data importable from every test."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("media", "data"):
    sys.path.insert(0, str(Path(__file__).parent / folder))
