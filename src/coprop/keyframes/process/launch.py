"""How a worker is started: what its user gave, checked, and the command line that comes of it."""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from coprop.errors import CoPropError
from coprop.utils.brief import one_line
from coprop.utils.checks import check_choice, shown
from coprop.utils.paths import AnyPath, as_path, from_home

WORKER = Path(__file__).with_name("worker.py")
"""The file that the other interpreter runs."""

ArrayKind = Literal["torch", "numpy"]
"""What a function of the other interpreter is given: tensors, or arrays."""

_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
# An interpreter runs what it reads from its standard input only when that has ended. The console of
# its standard library runs each line at once, and is named without a character that shells read.
_READS_LINES = ("-m", "code", "-q")
# A console would read on after an error.
_TYPED = """\
import base64, os, traceback, zlib
try:
    source = zlib.decompress(base64.b64decode("{}"))
    exec(compile(source, "coprop_worker.py", "exec"), {{"__name__": "__main__"}})
except BaseException:
    traceback.print_exc()
    os._exit(1)
"""


@dataclass(frozen=True)
class Launch:
    """A worker that can be started, any number of times.

    Args:
        command: the words of the command line.
        factory: ``module:function``.
        direct: whether the command is the interpreter itself, on this machine; others get their
            folder and variables from the worker, and no shared memory.
        folder, variables: in which the worker runs; a variable that is None is taken away.
        arrays: see `ArrayKind`; None for the worker's own rule.
        typed: whether the worker is to be sent over its standard input.
    """

    command: tuple[str, ...]
    factory: str
    direct: bool
    folder: str | None = None
    variables: tuple[tuple[str, str | None], ...] = ()
    arrays: ArrayKind | None = None
    typed: bool = False

    @classmethod
    def of(
        cls,
        command: str | Sequence[str] | None,
        python: AnyPath | None,
        factory: str,
        *,
        cwd: AnyPath | None,
        env: Mapping[str, str | None] | None,
        arrays: ArrayKind | None,
    ) -> Launch:
        """The launch that the arguments of `coprop.ProcessModel` describe.

        Raises:
            CoPropError: one of them cannot be used.
        """
        if os.name != "posix":
            raise CoPropError(
                "ProcessModel needs Linux or macOS, or WSL on Windows, for its pipes and signals."
            )
        if (command is None) == (python is None):
            raise CoPropError(
                "ProcessModel takes either python=, the interpreter that has the model, or a "
                'command that starts one, such as "ssh host python -", got '
                f"{'neither' if python is None else 'both'}."
            )
        if not isinstance(factory, str) or not _FACTORY.fullmatch(factory):
            raise CoPropError(
                f'factory must be "module:function", got {shown(factory)}; the function takes '
                "nothing and returns the model."
            )
        check_choice("arrays", arrays, (None, *get_args(ArrayKind)))
        variables = _variables(env)
        if python is not None:
            return cls(
                (_interpreter(python), str(WORKER)), factory, True, _folder(cwd), variables, arrays
            )
        words = _words(command)
        typed = words[-1] == "-"
        words = (*words[:-1], *_READS_LINES) if typed else words
        folder = None if cwd is None else str(as_path("cwd", cwd))
        return cls(words, factory, False, folder, variables, arrays, typed)

    @property
    def place(self) -> str:
        """Where the model runs, as errors name it."""
        if self.direct:
            return one_line(self.command[0])
        words = (*self.command[: -len(_READS_LINES)], "-") if self.typed else self.command
        return one_line(shlex.join(words))

    @property
    def environment(self) -> dict[str, str] | None:
        """The variables that the process is started with; None for this process's own."""
        if not self.direct:
            return None
        found = dict(os.environ)
        for name, value in self.variables:
            if value is None:
                found.pop(name, None)
            else:
                found[name] = value
        return found

    @property
    def line(self) -> bytes:
        """What is typed to start the worker: nothing, or its whole file as one line of Python."""
        if not self.typed:
            return b""
        source = base64.b64encode(zlib.compress(WORKER.read_bytes(), 9)).decode()
        return f"exec({_TYPED.format(source)!r})\n".encode()


def _path(name: str, value: AnyPath) -> Path:
    return Path(from_home(str(as_path(name, value))))


def _interpreter(python: AnyPath) -> str:
    path = _path("python", python)
    if path.is_dir():
        raise CoPropError(
            f"python={path} is a folder; give the interpreter in it, such as {path}/bin/python."
        )
    found = shutil.which(path)
    if found is None:
        reason = "is not executable" if path.exists() else "is not there"
        raise CoPropError(
            f"the interpreter python={path} {reason}; give the path of the Python that has the "
            "model, such as /envs/avs/bin/python."
        )
    return str(Path(found).absolute())  # not resolved: by its link Python knows its environment


def _folder(cwd: AnyPath | None) -> str | None:
    if cwd is None:
        return None
    path = _path("cwd", cwd).absolute()
    if not path.is_dir():
        raise CoPropError(
            f"cwd={path} is no folder; give the one in which the model's module lies."
        )
    return str(path)


def _variables(env: Mapping[str, str | None] | None) -> tuple[tuple[str, str | None], ...]:
    if env is None:
        return ()
    good = isinstance(env, Mapping) and all(map(_is_variable, env.items()))
    if not good:
        raise CoPropError(
            'env must map names of variables to text, such as {"CUDA_VISIBLE_DEVICES": "1"}, or to '
            f"None for one that is to be taken away, got {_shown_variables(env)}."
        )
    return tuple(sorted(env.items()))


def _is_variable(item: tuple[object, object]) -> bool:
    name, value = item
    named = isinstance(name, str) and name and "=" not in name and "\0" not in name
    return bool(named) and (value is None or (isinstance(value, str) and "\0" not in value))


def _shown_variables(env: object) -> str:
    if not isinstance(env, Mapping):
        return shown(env)
    wrong = next(item for item in env.items() if not _is_variable(item))
    return f"{shown(wrong[0])}: {shown(wrong[1])}"


def _words(command: object) -> tuple[str, ...]:
    words: Any = command
    if isinstance(command, str):
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise CoPropError(f"the command {shown(command)} cannot be read: {error}.") from error
    good = isinstance(words, Sequence) and words and all(isinstance(w, str) and w for w in words)
    if not good or any("\0" in word for word in words):
        raise CoPropError(
            'the command must be text, such as "ssh host python -", or a list of its words, got '
            f"{shown(command)}."
        )
    found: tuple[str, ...] = (from_home(words[0]), *words[1:])
    if shutil.which(found[0]) is None:
        raise CoPropError(f"the command {found[0]!r} is not there; is it installed and on PATH?")
    return found
