"""``coprop names``, the page made of it, and the completion of commands in shells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coprop.cli import app
from coprop.encoders.yamnet import class_names
from coprop.keyframes.groups import sounding_groups
from tools.site import names

ROOT = Path(__file__).parents[1]


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["names", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_groups() -> None:
    lines = printed().splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line[0] != " "] == list(sounding_groups())
    (dogs,) = [line for line in lines if line.startswith("dog ")]
    assert "Bow-wow" in dogs


def test_sounds() -> None:
    assert printed("--sounds").splitlines() == list(class_names())


def test_json() -> None:
    content = json.loads(printed("--json"))
    assert content["groups"]["cat"][:2] == ["Cat", "Purr"]
    assert len(content["sounds"]) == 521


def test_the_page_is_what_the_command_tells() -> None:
    page = (ROOT / "docs" / "names.md").read_text(encoding="utf-8")
    assert page == names.page(), "python -m tools.site.names > docs/names.md"


def coprop(folder: Path, *arguments: str, **variables: str) -> str:
    """What the command prints, in a process and a home of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "coprop", *arguments],
        env={**os.environ, "HOME": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("typed", "found"), [("coprop ru", "run"), ("coprop run --mod", "--model")]
)
def test_completion(typed: str, found: str, tmp_path: Path) -> None:
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    assert found in coprop(tmp_path, _COPROP_COMPLETE="complete_bash", **asked).split()


def test_completion_is_installed(tmp_path: Path) -> None:
    """Into the home folder; the shell is named, as no shell has started the test."""
    told = coprop(
        tmp_path, "--install-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert "completion installed" in told
    script = tmp_path / ".bash_completions" / "coprop.sh"
    assert "_COPROP_COMPLETE=complete_bash" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()
