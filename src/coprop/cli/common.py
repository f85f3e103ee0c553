"""What the commands share: options, errors, exit codes and the choice of parts."""

from __future__ import annotations

import errno
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from enum import Enum
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from coprop.assembly.defaults import DEFAULT_MAX_SEGMENT_S, SHORTEST_SEGMENT_S
from coprop.errors import CoPropError
from coprop.utils.brief import first_line, text_of
from coprop.utils.callables import place_in_named_code
from coprop.utils.signals import INTERRUPTED, SIGNALS

if TYPE_CHECKING:
    import torch

FAILED = 1  # exit code: what was given, or what is installed, cannot be used
_OF_THE_SYSTEM = {  # errors that no change of coprop's would prevent
    *(errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.EACCES),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EPERM),
    errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC,
}


def command(body: Callable[[Any], None]) -> Callable[..., None]:
    """A function of a dataclass as typer takes it: with a parameter for each field.

    Numbers that are not finite, which Python reads, are refused for all of them.
    """
    (kind, *_) = get_type_hints(body).values()
    hints = get_type_hints(kind, include_extras=True)

    def call(**values: Any) -> None:
        for name, value in values.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise typer.BadParameter(f"{value} is not finite.", param_hint=option_name(name))
        body(kind(**values))

    call.__name__, call.__doc__, call.__annotations__ = body.__name__, body.__doc__, hints
    given = signature(kind).parameters.items()
    call.__signature__ = Signature(  # type: ignore[attr-defined]
        [each.replace(annotation=hints[name], kind=each.KEYWORD_ONLY) for name, each in given]
    )
    return call


def option_name(field: str) -> str:
    """The option that fills a field: ``max_segment`` is --max-segment."""
    return f"--{field.replace('_', '-')}"


def given_path(text: str | Path) -> Path:
    """A path as it was given; nothing stands for the current folder but a dot.

    Raises:
        typer.BadParameter: it is empty, as an unset variable of a script is.
    """
    if text == "":
        raise typer.BadParameter("the path is empty; for the current folder give a dot.")
    return Path(text)


def path_argument(metavar: str, help: str) -> Any:
    """An argument that is a path, or several; whether it can be read is told where it is read."""
    return typer.Argument(metavar=metavar, show_default=False, parser=given_path, help=help)


def path_option(*names: str, metavar: str, help: str, default: str | bool = False) -> Any:
    """An option that takes a path; whether it can be read is told where it is read."""
    return typer.Option(*names, metavar=metavar, show_default=default, parser=given_path, help=help)


def out_option(metavar: str, help: str, default: str | bool = False) -> Any:
    """The option that says where results go."""
    return path_option("--out", "-o", metavar=metavar, help=help, default=default)


def track_option(help: str, default: str) -> Any:
    """The option that chooses one of a file's tracks."""
    return typer.Option(min=0, metavar="N", show_default=default, help=help)


def max_segment_option(default: str = f"{DEFAULT_MAX_SEGMENT_S:g}") -> Any:
    """The option that bounds the time between keyframes; 0 stands for no bound."""
    return typer.Option(
        min=0.0,
        metavar="SECONDS",
        show_default=default,
        callback=_segment_bound,
        help="Longest time between keyframes; 0 for keyframes at control points alone, as in "
        "the paper.",
    )


def _segment_bound(seconds: float | None) -> float | None:
    """Refuses what is shorter than the time from frame to frame.

    Raises:
        typer.BadParameter: it is.
    """
    if seconds and seconds < SHORTEST_SEGMENT_S:
        raise typer.BadParameter(
            f"{seconds:g} is too short; give at least {SHORTEST_SEGMENT_S}, or 0 for no limit."
        )
    return seconds


def export_names(given: list[str] | None) -> list[str] | None:
    """The names of exports that were given, each once.

    Raises:
        typer.BadParameter: there is no such export.
    """
    from coprop.export.targets import checked_target

    for name in given or ():
        try:
            checked_target(name)
        except CoPropError as error:
            raise typer.BadParameter(str(error)) from error
    return list(dict.fromkeys(given)) if given else given


def _verbose(level: int) -> int:
    from coprop.utils.logs import log_to_stderr

    log_to_stderr(level)
    return level


class PrecisionName(str, Enum):
    """Of `coprop.utils.precision.Precision`."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


PrecisionOption = Annotated[
    PrecisionName,
    typer.Option(
        help="What networks compute in. auto: bfloat16 where the GPU or the processor has it in "
        "hardware, else float32. Only float32 gives the same masks everywhere."
    ),
]


SegmentsAtOnceOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=64,
        metavar="N",
        show_default="4 on a CUDA GPU, else 1",
        help="Carry on N segments as one batch. For each, 64 frames wait in memory, of at most "
        "1280 x 720 pixels.",
    ),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        metavar="SCORE",
        show_default="the method's own",
        help="Score from which a change of sound is a control point; lower finds more.",
    ),
]
MinGapOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        metavar="SECONDS",
        show_default="0.5",
        help="Shortest time between two control points.",
    ),
]
VideoTrackOption = Annotated[
    int | None, track_option("Number of the video track, from 0.", "the film")
]
AudioTrackOption = Annotated[
    int | None,
    track_option("Number of the audio track, from 0.", "the default one"),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        show_default="a GPU, if any",
        help="Where to compute: cpu, cuda, cuda:1, mps.",
    ),
]
AudioOption = Annotated[
    Path | None,
    path_option(metavar="FILE", help="File with the sound.", default="the video's own"),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace an earlier result in DIR; other files stay.")
]
SilentOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON, and nothing else, to stdout.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
VerboseOption = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        callback=_verbose,
        show_default=False,
        help="Say on stderr what happens, in place of progress bars; -vv for all details.",
    ),
]


@contextmanager
def reported(
    *,
    debug: bool,
    as_json: bool = False,
    interrupted: Callable[[], str] = lambda: "interrupted.",
) -> Iterator[None]:
    """Turns errors, but for those that are coprop's own fault, and Ctrl-C into an exit code.

    What failed is said on stderr.

    Args:
        debug: let errors pass, with their traceback.
        as_json: send to stderr what is printed inside, as models of one's own do: stdout is for
            JSON.
        interrupted: makes the line after Ctrl-C.
    """
    SIGNALS.working = True
    try:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            yield
    except (Exception, SystemExit) as error:  # code of one's own may read the command line, too
        if debug or not _say_what_failed(error):
            raise
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as error:
        say(f"coprop: {interrupted()}", err=True)
        raise typer.Exit(INTERRUPTED) from error


def _say_what_failed(error: BaseException) -> bool:
    """Says it, unless it can only be a fault of coprop's, which is shown with its traceback."""
    if isinstance(error, CoPropError):
        say_error(error)
    elif place := place_in_named_code(error):
        reason = f"{type(error).__name__}: {first_line(error)}"
        say(f"coprop: {place} raises {reason}; --debug shows the traceback.", err=True)
    elif isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
        # What no part of coprop has turned into an error of its own: a full disk, most likely.
        where = f" ({error.filename})" if error.filename else ""
        say(f"coprop: the system refuses: {error.strerror}{where}.", err=True)
    elif isinstance(error, MemoryError) or "can't allocate memory" in str(error):  # torch's words
        say("coprop: there is not enough memory for this.", err=True)
    elif type(error).__name__ == "OutOfMemoryError":  # of torch, for any kind of GPU
        say("coprop: the GPU has not enough memory; --device cpu does without it.", err=True)
    else:
        return False
    return True


def say_error(error: CoPropError, before: str = "") -> None:
    """Says on stderr what an error says: its sentence in one line, and what it shows below."""
    sentence, *below = error.args or ("",)
    say(f"coprop: {before}{sentence}", *"\n".join(below).splitlines(), err=True)


def say(*lines: str, err: bool = False) -> None:
    """Prints lines, whatever characters the names of files in them have."""
    typer.echo(text_of(lines), err=err)


def available_devices() -> list[str]:
    """Names of the devices that this machine can compute on, the CPU first."""
    import torch

    names = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return [*names, "mps"] if torch.backends.mps.is_available() else names


def checked_device(name: str) -> torch.device:
    """The device of that name; of an empty one, a GPU if there is any, else the CPU.

    Raises:
        typer.BadParameter: there is none, or it does not compute.
    """
    import torch

    name = name or available_devices()[min(1, len(available_devices()) - 1)]
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise typer.BadParameter(
            f"{name!r} cannot be used on this machine. Available: "
            f"{', '.join(available_devices())}.",
            param_hint="--device",
        ) from error
    return device
