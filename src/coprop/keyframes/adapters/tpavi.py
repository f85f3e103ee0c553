"""TPAVI, AVSBench's baseline (github.com/OpenNLPLab/AVSBench): Pred_endecoder of its scripts."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from coprop.keyframes.adapters.base import NetworkAdapter, arguments_of, first_of, has_class
from coprop.keyframes.adapters.resizing import Resize, Size
from coprop.keyframes.adapters.serving import Mode, Serving
from coprop.keyframes.adapters.sounds import VGGishSource, embeddings, vggish_of
from coprop.keyframes.model import AudioSpan

_T = 5  # a literal in the network's reshapes, also in its AVSS version
_FLAG = "vid_temporal_mask_flag"  # the argument by which the AVSS version is known

# Others of this class name take more, or other things.
_ARGUMENTS = ("x", "audio_feature")


class TPAVIAdapter(NetworkAdapter):
    """AVSBench's ``Pred_endecoder`` for S4 and MS3 (one class) or AVSS (71).

    It takes five frames at a time, which attend to each other. In the mode "replicate" the answer
    is exactly that of a network for one frame, since its attention is divided by the number of
    places. AVSS clips of ten frames are two blocks of five, as in its own scripts.

    Args:
        model: the network.
        vggish: the audio encoder that its scripts keep beside it, or the file of its weights.
        mode: which five frames it is given (`coprop.keyframes.adapters.serving.Mode`).
        placement: where the keyframe lies, in the mode "window".
        size: height and width, multiples of 32.
        resize: how frames get to that size; by default as its scripts do it, with OpenCV for S4
            and MS3, and with Pillow for AVSS.
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
        size: Size = (224, 224),
        resize: Resize | None = None,
        audio_span: AudioSpan = "frame",
    ) -> None:
        serving = Serving(_T, mode, placement)
        super().__init__(model, size=size, resize=resize, audio_span=audio_span, serving=serving)
        self.vggish = vggish_of(vggish, 'TPAVIAdapter(model, vggish="vggish-10086976.pth")')
        self._semantic = _FLAG in arguments_of(self.model)
        if resize is None:
            self.resize = "pillow" if self._semantic else "opencv"

    @staticmethod
    def recognises(model: nn.Module) -> bool:
        return has_class(model, "Pred_endecoder") and arguments_of(model) in (
            _ARGUMENTS,
            (*_ARGUMENTS, _FLAG),
        )

    def _sound(self, audio: Tensor) -> Tensor:
        return embeddings(self.vggish, audio)

    def _logits(self, pictures: Tensor, sound: Tensor) -> object:
        if self._semantic:
            return first_of(self.model(pictures, sound, sound.new_ones(len(sound))))
        return first_of(self.model(pictures, sound))

    def _details(self) -> str:
        return f"{'semantic classes' if self._semantic else 'one class'}, VGGish embedding"
