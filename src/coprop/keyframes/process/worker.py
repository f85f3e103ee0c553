"""The other side of coprop's ``ProcessModel``: a model in this interpreter, asked over two pipes.

This file needs Python 3.7 or later and numpy, and whatever the model needs; coprop need not be
installed where it runs. coprop starts it, or a command does, and speaks with it over its standard
input and output. What the model prints goes to standard error.

A message is the length of its JSON (4 bytes, big-endian), the JSON, and the bytes of its arrays,
one after another, unless they lie in shared memory.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import functools
import importlib
import inspect
import json
import os
import select
import signal
import struct
import sys
import threading
import time
import traceback
from types import SimpleNamespace
from typing import Any, Callable, Iterator, Sequence

import numpy as np

GREETING = b"coprop worker "  # begins a line, which ends with the number of the protocol
PROTOCOL = 1
_LENGTH = struct.Struct(">I")
_PLAIN = (bool, int, float, str, type(None))
_MOST_NOTED = 1 << 20  # numbers of a buffer; more are weights in 8 bits, which no call changes
_FRAMES_TOLD = 6  # of a traceback
_LONGEST_LINE = 300  # characters of an error that are told; some list every key of a checkpoint
_STDERR = 2  # the descriptor itself: the model may have replaced sys.stderr
_GRACE_S = 2.0  # for the model's own clean-up, once coprop has gone


class Channel:
    """Messages over two unbuffered streams, their arrays over shared memory where there is some.

    That is the descriptor of a file which both sides have open. The arrays of each message begin at
    its start: who receives one has copied them before the other sends again.
    """

    def __init__(self, source: Any, sink: Any) -> None:
        self._source, self._sink = source, sink
        self.memory: Any = None  # agreed on over the streams

    def send(self, body: object, arrays: Sequence[Any] = ()) -> None:
        """Sends what JSON holds, and contiguous arrays of numpy with it."""
        told = [[array.dtype.str, list(array.shape)] for array in arrays]
        shared, at = self.memory is not None, 0
        for part in map(_bytes_of, arrays if shared else ()):
            at = _moved(lambda part, at: os.pwrite(self.memory, part, at), part, at)
        text = json.dumps({"body": body, "arrays": told, "shared": shared}).encode()
        self.write(_LENGTH.pack(len(text)) + text)
        for part in map(_bytes_of, () if shared else arrays):
            self.write(part)

    def receive(self) -> tuple[Any, list[Any]]:
        """The next message, and its arrays; EOFError where the other side has gone."""
        (length,) = _LENGTH.unpack(self.read(_LENGTH.size))
        message = json.loads(self.read(length).decode())
        arrays = [np.empty(shape, np.dtype(dtype)) for dtype, shape in message["arrays"]]
        at = 0
        for part in map(_bytes_of, arrays):
            if message["shared"]:
                at = _moved(lambda part, at: os.preadv(self.memory, [part], at), part, at)
            else:
                self._fill(part)
        return message["body"], arrays

    def write(self, data: Any) -> None:
        """Sends bytes as they are."""
        _moved(lambda part, _: self._sink.write(part), memoryview(data))

    def read(self, count: int) -> bytes:
        """So many bytes; EOFError where there are fewer."""
        data = bytearray(count)
        self._fill(memoryview(data))
        return bytes(data)

    def _fill(self, view: memoryview) -> None:
        _moved(lambda part, _: self._source.readinto(part), view)


def _bytes_of(array: Any) -> memoryview:
    """The memory of a contiguous array of any shape."""
    return memoryview(array.reshape(-1).view("u1"))


def _moved(step: Callable[[memoryview, int], int], view: memoryview, at: int = 0) -> int:
    """Takes steps, each of which moves as many bytes as the system likes, until all are moved."""
    while len(view):
        count = step(view, at)
        if not count:
            raise EOFError
        view, at = view[count:], at + count
    return at


def packed(value: Any, arrays: list[Any]) -> Any:
    """A value as JSON holds it, with its arrays and tensors put into a list.

    TypeError where it holds anything but these, plain values, lists, tuples, dicts and namespaces.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [packed(item, arrays) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: packed(item, arrays) for key, item in value.items()}}
    if isinstance(value, SimpleNamespace):
        return {"namespace": {key: packed(item, arrays) for key, item in vars(value).items()}}
    arrays.append(_as_array(value))
    return {"array": len(arrays) - 1}


def unpacked(value: Any, arrays: Sequence[Any]) -> Any:
    """What `packed` was given, with other arrays in the places of its own."""
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "array":
        return arrays[held]
    if kind in ("list", "tuple"):
        return {"list": list, "tuple": tuple}[kind](unpacked(item, arrays) for item in held)
    named = {key: unpacked(item, arrays) for key, item in held.items()}
    return named if kind == "dict" else SimpleNamespace(**named)


def _as_array(value: Any) -> Any:
    """Numbers as a contiguous array that any version of numpy has."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        tensor = value.detach()
        # A number of 16 bits that numpy does not have; single precision holds each of them.
        value = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()
    if not isinstance(value, (np.ndarray, np.generic)):
        raise TypeError("a {} cannot be handed over".format(type(value).__name__))
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError("an array of {} cannot be handed over".format(array.dtype))
    ready = array.flags.c_contiguous and array.dtype.isnative
    return array if ready else np.array(array, array.dtype.newbyteorder("="), order="C")


class Model:
    """What the factory made, called as its own code would call it.

    A torch module, or a method of one, gets tensors on the module's device, those of floats in its
    precision, and runs in evaluation mode; each of its attributes and buffers is afterwards what it
    was. Any other function gets tensors on the CPU where torch has been imported, and arrays of
    numpy where it has not, unless ``arrays`` says which, "torch" or "numpy".
    """

    def __init__(self, made: Any, arrays: str | None = None) -> None:
        if not callable(made):
            raise TypeError("the factory returned no model but {}".format(type(made).__name__))
        torch = importlib.import_module("torch") if arrays == "torch" else sys.modules.get("torch")
        self._torch: Any = torch
        self._tensors = torch is not None and arrays != "numpy"
        self._called = self._described = made
        self._network: Any = None
        self._device: Any = None
        self._dtype: Any = None  # of floats, where it is to be the network's
        if torch is not None:
            self._find_network(torch)

    def _find_network(self, torch: Any) -> None:
        parallel = torch.nn.parallel
        if isinstance(self._called, (parallel.DataParallel, parallel.DistributedDataParallel)):
            self._called = self._called.module
        held = [self._called, getattr(self._called, "__self__", None)]
        found = next((one for one in held if isinstance(one, torch.nn.Module)), None)
        self._device = torch.device("cpu")
        if found is not None:
            self._tensors = True
            tensors = list(found.parameters()) + list(found.buffers())
            self._device = tensors[0].device if tensors else self._device
            floating = [tensor.dtype for tensor in tensors if tensor.is_floating_point()]
            self._dtype = floating[0] if floating else None
            self._network = getattr(found, "_orig_mod", found)  # inside torch.compile's
            self._described = self._network if found is self._called else self._called
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)
        elif found is not None or not torch.cuda.is_available():
            device = self._device
            torch.Tensor.cuda = lambda tensor, *_, **__: tensor.to(device)

    def describe(self, attributes: Sequence[str]) -> dict[str, Any]:
        """The model's class, its arguments, and which of these attributes, dotted names, it has.

        The value of each is told where that is plain, or else only that it is there.
        """
        target = self._described
        try:
            arguments = list(inspect.signature(getattr(target, "forward", target)).parameters)
        except (TypeError, ValueError):  # compiled code has none
            arguments = []
        found = {}
        for path in attributes:
            at, names = target, path.split(".")
            for count, name in enumerate(names, 1):
                if not hasattr(at, name):
                    break
                at = getattr(at, name)
                found[".".join(names[:count])] = [at] if isinstance(at, _PLAIN) else []
        return {
            "name": getattr(target, "__name__", type(target).__name__),
            "classes": [kind.__name__ for kind in type(target).__mro__],
            "network": target is self._network,
            "arguments": arguments,
            "attributes": found,
        }

    def call(self, request: dict[str, Any], arrays: Sequence[Any]) -> Any:
        """What the model returns, or the part of it that is wanted."""
        positional, named = unpacked(request["arguments"], list(map(self._given, arrays)))
        with self._evaluating(request["attributes"], request["gradients"]):
            return chosen(self._called(*positional, **named), request["used"])

    def _given(self, array: Any) -> Any:
        if not self._tensors:
            return array
        tensor = self._torch.from_numpy(array)
        return tensor.to(self._device, self._dtype if tensor.is_floating_point() else None)

    @contextlib.contextmanager
    def _evaluating(self, attributes: dict[str, Any], gradients: bool) -> Iterator[None]:
        """Evaluation mode, with these attributes; afterwards all is as it was."""
        torch = self._torch
        modules = [] if self._network is None else list(self._network.modules())
        places = [now for m in modules for now in (vars(m), m._buffers)]
        kept = [(now, dict(now)) for now in places if isinstance(now, dict)]  # not TorchScript's
        flags = [
            (m, m.training) for m in modules if "training" not in vars(m) and hasattr(m, "training")
        ]
        values = [] if self._network is None else list(_copied(self._network.buffers()))
        try:
            with torch.set_grad_enabled(gradients) if torch else contextlib.nullcontext():
                for module in modules[:1]:  # the network itself
                    with contextlib.suppress(NotImplementedError):  # torch.export's has one mode
                        module.eval()
                for path, value in attributes.items():
                    *holders, name = path.split(".")
                    setattr(functools.reduce(getattr, holders, self._network), name, value)
                yield
        finally:
            for now, before in kept:
                for name in set(now) - set(before):
                    del now[name]
                now.update(before)
            for module, flag in flags:
                module.training = flag
            for buffer, version, value in values:
                if buffer._version != version:  # it was changed in its place
                    with torch.no_grad():
                        buffer.copy_(value)
            for module in modules[:1] if gradients else ():
                module.zero_grad()


def _copied(buffers: Any) -> Iterator[Any]:
    """Each with its version and a copy, but those that have no values yet, or no version.

    Large ones are left out, as in `coprop.keyframes.adapters.inference`.
    """
    for buffer in buffers:
        with contextlib.suppress(RuntimeError, ValueError):
            if buffer.numel() <= _MOST_NOTED:
                yield buffer, buffer._version, buffer.clone()


def chosen(output: Any, used: Sequence[str] | None) -> Any:
    """What coprop looks at of an output: all of it, or by key, or without keys the first thing."""
    if used is None:
        return output
    if not used:
        return output[0] if isinstance(output, (tuple, list)) and output else output
    if isinstance(output, (tuple, list)):
        return [chosen(item, used) for item in output]
    return {k: output[k] for k in used if k in output} if isinstance(output, dict) else output


def built(factory: str) -> Any:
    """What a factory ``module:function`` makes."""
    name, _, path = factory.partition(":")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:  # one that the module itself imports
            raise
        text = "no module {!r} is installed there or lies in {}; cwd gives another folder"
        raise ModuleNotFoundError(text.format(error.name, os.getcwd())) from None
    return functools.reduce(getattr, path.split("."), module)()  # type: ignore[operator]


class Worker:
    """Answers one request after another."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._model: Any = None

    def answer(self, request: dict[str, Any], arrays: Sequence[Any]) -> None:
        """Answers a request, also one that fails; ends the process where it takes too long."""
        sent: list[Any] = []
        set_alarm(request["timeout_s"])
        try:
            if request["do"] == "start":
                body = {"description": self._start(request)}
            else:
                body = {"output": packed(self._model.call(request, arrays), sent)}
        except BaseException as error:  # of any kind: sys.exit() in a script that is imported, too
            sent, body = [], {"error": told(error)}
        set_alarm(0)
        flush()
        self._channel.send(body, sent)

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        for name, value in request["environment"].items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        os.chdir(os.path.expanduser(request["folder"] or os.curdir))  # a home of this side
        # Modules are looked for in the current folder, and not beside this file.
        own = os.path.dirname(os.path.abspath(globals().get("__file__", "")))
        sys.path[:] = [os.getcwd()] + [path for path in sys.path if path not in ("", own)]
        self._model = Model(built(request["factory"]), request["arrays"])
        shared = request["memory"] is not None and is_shared(*request["memory"])
        self._channel.memory = request["memory"][0] if shared else None
        return dict(self._model.describe(request["attributes"]), shared=shared)


def is_shared(descriptor: int, token: str) -> bool:
    """Whether a descriptor is of memory that coprop has open, too: it holds a token."""
    with contextlib.suppress(OSError):
        return hasattr(os, "preadv") and os.pread(descriptor, len(token), 0) == token.encode()
    return False


def told(error: BaseException) -> dict[str, Any]:
    """An error's kind and text, and the last lines of its traceback."""
    lines = traceback.format_exception_only(type(error), error)[-1].strip().splitlines() or [""]
    passed_over = (told.__code__.co_filename, "<frozen ")  # this file, and the import system
    every = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in every if not frame.filename.startswith(passed_over)]
    ends = "".join(traceback.format_list(frames[-_FRAMES_TOLD:])).splitlines()
    return {"error": lines[0][:_LONGEST_LINE], "traceback": [end[:_LONGEST_LINE] for end in ends]}


def end() -> None:
    """Ends this process, and those that the model has started."""
    flush()
    with contextlib.suppress(AttributeError, OSError):  # not on Windows
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)


def flush() -> None:
    """Sends on what was printed, by Python and by compiled code."""
    with contextlib.suppress(Exception):  # the model may have put anything in its place
        sys.stdout.flush()
    with contextlib.suppress(Exception):  # not on Windows
        ctypes.CDLL(None).fflush(None)


def set_alarm(seconds: float) -> None:
    """Where this process is then is told, and it ends; 0 for never.

    A signal does it, as code that hangs may keep the interpreter from running any other.
    """
    with contextlib.suppress(AttributeError):  # not on Windows
        signal.setitimer(signal.ITIMER_REAL, seconds)


def watch(descriptor: int) -> None:
    """Ends the process soon after coprop has gone, whatever it does."""
    ends = select.poll()
    ends.register(descriptor, getattr(select, "POLLRDHUP", 0))  # that of pipes is always told
    ends.poll()
    time.sleep(_GRACE_S)
    end()


def own_streams() -> tuple[Any, Any]:
    """Standard input and output for messages alone; prints go to standard error from here on."""
    source, sink = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(_STDERR, 1)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore
    return os.fdopen(source, "rb", 0), os.fdopen(sink, "wb", 0)


def main() -> None:
    """Serves coprop until it goes."""
    source, sink = own_streams()
    channel = Channel(source, sink)
    sys.argv[1:] = []
    atexit.register(end)  # the first to be registered runs last
    faulthandler.enable(file=_STDERR)
    if hasattr(select, "poll"):  # not on Windows
        faulthandler.register(signal.SIGALRM, file=_STDERR, chain=True)
        threading.Thread(target=watch, args=(source.fileno(),), daemon=True).start()
    channel.write(b"\n" + GREETING + str(PROTOCOL).encode() + b"\n")
    worker = Worker(channel)
    with contextlib.suppress(EOFError, BrokenPipeError):  # coprop has gone
        while True:
            worker.answer(*channel.receive())


if __name__ == "__main__":
    main()
