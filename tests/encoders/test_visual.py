from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from coprop.encoders.visual import VisualEncoder, feature_name
from coprop.errors import CheckpointError, CoPropError

PVT_MANIFEST = Path(__file__).parents[1] / "golden" / "pvt_v2_b5.keys.tsv"
CHANNELS = {
    "resnet50": (256, 512, 1024, 2048),
    "pvt_v2_b0": (32, 64, 160, 256),  # "b5" differs in widths and numbers of blocks
    "tf_efficientnet_lite0": (24, 40, 112, 320),
}


def on_meta(name: str) -> VisualEncoder:
    with torch.device("meta"):
        return VisualEncoder(name)


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("size", [(32, 32), (64, 96), (33, 45), (97, 224)])
def test_maps_have_the_stated_channels_and_strides(name: str, size: tuple[int, int]) -> None:
    encoder = on_meta(name)
    assert encoder.channels == CHANNELS[name]
    assert encoder.strides == (4, 8, 16, 32)
    maps = encoder(torch.rand(2, 3, *size, device="meta"))
    assert [tuple(x.shape) for x in maps] == [
        (2, c, -(-size[0] // s), -(-size[1] // s))
        for c, s in zip(encoder.channels, encoder.strides, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("resnet50", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("tf_efficientnet_lite0", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_frames_are_normalised_as_the_network_was_trained(
    name: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    encoder = VisualEncoder(name).eval()
    frames = torch.rand(1, 3, 32, 32)
    normal = torch.stack([(frames[:, i] - mean[i]) / std[i] for i in range(3)], dim=1)
    with torch.inference_mode():
        for ours, timms in zip(encoder(frames), encoder.network(normal)[-4:], strict=True):
            torch.testing.assert_close(ours, timms)


def test_the_released_pvt_checkpoint_has_a_name_for_every_parameter() -> None:
    rows = [line.split("\t") for line in PVT_MANIFEST.read_text().splitlines()]
    released = {feature_name(name): shape for name, shape, _ in rows}
    encoder = on_meta("pvt_v2_b5")
    assert encoder.channels == (64, 128, 320, 512)
    own = encoder.network.state_dict()
    assert {name: "x".join(map(str, x.shape)) for name, x in own.items()} == {
        name: shape for name, shape in released.items() if not name.startswith("head.")
    }


@pytest.mark.parametrize("name", CHANNELS)
def test_timm_classifiers_have_a_name_for_every_parameter(name: str) -> None:
    with torch.device("meta"):
        classifier = timm.create_model(name).state_dict()
    own = on_meta(name).network.state_dict()
    assert set(own) <= {key if key in own else feature_name(key) for key in classifier}


def test_a_classifiers_file_gives_its_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    classifier = timm.create_model("pvt_v2_b0").eval()
    save_file(classifier.state_dict(), tmp_path / "pvt.safetensors")
    encoder = VisualEncoder("pvt_v2_b0").eval()
    encoder.load_checkpoint(tmp_path / "pvt.safetensors")
    frames = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = classifier.forward_features((frames - encoder.mean) / encoder.std)
        torch.testing.assert_close(encoder(frames)[-1], expected)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"layer1.0.conv1.weight": torch.ones(1)}, tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match="missing"):
        VisualEncoder("pvt_v2_b0").load_checkpoint(tmp_path / "resnet.pth")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(CoPropError, match="no network named 'resnet5000'"):
        VisualEncoder("resnet5000")


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)
    VisualEncoder("tf_efficientnet_lite0")
