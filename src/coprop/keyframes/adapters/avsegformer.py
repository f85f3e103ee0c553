"""AVSegFormer (github.com/vvvb-github/AVSegFormer): model/AVSegFormer.py."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coprop.keyframes.adapters.base import NetworkAdapter, arguments_of, first_of, has_class
from coprop.keyframes.adapters.resizing import Resize, Size
from coprop.keyframes.adapters.serving import Serving
from coprop.keyframes.model import AudioSpan

_SIZE_OBJECT, _SIZE_SEMANTIC = (512, 512), (224, 224)  # of its S4 and MS3, and its AVSS, loaders

_ARGUMENTS = ("audio", "frames", "vid_temporal_mask_flag")


class AVSegFormerAdapter(NetworkAdapter):
    """AVSegFormer with one class (S4, MS3) or 71 (AVSS), with the VGGish inside it.

    Its frames do not see each other. One frame alone fails inside its fusion block, so a single
    frame is given twice and the first row kept. Configurations that take paths of wav files are
    given log-mel spectrograms all the same: reading files is switched off for the call.

    Args:
        model: the network.
        size: by default that of its loaders: 512 x 512 with one class, or else 224 x 224. Sides
            are multiples of 32.
        resize: how frames get to that size; by default as its loaders do it, with Pillow.
        audio_span: which sound goes with a frame; "example" is how its scripts pair them.

    Raises:
        CoPropError: an option out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        size: Size | None = None,
        resize: Resize = "pillow",
        audio_span: AudioSpan = "frame",
    ) -> None:
        super().__init__(model, size=size, resize=resize, audio_span=audio_span, serving=Serving())
        head = getattr(self.model, "head", None)
        self._classes = getattr(head, "num_classes", None)
        if size is None:
            self.size = _SIZE_OBJECT if self._classes == 1 else _SIZE_SEMANTIC

    @staticmethod
    def recognises(model: nn.Module) -> bool:
        return has_class(model, "AVSegFormer") and arguments_of(model) == _ARGUMENTS

    def _logits(self, pictures: Tensor, sound: Tensor) -> object:
        network: Any = self.model
        network.vggish.preprocess = False  # set back, with every other attribute, after the call
        if len(pictures) > 1:
            return first_of(network(sound, pictures))
        output = first_of(network(torch.cat([sound, sound]), torch.cat([pictures, pictures])))
        return output[:1] if isinstance(output, Tensor) else output

    def _details(self) -> str:
        return f"{_head(self._classes)}, log-mel"


def _head(classes: int | None) -> str:
    return "one class" if classes == 1 else f"{classes or 'several'} classes"
