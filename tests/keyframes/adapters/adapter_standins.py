"""Small networks that are called as the published ones are, and fail where those fail.

Each has random weights, and parts that act differently in training: an answer that is right was
given in evaluation mode.
"""

from __future__ import annotations

import wave
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coprop.encoders.log_mel import vggish_examples
from coprop.encoders.vggish import VGGish

T = 5
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def imagenet(frames: Tensor) -> Tensor:
    return (frames - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def clip(count: int, size: tuple[int, int] = (32, 64), seconds: float = 0.975) -> Any:
    """Frames and their sound, no two alike."""
    generator = torch.Generator().manual_seed(count)
    frames = torch.rand(count, 3, *size, generator=generator)
    loudness = torch.linspace(0.02, 0.5, count).unsqueeze(1)
    return frames, loudness * torch.randn(count, round(16_000 * seconds), generator=generator)


def examples(audio: Tensor) -> Tensor:
    """(K, 15600) -> (K, 1, 96, 64)."""
    return vggish_examples(audio)


def small_vggish() -> VGGish:
    """VGGish with a head of one layer, for speed."""
    torch.manual_seed(7)
    encoder = VGGish(embeddings=False)
    encoder.embeddings = nn.Sequential(nn.Linear(512 * 24, 128), nn.ReLU())
    return encoder


class Eye(nn.Module):
    """Frames -> features, through layers that know whether they are trained."""

    def __init__(self, width: int = 8, stride: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 5, stride=stride, padding=2)
        self.norm = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(F.relu(self.norm(self.conv(x))))


class Ear(nn.Module):
    """Log-mel examples, or wav files of ten of them, -> (N, width)."""

    def __init__(self, width: int = 8, preprocess: bool = False) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.linear = nn.Linear(96 * 64, width)

    def forward(self, x: Any) -> Tensor:
        if self.preprocess:
            assert isinstance(x, list), "paths of wav files are wanted"
            x = torch.cat([self._read(path) for path in x]).cuda()
        assert x.shape[1:] == (1, 96, 64)
        return torch.tanh(self.linear(x.flatten(1)))

    @staticmethod
    def _read(path: str) -> Tensor:
        with wave.open(path) as file:
            assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        found = vggish_examples(torch.from_numpy(samples / 32_768).float()[None])[0]
        padded = torch.zeros(10, 1, 96, 64)
        padded[: len(found), 0] = found
        return padded


class AVSegFormer(nn.Module):
    def __init__(self, classes: int = 1, preprocess: bool = False) -> None:
        super().__init__()
        self.backbone, self.vggish = Eye(), Ear(preprocess=preprocess)
        self.vggish.requires_grad_(False)
        self.head = nn.Module()
        self.head.num_classes = classes
        self.head.fc = nn.Conv2d(8, classes, 1)

    def forward(self, audio: Any, frames: Tensor, vid_temporal_mask_flag: Any = None) -> Any:
        heard = self.vggish(audio).unsqueeze(1)
        mixed = torch.einsum("bchw,bc->bchw", self.backbone(frames), heard.squeeze())  # batch 1 !
        return F.interpolate(self.head.fc(mixed), frames.shape[-2:]), mixed


class TPAVI(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.linear, self.output = Eye(), nn.Linear(128, 8), nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor, audio_feature: Any = None) -> Any:
        return self._predict(x, audio_feature)

    def _predict(self, x: Tensor, audio: Tensor) -> Any:
        seen = self.backbone(x)
        out = torch.zeros_like(seen).cuda()
        clips = seen.reshape(-1, 5, *seen.shape[1:])
        heard = torch.tanh(self.linear(audio)).view(-1, 5, 8)
        attention = torch.einsum("btchw,bsc->btshw", clips, heard)
        out += (clips + torch.einsum("btshw,bsc->btchw", attention, heard) / 5).flatten(0, 1)
        logits = F.interpolate(self.output(out), x.shape[-2:])
        return logits, [seen] * 4, [None] * 4


class SemanticTPAVI(TPAVI):
    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Conv2d(8, 7, 1)

    def forward(self, x: Tensor, audio_feature: Tensor, vid_temporal_mask_flag: Tensor) -> Any:
        flag = vid_temporal_mask_flag.view(-1, 1, 1, 1)
        logits, maps, heard = self._predict(x * flag, audio_feature)
        return logits * flag, maps, heard


class CATR(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.linear = Eye(stride=16), nn.Linear(128, 8)
        self.queries, self.referred = nn.Embedding(50, 8), nn.Linear(8, 2)

    def forward(
        self, video_samples: Any, audio_pad: Tensor, x: Tensor, audio_feature: Any = None
    ) -> Any:
        video_samples.mask = video_samples.mask.cuda()
        video_samples.tensors = video_samples.tensors.cuda()
        t, b = video_samples.tensors.shape[:2]
        assert video_samples.mask.shape == (t, b, *x.shape[-2:])
        assert audio_pad.shape == (b, t)
        seen = self.backbone(x).unflatten(0, (t, b))
        heard = torch.tanh(self.linear(audio_feature)).unflatten(0, (b, t)).mean(1)
        heard = torch.stack([heard] * 5)  # whatever t is
        hs = self.queries.weight + torch.cat([heard + seen.mean((-1, -2))]).unsqueeze(2)
        out = {
            "pred_masks": torch.einsum("tbnc,tbchw->tbnhw", hs, seen + seen.mean(0)),
            "pred_is_referred": self.referred(hs * torch.linspace(-3, 3, 50).view(50, 1)),
        }
        return out | {"aux_outputs": [out, out]}


class COMBO(nn.Module):
    """Its queries hear each other's frames; a video has five at most."""

    def __init__(self, *, use_pre_sam: bool = True, is_avss_data: bool = False) -> None:
        super().__init__()
        self.use_pre_sam, self.is_avss_data = use_pre_sam, is_avss_data
        self.backbone, self.audio_backbone = Eye(), Ear()
        self.pre_sam_backbone = Eye() if use_pre_sam else None
        self.queries = nn.Embedding(4, 8)
        self.classify = nn.Linear(8, (71 if is_avss_data else 2) + 1)
        self.register_buffer("pixel_mean", 255 * torch.tensor(MEAN).view(3, 1, 1), False)
        self.register_buffer("pixel_std", 255 * torch.tensor(STD).view(3, 1, 1), False)

    def forward(self, batched_inputs: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
        images = torch.cat([x["images"] for x in batched_inputs])
        audio = self.audio_backbone(torch.cat([x["audio_log_mel"] for x in batched_inputs]))
        flag = images.new_ones(len(images))
        if self.is_avss_data:
            flag = torch.cat([x["vid_temporal_mask_flag"] for x in batched_inputs])
            assert batched_inputs[0]["gt_temporal_mask_flag"].shape == (len(images),)
            audio = audio[flag.bool()]
        seen = self.backbone((images - self.pixel_mean) / self.pixel_std)
        if self.pre_sam_backbone is not None:
            regions = torch.cat([x["pre_masks"] for x in batched_inputs])
            seen = seen + self.pre_sam_backbone((regions - self.pixel_mean) / self.pixel_std)
        heard = audio.unsqueeze(1).repeat(1, 4, 1).reshape(4, -1, 8)
        hs = (self.queries.weight.unsqueeze(1) + heard).transpose(0, 1)
        masks = F.interpolate(torch.einsum("bqc,bchw->bqhw", hs, seen), images.shape[-2:])
        classes = self.classify(hs).softmax(-1)[..., :-1]
        self.num_frames = flag.sum() if self.is_avss_data else 5
        results, video = [], -1
        for k in range(len(images)):
            if k % self.num_frames == 0:
                video += 1
                _ = batched_inputs[video]  # fails beyond the frames of one video
            scores = torch.einsum("qc,qhw->chw", classes[k], masks[k].sigmoid())
            results.append({"sem_seg": scores * flag[k]})
        return results


class CAVP(nn.Module):
    def __init__(self, classes: int = 2, seconds: int = 1, channels: int = 1) -> None:
        super().__init__()
        self.backbone, self.classifier = Eye(), nn.Conv2d(8, classes, 1)
        self.audio_backbone = nn.Module()
        self.audio_backbone.backbone = hearing = nn.Module()
        self.length = 96 if seconds == 1 else 300
        if seconds == 1:
            hearing.embeddings = nn.Linear(96 * 64, 8)
        else:
            hearing.conv1 = nn.Conv2d(channels, 8, 7, stride=16)

    def forward(
        self,
        image: Tensor,
        audio: Any = None,
        shuffle_info: Any = None,
        ow_flag: bool = False,
        eval_mode: bool = False,
        audio_func: bool = False,
    ) -> Any:
        assert eval_mode, "the other mode is for training"
        assert audio.shape[1:] == (1, self.length, 64)
        hearing = self.audio_backbone.backbone
        if hasattr(hearing, "embeddings"):
            heard = hearing.embeddings(audio.flatten(1))
        else:
            heard = hearing.conv1(audio).mean((-1, -2))
        mixed = self.backbone(image) * torch.sigmoid(heard)[..., None, None]
        return F.interpolate(self.classifier(mixed), image.shape[-2:]), mixed, {"audio": heard}


# As their repositories name them; two have one name.
TPAVI.__name__ = SemanticTPAVI.__name__ = CATR.__name__ = "Pred_endecoder"
COMBO.__name__ = "MaskFormer"
