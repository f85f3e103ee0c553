"""COMBO (github.com/yannqi/COMBO-AVS): MaskFormer of models/maskformer_model.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from coprop.errors import CoPropError, ModelOutputError
from coprop.keyframes.adapters.base import NetworkAdapter
from coprop.keyframes.adapters.batching import Mode, WindowPlacement
from coprop.keyframes.adapters.inputs import Resize, Size, resize_frames
from coprop.keyframes.model import AudioSpan

PreMasks = Callable[[Tensor], Tensor]
"""``fn(frames (N, 3, H, W) in [0, 1]) -> images (N, 3, H, W) in [0, 1]`` of coloured regions."""

_PEAK = 255.0  # its images hold bytes; it normalises them itself


class COMBOAdapter(NetworkAdapter):
    """COMBO's ``MaskFormer`` with two classes (S4, MS3) or 71 (AVSS), background first.

    It returns scores, sums over its queries, whose softmax its scripts take; they are handed on as
    logits. Frames of one call share their sounds among their queries, so each five frames are a
    call by themselves; in the mode "replicate" a frame is given once, which is the same to it as
    five copies. Frames are resized to 224 x 224 as its data are made, with OpenCV for S4 and MS3,
    and with Pillow for AVSS.

    Args:
        pre_masks: makes the coloured images of Segment Anything's regions that networks with
            ``use_pre_sam``, all published ones, look at beside the frames.
        model, mode, placement, size, resize, audio_span: see `NetworkAdapter`.

    Raises:
        CoPropError: ``pre_masks`` missing or not wanted, or an option out of range.
    """

    network_class = "MaskFormer"
    signatures = (("batched_inputs",),)
    clip_frames = 5  # of a video, in its S4 and MS3 versions
    copies = 1
    attributes = ("use_pre_sam", "is_avss_data", "audio_backbone")
    used = ("sem_seg",)

    def __init__(
        self,
        model: nn.Module,
        *,
        pre_masks: PreMasks | None = None,
        mode: Mode = "replicate",
        placement: WindowPlacement = "centre",
        size: Size | None = None,
        resize: Resize | None = None,
        audio_span: AudioSpan = "frame",
    ) -> None:
        super().__init__(
            model, mode=mode, placement=placement, size=size, resize=resize, audio_span=audio_span
        )
        wanted = bool(getattr(self.model, "use_pre_sam", False))
        if wanted and pre_masks is None:
            raise CoPropError(
                "this COMBO looks at Segment Anything's regions beside the frames (use_pre_sam); "
                "give a function that makes them, as in COMBOAdapter(model, pre_masks=fn) with "
                "fn(frames (N, 3, H, W) in [0, 1]) -> coloured regions (N, 3, H, W) in [0, 1]."
            )
        if pre_masks is not None and not wanted:
            raise CoPropError("this COMBO takes no regions (use_pre_sam is off); leave pre_masks.")
        self.pre_masks = pre_masks

    @classmethod
    def matches(cls, model: nn.Module) -> bool:
        """Not the one for images without sound, whose class and arguments are named alike."""
        return super().matches(model) and hasattr(model, "audio_backbone")

    @property
    def _semantic(self) -> bool:
        return bool(getattr(self.model, "is_avss_data", False))

    def _loader(self) -> tuple[Size, Resize]:
        return (224, 224), "pillow" if self._semantic else "opencv"

    def _preprocess(self, frames: Tensor) -> Tensor:
        return resize_frames(frames, self.size, self.resize)

    def _logits(self, images: Tensor, sound: Tensor) -> object:
        video = {"images": images * _PEAK, "audio_log_mel": sound}
        if self.pre_masks is not None:
            video["pre_masks"] = self._regions(self.pre_masks, images) * _PEAK
        if self._semantic:
            ones = sound.new_ones(len(sound))  # every frame is there, and none is padding
            video |= {"vid_temporal_mask_flag": ones, "gt_temporal_mask_flag": ones}
        results: Any = self.model([video])
        if not isinstance(results, list) or not results or not all(map(_is_scored, results)):
            raise ModelOutputError(
                "COMBO should have returned a list of dicts with sem_seg, one a frame, got "
                f"{type(results).__name__}."
            )
        return torch.stack([result["sem_seg"] for result in results])

    def _regions(self, pre_masks: PreMasks, images: Tensor) -> Tensor:
        regions = pre_masks(images.float())
        if not isinstance(regions, Tensor) or regions.shape[:2] != images.shape[:2]:
            given = tuple(regions.shape) if isinstance(regions, Tensor) else type(regions).__name__
            raise ModelOutputError(
                f"pre_masks must return pictures {tuple(images.shape)} in [0, 1], got {given}."
            )
        size = (images.shape[2], images.shape[3])
        return resize_frames(regions, size, "torch_antialias").to(images)

    def _details(self) -> str:
        head = "semantic classes" if self._semantic else "two classes"
        return f"{head}{', with regions' if self.pre_masks else ''}, log-mel"


def _is_scored(result: object) -> bool:
    return isinstance(result, dict) and isinstance(result.get("sem_seg"), Tensor)
