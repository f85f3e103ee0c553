"""A package is a small sources folder, of what may train weights that are passed on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_library

from coprop.errors import CoPropError
from tools.benchmark.library import Library, load_picture, load_sound
from tools.train_default.package import write_package


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_library.build(tmp_path_factory.mktemp("sources"))


def test_a_package_is_a_library(sources: Path, tmp_path: Path) -> None:
    size = write_package(sources, tmp_path / "package", megabytes=1.0)
    files = [path for path in (tmp_path / "package").rglob("*") if path.is_file()]
    assert size == sum(path.stat().st_size for path in files) <= 1e6
    whole, small = Library(sources, "train"), Library(tmp_path / "package", "train")
    assert small.groups == whole.groups
    assert len(small.backgrounds) == len(whole.backgrounds)
    for group in small.groups:
        assert len(small.pictures[group]) == len(whole.pictures[group])
        original, copy = (load_picture(own.pictures[group][0].path) for own in (whole, small))
        assert copy.shape == original.shape
        cut_out = [picture[..., 3] > 127 for picture in (original, copy)]
        assert np.mean(cut_out[0] != cut_out[1]) < 0.01
        assert np.isfinite(load_sound(small.sounds[group][0].path)).all()
    with pytest.raises(CoPropError):
        Library(tmp_path / "package", "test")


def test_recordings_are_as_many_as_there_is_room_for(sources: Path, tmp_path: Path) -> None:
    whole = write_package(sources, tmp_path / "whole", megabytes=1.0)
    assert write_package(sources, tmp_path / "package", megabytes=(whole - 1000) / 1e6) < whole
    small = Library(tmp_path / "package", "train")
    count = sum(len(sounds) for sounds in small.sounds.values())
    assert 0 < count < 8


def test_too_little_room(sources: Path, tmp_path: Path) -> None:
    with pytest.raises(CoPropError, match="pictures alone"):
        write_package(sources, tmp_path / "package", megabytes=0.001)
