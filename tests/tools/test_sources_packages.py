"""What the builder of sources needs is named before it is missed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tools.sources import __main__ as command
from tools.sources import packages, sounds
from tools.sources.packs import PACKS


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["sources", *map(str, arguments)])
    command.main()


def test_help_names_every_package_and_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "--help")
    told = capsys.readouterr().out.split()
    for package in (*packages.PACKAGES, *packages.SOUNDFONTS):
        assert package.name in told
    assert {*packages.PROGRAMS, *packages.PROGRAMS.values()} <= set(told)
    assert "--freesound" in told


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: f"{pack.source}-{pack.path}")
def test_every_pack_is_of_a_package(pack: Any) -> None:
    paths = [package.path for package in packages.PACKAGES]
    assert any(pack.path.startswith(path) or path.startswith(pack.path) for path in paths)


def test_a_program_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda name: None if "rsvg" in name else name)
    with pytest.raises(SystemExit, match=r"rsvg-convert is not on the path.*install librsvg2-bin"):
        run(monkeypatch, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--debs", "--caltech", "--test-soundfont", "--soundfont"])
def test_a_folder_that_is_missing(
    option: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda name: name)
    with pytest.raises(SystemExit, match=f"{option} .*nowhere is not there"):
        run(monkeypatch, option, tmp_path / "nowhere", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_packages_that_are_missing_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / packages.PACKAGES[0].path).mkdir(parents=True)
    packages.tell_missing(tmp_path)
    told = capsys.readouterr().err
    assert told.startswith(f"{len(packages.PACKAGES) - 1} of {len(packages.PACKAGES)} packages are")
    assert "widelands-data" in told
    assert packages.PACKAGES[0].name not in told


def test_a_class_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "given" / "cello").mkdir(parents=True)
    assert sounds.freesound(tmp_path / "given", tmp_path / "out") == []
