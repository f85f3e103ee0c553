"""A model that lives in another Python environment, as keyframe model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from torch import Tensor

from coprop.context import FrameContext
from coprop.errors import CoPropError
from coprop.keyframes.adapters.base import NetworkAdapter
from coprop.keyframes.adapters.callable import CallableSegmenter
from coprop.keyframes.adapters.registry import FAMILIES, family_of
from coprop.keyframes.model import AudioSpan, Outputs
from coprop.keyframes.process.client import WorkerClient
from coprop.keyframes.process.launch import ArrayKind, Launch
from coprop.keyframes.process.network import RemoteNetwork
from coprop.utils.checks import check_choice, number
from coprop.utils.paths import AnyPath

AdapterName = Literal["avsegformer", "catr", "tpavi", "combo", "cavp"]
"""The published networks whose adapters can be asked for by name."""

_LONGEST_S = 86_400  # a day
_USUAL_S = 300.0  # large checkpoints on slow disks take minutes to load


class ProcessModel:
    """A model of another interpreter as keyframe model (`coprop.keyframes.model.KeyframeModel`).

    coprop starts that interpreter with one file of its own, which needs Python 3.7 or later and
    numpy, and hands it frames and sound for each call. What the factory returns is used as
    `CoProp.wrap` uses a model here: published networks are recognised, anything else is called as
    ``fn(frames (K, 3, H, W), audio (K, samples)) -> logits (K, C, H, W)``. What adapters do to
    frames and sound is done on this side.

    A torch module, or a method of one, gets tensors on its device, in evaluation mode and without
    gradients; any other function gets tensors on the CPU where the factory has imported torch, or
    else arrays of numpy.

    The interpreter is started here, once, and ends with `close`, at the end of a ``with`` block,
    with the last reference to this, or with this process, however that ends. After a failure the
    next call starts it again, and so does the first call in a fork or of a copy. What it prints
    goes to the logger "coprop.keyframes.process", at level INFO.

    Args:
        command: in place of ``python``, a command that starts the worker on its standard input and
            output, as text or as a list of words; where its last word is "-", the one before is an
            interpreter, which is sent the worker: ``"ssh host python -"``.
        factory: ``module:function``; the function takes nothing and returns the model.
        python: the interpreter.
        cwd: the folder in which it works, and where modules are looked for first; ``~`` is the home
            on the side where it works.
        env: variables of its environment, beside those of this process; None takes one away.
        adapter: the published network that the factory returns, where it is not to be recognised.
        arrays: "torch" or "numpy", to say what a function is given.
        timeout_s: longest time until the model is ready, and for a call, in seconds.
        options: of the adapter, such as ``vggish`` or ``mode``, or those of
            `coprop.keyframes.adapters.CallableSegmenter` for a function, such as ``size``.

    Raises:
        CoPropError: an interpreter or folder that is not there, or an option that is out of range
            or not for this model.
        ModelOutputError: the factory raised an error, or the worker ended or hung.

    Example:
        >>> model = ProcessModel(
        ...     python="/envs/avs/bin/python",
        ...     cwd="AVSegFormer",
        ...     factory="my_module:build",
        ...     env={"CUDA_VISIBLE_DEVICES": "1"},
        ... )  # doctest: +SKIP
        >>> with CoProp.wrap(model) as pipeline:  # doctest: +SKIP
        ...     result = pipeline("clip.mp4")
    """

    def __init__(
        self,
        command: str | Sequence[str] | None = None,
        *,
        factory: str,
        python: AnyPath | None = None,
        cwd: AnyPath | None = None,
        env: Mapping[str, str | None] | None = None,
        adapter: AdapterName | None = None,
        arrays: ArrayKind | None = None,
        timeout_s: float = _USUAL_S,
        **options: Any,
    ) -> None:
        check_choice("adapter", adapter, (None, *get_args(AdapterName)))
        wanted = f"a number of seconds above 0, at most {_LONGEST_S}"
        timeout_s = number("timeout_s", timeout_s, wanted, above=0, high=_LONGEST_S)
        if adapter is not None:
            _check_options(FAMILIES[adapter], options)
        launch = Launch.of(command, python, factory, cwd=cwd, env=env, arrays=arrays)
        attributes = [path for family in FAMILIES.values() for path in family.attributes]
        self._client = WorkerClient(launch, attributes, timeout_s)
        try:
            self.adapter = _adapted(RemoteNetwork(self._client), adapter, options)
        except BaseException:
            self._client.close()
            raise

    @property
    def sample_rate(self) -> int:
        """Of the sound it takes, in Hz."""
        return self.adapter.sample_rate

    @property
    def window_s(self) -> float:
        """How much sound it takes with a frame, in seconds."""
        return self.adapter.window_s

    @property
    def audio_span(self) -> AudioSpan:
        """Which sound goes with a frame."""
        return self.adapter.audio_span

    @property
    def context(self) -> FrameContext:
        """Which other frames it wants to see."""
        return self.adapter.context

    @property
    def outputs(self) -> Outputs:
        """What the model itself returns."""
        return getattr(self.adapter, "outputs", "logits")

    @property
    def keyframes_per_call(self) -> int | None:
        """How many keyframes it takes in one call, see `KeyframeModel`."""
        return self.adapter.keyframes_per_call

    def __call__(self, frames: Tensor, audio: Tensor) -> Tensor:
        """Logits as of `KeyframeModel`, on the frames' device.

        Raises:
            ShapeError: other shapes.
            ModelOutputError: the model raised an error, hung, ended, or returned something else.
            CoPropError: it has been closed.
        """
        return self.adapter(frames, audio)

    def close(self) -> None:
        """Ends the other interpreter, and what it has started."""
        self._client.close()

    def __enter__(self) -> ProcessModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        launch = self._client.launch
        return f"ProcessModel({launch.factory} in {launch.place}: {self.adapter})"


def _adapted(
    network: RemoteNetwork, adapter: AdapterName | None, options: dict[str, Any]
) -> NetworkAdapter | CallableSegmenter:
    if adapter is not None and not network.is_network:
        raise CoPropError(
            f"adapter={adapter!r} is for a network, and the factory returned {network.__name__}, "
            "which is no torch.nn.Module; return the network, or leave adapter for a function."
        )
    family = family_of(network) if adapter is None else FAMILIES[adapter]
    _check_options(family or CallableSegmenter, options)
    if family is None:
        return CallableSegmenter(network, **options)
    network.used = family.used
    return family(network, **options)


def _check_options(maker: type[NetworkAdapter] | type[CallableSegmenter], options: object) -> None:
    found = inspect.signature(maker).parameters.values()
    names = [p.name for p in found if p.kind is p.KEYWORD_ONLY and p.name != "network"]
    unknown = sorted(set(options) - set(names))  # type: ignore[call-overload]
    if unknown:
        raise CoPropError(
            f"ProcessModel has no option {unknown[0]!r} for {maker.__name__}; its own are command, "
            "factory, python, cwd, env, adapter, arrays and timeout_s, and here also "
            f"{', '.join(names)}."
        )
