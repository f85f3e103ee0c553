"""CATR (github.com/aspirinone/CATR.github.io): Pred_endecoder of CATR/model/PVT_AVSModel.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Literal

import torch
from torch import Tensor, nn

from coprop.errors import ModelOutputError
from coprop.keyframes.adapters.base import NetworkAdapter, arguments_of, has_class
from coprop.keyframes.adapters.resizing import Resize, Size
from coprop.keyframes.adapters.serving import Mode, Serving
from coprop.keyframes.adapters.sounds import VGGishSource, embeddings, vggish_of
from coprop.keyframes.model import AudioSpan

_T = 5  # a literal in the network's repeats

_ARGUMENTS = ("video_samples", "audio_pad", "x", "audio_feature")


class CATRAdapter(NetworkAdapter):
    """CATR: of its 50 queries, for each frame the mask of the one that is most "referred".

    It takes five frames at a time, which attend to each other; five copies of one frame are not
    the same to it as a clip of one frame, but it can take no other.

    Args:
        model: the network.
        vggish: the audio encoder that its scripts keep beside it, or the file of its weights.
        mode: which five frames it is given (`coprop.keyframes.adapters.serving.Mode`).
        placement: where the keyframe lies, in the mode "window".
        size: height and width, multiples of 32.
        resize: how frames get to that size; by default as its loader does it, "torch".
        audio_span: which sound goes with a frame; "example" is how its scripts pair them.

    Raises:
        CoPropError: no VGGish, or an option out of range.
        CheckpointError: a file that is not VGGish's.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        vggish: VGGishSource | None = None,
        mode: Mode = "replicate",
        placement: Literal["centre", "last"] = "centre",
        size: Size = (448, 448),
        resize: Resize = "torch",
        audio_span: AudioSpan = "frame",
    ) -> None:
        serving = Serving(_T, mode, placement)
        super().__init__(model, size=size, resize=resize, audio_span=audio_span, serving=serving)
        self.vggish = vggish_of(vggish, 'CATRAdapter(model, vggish="vggish-10086976.pth")')

    @staticmethod
    def recognises(model: nn.Module) -> bool:
        return has_class(model, "Pred_endecoder") and arguments_of(model) == _ARGUMENTS

    def _sound(self, audio: Tensor) -> Tensor:
        return embeddings(self.vggish, audio)

    def _logits(self, pictures: Tensor, sound: Tensor) -> object:
        """One clip a call: with more than one the network mixes up frames and clips."""
        clip = pictures.unsqueeze(1)  # (T, 1, 3, H, W)
        nothing_padded = torch.zeros_like(clip[:, :, 0], dtype=torch.bool)
        # What its NestedTensor is: two attributes that its forward reads and writes.
        nested = SimpleNamespace(tensors=clip, mask=nothing_padded)
        audio_pad = nothing_padded.new_zeros(1, len(pictures))
        return _of_best_query(self.model(nested, audio_pad, pictures, sound))

    def _details(self) -> str:
        return "one class, the best query's, VGGish embedding"


def _of_best_query(output: object) -> Tensor:
    """Masks (T, 1, Q, h, w) and scores (T, 1, Q, 2) -> (T, 1, h, w): the best query's of each."""
    if not isinstance(output, dict) or not {"pred_masks", "pred_is_referred"} <= output.keys():
        raise ModelOutputError(
            "CATR should have returned a dict with pred_masks and pred_is_referred, got "
            f"{sorted(output) if isinstance(output, dict) else type(output).__name__}."
        )
    masks, scores = output["pred_masks"].flatten(0, 1), output["pred_is_referred"].flatten(0, 1)
    best = scores.softmax(dim=-1)[..., 0].argmax(dim=-1)
    chosen: Tensor = masks[torch.arange(len(masks), device=masks.device), best]
    return chosen.unsqueeze(1)
