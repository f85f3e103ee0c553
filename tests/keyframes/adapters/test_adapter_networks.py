"""Published networks through their adapters: the rows that the network itself gives."""

from __future__ import annotations

import wave
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from adapter_standins import (
    CATR,
    CAVP,
    COMBO,
    TPAVI,
    AVSegFormer,
    SemanticTPAVI,
    T,
    clip,
    examples,
    imagenet,
    small_vggish,
)
from PIL import Image
from torch import Tensor, nn

from coprop.encoders.vggish import VGGish
from coprop.errors import CoPropError, ModelOutputError, ShapeError
from coprop.keyframes.adapters import (
    AVSegFormerAdapter,
    CATRAdapter,
    CAVPAdapter,
    COMBOAdapter,
    TPAVIAdapter,
)
from coprop.keyframes.adapters.cavp import spectrogram
from coprop.keyframes.model import ALONE, FrameContext, KeyframeModel

SIZE = (32, 64)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def vggish() -> VGGish:
    return small_vggish()


def heard(vggish: VGGish, audio: Tensor) -> Tensor:
    with torch.no_grad():
        return vggish.embeddings(vggish.tokens(audio).flatten(1))  # type: ignore[misc]


def trained(model: nn.Module) -> nn.Module:
    """With running averages that are not those of the batch; left in training mode."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model.train()


def asked(model: nn.Module, *inputs: Any, **options: Any) -> Any:
    """What the network itself says in evaluation mode, with ``.cuda()`` that does nothing."""
    model.eval()
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(Tensor, "cuda", lambda self, *_, **__: self)
        output = model(*inputs, **options)
    model.train()
    return output


def close(given: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("classes", [1, 71])
def test_avsegformer(classes: int) -> None:
    model = trained(AVSegFormer(classes))
    frames, audio = clip(T)
    direct = asked(model, examples(audio), imagenet(frames))[0]
    adapter = AVSegFormerAdapter(model, size=SIZE)
    close(adapter(frames, audio), direct)
    for k in range(T):  # one alone, which the network itself cannot take
        close(adapter(frames[k : k + 1], audio[k : k + 1]), direct[k : k + 1])
    with pytest.raises((RuntimeError, ValueError)):
        asked(model, examples(audio[:1]), imagenet(frames[:1]))
    assert AVSegFormerAdapter(model).size == ((512, 512) if classes == 1 else (224, 224))


def test_avsegformer_that_reads_files_is_given_spectrograms(tmp_path: Any) -> None:
    model = trained(AVSegFormer(71, preprocess=True))
    frames, audio = clip(10, seconds=0.96)
    pcm = (0.2 * audio.flatten().clamp(-4, 4) * 32_768).short()
    pcm = F.pad(pcm, (0, 400))  # one clip of ten examples end to end
    with wave.open(str(tmp_path / "clip.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(pcm.numpy().astype("<i2").tobytes())
    direct = asked(model, [str(tmp_path / "clip.wav")], imagenet(frames), torch.ones(10))[0]
    adapter = AVSegFormerAdapter(model, size=SIZE, audio_span="example")
    close(adapter(frames, (pcm / 32_768).unfold(0, 15_600, 15_360)), direct)
    assert model.vggish.preprocess is True
    assert (adapter.audio_span, adapter.window_s) == ("example", 0.975)


@pytest.mark.parametrize("semantic", [False, True])
def test_tpavi_in_its_native_form(vggish: VGGish, semantic: bool) -> None:
    model = trained(SemanticTPAVI() if semantic else TPAVI())
    flags = [torch.ones(2 * T)] if semantic else []
    frames, audio = clip(2 * T)
    direct = asked(model, imagenet(frames), heard(vggish, audio), *flags)[0]
    for mode, placement, context in [
        ("native", "centre", FrameContext(T, 1.0, "block")),
        ("window", "centre", FrameContext(T, 1.0, "centre")),
        ("window", "last", FrameContext(T, 1.0, "last")),
    ]:
        adapter = TPAVIAdapter(model, vggish=vggish, mode=mode, placement=placement, size=SIZE)
        assert adapter.context == context
        close(adapter(frames, audio), direct)
        with pytest.raises(ShapeError, match=f"5 frames at a time, got {T + 1}"):
            adapter(frames[: T + 1], audio[: T + 1])


def test_tpavi_alone_is_given_copies(vggish: VGGish) -> None:
    model = trained(TPAVI())
    frames, audio = clip(3)
    sound = heard(vggish, audio)
    adapter = TPAVIAdapter(model, vggish=vggish, size=SIZE)
    assert adapter.context == ALONE
    answers = adapter(frames, audio)
    for k in range(3):
        copies = imagenet(frames[k]).expand(T, -1, -1, -1), sound[k].expand(T, -1)
        close(answers[k : k + 1], asked(model, *copies)[0][:1])
        close(adapter(frames[k : k + 1], audio[k : k + 1]), answers[k : k + 1])


def test_none_is_the_loaders_size_and_way(vggish: VGGish) -> None:
    for adapter, expected in (
        (TPAVIAdapter(TPAVI(), vggish=vggish, size=None, resize=None), ((224, 224), "opencv")),
        (CATRAdapter(CATR(), vggish=vggish, size=None, resize=None), ((448, 448), "torch")),
        (CAVPAdapter(CAVP(), size=None, resize=None), (None, "pillow_bicubic")),
    ):
        assert (adapter.size, adapter.resize) == expected


@pytest.mark.parametrize("mode", ["native", "replicate"])
def test_catr_gives_the_most_referred_query(vggish: VGGish, mode: Any) -> None:
    model = trained(CATR())
    frames, audio = clip(T)
    sound = heard(vggish, audio)
    if mode == "replicate":
        frames, audio, sound = (x[3].expand(T, *x.shape[1:]) for x in (frames, audio, sound))
    nested = SimpleNamespace(
        tensors=imagenet(frames).unsqueeze(1), mask=torch.zeros(T, 1, *SIZE, dtype=torch.bool)
    )
    output = asked(model, nested, torch.zeros(1, T, dtype=torch.bool), imagenet(frames), sound)
    best = output["pred_is_referred"][:, 0].softmax(-1)[..., 0].argmax(-1)
    masks = [output["pred_masks"][t, 0, best[t]] for t in range(T)]
    expected = F.interpolate(torch.stack(masks).unsqueeze(1), SIZE, mode="bilinear")
    count = T if mode == "native" else 1
    adapter = CATRAdapter(model, vggish=vggish, mode=mode, size=SIZE)
    close(adapter(frames[:count], audio[:count]), expected[:count])


def coloured(frames: Tensor) -> Tensor:
    return (frames * 4).round() / 4


@pytest.mark.parametrize("semantic", [False, True])
@pytest.mark.parametrize("regions", [False, True])
def test_combo(semantic: bool, regions: bool) -> None:
    model = trained(COMBO(use_pre_sam=regions, is_avss_data=semantic))
    frames, audio = clip(T)
    options = {"pre_masks": coloured} if regions else {}

    def video(span: slice) -> list[dict[str, Tensor]]:
        inputs = {"images": 255 * frames[span], "audio_log_mel": examples(audio[span])}
        inputs["pre_masks"] = 255 * coloured(frames[span])
        flags = torch.ones(len(frames[span]))
        return [inputs | {"vid_temporal_mask_flag": flags, "gt_temporal_mask_flag": flags}]

    def direct(span: slice) -> Tensor:
        return torch.stack([each["sem_seg"] for each in asked(model, video(span))])

    together = COMBOAdapter(model, size=SIZE, mode="native", **options)
    close(together(frames, audio), direct(slice(T)))
    alone = COMBOAdapter(model, size=SIZE, **options)
    for k in range(T):
        span = slice(k, k + 1)
        close(alone(frames[span], audio[span]), direct(span))
        close(alone(frames, audio)[span], direct(span))
    many, sounds = clip(3 * T)
    close(together(many, sounds)[:T], together(many[:T], sounds[:T]))


def test_combo_says_what_it_needs() -> None:
    with pytest.raises(CoPropError, match=r"COMBOAdapter\(model, pre_masks=fn\)"):
        COMBOAdapter(COMBO())
    with pytest.raises(CoPropError, match="use_pre_sam is off"):
        COMBOAdapter(COMBO(use_pre_sam=False), pre_masks=coloured)
    wrong = COMBOAdapter(COMBO(), pre_masks=lambda frames: frames[:, :1], size=SIZE)
    with pytest.raises(ModelOutputError, match=r"pre_masks must return pictures \(1, 3, 32, 64\)"):
        wrong(*clip(1))


@pytest.mark.parametrize("seconds", [1, 3])
def test_cavp(seconds: int) -> None:
    model = trained(CAVP(4, seconds))
    frames, audio = clip(3, (33, 47), seconds)
    adapter = CAVPAdapter(model)
    assert (adapter.window_s, adapter.size) == (float(seconds), None)
    sound = decibels(audio)[:, :, : model.length].swapaxes(1, 2)
    mel = torch.from_numpy(sound).float().unsqueeze(1)
    direct = asked(model, imagenet(frames), mel, eval_mode=True)[0]
    close(adapter(frames, audio), direct)
    close(adapter(frames[:1], audio[:1]), direct[:1])


def decibels(audio: Tensor) -> Any:
    """Its trainers' spectrogram, in NumPy and by definition: (K, n) -> (K, 64, frames)."""
    samples = np.pad(audio.double().numpy(), ((0, 0), (256, 256)), mode="reflect")
    window = np.zeros(512)
    window[56:456] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    starts = range(0, samples.shape[1] - 511, 160)
    power = (
        np.abs(np.stack([np.fft.rfft(samples[:, s : s + 512] * window) for s in starts], 2)) ** 2
    )
    hertz = np.linspace(0, 8000, 257)
    to_mel = [2595 * np.log10(1 + f / 700) for f in (125.0, 3800.0)]
    edges = 700 * (10 ** (np.linspace(*to_mel, 66) / 2595) - 1)
    bands = np.stack([np.interp(hertz, edges[b : b + 3], [0, 1, 0]) for b in range(64)])
    return 20 * np.log10(np.maximum(bands @ power, 1e-5)) / 100


def test_the_spectrogram_of_cavp() -> None:
    _, audio = clip(3, seconds=1)
    expected = torch.from_numpy(decibels(audio * torch.tensor([[1e-4], [1.0], [1.0]]))).float()
    given = spectrogram(audio * torch.tensor([[1e-4], [1.0], [1.0]])).transpose(1, 2)
    assert given.shape == (3, 64, 101)
    torch.testing.assert_close(given, expected, rtol=0, atol=1e-4)
    assert given.min() == -1.0  # 100 dB below a power of one, where it is cut off


def test_cavp_refuses_what_it_cannot_serve() -> None:
    with pytest.raises(CoPropError, match="hears 2 channels"):
        CAVPAdapter(CAVP(seconds=3, channels=2))
    with pytest.raises(CoPropError, match="whole seconds"):
        CAVPAdapter(CAVP(), audio_span="example")


@pytest.mark.parametrize("adapter", [TPAVIAdapter, CATRAdapter])
def test_vggish_is_asked_for(adapter: Any) -> None:
    model = TPAVI() if adapter is TPAVIAdapter else CATR()
    with pytest.raises(
        CoPropError, match=rf'{adapter.__name__}\(model, vggish="vggish-10086976\.pth"\)'
    ):
        adapter(model)
    with pytest.raises(CoPropError, match="tokens only"):
        adapter(model, vggish=VGGish(embeddings=False))
    with pytest.raises(CoPropError, match="no checkpoint file"):
        adapter(model, vggish="nowhere.pth")


def test_vggish_is_read_from_its_file(tmp_path: Any) -> None:
    encoder = VGGish()
    torch.save(encoder.state_dict(), tmp_path / "vggish.pth")
    frames, audio = clip(1)
    model = trained(TPAVI())
    given = TPAVIAdapter(model, vggish=tmp_path / "vggish.pth", size=SIZE)(frames, audio)
    close(given, TPAVIAdapter(model, vggish=encoder, size=SIZE)(frames, audio))


def test_frames_of_another_size_are_resized_and_logits_resized_back() -> None:
    """As a loader does it that opens pictures of 8 bits and resizes them with Pillow."""
    model = trained(AVSegFormer())
    frames, audio = clip(2, (28, 28))
    frames = (frames * 255).round() / 255
    pictures = (frames * 255).byte().permute(0, 2, 3, 1).numpy()
    opened = [Image.fromarray(picture).resize(SIZE[::-1], Image.BILINEAR) for picture in pictures]
    small = torch.from_numpy(np.stack([np.asarray(x) for x in opened])).permute(0, 3, 1, 2) / 255
    direct = asked(model, examples(audio), imagenet(small))[0]
    expected = F.interpolate(direct, (28, 28), mode="bilinear")
    close(AVSegFormerAdapter(model, size=SIZE)(frames, audio), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (224,)}, "height and a width"),
        ({"size": (0, 224)}, "height and a width"),
        ({"size": (22.4, 224)}, "height and a width"),
        ({"audio_span": "second"}, "audio_span must be one of"),
        ({"vggish": small_vggish()}, "takes no VGGish beside its network"),
        ({"mode": "window"}, "this takes each by itself"),
        ({"placement": "last"}, 'for the mode "window"'),
    ],
)
def test_options_out_of_range_are_refused(options: Any, message: str) -> None:
    with pytest.raises(CoPropError, match=message):
        AVSegFormerAdapter(AVSegFormer(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "clip"}, "mode must be one of"),
        ({"placement": "last"}, 'for the mode "window"'),
        ({"mode": "window", "placement": "first"}, "placement must be"),
    ],
)
def test_modes_out_of_range_are_refused(vggish: VGGish, options: Any, message: str) -> None:
    with pytest.raises(CoPropError, match=message):
        TPAVIAdapter(TPAVI(), vggish=vggish, **options)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(CoPropError, match=r"torch\.nn\.Module"):
        AVSegFormerAdapter(lambda frames, audio: frames)  # type: ignore[arg-type]


def test_an_output_that_is_no_logits_is_refused(vggish: VGGish) -> None:
    class Broken(nn.Module):
        vggish = SimpleNamespace(preprocess=False)
        answer: Any = None

        def forward(self, *_: Any, **__: Any) -> Any:
            return self.answer

    broken = Broken()
    for answer in (None, torch.zeros(2, 4, 4), (torch.zeros(3, 1, 4, 4),), "no", ()):
        broken.answer = answer
        for adapter in (AVSegFormerAdapter(broken), CAVPAdapter(broken)):
            with pytest.raises(ModelOutputError, match="should have returned logits"):
                adapter(*clip(2))
        with pytest.raises(ModelOutputError, match="CATR should have returned a dict"):
            CATRAdapter(broken, vggish=vggish)(*clip(2))
        with pytest.raises(ModelOutputError):
            COMBOAdapter(broken)(*clip(2))


def test_they_fill_the_slot_and_say_what_they_do(vggish: VGGish) -> None:
    adapters = [
        AVSegFormerAdapter(AVSegFormer(71)),
        TPAVIAdapter(TPAVI(), vggish=vggish, audio_span="example"),
        CATRAdapter(CATR(), vggish=vggish, mode="window", placement="last"),
        COMBOAdapter(COMBO(), pre_masks=coloured, mode="native"),
        CAVPAdapter(CAVP(seconds=3)),
    ]
    assert all(isinstance(adapter, KeyframeModel) for adapter in adapters)
    assert [repr(adapter) for adapter in adapters] == [
        "AVSegFormerAdapter(AVSegFormer: 71 classes, log-mel of 0.975 s (frame), "
        "frames at 224 x 224, each frame by itself)",
        "TPAVIAdapter(Pred_endecoder: one class, VGGish embedding of 0.975 s (example), "
        "frames at 224 x 224, each frame by itself, given 5 times, one row kept)",
        "CATRAdapter(Pred_endecoder: one class, the best query's, VGGish embedding of 0.975 s "
        "(frame), frames at 448 x 448, 5 frames a second apart, the keyframe last)",
        "COMBOAdapter(MaskFormer: two classes, with regions, log-mel of 0.975 s (frame), "
        "frames at 224 x 224, blocks of 5 frames a second apart)",
        "CAVPAdapter(CAVP: classes with background first, log-mel of 3 s (frame), "
        "frames at their own size, each frame by itself)",
    ]
