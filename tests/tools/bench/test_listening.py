"""What the listening table counts, on frames whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from tools.bench.listening import Figures, Followed

SEEN = np.zeros((8, 8), dtype=bool)
SEEN[2:6, 2:6] = True
NOTHING = np.zeros((8, 8), dtype=bool)


def frames(sounding: str, masked: str) -> list[Followed]:
    """One frame every 0.1 s, with an "x" where the followed thing sounds, and is masked."""
    return [
        Followed(
            0.1 * (number + 1),
            SEEN if mask == "x" else NOTHING,
            SEEN if sound == "x" else NOTHING,
            SEEN,
            sound == "x",
            sound == "x",
        )
        for number, (sound, mask) in enumerate(zip(sounding, masked, strict=True))
    ]


def test_figures() -> None:
    own = Figures()
    own.add(frames("xxxx......xxxx", "xxxxxx......xx"))
    assert np.mean(own.jaccard) == pytest.approx(6 / 8)
    assert np.mean(own.silent) == pytest.approx(2 / 6)
    assert own.onsets == [1.0]  # 0.2 s late
    assert own.at == {1.0: [], 2.0: [], 4.0: []}  # by then not all had sounded on


@pytest.mark.parametrize(
    ("sounding", "masked", "onsets"),
    [
        ("xx......xxxx", "xxxxxxxxxxxx", [0.0]),  # was never gone
        ("xx......xxxxxx", "xx...........x", [0.0]),  # half a second late
        ("xx..xxxx", "xx..xxxx", []),  # too short a silence to count
        ("xxxxxxxx", "xxxxxxxx", []),
    ],
)
def test_onsets(sounding: str, masked: str, onsets: list[float]) -> None:
    own = Figures()
    own.add(frames(sounding, masked))
    assert own.onsets == onsets


def test_how_masks_hold() -> None:
    own = Figures()
    own.add(frames("x" * 22, "x" * 12 + "." * 10))
    assert own.at[1.0] == pytest.approx([1.0] * 5)
    assert np.mean(own.at[2.0]) == 0
    assert own.line("name").startswith("name | 0.545 (22) | 1.000 (5)")
