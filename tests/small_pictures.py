"""Small pictures for the networks of the default segmenter, which take a tenth of the time a frame.

For tests that hang on no mask's quality; what is seen in pictures of the usual sizes, others test.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from coprop.encoders import u2net
from coprop.keyframes import visual
from coprop.keyframes.segmenter import KeyframeSegmenter


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divides the working edge by four, and what the released networks resize to by five or so."""
    usual = KeyframeSegmenter._working_size

    def quarter(self: KeyframeSegmenter, height: int, width: int) -> tuple[int, int]:
        edge = max(self.config.working_edge // 4, 64)
        config = SimpleNamespace(working_edge=edge)
        return usual(SimpleNamespace(config=config), height, width)  # type: ignore[arg-type]

    monkeypatch.setattr(KeyframeSegmenter, "_working_size", quarter)
    monkeypatch.setattr(u2net, "_SIZE", 64)
    monkeypatch.setattr(visual, "_DEEPLAB_EDGE", 129)
