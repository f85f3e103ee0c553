"""TPAVI, AVSBench's baseline (github.com/OpenNLPLab/AVSBench): Pred_endecoder of its scripts."""

from __future__ import annotations

from torch import Tensor

from coprop.keyframes.adapters.base import NetworkAdapter, arguments_of, first_of
from coprop.keyframes.adapters.inputs import Resize, Size

_FLAG = "vid_temporal_mask_flag"  # the argument by which the AVSS version is known


class TPAVIAdapter(NetworkAdapter):
    """AVSBench's ``Pred_endecoder`` for S4 and MS3 (one class) or AVSS (71).

    It takes five frames at a time, which attend to each other. In the mode "replicate" the answer
    is exactly that of a network for one frame, since its attention is divided by the number of
    places. AVSS clips of ten frames are two blocks of five, as in its own scripts. Frames are
    resized to 224 x 224, with OpenCV for S4 and MS3, and with Pillow for AVSS.
    """

    network_class = "Pred_endecoder"
    signatures = (("x", "audio_feature"), ("x", "audio_feature", _FLAG))
    clip_frames = 5  # a literal in its reshapes, also in the AVSS version
    takes_embeddings = True

    @property
    def _semantic(self) -> bool:
        return _FLAG in arguments_of(self.model)

    def _loader(self) -> tuple[Size, Resize]:
        return (224, 224), "pillow" if self._semantic else "opencv"

    def _logits(self, images: Tensor, sound: Tensor) -> object:
        if self._semantic:
            return first_of(self.model(images, sound, sound.new_ones(len(sound))))
        return first_of(self.model(images, sound))

    def _details(self) -> str:
        return f"{'semantic classes' if self._semantic else 'one class'}, VGGish embedding"
