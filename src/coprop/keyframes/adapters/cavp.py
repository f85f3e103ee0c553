"""CAVP (github.com/cyh-0/CAVP): models/cavp_model.py, with the sound of its trainers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coprop.encoders.audio import fit_window
from coprop.encoders.log_mel import SAMPLE_RATE, mel_filters
from coprop.errors import CoPropError
from coprop.keyframes.adapters.base import NetworkAdapter, first_of
from coprop.keyframes.adapters.inputs import Resize, Size
from coprop.keyframes.model import AudioSpan

# Of the trainers' log-mel, at 16 kHz.
_WINDOW, _HOP, _FFT = 400, 160, 512  # samples: 25 ms about every tenth millisecond
_BANDS, _LOW_HZ, _HIGH_HZ = 64, 125.0, 3800.0
_LEAST = 1e-5  # below it, the decibels of a band's power are cut off
_SCALE_DB = 100.0  # the decibels that become 1
_SHORT, _LONG = (1.0, 96), (3.0, 300)  # seconds, spectrogram frames: for its VGG, its ResNet-18


class CAVPAdapter(NetworkAdapter):
    """CAVP with two classes or more, background first.

    Networks that hear with the VGG take one second of sound, those that hear with the ResNet-18
    three, as in its configurations. Frames do not see each other.

    Its ``main_avss.py`` shows it frames as they are, the default; for the networks of
    ``main_avss_resize.py``, which resizes with Pillow's bicubic, give their ``image_height`` and
    ``image_width`` as ``size``. ``audio_span`` is "frame" or "segment": its scripts know no VGGish
    examples.

    Raises:
        CoPropError: a network for stereo sound, or an option out of range.
    """

    network_class = "CAVP"
    signatures = (("image", "audio", "shuffle_info", "ow_flag", "eval_mode", "audio_func"),)
    attributes = ("audio_backbone.backbone.conv1.in_channels", "audio_backbone.backbone.embeddings")

    def __init__(
        self,
        model: nn.Module,
        *,
        size: Size | None = None,
        resize: Resize | None = None,
        audio_span: AudioSpan = "frame",
    ) -> None:
        super().__init__(model, size=size, resize=resize, audio_span=audio_span)
        if audio_span == "example":
            raise CoPropError(
                'CAVP is trained on whole seconds, so that audio_span is "frame" or "segment"; '
                '"example" is for models that follow the scripts of AVSBench.'
            )
        encoder = getattr(getattr(self.model, "audio_backbone", None), "backbone", None)
        channels = getattr(getattr(encoder, "conv1", None), "in_channels", 1)
        if channels != 1:
            raise CoPropError(
                f"this CAVP hears {channels} channels, and coprop's sound is mono; use a "
                "network trained on mono sound."
            )
        self.window_s, self._frames = _SHORT if hasattr(encoder, "embeddings") else _LONG

    def _loader(self) -> tuple[None, Resize]:
        return None, "pillow_bicubic"

    def _sound(self, audio: Tensor) -> Tensor:
        audio = fit_window(audio, round(self.window_s * SAMPLE_RATE))
        return spectrogram(audio)[:, : self._frames].unsqueeze(1)

    def _logits(self, images: Tensor, sound: Tensor) -> object:
        return first_of(self.model(images, sound, eval_mode=True))

    def _details(self) -> str:
        return "classes with background first, log-mel"


def spectrogram(samples: Tensor) -> Tensor:
    """(K, n) samples at 16 kHz -> (K, 1 + n // 160, 64): power in mel bands, in 100 dB, from -1.

    Of CAVP's trainers: windows mirrored at the ends; triangles, straight in hertz, over 125-3800 Hz
    of the mel scale.

    Example:
        >>> spectrogram(torch.zeros(2, 16_000)).shape
        torch.Size([2, 101, 64])
    """
    window = torch.hann_window(_WINDOW, dtype=samples.dtype, device=samples.device)
    spectrum = torch.stft(samples, _FFT, _HOP, _WINDOW, window, return_complex=True)
    with torch.device("cpu"):
        filters = mel_filters(SAMPLE_RATE, _FFT, _BANDS, _LOW_HZ, _HIGH_HZ, straight_in="hertz")
    power = spectrum.abs().square().transpose(1, 2) @ filters.to(samples)
    return 20 * power.clamp_min(_LEAST).log10() / _SCALE_DB
