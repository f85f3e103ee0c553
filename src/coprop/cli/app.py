"""The commands under one name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from coprop.cli.bench import bench
from coprop.cli.common import FAILED, command, say_error
from coprop.cli.compare_detectors import compare_detectors
from coprop.cli.data import data
from coprop.cli.demo import demo
from coprop.cli.detect import detect
from coprop.cli.doctor import doctor
from coprop.cli.evaluate import evaluate
from coprop.cli.examples import examples
from coprop.cli.export import export
from coprop.cli.live import live
from coprop.cli.models import models
from coprop.cli.names import names
from coprop.cli.retime import retime
from coprop.cli.run import run
from coprop.cli.train import train
from coprop.cli.worker import worker
from coprop.errors import CoPropError
from coprop.utils.brief import one_line
from coprop.utils.logs import log_to_stderr

_HELP = """Masks of the objects that make sound, for every frame of a video.

\b
Start with:
  coprop run clip.mp4 --out result
  coprop doctor

\b
Exit codes:
  0    done
  1    input, files or an installation that cannot be used; one line on stderr says why
  2    a wrong command line
  130  interrupted (Ctrl-C, or SIGTERM)
"""

app = typer.Typer(
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(command(run))
app.command("live")(command(live))
app.command("export")(command(export))
app.command("demo")(command(demo))
app.command("detect")(command(detect))
app.command("examples")(command(examples))
app.command("compare-detectors")(command(compare_detectors))
app.command("eval")(command(evaluate))
app.command("retime")(command(retime))
app.command("models")(command(models))
app.add_typer(data, name="data")
app.command("train")(command(train))
app.command()(names)
app.command()(doctor)
app.command("bench")(command(bench))
app.command("worker")(command(worker))


# Some versions of typer bring a copy of click, others import it; its errors are of either.
_WRONG_LINE: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _print_version(wanted: bool) -> None:
    if wanted:
        from coprop import __version__

        typer.echo(f"coprop {__version__}")
        raise typer.Exit


@app.callback(help=_HELP)
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    log_to_stderr(0)


def exit_code(application: typer.Typer, name: str = "coprop") -> int:
    """Runs the command line of this process; its exit code, with what was wrong already told.

    Args:
        application: whose commands they are.
        name: how it was called, for help and for errors.

    Raises:
        OSError: standard output cannot be written.
        KeyboardInterrupt: a signal that no command has answered.
    """
    try:
        return application(prog_name=name, standalone_mode=False) or 0
    except typer.Exit as ended:
        return int(ended.exit_code)
    except _WRONG_LINE as error:
        error.message = one_line(error.message)
        error.show()
        return int(error.exit_code)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except CoPropError as error:
        say_error(error)
        return FAILED
