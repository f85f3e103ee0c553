"""Makes the helper modules of tests/ and tests/media importable from every test."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "media"))
