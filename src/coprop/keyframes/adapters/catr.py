"""CATR (github.com/aspirinone/CATR.github.io): Pred_endecoder of CATR/model/PVT_AVSModel.py."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from coprop.errors import ModelOutputError
from coprop.keyframes.adapters.base import NetworkAdapter
from coprop.keyframes.adapters.inputs import Resize, Size


class CATRAdapter(NetworkAdapter):
    """CATR: of its 50 queries, for each frame the mask of the one that is most "referred".

    It takes five frames at a time, which attend to each other; five copies of one frame are not
    the same to it as a clip of one frame, but it can take no other. Frames are resized to
    448 x 448 by PyTorch, not antialiased.
    """

    network_class = "Pred_endecoder"
    signatures = (("video_samples", "audio_pad", "x", "audio_feature"),)
    clip_frames = 5  # a literal in its repeats
    takes_embeddings = True
    used = ("pred_masks", "pred_is_referred")

    def _loader(self) -> tuple[Size, Resize]:
        return (448, 448), "torch"

    def _logits(self, images: Tensor, sound: Tensor) -> object:
        """One clip a call: with more than one the network mixes up frames and clips."""
        clip = images.unsqueeze(1)  # (T, 1, 3, H, W)
        nothing_padded = torch.zeros_like(clip[:, :, 0], dtype=torch.bool)
        # What its NestedTensor is: two attributes that its forward reads and writes.
        nested = SimpleNamespace(tensors=clip, mask=nothing_padded)
        audio_pad = nothing_padded.new_zeros(1, len(images))
        return _of_best_query(self.model(nested, audio_pad, images, sound))

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
