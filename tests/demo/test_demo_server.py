"""What ``coprop demo`` says before there is a page."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest
from demo_samples import small_choices
from typer.testing import CliRunner

from coprop.cli import app
from coprop.errors import CoPropError, OutputError


@pytest.fixture(autouse=True)
def with_gradio() -> None:
    """Not while tests are collected: it takes seconds to load."""
    pytest.importorskip("gradio", reason="the extra demo is not installed")


def left_behind() -> list[Path]:
    return [*Path(tempfile.gettempdir()).glob("coprop-demo-*")]


def test_a_port_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from coprop.demo.server import Server

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings = dict(os.environ)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OutputError, match=rf"cannot be shown at 127\.0\.0\.1, port {port}"):
            Server(small_choices(), port=port)
    assert left_behind() == []
    assert dict(os.environ) == settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_minutes": 0}, "max_minutes must be minutes above 0, got 0"),
        ({"max_minutes": float("nan")}, "max_minutes must be"),
        ({"port": 0}, "port must be a port from 1 to 65535, got 0"),
        ({"port": 7860.5}, "port must be"),
        ({"host": ""}, "host must be an address"),
    ],
)
def test_options_out_of_range(
    options: dict[str, float], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coprop.demo.server import Server

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(CoPropError, match=message):
        Server(small_choices(), **options)  # type: ignore[arg-type]
    assert left_behind() == []


def test_the_command_line_is_checked() -> None:
    for given in (["--port", "0"], ["--max-minutes", "0"], ["--device", "none"]):
        assert CliRunner().invoke(app, ["demo", *given]).exit_code == 2
    assert "coprop[demo]" in CliRunner().invoke(app, ["demo", "--help"]).stdout
