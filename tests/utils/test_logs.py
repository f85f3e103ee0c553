"""What coprop says under the logger ``coprop``: nothing, until somebody listens."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

import coprop.utils.logs
from coprop.cli import app
from coprop.cli.progress import ProgressBars, _rich_bars
from coprop.utils.logs import log_to_stderr, verbosity


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    logger = logging.getLogger("coprop")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_a_program_that_imports_coprop_is_told_nothing() -> None:
    code = "import logging, coprop; logging.getLogger('coprop.media').warning('odd sound')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
    code = f"import logging; logging.basicConfig(); {code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "WARNING:coprop.media:odd sound\n"


@pytest.mark.parametrize(
    ("level", "said"),
    [(0, ["warning"]), (1, ["info", "warning"]), (2, ["debug", "info", "warning"])],
)
def test_levels(level: int, said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(2)
    log_to_stderr(level)  # takes the place of the first
    assert verbosity() == level
    logger = logging.getLogger("coprop.pipeline")
    for name in ("debug", "info", "warning"):
        getattr(logger, name)("%s of \x1b[31m.mp4", name)
    lines = capsys.readouterr().err.splitlines()
    assert [name for name in ("debug", "info", "warning") if name in said] == said
    assert [line.split(" of ")[0].split()[-1] for line in lines] == said
    assert all(line.endswith(r"of \x1b[31m.mp4") for line in lines)
    assert ("coprop.pipeline" in lines[0]) == (level > 0)


def test_the_command_line_shows_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    assert CliRunner().invoke(app, ["examples", "--bogus"]).exit_code == 2
    logging.getLogger("coprop.media").warning("odd sound")
    assert capsys.readouterr().err == "odd sound\n"


def test_bars_say_how_much_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = [type(column).__name__ for column in _rich_bars().columns]
    assert kinds[-3:] == ["MofNCompleteColumn", "TimeElapsedColumn", "TimeRemainingColumn"]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bars = ProgressBars(shown=True)
    bars("videos", 0, 2)
    for video in (1, 2):
        bars("frames", 1, 4)
        bars("frames", 4, 4)
        assert bars._bars is not None
        frames = bars._bars.tasks[1]
        assert (frames.completed, frames.total) == (4, 4)
        bars("export", 1, None)  # a later step of the same video leaves the outer bar alone
        bars("videos", video, 2)
    assert (bars._bars.tasks[0].completed, bars._bars.tasks[0].total) == (2, 2)
    log_to_stderr(1)
    assert ProgressBars(shown=True)._bars is None


def test_the_logger_has_the_packages_name() -> None:
    assert coprop.utils.logs.LOGGER == "coprop"


def test_a_level_that_somebody_else_has_set() -> None:
    log_to_stderr(1)
    assert verbosity() == 1
    for level, shown in ((logging.ERROR, 0), (logging.INFO + 5, 0), (5, 2)):
        logging.getLogger("coprop").setLevel(level)
        assert verbosity() == shown
