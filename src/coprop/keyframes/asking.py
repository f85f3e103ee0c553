"""A keyframe model as the pipeline calls it, whatever fills the slot."""

from __future__ import annotations

from torch import Tensor, nn

from coprop.keyframes.adapters.base import NetworkAdapter
from coprop.keyframes.adapters.calling import device_of, lent
from coprop.keyframes.model import KeyframeModel
from coprop.keyframes.outputs import warn_of_probabilities
from coprop.keyframes.segmenter import KeyframeSegmenter
from coprop.keyframes.text_guided import guided


class Asked:
    """Calls a keyframe model, and says once where its logits look like probabilities.

    A model that is a network itself runs in evaluation mode on the device where it is at the call,
    and is left as it was.
    """

    def __init__(self, model: KeyframeModel) -> None:
        self._model = model
        known = isinstance(model, NetworkAdapter | KeyframeSegmenter)
        self._watched = not known and getattr(model, "outputs", "logits") == "logits"

    def __call__(
        self, frames: Tensor, audio: Tensor, words: tuple[str, ...] | None = None
    ) -> Tensor:
        """The model's logits, as `KeyframeModel` describes them.

        Args:
            frames, audio: what the model is given.
            words: for what is heard, for a model that is guided by them; None where nobody said.
        """
        model = guided(self._model, words)
        if isinstance(model, nn.Module):
            device = device_of(model)
            with lent(model):
                logits: Tensor = model(frames.to(device), audio.to(device))
        else:
            logits = model(frames, audio)
        if self._watched and warn_of_probabilities(logits, "the keyframe model"):
            self._watched = False
        return logits
