"""Which adapter a network needs, or how to write one; and any keyframe model as it is called."""

from __future__ import annotations

import inspect

from torch import Tensor, nn

from coprop.errors import CoPropError
from coprop.keyframes.adapters.avsegformer import AVSegFormerAdapter
from coprop.keyframes.adapters.base import NetworkAdapter
from coprop.keyframes.adapters.callable import CallableSegmenter
from coprop.keyframes.adapters.catr import CATRAdapter
from coprop.keyframes.adapters.cavp import CAVPAdapter
from coprop.keyframes.adapters.combo import COMBOAdapter
from coprop.keyframes.adapters.inference import device_of, evaluation_mode, unwrap
from coprop.keyframes.adapters.tpavi import TPAVIAdapter
from coprop.keyframes.model import (
    KeyframeFunction,
    KeyframeModel,
    Outputs,
    warn_of_probabilities,
)
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.keyframes.text_guided import guided
from coprop.keyframes.timed import Moment, NoKeyframe, TimedKeyframeModel, timed
from coprop.utils.checks import check_made
from coprop.utils.paths import is_path

FAMILIES: dict[str, type[NetworkAdapter]] = {
    "avsegformer": AVSegFormerAdapter,
    "catr": CATRAdapter,
    "tpavi": TPAVIAdapter,
    "combo": COMBOAdapter,
    "cavp": CAVPAdapter,
}
"""The adapters of the networks that are known, by the names under which they are asked for."""

_EXAMPLE = """\
def adapter(frames, audio):
    # frames: (K, 3, H, W), RGB in [0, 1]; audio: (K, samples), mono in [-1, 1] at 16 kHz
    mean = torch.tensor([0.485, 0.456, 0.406], device=frames.device).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], device=frames.device).view(1, 3, 1, 1)
    small = F.interpolate(frames, (224, 224), mode="bilinear", antialias=True)
    logits = model((small - mean) / std, audio)  # its own size, normalisation and arguments
    return F.interpolate(logits, frames.shape[-2:], mode="bilinear")  # (K, C, H, W), not masks


pipeline = CoProp.wrap(model.eval(), adapter=adapter)"""


def adapter_for(model: object) -> KeyframeModel | None:
    """The adapter of a published network, with its defaults; None for one that is not known.

    Known are AVSegFormer, TPAVI, CATR, COMBO and CAVP, by the names of their classes and of the
    classes they derive from, also inside ``DataParallel``, ``DistributedDataParallel`` and
    ``torch.compile``.

    Raises:
        CoPropError: a network that needs something beside it, such as VGGish; the message says how
            to give it.

    Example:
        >>> print(adapter_for(nn.Conv2d(3, 1, 1)))
        None
    """
    if not isinstance(model, nn.Module):
        return None
    family = family_of(unwrap(model))
    return None if family is None else family(model)


def family_of(network: nn.Module) -> type[NetworkAdapter] | None:
    """The adapter class of a published network, already unwrapped; None for one not known."""
    return next((family for family in FAMILIES.values() if family.matches(network)), None)


def how_to_adapt(model: nn.Module) -> str:
    """What to tell whoever wraps a network that is not known: how to write its adapter."""
    network = unwrap(model)
    try:
        arguments = str(inspect.signature(network.forward))
    except (TypeError, ValueError):  # compiled code has none
        arguments = "()"
    return (
        f"coprop cannot tell how {type(network).__name__}.forward{arguments} wants its frames and "
        "sound; say it in a function and give that as adapter:\n\n"
        f"{_EXAMPLE}\n\n"
        "coprop.keyframes.adapters.CallableSegmenter(function, size=(224, 224), normalise=True, "
        'audio="log_mel") resizes, normalises and makes spectrograms for a function.'
    )


def as_keyframe_model(
    model: nn.Module | KeyframeFunction | KeyframeModel,
    adapter: KeyframeFunction | KeyframeModel | None = None,
    *,
    window_s: float | None = None,
    outputs: Outputs | None = None,
    keyframes_per_call: int | None = None,
) -> KeyframeModel:
    """What is wrapped, as the keyframe slot takes it; the arguments are those of `CoProp.wrap`.

    Raises:
        CoPropError: a network that is not known and has no adapter, something that cannot be
            called, or options that are not for it.
    """
    if adapter is None:
        adapter = adapter_for(model)
        if (
            adapter is None
            and isinstance(model, nn.Module)
            and not isinstance(model, KeyframeModel)
        ):
            raise CoPropError(*how_to_adapt(model).split("\n", 1))
    called = model if adapter is None else adapter
    check_made("the model", called)
    if isinstance(called, KeyframeModel):
        _refuse_options(called, window_s, outputs, keyframes_per_call)
        return called
    if not callable(called):
        names = " CoProp.assemble() takes names." if is_path(called) else ""
        raise CoPropError(
            "wrap() takes a network, or a function fn(frames, audio) -> logits as model or "
            f"adapter, got {type(called).__name__}.{names}"
        )
    network = model if isinstance(model, nn.Module) and called is not model else None
    return CallableSegmenter(
        called,
        window_s=window_s,
        outputs=outputs or "logits",
        keyframes_per_call=keyframes_per_call,
        network=network,
    )


def _refuse_options(
    model: KeyframeModel,
    window_s: float | None,
    outputs: Outputs | None,
    keyframes_per_call: int | None,
) -> None:
    """Refuses what functions are told of and a keyframe model says itself."""
    name = type(model).__name__
    if outputs is not None:
        raise CoPropError(
            f"outputs is for functions, and {name} is none; CallableSegmenter(fn, outputs=...) "
            "takes it too."
        )
    if window_s is not None:
        raise CoPropError(
            f"window_s is for functions; {name} has its own window of {model.window_s:g} s."
        )
    if keyframes_per_call is not None:
        raise CoPropError(
            f"keyframes_per_call is for functions; {name} says itself how many it takes, by an "
            "attribute of that name."
        )


class KeyframePredictor:
    """Calls a keyframe model, and says once where its logits look like probabilities.

    A model that is a network itself runs in evaluation mode on the device where it is at the call,
    and is left as it was.
    """

    def __init__(self, model: KeyframeModel) -> None:
        self._model = model
        own = getattr(model, "adapter", model)
        known = isinstance(own, NetworkAdapter | KeyframeSegmenter | TimedKeyframeModel)
        self._watched = not known and getattr(model, "outputs", "logits") == "logits"

    def __call__(
        self,
        frames: Tensor,
        audio: Tensor,
        words: tuple[str, ...] | None = None,
        around: Tensor | None = None,
        moment: Moment | None = None,
    ) -> Tensor | NoKeyframe:
        """The model's logits, as `KeyframeModel` describes them, if there is to be a keyframe.

        Args:
            frames, audio: what the model is given.
            words: for what is heard, for a model that is guided by them; None where nobody said.
            around: (K, T, 3, H, W), for a model that has ``surroundings``; else None.
            moment: of the keyframe, for a model that answers by time.
        """
        model = timed(guided(self._model, words), moment)
        if model is None:
            return NoKeyframe.here
        given = [frames, audio] if around is None else [frames, audio, around]
        if isinstance(model, nn.Module):
            device = device_of(model)
            with evaluation_mode(model):
                logits: Tensor = model(*(each.to(device) for each in given))
        else:
            logits = model(*given)
        if self._watched and warn_of_probabilities(logits, "the keyframe model"):
            self._watched = False
        return logits
