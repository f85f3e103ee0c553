"""The default keyframe network: what is seen by name, weighed by what is heard.

Networks recognise things by name in the frame (`visual`) and in the sound (`audio`); a probability
model selects those of the seen ones that made the sound (`selection`); and a decoder makes a crisp
mask of where they were seen (`mask_decoder`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from coprop.checkpoints.weights import read_state_dict
from coprop.encoders.deeplab import DeepLab
from coprop.encoders.released import FILE, WEIGHTS, dequantise
from coprop.encoders.u2net import U2Net
from coprop.encoders.yamnet import YAMNet
from coprop.keyframes.audio import AudioEvidence, SoundRecognizer
from coprop.keyframes.groups import sounding_groups
from coprop.keyframes.look_alikes import told_by_sound
from coprop.keyframes.mask_decoder import MaskDecoder, in_the_picture
from coprop.keyframes.selection import OFF_SCREEN, RECOGNISED, SEEN, Selection, SourceSelector
from coprop.keyframes.visual import VisualEvidence, VisualRecognizer
from coprop.utils.precision import in_float32

_ABSENT_LOGIT = -10.0  # a probability below 1e-4
_LEAST = 1e-4  # of a divisor, where nothing that is seen is heard


class GroundedNetwork(nn.Module):
    """Frames and the sound around them -> logits of "this pixel sounds", at stride 4.

    ``forward`` takes ``(K, 3, h, w)`` RGB in [0, 1] with sides that are multiples of 32, ``(K, n)``
    samples at 16 kHz of any length, and where they are known ``(K, T, 3, h, w)``, the frames of
    `coprop.keyframes.motion.SURROUNDINGS`; it returns ``(K, 1, h / 4, w / 4)`` logits, -10
    throughout where nothing that is seen is heard. ``(K, G)`` 0 or 1 may say which groups are
    named: the sound chooses among these where it can (`SourceSelector.among`).

    Args:
        off_screen: how often what sounds is outside the picture, see `SourceSelector`.
    """

    sample_rate = SoundRecognizer.sample_rate
    window_s = 2.0  # of a frame alone: long enough to be named

    def __init__(self, off_screen: float = OFF_SCREEN) -> None:
        super().__init__()
        self.groups = tuple(sounding_groups())
        self.visual = VisualRecognizer()
        self.audio = SoundRecognizer()
        self.selector = SourceSelector(len(self.groups), off_screen)
        self.decoder = MaskDecoder()

    def forward(
        self,
        frames: Tensor,
        audio: Tensor,
        around: Tensor | None = None,
        named: Tensor | None = None,
    ) -> Tensor:
        visual = self.visual(frames, around)
        with in_float32(audio.device):  # it costs little, and names hang on small probabilities
            heard = self.audio(audio)
            visual = told_by_sound(visual, heard.groups)
            sounding = self._select(visual, heard, named)
        # What is recognised can only tell against the unknown: where that has lost, nobody asks.
        if sounding.other.is_meta or (sounding.other > 0).any():
            visual = self.unexplained(visual)
            with in_float32(audio.device):
                sounding = self._select(visual, heard, named)
        return self._mask(visual, sounding)

    def unexplained(self, visual: VisualEvidence) -> VisualEvidence:
        """The evidence, with nothing standing out where a thing is recognised.

        What is surely a piano is no unknown thing, whatever is heard.
        """
        recognised = (self.selector.seen(visual) >= RECOGNISED).to(visual.saliency.dtype)
        none = torch.zeros_like(recognised[:, 0])
        known = cast(Tensor, self.decoder(visual, recognised, none)).sigmoid()
        known = known * recognised.amax(dim=1)[:, None, None, None]
        left = visual.standing_out * (1 - known)
        return replace(visual, standing_out=left.to(visual.standing_out.dtype))

    def segment(self, frames: Tensor, groups: Tensor) -> Tensor:
        """`forward` where it is known, (K, G) 0 or 1, things of which groups sound."""
        visual = self.visual(frames)
        # Of what is named, only what is seen can be masked.
        seen = groups * (self.selector.seen(visual) >= SEEN)
        return self._mask(visual, Selection(seen, torch.zeros_like(seen[:, 0])))

    def soft_mask(self, frames: Tensor, audio: Tensor) -> Tensor:
        """`forward` for training: what is seen counts as far as it is heard.

        The decision between sources has no gradient.
        """
        visual = self.visual(frames)
        sounding = self.selector.seen(visual) * self.audio(audio).groups
        sounding = sounding / sounding.amax(dim=1, keepdim=True).clamp_min(_LEAST)
        return self.decoder.decode(visual.pyramid, in_the_picture(visual, sounding), sounding)

    def _select(
        self, visual: VisualEvidence, heard: AudioEvidence, named: Tensor | None
    ) -> Selection:
        if named is None:
            return cast(Selection, self.selector(visual, heard))
        return self.selector.among(visual, heard, named)

    def _mask(self, visual: VisualEvidence, sounding: Selection) -> Tensor:
        logits = cast(Tensor, self.decoder(visual, sounding.groups, sounding.other))
        nothing = sounding.groups.amax(dim=1).maximum(sounding.other) == 0
        return logits.masked_fill(nothing[:, None, None, None], _ABSENT_LOGIT)


def released() -> dict[str, Tensor]:
    """The tensors of the network's parts that come with the package as they were released."""
    folders = {
        "visual.classifier": "imagenet",
        "visual.deeplab": DeepLab.folder,
        "visual.u2net": U2Net.folder,
        "audio.yamnet": YAMNet.folder,
    }
    return {
        f"{part}.{name}": tensor
        for part, folder in folders.items()
        for name, tensor in dequantise(read_state_dict(WEIGHTS / folder / FILE)).items()
    }
