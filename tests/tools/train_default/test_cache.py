"""Files of what takes long to make: they say what they were made of, and appear whole."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_library
import torch

from coprop.encoders.sound_effects import SoundEffectsEncoder
from coprop.errors import CheckpointError, OutputError
from tools.benchmark.library import Library
from tools.train_default.cache import cached
from tools.train_default.novelty import cached_sounds

WEIGHTS = {"a": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.int64)}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(small_library.build(tmp_path_factory.mktemp("sources")), "train")


def maker() -> tuple[list[int], Callable[[], dict[str, Any]]]:
    calls: list[int] = []

    def make() -> dict[str, Any]:
        calls.append(1)
        return {"x": torch.full((3,), float(len(calls)))}

    return calls, make


def test_the_file_stands_for_its_arguments(library: Library, tmp_path: Path) -> None:
    calls, make = maker()
    path, rng = tmp_path / "kept.pt", np.random.default_rng
    first = cached(path, WEIGHTS, library, rng(0), 5, make)
    again = cached(path, WEIGHTS, library, rng(0), 5, make)
    assert len(calls) == 1
    assert torch.equal(first["x"], again["x"])
    other = library.half_of_sounds(0)
    changed = {**WEIGHTS, "a": torch.zeros(2, 3)}
    for arguments in (
        (changed, library, rng(0), 5),
        (WEIGHTS, other, rng(0), 5),
        (WEIGHTS, library, rng(1), 5),
        (WEIGHTS, library, rng(0), 6),
    ):
        before = len(calls)
        cached(path, *arguments, make)
        assert len(calls) == before + 1


def test_composed_sounds_of_another_number(library: Library, tmp_path: Path) -> None:
    encoder, path = SoundEffectsEncoder().eval(), tmp_path / "c.pt"
    for count in (1, 2):
        sounds = cached_sounds(path, encoder, library, np.random.default_rng(0), count)
        assert len(sounds.steps) == len(sounds.times_s) == count


def test_a_damaged_file_is_told(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "kept.pt"
    path.write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(CheckpointError, match=r"kept\.pt is damaged"):
        cached(path, WEIGHTS, library, np.random.default_rng(0), 5, dict)


def test_a_full_disk_leaves_nothing_half_written(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "kept.pt"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OutputError, match="cannot write"):
            cached(
                path,
                WEIGHTS,
                library,
                np.random.default_rng(0),
                5,
                lambda: {"x": torch.zeros(9999)},
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not any(tmp_path.iterdir())
