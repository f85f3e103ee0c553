"""AVSegFormer (github.com/vvvb-github/AVSegFormer): model/AVSegFormer.py."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coprop.keyframes.adapters.base import NetworkAdapter, first_of
from coprop.keyframes.adapters.inputs import Resize, Size


class AVSegFormerAdapter(NetworkAdapter):
    """AVSegFormer with one class (S4, MS3) or 71 (AVSS), with the VGGish inside it.

    Its frames do not see each other. One frame alone fails inside its fusion block, so a single
    frame is given twice and the first row kept. Configurations that take paths of wav files are
    given log-mel spectrograms all the same: reading files is switched off for the call. Frames are
    resized with Pillow to 512 x 512 with one class, or else to 224 x 224.
    """

    network_class = "AVSegFormer"
    signatures = (("audio", "frames", "vid_temporal_mask_flag"),)
    attributes = ("head.num_classes", "vggish.preprocess")

    @property
    def _classes(self) -> int | None:
        return getattr(getattr(self.model, "head", None), "num_classes", None)

    def _loader(self) -> tuple[Size, Resize]:
        return ((512, 512) if self._classes == 1 else (224, 224)), "pillow"

    def _logits(self, images: Tensor, sound: Tensor) -> object:
        network: Any = self.model
        network.vggish.preprocess = False  # set back, with every other attribute, after the call
        if len(images) > 1:
            return first_of(network(sound, images))
        output = first_of(network(torch.cat([sound, sound]), torch.cat([images, images])))
        return output[:1] if isinstance(output, Tensor) else output

    def _details(self) -> str:
        several = f"{self._classes or 'several'} classes"
        return f"{'one class' if self._classes == 1 else several}, log-mel"
