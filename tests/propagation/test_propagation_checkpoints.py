"""Files: official ones in all their wrappings, coprop's own folders, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import coprop
from coprop.errors import CheckpointError, CoPropError
from coprop.propagation import AudioInsertPropagator, PropagatorConfig

State = dict[str, Tensor]
WEIGHTS = Path(coprop.__file__).parent / "weights"


def load(path: Path, **settings: Any) -> AudioInsertPropagator:
    return AudioInsertPropagator.from_checkpoint(path, **({"insert_levels": ()} | settings))


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "bare": lambda state: state,
    "official": lambda state: {"state_dict": state, "optimizer": {"lr": 1e-4, "state": {}}},
    "model": lambda state: {"model": state},
    "parallel": lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}},
    "counters": lambda state: {**state, "encoder.bn1.num_batches_tracked": torch.tensor(3)},
    "early": lambda state: {k: v for k, v in state.items() if k != "LSTT.mask_token"},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_official_file(wrapping: str, aot_l_state: State, tmp_path: Path) -> None:
    path = tmp_path / "R50_AOTL.pth"
    torch.save(WRAPPINGS[wrapping](aot_l_state), path)
    propagator = load(path, long_term_gap=3, max_memory_frames=None)
    expected = PropagatorConfig.aot_l(insert_levels=(), long_term_gap=3, max_memory_frames=None)
    assert propagator.config == expected
    assert not propagator.training
    own = propagator.state_dict()
    assert set(aot_l_state) - set(own) == {"LSTT.mask_token"}
    assert all(torch.equal(value, aot_l_state[key]) for key, value in own.items())


def test_safetensors_and_aot_t(aot_t_state: State, tmp_path: Path) -> None:
    save_file(aot_t_state, tmp_path / "aott.safetensors")
    propagator = load(tmp_path / "aott.safetensors", long_term_gap=9999)
    assert propagator.config == PropagatorConfig.aot_t(insert_levels=())
    assert torch.equal(
        propagator.network.LSTT.state_dict()["layers.0.linear_Q.weight"],
        aot_t_state["LSTT.layers.0.linear_Q.weight"],
    )


def test_audio_starts_silent_and_comes_back_from_a_trained_file(
    aot_t_state: State, tmp_path: Path
) -> None:
    path = tmp_path / "aott.pth"
    torch.save(aot_t_state, path)
    settings: dict[str, Any] = {"insert_levels": (4,), "audio_encoder": "small"}
    propagator = load(path, **settings)
    last = [
        p
        for name, p in propagator.named_parameters()
        if "audio_insert" in name and "projection" in name
    ]
    assert len(last) == 4
    assert not any(parameter.any() for parameter in last)
    torch.nn.init.normal_(last[0])
    torch.save(propagator.state_dict(), path)
    again = load(path, **settings).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in propagator.state_dict().items())
    with pytest.raises(CheckpointError, match="audio_insert"):
        load(path, insert_levels=(3, 4), audio_encoder="small")
    with pytest.raises(CheckpointError, match="audio_insert"):
        load(path)


def test_files_of_earlier_versions_mean_the_same(tmp_path: Path) -> None:
    """Their audio modules had gates; the small encoder, and no other, told tokens their place."""
    propagator = AudioInsertPropagator(PropagatorConfig(insert_levels=(2, 4))).eval()
    new = propagator.state_dict()
    old = {name: tensor.clone() for name, tensor in new.items()}
    generator = torch.Generator().manual_seed(0)
    modules = ["levels.2", "levels.4", "identity"]
    for module in modules:
        for part in ("weight", "bias"):
            name = f"audio_insert.{module}.projection.{part}"
            old[name] = torch.randn(new[name].shape, generator=generator)
        gate = torch.randn(len(old[name]), generator=generator)
        old[f"audio_insert.{module}.gate"] = gate
    position = torch.randn(24, 128, generator=generator)
    old["audio_insert.encoder.position"] = position
    del old["audio_insert.position"]
    propagator.save_pretrained(tmp_path / "model")
    save_file(old, tmp_path / "model" / "model.safetensors")
    read = AudioInsertPropagator.from_pretrained(tmp_path / "model").state_dict()
    assert torch.equal(read["audio_insert.position"], position)
    for module in modules:
        gate = old[f"audio_insert.{module}.gate"]
        weight, bias = (old[f"audio_insert.{module}.projection.{p}"] for p in ("weight", "bias"))
        torch.testing.assert_close(
            read[f"audio_insert.{module}.projection.weight"], gate[:, None] * weight
        )
        torch.testing.assert_close(read[f"audio_insert.{module}.projection.bias"], gate * bias)


def test_audio_encoder_from_its_own_file(aot_t_state: State, tmp_path: Path) -> None:
    torch.save(aot_t_state, tmp_path / "aott.pth")
    donor = load(tmp_path / "aott.pth", insert_levels=(4,)).network.audio_insert
    assert donor is not None
    vggish = donor.get_submodule("encoder").state_dict()
    torch.save({**vggish, "embeddings.0.bias": torch.zeros(4096)}, tmp_path / "vggish.pth")
    propagator = load(
        tmp_path / "aott.pth", insert_levels=(4,), audio_checkpoint=tmp_path / "vggish.pth"
    )
    own = propagator.state_dict()
    assert all(torch.equal(own[f"audio_insert.encoder.{k}"], v) for k, v in vggish.items())
    assert propagator.sample_rate == 16000
    assert propagator.window_s == pytest.approx(0.975)


def test_aot_s_and_b_with_more_blocks(aot_t_state: State, tmp_path: Path) -> None:
    for layers in (2, 3):
        state = dict(aot_t_state)
        for name, tensor in aot_t_state.items():
            for i in range(1, layers):
                for start in ("LSTT.layers.0.", "LSTT.decoder_norms.0."):
                    if name.startswith(start):
                        state[name.replace(".0.", f".{i}.", 1)] = tensor
        first = state["decoder.conv_in.conv.weight"]
        extra = first.new_zeros(first.shape[0], 256 * (layers - 1), 1, 1)
        state["decoder.conv_in.conv.weight"] = torch.cat([first, extra], 1)
        torch.save(state, tmp_path / "aot.pth")
        config = load(tmp_path / "aot.pth").config
        assert (config.encoder, config.num_layers) == ("mobilenetv2", layers)


def test_aot_l_with_resnet_101(aot_l_state: State, tmp_path: Path) -> None:
    state = dict(aot_l_state)
    for name, tensor in aot_l_state.items():
        if name.startswith("encoder.layer3.5."):
            for i in range(6, 23):
                state[name.replace("layer3.5", f"layer3.{i}")] = tensor
    torch.save(state, tmp_path / "R101_AOTL.pth")
    propagator = load(tmp_path / "R101_AOTL.pth")
    assert propagator.config == PropagatorConfig.aot_l(encoder="resnet101", insert_levels=())
    frame = torch.rand(1, 3, 33, 33)
    state = propagator.start(frame, None, torch.ones(1, 33, 33, dtype=torch.long))
    assert propagator.step(frame, None, state)[0].shape == (1, 2, 33, 33)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"LSTT.layers.0.linear_QV.weight": 1, "encoder.conv1.weight": 1}, "DeAOT"),
        ({"encoder.patch_embed.proj.weight": 1}, "Swin"),
        ({"encoder.conv1.0.weight": 1}, "ResNeSt"),
        ({"encoder.features.0.0.weight": torch.zeros(16, 3, 3, 3)}, "not MobileNetV2"),
    ],
)
def test_relatives_are_told_what_they_are(extra: Any, said: str, tmp_path: Path) -> None:
    state = {"LSTT.layers.0.norm1.weight": torch.ones(256)}
    state |= {"patch_wise_id_bank.weight": torch.ones(256, 11, 17, 17)}
    state |= {k: v if isinstance(v, Tensor) else torch.zeros(1) for k, v in extra.items()}
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=rf"other\.pth is .*{said}.*; read are AOT-T, AOT-S"):
        load(tmp_path / "other.pth")


def without(key: str) -> Callable[[State], State]:
    return lambda state: {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (without("LSTT.layers.0.linear_V.bias"), ["missing", "LSTT.layers.0.linear_V.bias"]),
        (without("encoder.features.0.1.running_var"), ["encoder.features.0.1.running_var"]),
        (without("encoder.features.0.0.weight"), ["image encoder", "encoder.features.0.1.weight"]),
        (without("patch_wise_id_bank.weight"), ["not an AOT checkpoint"]),
        (lambda s: {**s, "decoder.extra": torch.zeros(1)}, ["unknown", "decoder.extra"]),
        (lambda s: {**s, "decoder.conv_out.bias": torch.zeros(7)}, ["(7,)", "(11,)"]),
        (lambda s: {"conv.weight": torch.zeros(1)}, ["not an AOT checkpoint", "conv.weight"]),
        (lambda s: {"epoch": 3}, ["epoch"]),
        (lambda s: [1, 2], ["list"]),
    ],
)
def test_refused_content(
    content: Callable[[State], Any], names: list[str], aot_t_state: State, tmp_path: Path
) -> None:
    path = tmp_path / "some.pth"
    torch.save(content(aot_t_state), path)
    with pytest.raises(CheckpointError) as error:
        load(path)
    assert all(name in str(error.value) for name in [*names, "some.pth"])


@pytest.mark.parametrize("name", ["some.pth", "some.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"PK\x03\x04" + bytes(99)])
def test_refused_files(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="some"):
        load(tmp_path / name)


def test_truncated_and_absent_files(aot_t_state: State, tmp_path: Path) -> None:
    path = tmp_path / "some.pth"
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load(path)
    torch.save(aot_t_state, path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(CheckpointError, match=r"some\.pth"):
        load(path)


def test_folder_round_trip(small_factory: Callable[..., Any], tmp_path: Path) -> None:
    propagator = small_factory(insert_levels=(2, 4))
    torch.nn.init.normal_(propagator.network.decoder.conv_out.bias)
    propagator.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["insert_levels"] == [2, 4]
    again = AudioInsertPropagator.from_pretrained(tmp_path)
    assert again.config == propagator.config
    assert not again.training
    own = again.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in propagator.state_dict().items())


def test_the_weights_of_the_package_load_and_are_saved_under_their_names(tmp_path: Path) -> None:
    stored = load_file(WEIGHTS / "propagator" / "model.safetensors")
    assert not any(name.startswith("network.") for name in stored)
    propagator = AudioInsertPropagator.from_pretrained(WEIGHTS / "propagator")
    own = propagator.state_dict()
    ears = {name for name in own if name.startswith("audio_insert.encoder.")}
    assert ears  # YAMNet, which the package holds once
    assert set(own) == set(stored) | ears
    assert all(torch.equal(own[name], tensor.float()) for name, tensor in stored.items())
    propagator.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert set(saved) == set(own)
    assert all(torch.equal(saved[name], tensor.float()) for name, tensor in stored.items())


def test_names_inside_other_modules(small_factory: Callable[..., Any]) -> None:
    """As trainings keep it: one part among others."""
    propagator = small_factory(insert_levels=(4,))
    whole = torch.nn.ModuleDict({"model": propagator, "other": torch.nn.Linear(2, 2)})
    state = {name: torch.randn_like(x) for name, x in whole.state_dict().items()}
    assert {name for name in state if name.startswith("model.")} == {
        f"model.{name}" for name in propagator.network.state_dict()
    }
    whole.load_state_dict(state)
    assert all(torch.equal(x, state[name]) for name, x in whole.state_dict().items())
    del state["model.decoder.conv_out.bias"]
    with pytest.raises(RuntimeError, match=r"Missing.*decoder\.conv_out\.bias"):
        whole.load_state_dict(state)
    with pytest.raises(RuntimeError, match=r"Unexpected.*hat"):
        propagator.load_state_dict({**propagator.state_dict(), "hat": torch.zeros(1)})


def test_folder_in_half_precision(small: AudioInsertPropagator, tmp_path: Path) -> None:
    small.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    save_file({key: value.half() for key, value in load_file(path).items()}, path)
    again = AudioInsertPropagator.from_pretrained(str(tmp_path))
    for key, value in again.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, small.state_dict()[key].half().float())


def test_damaged_folders(small: AudioInsertPropagator, tmp_path: Path) -> None:
    small.save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    stored = json.loads(config.read_text())
    config.write_text(json.dumps(stored | {"embedding_dim": 64}))
    with pytest.raises(CheckpointError, match="other shapes"):
        AudioInsertPropagator.from_pretrained(tmp_path)
    config.write_text(json.dumps(stored | {"colour": "red"}))
    with pytest.raises(CoPropError, match="colour"):
        AudioInsertPropagator.from_pretrained(tmp_path)
    config.write_text(json.dumps(stored))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        AudioInsertPropagator.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"encoder": "vgg"},
        {"audio_encoder": "ears"},
        {"insert_levels": (0,)},
        {"insert_levels": (1, 1)},
        {"embedding_dim": 100},
        {"insert_dim": 100},
        {"decoder_dim": 20},
        {"max_memory_frames": 0},
        {"num_layers": 0},
        {"long_term_gap": 0},
        {"drop_path": 1.0},
    ],
)
def test_impossible_settings_are_named(values: dict[str, Any]) -> None:
    with pytest.raises(CoPropError, match=next(iter(values))):
        PropagatorConfig(**values)
